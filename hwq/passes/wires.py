"""What lowering works with: values on wires, sums, products, and the matrix-vector product of constants.

Products with constants are adder graphs that share terms over the whole matrix (`hwq.passes.adders`); the terms of any other
sum meet in a tree that joins the earliest and narrowest first.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir import CircuitBuilder
from hwq.passes.adders import AdderOptions, Multiplier
from hwq.passes.adders import csd as csd  # where the passes and cost models look for it


@dataclass(frozen=True, slots=True)
class Value:
    """A wire read with another binary point: its value times 2^exponent."""

    wire: int
    exponent: int = 0


@dataclass(slots=True)
class Lowering:
    """A circuit being built: the wires of every node's elements, and how many adders in a row lead to each."""

    builder: CircuitBuilder
    types: Mapping[str, TypeArray] = field(default_factory=dict)  # of every node's result
    values: dict[str, list[Value]] = field(default_factory=dict)
    depth: dict[int, int] = field(default_factory=dict)  # adders in a row before a wire, for joining early terms first
    options: AdderOptions = field(default_factory=AdderOptions)  # how products with constants become adders
    multiplier: Multiplier = field(init=False)

    def __post_init__(self) -> None:
        self.multiplier = Multiplier(self.builder, self.depth, self.options)

    def frac(self, value: Value) -> int:
        return self.builder.frac(value.wire) - value.exponent

    def depth_of(self, wire: int) -> int:
        return self.depth.get(wire, 0)

    def constant(self, mantissa: int, frac: int = 0) -> Value:
        return Value(self.builder.constant(mantissa, frac))

    def read(self, wire: int, frac: int) -> Value:
        """The wire's mantissa as a value with `frac` fractional bits."""
        return Value(wire, self.builder.frac(wire) - frac)

    def is_zero(self, value: Value) -> bool:
        return self.builder.constant_value(value.wire) == 0


def align(state: Lowering, value: Value, frac: int) -> int:
    """The wire whose mantissa has `frac` fractional bits; bits below are cut off (they are zero where nothing is rounded)."""
    if state.builder.constant_value(value.wire) == 0:
        return value.wire
    wire = state.builder.shift(value.wire, state.frac(value) - frac)
    state.depth.setdefault(wire, state.depth_of(value.wire))
    return wire


def matvec(
    state: Lowering,
    x: Sequence[Value],
    kernel: IntArray,
    kernel_frac: npt.NDArray[np.int64],
    bias: IntArray,
    bias_frac: npt.NDArray[np.int64],
) -> list[Value]:
    """The m values x @ kernel + bias, exact.

    Args:
        x: n values; those that are always zero cost nothing.
        kernel: integers (n, m), odd or zero, worth kernel * 2^-kernel_frac.
        bias: integers (m,), odd or zero, worth bias * 2^-bias_frac.
    """
    products = state.multiplier.multiply([(value.wire, value.exponent) for value in x], kernel, kernel_frac, bias, bias_frac)
    return [Value(wire, exponent) for wire, exponent in products]


def signed_sum(state: Lowering, terms: list[tuple[Value, int]]) -> Value:
    """The signed sum of `terms`, as a tree: of all pairs, the two that are ready first and end lowest are joined next."""
    terms = [(value, sign) for value, sign in terms if not state.is_zero(value)]
    if not terms:
        return Value(state.builder.constant(0, 0))
    heap = [(*_rank(state, value), number, value, sign) for number, (value, sign) in enumerate(terms)]
    heapq.heapify(heap)
    number = len(heap)
    while len(heap) > 1:
        *_, a, sign_a = heapq.heappop(heap)
        *_, b, sign_b = heapq.heappop(heap)
        value, sign = _join(state, a, sign_a, b, sign_b)
        heapq.heappush(heap, (*_rank(state, value), number, value, sign))
        number += 1
    *_, value, sign = heap[0]
    if sign > 0:
        return value
    zero = state.builder.constant(0, 0)
    wire = state.builder.add(zero, value.wire, subtract=True)
    state.depth.setdefault(wire, state.depth_of(value.wire) + 1)
    return Value(wire, value.exponent)


def _rank(state: Lowering, value: Value) -> tuple[int, int]:
    low, high = state.builder.bounds(value.wire)
    top = max(-low, high).bit_length() - state.frac(value)
    return state.depth_of(value.wire), top


def _join(state: Lowering, a: Value, sign_a: int, b: Value, sign_b: int) -> tuple[Value, int]:
    if sign_a < 0 <= sign_b:
        a, sign_a, b, sign_b = b, sign_b, a, sign_a
    wire = state.builder.add(a.wire, b.wire, exponent=b.exponent - a.exponent, subtract=sign_a != sign_b)
    state.depth.setdefault(wire, max(state.depth_of(a.wire), state.depth_of(b.wire)) + 1)
    return Value(wire, a.exponent), sign_a


def greatest(state: Lowering, values: Sequence[Value], *, least: bool = False) -> Value:
    """The greatest (or the least) of `values`, compared in pairs, level by level."""
    level = list(values)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [_greater(state, *pair, least=least) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def _greater(state: Lowering, a: Value, b: Value, *, least: bool) -> Value:
    frac = max((state.frac(v) for v in (a, b) if not state.is_zero(v)), default=0)
    first, second = align(state, a, frac), align(state, b, frac)
    wire = state.builder.extreme(first, second, frac, least=least)
    state.depth.setdefault(wire, max(state.depth_of(first), state.depth_of(second)) + 1)
    return state.read(wire, frac)


def product(state: Lowering, a: Value, b: Value) -> Value:
    """a * b; where one is always the same, by shifts and adders."""
    for x, other in ((a, b), (b, a)):
        constant = state.builder.constant_value(other.wire)
        if constant is not None:
            return scaled(state, x, constant, state.frac(other))
    wire = state.builder.multiply(a.wire, b.wire)
    state.depth.setdefault(wire, max(state.depth_of(a.wire), state.depth_of(b.wire)) + 2)
    return state.read(wire, state.frac(a) + state.frac(b))


def scaled(state: Lowering, x: Value, mantissa: int, frac: int) -> Value:
    """x times the constant mantissa * 2^-frac."""
    zeros = (mantissa & -mantissa).bit_length() - 1 if mantissa else 0
    one = np.zeros(1, np.int64)
    kernel = np.array([[mantissa >> zeros]], object)
    return matvec(state, [x], kernel, np.array([[frac - zeros]], np.int64), np.zeros(1, object), one)[0]
