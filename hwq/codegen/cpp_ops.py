"""The C++ of each op: straight-line statements, one scalar variable an element, `<node>_<element>`.

Sums are accumulated in a type that holds the final value exactly; partial sums may wrap on the way, which is exact modulo 2^n.
Elements of width 0 have no variable: nothing may name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hwq.codegen.cpp_quantize import quantize_section
from hwq.codegen.cpp_sums import sums
from hwq.codegen.cpp_text import Section, ap_type, from_bits, literal, summary, table_lookup
from hwq.codegen.cpp_weights import weight_lines, weight_name
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.ir import Node
from hwq.ir.ops import odd_form
from hwq.ir.ops_pool import max_windows
from hwq.ir.ops_table import code_counts, rows_of
from hwq.ir.windows import LINEAR, WIRING, constants, wiring


def _elements(node: Node) -> Iterator[tuple[int, FixedType, str]]:
    """(number, type, variable) of every element that has one."""
    return ((i, t, f"{node.name}_{i}") for i, t in enumerate(node.type) if t.width)


def _present(node: Node, element: int) -> bool:
    return element >= 0 and bool(node.type.width.flat[element])


def _linear(node: Node, inputs: Sequence[Node]) -> Section:
    source = inputs[0]
    k, k_frac = (a.ravel() for a in odd_form(constants(node)[0]))
    weights = weight_lines(node.name, zip(map(int, k[k != 0]), map(int, k_frac[k != 0]), strict=True))

    def product(out: int, element: int, w: int) -> list[str]:
        if not _present(source, element):
            return []
        weight = weight_name(node.name, (int(k[w]), int(k_frac[w])))
        return [f"add_product({node.name}_{out}, {source.name}_{element}, {weight});"]

    return Section(summary(node, describe(node, source)), (*weights, *sums(node, source, product)))


def describe(node: Node, source: Node) -> str:
    """What a linear node is, for the comment over its statements."""
    if node.op == "sum_pool2d":
        return f"sum over windows {list(node.integers('size'))}, {list(source.shape)} -> {list(node.shape)}"
    kernel = node.constant("kernel")
    weights = f"{kernel.nonzero} of {kernel.types.size} weights"
    if node.op == "dense":
        return f"dense {kernel.shape[0]} -> {kernel.shape[1]}, {weights}"
    return f"{node.op} {list(source.shape)} -> {list(node.shape)}, {weights}"


def _wiring(node: Node, inputs: Sequence[Node]) -> Section:
    every = [f"{source.name}_{i}" for source in inputs for i in range(source.type.size)]
    places = wiring(node, [source.shape for source in inputs]).ravel().tolist()
    lines = tuple(f"{ap_type(t)} {name} = {every[places[i]]};" for i, t, name in _elements(node))
    return Section(summary(node, f"{node.op} to {list(node.shape)}"), lines)


def _relu(node: Node, inputs: Sequence[Node]) -> Section:
    source = inputs[0]
    lines = []
    for index, t in enumerate(node.type):
        if not t.width:
            continue
        x = f"{source.name}_{index}"
        if source.type[index].signed:
            lines += [f"{ap_type(t)} {node.name}_{index} = 0;", f"relu({node.name}_{index}, {x});"]
        else:
            lines.append(f"{ap_type(t)} {node.name}_{index} = {x};")
    return Section(summary(node, "relu"), tuple(lines))


def _leaky_relu(node: Node, inputs: Sequence[Node]) -> Section:
    lines = []
    for i, t, name in _elements(node):
        x = f"{inputs[0].name}_{i}"
        lines.append(f"{ap_type(t)} {name} = {x};")
        if inputs[0].type[i].signed:
            lines.append(f"if ({x} < 0) {name} = {x} * {literal(1, node.integer('shift'))};")
    return Section(summary(node, f"leaky relu, slope 2^-{node.integer('shift')}"), tuple(lines))


def _add(node: Node, inputs: Sequence[Node]) -> Section:
    lines = []
    for i, t, name in _elements(node):
        terms = [f"{n.name}_{i}" for n in inputs if n.type.width.flat[i]]
        lines.append(f"{ap_type(t)} {name} = {' + '.join(terms)};")
    return Section(summary(node, "add"), tuple(lines))


def _subtract(node: Node, inputs: Sequence[Node]) -> Section:
    a, b = inputs
    lines = []
    for i, t, name in _elements(node):
        left = f"{a.name}_{i} " if _present(a, i) else ""
        lines.append(f"{ap_type(t)} {name} = {left}{f'- {b.name}_{i}' if _present(b, i) else ''}".rstrip() + ";")
    return Section(summary(node, "subtract"), tuple(lines))


def _multiply(node: Node, inputs: Sequence[Node]) -> Section:
    a, b = inputs
    lines = tuple(f"{ap_type(t)} {name} = {a.name}_{i} * {b.name}_{i};" for i, t, name in _elements(node))
    return Section(summary(node, "multiply"), lines)


def _extreme(node: Node, inputs: Sequence[Node]) -> Section:
    a, b = inputs
    sign = "<" if node.op == "minimum" else ">"
    lines = []
    for i, t, name in _elements(node):
        common = _enclosing([a.type[i], b.type[i]])
        left, right = (f"{n.name}_{i}" if _present(n, i) else "0" for n in (a, b))
        one, other = (_as(common, n.type[i], x) for n, x in ((a, left), (b, right)))
        lines.append(f"{ap_type(t)} {name} = {right};")
        lines.append(f"if ({one} {sign} {other}) {name} = {left};")
    return Section(summary(node, node.op), tuple(lines))


def _scale(node: Node, inputs: Sequence[Node]) -> Section:
    factor, frac = (a.ravel() for a in odd_form(node.constant("factor")))
    lines = tuple(
        f"{ap_type(t)} {name} = {inputs[0].name}_{i} * {literal(int(factor[i]), int(frac[i]))};" for i, t, name in _elements(node)
    )
    return Section(summary(node, "scale by constants"), lines)


def _bias(node: Node, inputs: Sequence[Node]) -> Section:
    bias, frac = (a.ravel() for a in odd_form(node.constant("bias")))
    lines = []
    for i, t, name in _elements(node):
        terms = [f"{inputs[0].name}_{i}"] if _present(inputs[0], i) else []
        terms += [literal(int(bias[i]), int(frac[i]))] if bias[i] else []
        lines.append(f"{ap_type(t)} {name} = {' + '.join(terms)};")
    return Section(summary(node, "add constants"), tuple(lines))


def _max_pool(node: Node, inputs: Sequence[Node]) -> Section:
    """The running maximum needs a type that holds every element: the result's own lacks what is never the greatest.

    Compared are values of that one type: C++ compares a signed with an unsigned one as if both were unsigned, from 32 bits on.
    """
    source = inputs[0]
    _, windows = max_windows(node, source.shape)
    lines = []
    for i, t, name in _elements(node):
        window = list(dict.fromkeys(windows[i].tolist()))
        wide = _enclosing([source.type[e] for e in window])
        first, *rest = ((f"{source.name}_{e}" if _present(source, e) else "0", source.type[e]) for e in window)
        lines.append(f"{ap_type(wide)} {name}_max = {first[0]};")
        lines += [f"if ({_as(wide, kind, x)} > {name}_max) {name}_max = {x};" for x, kind in dict(rest).items()]
        lines.append(f"{ap_type(t)} {name} = {name}_max;")
    size = list(node.integers("size"))
    return Section(summary(node, f"maximum over windows {size}, {list(source.shape)} -> {list(node.shape)}"), tuple(lines))


def _enclosing(types: Sequence[FixedType]) -> FixedType:
    """The narrowest type that holds every value of all `types`."""
    frac = max(t.frac for t in types if t.width)
    low = min(t.lowest << (frac - t.frac) for t in types if t.width)
    high = max(t.highest << (frac - t.frac) for t in types if t.width)
    return TypeArray.enclosing(np.array([min(low, 0)], object), np.array([high], object), np.array([frac]))[0]


def _as(target: FixedType, source: FixedType, name: str) -> str:
    """`name` as an expression of the type `target`, which holds all its values."""
    same = (source.signed, source.width, source.frac) == (target.signed, target.width, target.frac)
    plain = source.rounding is Rounding.TRN and source.overflow is Overflow.WRAP
    return name if same and plain else f"{ap_type(target)}({name})"


def _table(node: Node, inputs: Sequence[Node]) -> Section:
    """One constant array of raw bits for each function and type, indexed by the raw bits of the element."""
    source = inputs[0]
    mantissas, frac = rows_of(node)
    arrays: dict[tuple[int, FixedType, FixedType], str] = {}  # by name, {} the place of the code
    lines: list[str] = []
    counts = code_counts(source.type).ravel()
    for (i, t, name), row in ((e, node.integers("index")[e[0]]) for e in _elements(node)):
        x = source.type[i]
        key = (row, x, t)
        kind = f"ap_uint<{t.width}>"
        if key not in arrays:
            entries = _by_bits(mantissas[row, : counts[i]].tolist(), x, int(frac[row]) - t.frac)
            declared, arrays[key] = table_lookup(f"{node.name}_{len(arrays)}_table", entries, "{}", kind)
            lines += declared
        if x.width:
            lines.append(f"ap_uint<{x.width}> {name}_code = {source.name}_{i}.range({x.width - 1}, 0);")
        lines.append(f"{kind} {name}_bits = {arrays[key].replace('{}', f'{name}_code' if x.width else '0')};")
        lines += from_bits(t, name, f"{name}_bits")
    return Section(summary(node, f"{len(arrays)} tables for {node.type.size} elements"), tuple(lines))


def _by_bits(entries: list[int], x: FixedType, down: int) -> list[int]:
    """Entries by value, lowest first, as entries by the two's-complement bits of x; `down` zero bits dropped (appended, if negative)."""
    out = [0] * (1 << x.width)
    for k, entry in enumerate(entries):
        out[(x.lowest + k) % len(out)] = entry >> down if down >= 0 else entry << -down
    return out


Emitter = Callable[[Node, Sequence[Node]], Section]
EMITTERS: dict[str, Emitter] = {
    **dict.fromkeys(LINEAR, _linear),
    **dict.fromkeys(WIRING, _wiring),
    "quantize": quantize_section,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "maximum": _extreme,
    "minimum": _extreme,
    "scale": _scale,
    "bias": _bias,
    "max_pool2d": _max_pool,
    "table": _table,
}
