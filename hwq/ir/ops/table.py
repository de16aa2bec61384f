"""table: any function of one element as a list of its values, one for each code of the input's type, lowest code first.

    y_e = values[index_e, x_e - lowest_e]        x_e: the mantissa; lowest_e: the smallest mantissa of its type

`values` has one row a function; rows that are shorter than the longest end in zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hwq.fixed import FixedType, TypeArray
from hwq.fixed.arithmetic import IntArray, as_integers, greatest
from hwq.ir.forms import Cpp, FloatMath, Lookup, Statements, Types, Value, Wires, elements
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval
from hwq.ir.spec import OpSpec, Steps, Values, fail, integers, odd_form, only, real, to_step
from hwq.tensors import Tensor

WIDEST_CODE = 20  # bits of a table's input: beyond, a million entries an element


def rows_of(node: Node) -> tuple[IntArray, Steps]:
    """(mantissas (T, C) as Python integers, frac (T,)): each row of `values` at its own one step, the coarsest that is exact."""
    mantissas, frac = odd_form(node.constant("values"))
    lowest = np.iinfo(np.int64).min
    one = np.where(mantissas == 0, lowest, frac).max(axis=1, initial=lowest)
    one = np.where(one == lowest, 0, one).astype(np.int64)
    return np.where(mantissas == 0, 0, mantissas << np.maximum(one[:, None] - frac, 0).astype(object)), one


def code_counts(types: TypeArray) -> Steps:
    """How many codes each element's type has, from its lowest to its highest."""
    return np.asarray(types.highest - types.lowest + 1).astype(np.int64)


def _verify(node: Node, types: Types) -> None:
    values, index = node.constant("values"), integers(node, "index")
    if len(values.shape) != 2:
        fail(node, f"values must be (tables, codes), not {values.shape}")
    if len(index) != only(types).size or any(i >= values.shape[0] for i in index):
        fail(node, f"index must give one of {values.shape[0]} tables for each of {only(types).size} elements")
    if greatest(only(types).width) > WIDEST_CODE:
        fail(node, f"its input has {only(types).width.max()} bits; a table takes at most {WIDEST_CODE}: quantize it first")
    if only(types).size and int(code_counts(only(types)).max()) > values.shape[1]:
        fail(node, f"its input has {code_counts(only(types)).max()} codes, values only {values.shape[1]}")


def _infer(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    """The extremes over the codes that the input's bounds leave possible; nearest codes where the bounds lie outside the type.

    They do for an element that nothing reads: `hwq.passes.prune` takes constants of it away, and its type is that of its former values.
    """
    mantissas, one = rows_of(node)
    index = integers(node, "index")
    x, t = only(inputs), only(types)
    known: dict[tuple[int, int, int], tuple[int, int]] = {}
    low, high = np.zeros(t.size, object), np.zeros(t.size, object)
    for e, (row, kind) in enumerate(zip(index, t, strict=True)):
        # bounds may stand at a finer or coarser step than the type: whole codes between them
        up = kind.frac - int(x.frac.flat[e])
        bottom, top = int(x.low.flat[e]), int(x.high.flat[e])
        bottom, top = (bottom << up, top << up) if up >= 0 else (-(-bottom >> -up), top >> -up)
        first = min(max(bottom, kind.lowest), kind.highest)
        last = max(min(top, kind.highest), first)
        key = (row, first - kind.lowest, last - kind.lowest)
        if key not in known:
            part = mantissas[row, key[1] : key[2] + 1].tolist()
            known[key] = min(part), max(part)
        low[e], high[e] = known[key]
    return Interval(low.reshape(t.shape), high.reshape(t.shape), one[list(index)].reshape(t.shape))


def _evaluate(node: Node, types: Types, values: Values) -> IntArray:
    mantissas, one = rows_of(node)
    index = np.array(integers(node, "index"), np.int64).reshape(node.shape)
    bits = max((int(v).bit_length() for v in mantissas.ravel()), default=0) + 1
    codes = (only(values) - only(types).lowest).astype(np.int64)
    return to_step(as_integers(mantissas, bits)[index, codes], one[index], bits, node.type)


def _wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    mantissas, fracs = rows_of(node)
    return [
        w.looked_up(x, t, mantissas[row].tolist(), int(fracs[row]))
        for x, t, row in zip(only(inputs), only(types), node.integers("index"), strict=True)
    ]


def _cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    """One constant array of raw bits for each function and type, indexed by the raw bits of the element."""
    (source,) = inputs
    mantissas, frac = rows_of(node)
    arrays: dict[tuple[int, FixedType, FixedType], str] = {}  # by name, {} the place of the code
    lines: list[str] = []
    counts = code_counts(source.type).ravel()
    for (i, t, name), row in ((e, node.integers("index")[e[0]]) for e in elements(node)):
        x = source.type[i]
        key = (row, x, t)
        kind = f"ap_uint<{t.width}>"
        if key not in arrays:
            entries = _by_bits(mantissas[row, : counts[i]].tolist(), x, int(frac[row]) - t.frac)
            declared, arrays[key] = cpp.table_lookup(f"{node.name}_{len(arrays)}_table", entries, "{}", kind)
            lines += declared
        if x.width:
            lines.append(f"ap_uint<{x.width}> {name}_code = {source.name}_{i}.range({x.width - 1}, 0);")
        lines.append(f"{kind} {name}_bits = {arrays[key].replace('{}', f'{name}_code' if x.width else '0')};")
        lines += cpp.from_bits(t, name, f"{name}_bits")
    return f"{len(arrays)} tables for {node.type.size} elements", lines


def _by_bits(entries: list[int], x: FixedType, down: int) -> list[int]:
    """Entries by value, lowest first, as entries by the two's-complement bits of x; `down` zero bits dropped (appended, if negative)."""
    out = [0] * (1 << x.width)
    for k, entry in enumerate(entries):
        out[(x.lowest + k) % len(out)] = entry >> down if down >= 0 else entry << -down
    return out


def _floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    """Looked up by code; where gradients pass through, with the slope between the neighbouring entries."""
    (x,), (t,) = inputs, types
    values = real(node.constant("values"))
    index = np.asarray(node.integers("index"), np.int64).reshape(node.shape)
    step = np.ldexp(1.0, -t.frac.astype(np.int64))
    lowest = t.lowest.astype(np.float64)
    count = values.shape[1]
    codes = m.ops.cast(m.ops.round(x / step - lowest), "int64")
    flat = m.ops.convert_to_tensor(values.ravel())
    y = m.ops.take(flat, codes + index * count)
    if not m.through:
        return y
    after, before = (m.ops.take(flat, m.ops.clip(codes + d, 0, count - 1) + index * count) for d in (1, -1))
    slope = m.ops.stop_gradient((after - before) / (2 * step))
    return y + slope * (x - m.ops.stop_gradient(x))


def _lookups(node: Node, types: TypeArray) -> Iterator[Lookup]:
    mantissas, _ = rows_of(node)
    for t, result, row in zip(types, node.type, node.integers("index"), strict=True):
        if t.width and result.width:
            yield Lookup(tuple(mantissas[row].tolist()[: t.highest - t.lowest + 1]), t.lowest, t.width, result.width)


SPECS = (
    OpSpec(
        "table",
        1,
        ("values", "index"),
        _infer,
        _verify,
        _evaluate,
        wires=_wires,
        cpp=_cpp,
        floats=_floats,
        lookups=_lookups,
        pointwise=True,
    ),
)
