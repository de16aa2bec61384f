"""An operation as docs/how-to/add-an-op.md has one made: a whole file of `hwq/ir/ops`, for y = |x|."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.fixed.arithmetic import IntArray, as_integers
from hwq.ir.forms import Cpp, Effort, FloatMath, Statements, Types, Value, Wires, elements
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval
from hwq.ir.spec import OpSpec, Values, to_step, verify_any
from hwq.tensors import Tensor


def infer(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    x = inputs[0]
    low = np.where(x.low > 0, x.low, np.where(x.high < 0, -x.high, 0))
    return Interval(low, np.maximum(-x.low, x.high), x.frac)


def evaluate(node: Node, types: Types, values: Values) -> IntArray:
    bits = int(types[0].width.max(initial=0)) + 1
    return to_step(np.abs(as_integers(values[0], bits)), types[0].frac, bits, node.type)


def wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.greatest([x, w.signed_sum([(x, -1)])]) if w.signed(x) else x for x in inputs[0]]


def cpp(c: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    lines = []
    for i, t, name in elements(node):
        x = f"{inputs[0].name}_{i}"
        lines.append(f"{c.ap_type(t)} {name} = {x};")
        if inputs[0].type[i].signed:
            lines.append(f"if ({x} < 0) {name} = -{x};")
    return "absolute value", lines


def floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.maximum(inputs[0], -inputs[0])


def effort(node: Node, types: Types) -> Effort:
    bits = float(node.type.width.sum())
    return Effort(sums=bits, choices=bits)


SPECS = (
    OpSpec(
        "absolute",
        1,
        (),
        infer,
        verify_any,
        evaluate,
        wires=wires,
        cpp=cpp,
        floats=floats,
        effort=effort,
        sums=True,
        pointwise=True,
    ),
)
