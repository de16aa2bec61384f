"""add, subtract, multiply, maximum, minimum of two inputs; scale and bias by a constant: element by element, all exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from hwq.fixed.arithmetic import IntArray, as_integers, greatest
from hwq.ir.forms import (
    Cpp,
    CppForm,
    Effort,
    EffortForm,
    FloatForm,
    FloatMath,
    Statements,
    Types,
    Value,
    WireForm,
    Wires,
    elements,
    enclosing,
    present,
)
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval, add_bounds, extreme_bounds, negated, product_bounds
from hwq.ir.spec import (
    OpSpec,
    Steps,
    Values,
    aligned,
    bits_of,
    constant_interval,
    enclosed_bits,
    fail,
    odd_form,
    only,
    real,
    to_step,
)
from hwq.tensors import Tensor

Infer: TypeAlias = Callable[[Node, Types, Sequence[Interval]], Interval]
Evaluate: TypeAlias = Callable[[Node, Types, Values], IntArray]


def _verify_pair(node: Node, types: Types) -> None:
    if types[0].shape != types[1].shape:
        fail(node, f"its inputs have shapes {types[0].shape} and {types[1].shape}")


def _infer_add(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return add_bounds(inputs[0], inputs[1])


def _infer_subtract(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return add_bounds(inputs[0], negated(inputs[1]))


def _infer_maximum(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return extreme_bounds(inputs, least=False)


def _infer_minimum(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return extreme_bounds(inputs, least=True)


def _evaluate_pair(node: Node, types: Types, values: Values) -> IntArray:
    (a, b), one, bits = aligned(types, values, extra=1)
    if node.op == "add":
        y = a + b
    elif node.op == "subtract":
        y = a - b
    else:
        y = np.maximum(a, b) if node.op == "maximum" else np.minimum(a, b)
    return to_step(y, one, bits, node.type)


# multiply: y = a * b; of a tensor with itself it is a square, never negative.


def _infer_multiply(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    y = product_bounds(inputs[0], inputs[1])
    if node.inputs[0] != node.inputs[1]:
        return y
    a = inputs[0]
    away = np.maximum(a.low, np.minimum(a.high, 0))  # the value next to zero
    return Interval(away * away, y.high, y.frac)


def _evaluate_multiply(node: Node, types: Types, values: Values) -> IntArray:
    bits = greatest(types[0].width.astype(np.int64) + types[1].width) + 1
    a, b = (as_integers(v, bits) for v in values)
    return to_step(a * b, types[0].frac.astype(np.int64) + types[1].frac, bits, node.type)


# scale: y = x * factor, factor a constant of x's shape.


def _verify_scale(node: Node, types: Types) -> None:
    _verify_constant(node, types, "factor")


def _verify_bias(node: Node, types: Types) -> None:
    _verify_constant(node, types, "bias")


def _verify_constant(node: Node, types: Types, name: str) -> None:
    if node.constant(name).shape != only(types).shape:
        fail(node, f"{name} has shape {node.constant(name).shape}, its input {only(types).shape}")


def _infer_scale(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return product_bounds(only(inputs), constant_interval(node.constant("factor")))


def _evaluate_scale(node: Node, types: Types, values: Values) -> IntArray:
    factor, frac = odd_form(node.constant("factor"))
    bits = greatest(only(types).width) + bits_of(float(np.abs(factor).max(initial=0)))
    product = as_integers(only(values), bits) * as_integers(factor, bits)
    return to_step(product, only(types).frac + frac, bits, node.type)


# bias: y = x + bias, bias a constant of x's shape.


def _infer_bias(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return add_bounds(only(inputs), constant_interval(node.constant("bias")))


def _evaluate_bias(node: Node, types: Types, values: Values) -> IntArray:
    bias = constant_interval(node.constant("bias"))
    (a, b), one, bits = aligned([only(types), bias.types], [only(values), bias.low], extra=1)
    return to_step(a + b, one, bits, node.type)


# as adders


def _add_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.signed_sum([(a, 1), (b, 1)]) for a, b in zip(*inputs, strict=True)]


def _subtract_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.signed_sum([(a, 1), (b, -1)]) for a, b in zip(*inputs, strict=True)]


def _multiply_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.product(a, b) for a, b in zip(*inputs, strict=True)]


def _extreme_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    return [w.greatest(pair, least=node.op == "minimum") for pair in zip(*inputs, strict=True)]


def _scale_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    factor, frac = (a.ravel().tolist() for a in odd_form(node.constant("factor")))
    return [w.scaled(x, int(m), int(f)) for x, m, f in zip(only(inputs), factor, frac, strict=True)]


def _bias_wires(w: Wires, node: Node, types: Types, inputs: Sequence[list[Value]]) -> list[Value]:
    bias, frac = (a.ravel().tolist() for a in odd_form(node.constant("bias")))
    return [w.signed_sum([(x, 1), (w.constant(int(m), int(f)), 1)]) for x, m, f in zip(only(inputs), bias, frac, strict=True)]


# in C++


def _add_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    lines = []
    for i, t, name in elements(node):
        terms = [f"{n.name}_{i}" for n in inputs if n.type.width.flat[i]]
        lines.append(f"{cpp.ap_type(t)} {name} = {' + '.join(terms)};")
    return "add", lines


def _subtract_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    a, b = inputs
    lines = []
    for i, t, name in elements(node):
        left = f"{a.name}_{i} " if present(a, i) else ""
        lines.append(f"{cpp.ap_type(t)} {name} = {left}{f'- {b.name}_{i}' if present(b, i) else ''}".rstrip() + ";")
    return "subtract", lines


def _multiply_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    a, b = inputs
    return "multiply", [f"{cpp.ap_type(t)} {name} = {a.name}_{i} * {b.name}_{i};" for i, t, name in elements(node)]


def _extreme_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    a, b = inputs
    sign = "<" if node.op == "minimum" else ">"
    lines = []
    for i, t, name in elements(node):
        common = enclosing([a.type[i], b.type[i]])
        left, right = (f"{n.name}_{i}" if present(n, i) else "0" for n in (a, b))
        one, other = (cpp.cast(common, n.type[i], x) for n, x in ((a, left), (b, right)))
        lines.append(f"{cpp.ap_type(t)} {name} = {right};")
        lines.append(f"if ({one} {sign} {other}) {name} = {left};")
    return node.op, lines


def _scale_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    factor, frac = (a.ravel() for a in odd_form(node.constant("factor")))
    lines = []
    for i, t, name in elements(node):
        lines.append(f"{cpp.ap_type(t)} {name} = {only(inputs).name}_{i} * {cpp.literal(int(factor[i]), int(frac[i]))};")
    return "scale by constants", lines


def _bias_cpp(cpp: Cpp, node: Node, inputs: Sequence[Node]) -> Statements:
    bias, frac = (a.ravel() for a in odd_form(node.constant("bias")))
    lines = []
    for i, t, name in elements(node):
        terms = [f"{only(inputs).name}_{i}"] if present(only(inputs), i) else []
        terms += [cpp.literal(int(bias[i]), int(frac[i]))] if bias[i] else []
        lines.append(f"{cpp.ap_type(t)} {name} = {' + '.join(terms)};")
    return "add constants", lines


# in Keras


def _add_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] + inputs[1]  # ops.add takes (n, 1) for a bias of the last axis


def _subtract_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.subtract(inputs[0], inputs[1])


def _multiply_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.multiply(inputs[0], inputs[1])


def _extreme_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return (m.ops.minimum if node.op == "minimum" else m.ops.maximum)(inputs[0], inputs[1])


def _scale_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return only(inputs) * real(node.constant("factor"))


def _bias_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return only(inputs) + real(node.constant("bias"))


# as costs


def _widths(types: Types) -> list[Steps]:
    return [t.width.astype(np.int64) for t in types]


def _sum_effort(node: Node, types: Types) -> Effort:
    widths = _widths(types)
    return Effort(sums=float(np.minimum(*widths).sum() if len(widths) == 2 else widths[0].sum()))


def _multiply_effort(node: Node, types: Types) -> Effort:
    a, b = _widths(types)
    return Effort(products=float((a * b).sum()))


def _extreme_effort(node: Node, types: Types) -> Effort:
    return Effort(choices=float(node.type.width.sum()))


def _scale_effort(node: Node, types: Types) -> Effort:
    factor = enclosed_bits(odd_form(node.constant("factor"))[0])
    return Effort(sums=float((_widths(types)[0] * np.maximum(factor - 1, 0)).sum()) / 2)


def _of_two(
    name: str, infer: Infer, evaluate: Evaluate, forms: tuple[WireForm, CppForm, FloatForm, EffortForm], *, sums: bool
) -> OpSpec:
    wires, cpp, floats, effort = forms
    return OpSpec(name, 2, (), infer, _verify_pair, evaluate, wires=wires, cpp=cpp, floats=floats, effort=effort, sums=sums)


_ADD = (_add_wires, _add_cpp, _add_floats, _sum_effort)
_SUBTRACT = (_subtract_wires, _subtract_cpp, _subtract_floats, _sum_effort)
_EXTREME = (_extreme_wires, _extreme_cpp, _extreme_floats, _extreme_effort)
_MULTIPLY = (_multiply_wires, _multiply_cpp, _multiply_floats, _multiply_effort)

SPECS = (
    _of_two("add", _infer_add, _evaluate_pair, _ADD, sums=True),
    _of_two("subtract", _infer_subtract, _evaluate_pair, _SUBTRACT, sums=True),
    _of_two("maximum", _infer_maximum, _evaluate_pair, _EXTREME, sums=False),
    _of_two("minimum", _infer_minimum, _evaluate_pair, _EXTREME, sums=False),
    _of_two("multiply", _infer_multiply, _evaluate_multiply, _MULTIPLY, sums=True),
    OpSpec(
        "scale",
        1,
        ("factor",),
        _infer_scale,
        _verify_scale,
        _evaluate_scale,
        wires=_scale_wires,
        cpp=_scale_cpp,
        floats=_scale_floats,
        effort=_scale_effort,
        factor="factor",
        each=("factor",),
        sums=True,
        pointwise=True,
    ),
    OpSpec(
        "bias",
        1,
        ("bias",),
        _infer_bias,
        _verify_bias,
        _evaluate_bias,
        wires=_bias_wires,
        cpp=_bias_cpp,
        floats=_bias_floats,
        effort=_sum_effort,
        each=("bias",),
        sums=True,
        pointwise=True,
    ),
)
