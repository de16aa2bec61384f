"""A circuit being built, as operations see it (`hwq.ir.forms.Wires`): values on wires, sums, products, matrices of constants.

Products with constants are adder graphs that share terms over the whole matrix (`hwq.passes.adders`); the terms of any other
sum meet in a tree that joins the earliest and narrowest first.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir import CircuitBuilder
from hwq.ir.forms import Value
from hwq.passes.adders import AdderOptions, Multiplier
from hwq.passes.adders import csd as csd  # where the passes and cost models look for it


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

    def align(self, value: Value, frac: int) -> int:
        """The wire whose mantissa has `frac` fractional bits; bits below are cut off (they are zero where nothing is rounded)."""
        if self.builder.constant_value(value.wire) == 0:
            return value.wire
        wire = self.builder.shift(value.wire, self.frac(value) - frac)
        self.depth.setdefault(wire, self.depth_of(value.wire))
        return wire

    def matvec(
        self,
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
        products = self.multiplier.multiply([(value.wire, value.exponent) for value in x], kernel, kernel_frac, bias, bias_frac)
        return [Value(wire, exponent) for wire, exponent in products]

    def signed_sum(self, terms: list[tuple[Value, int]]) -> Value:
        """The signed sum of `terms`, as a tree: of all pairs, the two that are ready first and end lowest are joined next."""
        terms = [(value, sign) for value, sign in terms if not self.is_zero(value)]
        if not terms:
            return Value(self.builder.constant(0, 0))
        heap = [(*self._rank(value), number, value, sign) for number, (value, sign) in enumerate(terms)]
        heapq.heapify(heap)
        number = len(heap)
        while len(heap) > 1:
            *_, a, sign_a = heapq.heappop(heap)
            *_, b, sign_b = heapq.heappop(heap)
            value, sign = self._join(a, sign_a, b, sign_b)
            heapq.heappush(heap, (*self._rank(value), number, value, sign))
            number += 1
        *_, value, sign = heap[0]
        if sign == 1:
            return value
        zero = self.builder.constant(0, 0)
        wire = self.builder.add(zero, value.wire, subtract=True)
        self.depth.setdefault(wire, self.depth_of(value.wire) + 1)
        return Value(wire, value.exponent)

    def _rank(self, value: Value) -> tuple[int, int]:
        low, high = self.builder.bounds(value.wire)
        top = max(-low, high).bit_length() - self.frac(value)
        return self.depth_of(value.wire), top

    def _join(self, a: Value, sign_a: int, b: Value, sign_b: int) -> tuple[Value, int]:
        if (sign_a, sign_b) == (-1, 1):
            a, sign_a, b, sign_b = b, sign_b, a, sign_a
        wire = self.builder.add(a.wire, b.wire, exponent=b.exponent - a.exponent, subtract=sign_a != sign_b)
        self.depth.setdefault(wire, max(self.depth_of(a.wire), self.depth_of(b.wire)) + 1)
        return Value(wire, a.exponent), sign_a

    def greatest(self, values: Sequence[Value], *, least: bool = False) -> Value:
        """The greatest (or the least) of `values`, compared in pairs, level by level."""
        level = list(values)
        while len(level) > 1:
            pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
            level = [self._greater(*pair, least=least) if len(pair) == 2 else pair[0] for pair in pairs]
        return level[0]

    def _greater(self, a: Value, b: Value, *, least: bool) -> Value:
        frac = max((self.frac(v) for v in (a, b) if not self.is_zero(v)), default=0)
        first, second = self.align(a, frac), self.align(b, frac)
        wire = self.builder.extreme(first, second, frac, least=least)
        self.depth.setdefault(wire, max(self.depth_of(first), self.depth_of(second)) + 1)
        return self.read(wire, frac)

    def product(self, a: Value, b: Value) -> Value:
        """a * b; where one is always the same, by shifts and adders."""
        for x, other in ((a, b), (b, a)):
            constant = self.builder.constant_value(other.wire)
            if constant is not None:
                return self.scaled(x, constant, self.frac(other))
        wire = self.builder.multiply(a.wire, b.wire)
        self.depth.setdefault(wire, max(self.depth_of(a.wire), self.depth_of(b.wire)) + 2)
        return self.read(wire, self.frac(a) + self.frac(b))

    def scaled(self, x: Value, mantissa: int, frac: int) -> Value:
        """x times the constant mantissa * 2^-frac."""
        zeros = (mantissa & -mantissa).bit_length() - 1 if mantissa else 0
        one = np.zeros(1, np.int64)
        kernel = np.array([[mantissa >> zeros]], object)
        (found,) = self.matvec([x], kernel, np.array([[frac - zeros]], np.int64), np.zeros(1, object), one)
        return found

    def signed(self, x: Value) -> bool:
        """Whether it can be negative."""
        return self.builder.bounds(x.wire)[0] < 0

    def moved(self, x: Value, power: int) -> Value:
        """x * 2^power: the same wire."""
        return Value(x.wire, x.exponent + power)

    def positive(self, x: Value) -> Value:
        """max(x, 0)."""
        _, high = self.builder.bounds(x.wire)
        wire = self.builder.clamp(x.wire, 0, max(high, 0))
        self.depth.setdefault(wire, self.depth_of(x.wire))
        return Value(wire, x.exponent)

    def looked_up(self, x: Value, t: FixedType, row: list[int], frac: int) -> Value:
        """The entry of `row` that belongs to x, whose type `t` numbers the codes."""
        if self.frac(x) > t.frac and not self.is_zero(x):
            x = self.read(self.align(x, t.frac), t.frac)  # the bits cut off are zero
        up = 0 if self.is_zero(x) else t.frac - self.frac(x)
        low, high = self.builder.bounds(x.wire)
        # bounds of a wire may be wider than its type where only the sum's total is known: codes that cannot occur get the nearest entry
        codes = (min(max(m << up, t.lowest), t.highest) - t.lowest for m in range(low, high + 1))
        wire = self.builder.table(x.wire, [row[code] for code in codes], frac)
        self.depth.setdefault(wire, self.depth_of(x.wire) + 1)
        return self.read(wire, frac)

    def quantized(self, x: Value, t: FixedType) -> Value:
        """x rounded and brought into the range of `t`, as its modes say."""
        return Value(self._requantize(x, t), x.exponent)

    def _requantize(self, x: Value, t: FixedType) -> int:
        builder = self.builder
        if t.width == 0 or builder.constant_value(x.wire) == 0:
            return builder.constant(0, 0)
        drop = self.frac(x) - t.frac
        wire = Value(self._rounding_added(x.wire, drop, t.rounding), x.exponent)
        shifted = self.align(wire, t.frac)
        if t.overflow is Overflow.WRAP:
            out = builder.wrap(shifted, t.lowest, t.highest)
        else:
            out = builder.clamp(shifted, t.lowest, t.highest)
        self.depth.setdefault(out, self.depth_of(shifted) + int(t.overflow is not Overflow.WRAP))
        return out

    def _rounding_added(self, wire: int, drop: int, rounding: Rounding) -> int:
        """The wire plus what makes the floor that follows round as asked, when `drop` low bits are about to go."""
        builder = self.builder
        if drop <= 0 or rounding is Rounding.TRN:
            return wire
        frac = builder.frac(wire)
        if rounding is Rounding.RND:
            total = builder.add(wire, builder.constant(1 << (drop - 1), frac))
        else:
            # ties to even: half a step less one, plus the lowest bit that stays
            kept = builder.wrap(builder.shift(wire, drop), 0, 1)
            almost = builder.add(wire, builder.constant((1 << (drop - 1)) - 1, frac))
            total = builder.add(almost, kept, exponent=-drop)
        self.depth.setdefault(total, self.depth_of(wire) + 1)
        return total
