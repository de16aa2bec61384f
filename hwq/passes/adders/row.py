"""One sum of two or three operands as a row of look-up tables on a carry chain: what stands at each place, and what it takes.

Place i of the result adds up to three bits, of which one look-up table gives the sum and, on its second output, the carry:

    s[i] = a[i] ^ b[i] ^ c[i],  m[i] = majority(a[i], b[i], c[i]);  the chain adds s and m << 1

A subtracted operand is inverted, and owes a one at its lowest place: the chain's first carry, or the place of m that no carry of three
bits takes. A table has an input left: with it an operand is made zero where a sign is set, so that a ReLU before the sum is no gate.
This is how AMD's parts add three numbers (Xilinx UG687, "ternary adder"); Vivado infers it, Yosys is given the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hwq.fixed.types import bits_for
from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import SIGNS


@dataclass(frozen=True, slots=True)
class RowOperand:
    """Bounds of a wire, inclusive, how far it is shifted up, and its sign in the sum; one value alone is a constant."""

    low: int
    high: int
    up: int
    sign: int

    @property
    def constant(self) -> bool:
        return self.low == self.high

    @property
    def end(self) -> int:
        """The place above its highest bit."""
        return self.up + bits_for(self.low, self.high)

    @property
    def settled(self) -> int:
        """The place from which on all its bits are equal: that of its sign, or the end of what is never negative."""
        return self.end - (self.low < 0)

    def variable(self, width: int) -> int:
        """Where it has bits that vary, its sign above all others, as a mask of `width` places."""
        if self.constant:
            return 0
        return _span(self.up, width if self.low < 0 else self.end, width)

    def ones(self, width: int) -> int:
        """Where it adds a one, always: a constant's bits; above a subtracted number that is never negative."""
        if self.constant:
            return ((self.low << self.up) ^ (-1 << self.up if self.sign == -1 else 0)) & _span(0, width, width)
        return _span(self.end, width, width) if self.sign == -1 and self.low >= 0 else 0


def _span(start: int, end: int, width: int) -> int:
    end = min(end, width)
    return (1 << end) - (1 << start) if end > start else 0


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


@dataclass(frozen=True)
class SumRow:
    """The places of a sum modulo 2^width.

    Args:
        operands: two or three, the first not subtracted, the least shift 0.
        width: bits of the result.
        gate: the operands, if any, that one more input of the tables makes zero (`hwq.passes.adders.gates`).
    """

    operands: tuple[RowOperand, ...]
    width: int
    gate: tuple[int, ...] = ()

    @cached_property
    def present(self) -> tuple[int, ...]:
        """Where each operand may have a one."""
        return tuple(o.variable(self.width) | o.ones(self.width) for o in self.operands)

    @cached_property
    def _twice(self) -> int:
        first, second, *rest = self.present
        return first & second | (rest[0] & (first | second) if rest else 0)

    @cached_property
    def thrice(self) -> int:
        """Where all three operands may have a one."""
        first, second, *rest = self.present
        return first & second & rest[0] if rest else 0

    @cached_property
    def units(self) -> tuple[int, ...]:
        """The places at which subtracted operands owe a one, ascending."""
        return tuple(sorted(o.up for o in self.operands if o.sign == -1 and o.up < self.width))

    @cached_property
    def start(self) -> int:
        """The first place of the chain; below it the only operand that is there passes."""
        started = self._twice | sum(1 << place for place in set(self.units))
        return _lowest(started) if started else self.width

    @cached_property
    def early(self) -> bool:
        """Whether the first place's carry is worked out beside the chain: two bits and the one of a subtraction meet there.

        A chain that begins with a carry of one gives the inverse of its first input, which tools make in one more look-up table.
        """
        return self.start in self.units and not self.thrice >> self.start & 1 and self.units.count(self.start) == 1

    @cached_property
    def carry(self) -> int:
        """What the chain begins with, where `early` is not: one of two ones that are owed at its first place."""
        return int(self.units.count(self.start) == 2)

    @cached_property
    def slots(self) -> int:
        """Where a one that is owed comes in place of a carry of three bits."""
        taken = self.early + self.carry
        return sum(1 << place for place in self.units[taken:])

    @cached_property
    def carries(self) -> int:
        """The places whose bits give a carry of three, m: where three meet, and on while two meet beside one."""
        seeds, found = self.thrice | (self.slots & self._twice), 0
        while seeds & ~found:
            found |= seeds
            seeds = found << 1 & self._twice
        return found

    @cached_property
    def last(self) -> int:
        """The place from which on all bits, and so all carries of three, are the same."""
        return min(max(o.settled for o in self.operands), self.width - 1)

    @cached_property
    def wanted(self) -> int:
        """`carries` that a place above takes in."""
        return self.carries & _span(0, min(self.last + 1, self.width - 1), self.width)

    @cached_property
    def ternary(self) -> int:
        """The places that take in a carry of three, or a one in its place."""
        return (self.carries << 1 | self.slots) & _span(0, self.width, self.width)

    @cached_property
    def _plain(self) -> int:
        """The places of at most two bits, no carry of three among them."""
        return _span(self.start, self.width, self.width) & ~(self.carries | self.ternary)

    @cached_property
    def generate(self) -> tuple[int, int]:
        """The plain places at which the chain takes the first operand, and those at which it takes the second without it."""
        plain = self._plain & ~self._gated
        return self.present[0] & plain, self.present[1] & ~self.present[0] & plain

    @cached_property
    def own(self) -> int:
        """The plain places where a gated operand meets another: the chain takes the carry that their table makes."""
        return self._plain & self._gated & self._at_least_two(self.present)

    @cached_property
    def _gated(self) -> int:
        found = 0
        for number in self.gate:
            found |= self._varying[number]
        return found

    @cached_property
    def alone(self) -> int:
        """The places where a gated operand is the only bit that varies: each takes a table, where it would pass as a wire."""
        return self._gated & ~self._at_least_two((*self._varying, self.wanted << 1))

    @cached_property
    def _varying(self) -> tuple[int, ...]:
        return tuple(o.variable(self.width) for o in self.operands)

    def _at_least_two(self, masks: Sequence[int]) -> int:
        once = twice = 0
        for mask in masks:
            once, twice = once | mask, twice | (once & mask)
        return twice

    @cached_property
    def both(self) -> int:
        """The places where one look-up table gives sum and carry."""
        return (
            self.wanted & self._at_least_two(self._varying) | (1 << self.start if self.early and self._two_start else 0) | self.own
        )

    @cached_property
    def _two_start(self) -> bool:
        return bool(self._at_least_two(self._varying) >> self.start & 1)

    @cached_property
    def tables(self) -> int:
        """Look-up tables: where two bits that vary meet, a carry of three one of them; what is the same at several places is made once."""
        carried = self.wanted << 1
        here = self._at_least_two((*self._varying, carried)) & _span(self.start, self.last + 2, self.width)
        return (here | self.alone).bit_count()

    @cached_property
    def inverters(self) -> int:
        """Places where a single bit is inverted: one that is subtracted, or that a constant one meets."""
        parity = 0
        for operand, varying in zip(self.operands, self._varying, strict=True):
            parity ^= varying if operand.sign == -1 else 0
            parity ^= operand.ones(self.width)
        once, several = 0, self._at_least_two((*self._varying, self.wanted << 1))
        for varying in self._varying:
            once |= varying
        alone = once & ~several & (parity ^ self.slots) & _span(self.start, self.width, self.width)
        return alone.bit_count()

    @property
    def cost(self) -> int:
        """In half look-up tables: an inverter is half of one, since others share it."""
        return 2 * self.tables + self.inverters


def row_of(circuit: Circuit, wire: int, gate: tuple[int, ...] = ()) -> SumRow:
    """The row of a sum of a circuit, with the operands that `gate` names gated."""
    signs = SIGNS[Opcode(int(circuit.opcode[wire]))]
    wires = [int(column[wire]) for column in (circuit.a, circuit.b, circuit.c)[: len(signs)]]
    ends = [(int(circuit.low[w]), int(circuit.high[w])) for w in wires]
    operands = (RowOperand(low, high, up, sign) for (low, high), up, sign in zip(ends, circuit.ups(wire), signs, strict=True))
    return SumRow(tuple(operands), int(circuit.widths[wire]), gate)
