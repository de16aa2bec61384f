"""input, quantize, relu, leaky_relu: one input, element by element."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import requantize
from hwq.fixed.arithmetic import IntArray, as_integers
from hwq.fixed.types import MOST_FRAC
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval, requantized, shifted
from hwq.ir.spec import OpSpec, Types, Values, fail, integer, rescale, to_step, verify_any

# input: the design's input; its type, with its rounding and overflow, is how the host quantises a float.


def _verify_declared(node: Node, types: Types) -> None:
    if types and types[0].shape != node.shape:
        fail(node, f"its shape {node.shape} is not that of its input, {types[0].shape}")


def _infer_input(node: Node, _: Types, __: Sequence[Interval]) -> Interval:
    return Interval.of(node.type)


def _evaluate_input(node: Node, types: Types, values: Values) -> IntArray:
    raise GraphError(f"node {node.name}: an input is given, not evaluated")


# quantize: y = overflow(round(x)), the only operation that loses information.


def _infer_quantize(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    return requantized(inputs[0], node.type)


def _evaluate_quantize(node: Node, types: Types, values: Values) -> IntArray:
    up = np.maximum(node.type.frac.astype(int) - types[0].frac, 0)  # bits a finer target appends before it wraps
    bits = int((types[0].width + up).max(initial=0)) + 1
    return requantize(as_integers(values[0], max(bits, int(node.type.width.max(initial=0)))), types[0].frac, node.type)


# relu: y = max(x, 0).


def _infer_relu(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    x = inputs[0]
    return Interval(np.maximum(x.low, 0), np.maximum(x.high, 0), x.frac)


def _evaluate_relu(node: Node, types: Types, values: Values) -> IntArray:
    return rescale(np.maximum(values[0], 0), types[0], node.type)


# leaky_relu: y = max(x, x * 2^-shift); `shift` more fractional bits where x can be negative.


def _verify_leaky(node: Node, types: Types) -> None:
    integer(node, "shift", most=MOST_FRAC)


def _infer_leaky(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    x, amount = inputs[0], integer(node, "shift")
    up = np.where(x.low < 0, amount, 0)
    low, high = (np.where(bound < 0, bound, shifted(bound, up)) for bound in (x.low, x.high))
    return Interval(low, high, x.frac + up)


def _evaluate_leaky(node: Node, types: Types, values: Values) -> IntArray:
    amount = integer(node, "shift")
    bits = int(types[0].width.max(initial=0)) + amount + 1
    x = as_integers(values[0], bits)
    return to_step(np.where(x < 0, x, x << amount), types[0].frac.astype(np.int64) + amount, bits, node.type)


SPECS = (
    OpSpec("input", 0, (), True, _infer_input, _verify_declared, _evaluate_input),
    OpSpec("quantize", 1, (), True, _infer_quantize, _verify_declared, _evaluate_quantize),
    OpSpec("relu", 1, (), False, _infer_relu, verify_any, _evaluate_relu),
    OpSpec("leaky_relu", 1, ("shift",), False, _infer_leaky, _verify_leaky, _evaluate_leaky),
)
