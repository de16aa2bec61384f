"""input, quantize, relu, leaky_relu: one input, element by element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import Overflow, requantize
from hwq.fixed.arithmetic import IntArray, as_integers, greatest
from hwq.fixed.types import MOST_FRAC
from hwq.ir.forms import Cpp, Effort, FloatMath, Statements, Types, Value, Wires, elements
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval, requantized, shifted
from hwq.ir.spec import OpSpec, Values, fail, integer, only, rescale, to_step, verify_any
from hwq.tensors import Tensor

# input: the design's input; its type, with its rounding and overflow, is how the host quantises a float.


def _verify_declared(node: Node, types: Types) -> None:
    if types and only(types).shape != node.shape:
        fail(node, f"its shape {node.shape} is not that of its input, {only(types).shape}")


def _infer_input(node: Node, _: Types, __: Sequence[Interval]) -> Interval:
    return Interval.of(node.type)


def _evaluate_input(node: Node, types: Types, values: Values) -> IntArray:
    raise GraphError(f"node {node.name}: an input is given, not evaluated")


# quantize: y = overflow(round(x)), the only operation that loses information.


def _infer_quantize(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return requantized(only(inputs), node.type)


def _evaluate_quantize(node: Node, types: Types, values: Values) -> IntArray:
    up = np.maximum(node.type.frac.astype(int) - only(types).frac, 0)  # bits a finer target appends before it wraps
    bits = greatest(only(types).width + up) + 1
    return requantize(as_integers(only(values), max(bits, greatest(node.type.width))), only(types).frac, node.type)


def _quantize_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.quantized(x, t) for x, t in zip(only(inputs), node.type, strict=True)]


def _quantize_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    (x,) = inputs
    lines = [line for i, t, name in elements(node) for line in cpp.quantized(name, t, f"{x.name}_{i}", x.type[i])]
    return f"quantize {node.type.rounding} {node.type.overflow}", lines


def _quantize_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    y = m.quantized(only(inputs), node.type)
    return only(inputs) + m.ops.stop_gradient(y - only(inputs)) if m.through else y


def _quantize_effort(node: Node, types: Types) -> Effort:
    return Effort(saturations=float(node.type.width.sum()) if node.type.overflow is not Overflow.WRAP else 0.0)


# relu: y = max(x, 0).


def _infer_relu(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    x = only(inputs)
    return Interval(np.maximum(x.low, 0), np.maximum(x.high, 0), x.frac)


def _evaluate_relu(node: Node, types: Types, values: Values) -> IntArray:
    return rescale(np.maximum(only(values), 0), only(types), node.type)


def _relu_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.positive(x) for x in only(inputs)]


def _relu_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    lines = []
    for i, t, name in elements(node):
        x = f"{only(inputs).name}_{i}"
        if only(inputs).type[i].signed:
            lines += [f"{cpp.ap_type(t)} {name} = 0;", f"relu({name}, {x});"]
        else:
            lines.append(f"{cpp.ap_type(t)} {name} = {x};")
    return "relu", lines


def _relu_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.relu(only(inputs))


# leaky_relu: y = max(x, x * 2^-shift); `shift` more fractional bits where x can be negative.


def _verify_leaky(node: Node, types: Types) -> None:
    integer(node, "shift", most=MOST_FRAC)


def _infer_leaky(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    x, amount = only(inputs), integer(node, "shift")
    up = np.where(x.low < 0, amount, 0)
    low, high = (np.where(bound < 0, bound, shifted(bound, up)) for bound in (x.low, x.high))
    return Interval(low, high, x.frac + up)


def _evaluate_leaky(node: Node, types: Types, values: Values) -> IntArray:
    amount = integer(node, "shift")
    bits = greatest(only(types).width) + amount + 1
    x = as_integers(only(values), bits)
    return to_step(np.where(x < 0, x, x << amount), only(types).frac.astype(np.int64) + amount, bits, node.type)


def _leaky_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    down = node.integer("shift")
    return [w.greatest([x, w.moved(x, -down)]) if w.signed(x) else x for x in only(inputs)]


def _leaky_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    lines = []
    for i, t, name in elements(node):
        x = f"{only(inputs).name}_{i}"
        lines.append(f"{cpp.ap_type(t)} {name} = {x};")
        if only(inputs).type[i].signed:
            lines.append(f"if ({x} < 0) {name} = {x} * {cpp.literal(1, node.integer('shift'))};")
    return f"leaky relu, slope 2^-{node.integer('shift')}", lines


def _leaky_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.maximum(only(inputs), only(inputs) * 2.0 ** -node.integer("shift"))


def _leaky_effort(node: Node, types: Types) -> Effort:
    return Effort(choices=float(node.type.width.sum()))


SPECS = (
    OpSpec("input", 0, (), _infer_input, _verify_declared, _evaluate_input, declares_type=True),
    OpSpec(
        "quantize",
        1,
        (),
        _infer_quantize,
        _verify_declared,
        _evaluate_quantize,
        declares_type=True,
        wires=_quantize_wires,
        cpp=_quantize_cpp,
        floats=_quantize_floats,
        effort=_quantize_effort,
        pointwise=True,
    ),
    OpSpec(
        "relu",
        1,
        (),
        _infer_relu,
        verify_any,
        _evaluate_relu,
        wires=_relu_wires,
        cpp=_relu_cpp,
        floats=_relu_floats,
        pointwise=True,
    ),
    OpSpec(
        "leaky_relu",
        1,
        ("shift",),
        _infer_leaky,
        _verify_leaky,
        _evaluate_leaky,
        wires=_leaky_wires,
        cpp=_leaky_cpp,
        floats=_leaky_floats,
        effort=_leaky_effort,
        pointwise=True,
    ),
)
