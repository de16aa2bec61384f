"""What the adder-graph search is given and what it returns: plain integers, no circuit.

A problem is y = K x for wires x with known bounds and a constant matrix K, written as digits: column j is the sum over its
digits of sign * 2^position * x[wire]. A solution is a list of operations on wires; wires below `inputs` are the inputs, wire
inputs + k is the result of operation k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwq.fixed.arithmetic import greatest
from hwq.fixed.types import bits_for
from hwq.ir.circuit import IntColumn

PLAIN, SUBTRACT, REVERSE = 0, 1, 2  # a + (b << shift), a - (b << shift), (b << shift) - a

SAFE_BITS = 60  # results that fit this many bits may be computed in 64-bit integers


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Columns of constants times wires.

    Attributes:
        low, high: bounds of each input, inclusive, as integers.
        depth: adders in a row before each input.
        block: which inputs are searched together for shared terms; -1: an input that is never shared (a bias).
        column, wire, position, sign: one entry a digit, ordered by column, then wire, then position; positions are >= 0.
        columns: how many results.
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    depth: IntColumn
    block: IntColumn
    column: IntColumn
    wire: IntColumn
    position: IntColumn
    sign: IntColumn
    columns: int

    @property
    def inputs(self) -> int:
        return len(self.low)

    def pairs(self) -> int:
        """Pairs of digits that can be shared: what the search's time and memory grow with."""
        block = self.block[self.wire]
        keep = block >= 0
        counts = np.bincount((self.column[keep].astype(np.int64) * (greatest(block) + 1)) + block[keep])
        return int((counts.astype(np.int64) * (counts - 1) // 2).sum())

    def fits_int64(self) -> bool:
        """Whether every partial sum of a column stays far from the limits of 64 bits."""
        largest = [0] * self.columns
        span = [max(-low, high) for low, high in zip(self.low, self.high, strict=True)]
        for column, wire, position in zip(self.column.tolist(), self.wire.tolist(), self.position.tolist(), strict=True):
            largest[column] += span[wire] << position
        return max(largest, default=0).bit_length() < SAFE_BITS


@dataclass(frozen=True, slots=True)
class Weights:
    """How the search values a shared pair: (uses - base) * (count + bits * what it takes).

    Attributes:
        count, bits: value of an adder, and of each half LUT of it.
        overlap: value the bits in which both operands meet, signs aside, in place of its half LUTs.
        base: 1 where the adder that remains is not counted as saved.
        extra_depth: adder levels allowed above the least possible; None: any number.
    """

    count: int = 1
    bits: int = 0
    overlap: bool = False
    base: int = 0
    extra_depth: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Operations (n, 4) as a, b, shift, kind; outputs (columns, 3) as wire (-1: zero), position, sign."""

    inputs: int
    operations: IntColumn
    outputs: IntColumn


def csd(value: int) -> list[tuple[int, int]]:
    """Canonical signed digits of an integer: [(position, +1 or -1), ...], lowest first.

    Reitwiesner, 1960: the form with the fewest non-zero digits; unique.
    """
    digits, position = [], 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)  # +1 for ...01, -1 for ...11
            digits.append((position, digit))
            value -= digit
        value >>= 1
        position += 1
    return digits


def adder_cost(kind: int, shift: int, a: tuple[int, int], b: tuple[int, int], out: tuple[int, int]) -> int:
    """What one operation takes after mapping to carry chains, in half LUTs.

    A bit of the chain takes a LUT where both operands can be other than zero there. Where only one is present a sum takes
    none (the bit is the chain's own input) and a difference an inverter, which other readers of that bit share: half a LUT.
    Below the coarser operand the finer one passes, unless it is what is subtracted. The sign bits of two signed operands
    are one function, above both it is there already. A difference needs one LUT more where both begin at the same bit.
    (Counted in what Yosys' synth_xilinx makes of single adders.)

    Args:
        a, b, out: bounds of the finer operand, of the coarser one before its shift, and of the result.
    """
    wide_a, wide_b = bits_for(*a), bits_for(*b) + shift
    end = min(bits_for(*out), max(wide_a, wide_b))
    start = 0 if kind == REVERSE else shift
    top_a, top_b = end if a[0] < 0 else min(wide_a, end), end if b[0] < 0 else min(wide_b, end)
    both = max(min(top_a, top_b) - shift, 0)
    if kind == PLAIN:
        return 2 * both
    return 2 * (both + (start == shift and both > 0)) + max(end - start - both, 0)
