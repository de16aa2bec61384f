"""max_pool2d: the greatest element of each window; padding does not count. (Sums are linear: `hwq.ir.ops.linear`.)"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.errors import GraphError
from hwq.fixed.arithmetic import IntArray, as_integers, greatest
from hwq.ir.forms import Cpp, Effort, FloatMath, Mask, Statements, Taps, Types, Value, Wires, elements, enclosing, present
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval, extreme_bounds
from hwq.ir.spec import OpSpec, Values, bounded, fail, image_shape, integers, only, to_step
from hwq.ir.windows import MOST_INDICES, Index, pads_of, pair, pool_windows, window_grid
from hwq.tensors import Tensor


def max_windows(node: Node, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], Index]:
    """As `pool_windows`, each place of the padding taken by the window's first real element, which changes no maximum."""
    found, windows = pool_windows(node, shape)
    first = windows[np.arange(len(windows)), (windows >= 0).argmax(axis=1)]
    return found, np.where(windows >= 0, windows, first[:, None])


def _verify(node: Node, types: Types) -> None:
    shape = image_shape(node, types)
    integers(node, "size", 2, least=1)
    integers(node, "strides", 2, least=1)
    integers(node, "pads", 4)
    size = node.integers("size")
    try:
        found, pixels = window_grid(shape[:2], (size[0], size[1]), pair(node, "strides"), pads_of(node), (1, 1))
        if pixels.size * shape[2] > MOST_INDICES:
            fail(node, f"its windows have more than {MOST_INDICES} elements to list")
        bounded(node, *found, shape[2])
        _, windows = pool_windows(node, shape)
    except GraphError as error:
        fail(node, str(error))
    if (windows < 0).all(axis=1).any():
        fail(node, "a window holds nothing but padding, which has no maximum")


def _infer(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    shape, windows = max_windows(node, only(inputs).shape)
    x = only(inputs).flat
    return extreme_bounds([x.take(windows[:, i]) for i in range(windows.shape[1])], least=False).reshape(shape)


def _evaluate(node: Node, types: Types, values: Values) -> IntArray:
    _, windows = max_windows(node, only(types).shape)
    frac = only(types).frac.astype(np.int64).ravel()
    one = frac[windows].max(axis=1)
    up = one[:, None] - frac[windows]
    bits = greatest(only(types).width.ravel()[windows] + up) + 1
    x, up = as_integers(only(values).reshape(len(only(values)), -1), bits), as_integers(up, bits)
    y = x[:, windows[:, 0]] << up[:, 0]
    for i in range(1, windows.shape[1]):
        y = np.maximum(y, x[:, windows[:, i]] << up[:, i])
    return to_step(y.reshape(len(y), *node.shape), one.reshape(node.shape), bits, node.type)


def _wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    _, windows = max_windows(node, only(types).shape)
    return [w.greatest([only(inputs)[i] for i in dict.fromkeys(window)]) for window in windows.tolist()]


def _cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    """The running maximum needs a type that holds every element: the result's own lacks what is never the greatest.

    Compared are values of that one type: C++ compares a signed with an unsigned one as if both were unsigned, from 32 bits on.
    """
    (source,) = inputs
    _, windows = max_windows(node, source.shape)
    lines = []
    for i, t, name in elements(node):
        window = list(dict.fromkeys(windows[i].tolist()))
        wide = enclosing([source.type[e] for e in window])
        first, *rest = ((f"{source.name}_{e}" if present(source, e) else "0", source.type[e]) for e in window)
        lines.append(f"{cpp.ap_type(wide)} {name}_max = {first[0]};")
        lines += [f"if ({cpp.cast(wide, kind, x)} > {name}_max) {name}_max = {x};" for x, kind in dict(rest).items()]
        lines.append(f"{cpp.ap_type(t)} {name} = {name}_max;")
    return f"maximum over windows {list(node.integers('size'))}, {list(source.shape)} -> {list(node.shape)}", lines


def _floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    top, bottom, left, right = pads_of(node)
    x = m.ops.pad(only(inputs), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-np.finfo(np.float64).max)
    return m.ops.max_pool(x, pair(node, "size"), pair(node, "strides"), "valid", "channels_last")


def _reads(node: Node, needed: Mask, types: Types) -> list[Mask]:
    read = np.zeros(only(types).size, bool)
    read[max_windows(node, only(types).shape)[1][needed.ravel()]] = True
    return [read]


def _effort(node: Node, types: Types) -> Effort:
    _, windows = max_windows(node, only(types).shape)
    return Effort(choices=float((node.type.width.ravel() * (windows.shape[1] - 1)).sum()))


def _taps(node: Node) -> Taps:
    return Taps(pair(node, "size"), pair(node, "strides"), pads_of(node), zeros=False)


SPECS = (
    OpSpec(
        "max_pool2d",
        1,
        ("size", "strides", "pads"),
        _infer,
        _verify,
        _evaluate,
        wires=_wires,
        cpp=_cpp,
        floats=_floats,
        reads=_reads,
        effort=_effort,
        taps=_taps,
    ),
)
