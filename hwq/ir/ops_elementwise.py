"""add, subtract, multiply, maximum, minimum of two inputs; scale and bias by a constant: element by element, all exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.fixed.arithmetic import IntArray, as_integers
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval, add_bounds, extreme_bounds, negated, product_bounds
from hwq.ir.spec import OpSpec, Types, Values, aligned, bits_of, constant_interval, fail, odd_form, to_step


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
    away = np.where(a.low > 0, a.low, np.where(a.high < 0, a.high, 0))  # the value next to zero
    return Interval(away * away, y.high, y.frac)


def _evaluate_multiply(node: Node, types: Types, values: Values) -> IntArray:
    bits = int((types[0].width.astype(np.int64) + types[1].width).max(initial=0)) + 1
    a, b = (as_integers(v, bits) for v in values)
    return to_step(a * b, types[0].frac.astype(np.int64) + types[1].frac, bits, node.type)


# scale: y = x * factor, factor a constant of x's shape.


def _verify_scale(node: Node, types: Types) -> None:
    _verify_constant(node, types, "factor")


def _verify_bias(node: Node, types: Types) -> None:
    _verify_constant(node, types, "bias")


def _verify_constant(node: Node, types: Types, name: str) -> None:
    if node.constant(name).shape != types[0].shape:
        fail(node, f"{name} has shape {node.constant(name).shape}, its input {types[0].shape}")


def _infer_scale(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return product_bounds(inputs[0], constant_interval(node.constant("factor")))


def _evaluate_scale(node: Node, types: Types, values: Values) -> IntArray:
    factor, frac = odd_form(node.constant("factor"))
    bits = int(types[0].width.max(initial=0)) + bits_of(float(np.abs(factor).max(initial=0)))
    product = as_integers(values[0], bits) * as_integers(factor, bits)
    return to_step(product, types[0].frac + frac, bits, node.type)


# bias: y = x + bias, bias a constant of x's shape.


def _infer_bias(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return add_bounds(inputs[0], constant_interval(node.constant("bias")))


def _evaluate_bias(node: Node, types: Types, values: Values) -> IntArray:
    bias = constant_interval(node.constant("bias"))
    (a, b), one, bits = aligned([types[0], bias.types], [values[0], bias.low], extra=1)
    return to_step(a + b, one, bits, node.type)


SPECS = (
    OpSpec("add", 2, (), False, _infer_add, _verify_pair, _evaluate_pair),
    OpSpec("subtract", 2, (), False, _infer_subtract, _verify_pair, _evaluate_pair),
    OpSpec("maximum", 2, (), False, _infer_maximum, _verify_pair, _evaluate_pair),
    OpSpec("minimum", 2, (), False, _infer_minimum, _verify_pair, _evaluate_pair),
    OpSpec("multiply", 2, (), False, _infer_multiply, _verify_pair, _evaluate_multiply),
    OpSpec("scale", 1, ("factor",), False, _infer_scale, _verify_scale, _evaluate_scale),
    OpSpec("bias", 1, ("bias",), False, _infer_bias, _verify_bias, _evaluate_bias),
)
