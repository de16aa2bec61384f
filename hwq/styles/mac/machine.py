"""What a multiply-accumulate design consists of, clock by clock: folded products, words between them, and where a row is.

Clocks are counted from that at which a row is taken. A folded product reads its operand from registers, element after element, into a
memory of each lane from clock `start` on; from clock `begin` on its lanes step through their weights; at clock `ready` all its sums are
there, for at least one clock. Everything else is computed on whole words, as in the parallel form: a word is there at one clock, and
registers keep what is read later. Rows are at least `interval` clocks apart, so that every part works on one row at a time while the
parts work on different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwq.ir import Circuit, Opcode
from hwq.styles.mac.lanes import Folding, halves, row_depth
from hwq.styles.serial.machine import Access, Word

STAGES = 4  # registers from a step to its sum, the levels of the group's adders left out: weight, element, product, sum


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A folding in its place.

    Attributes:
        start: the first clock at which its operand is read.
        operands: how each used element is read, in the order of `folding.used`.
    """

    folding: Folding
    start: int
    operands: tuple[Access, ...]

    @property
    def begin(self) -> int:
        """The clock of the first step."""
        return self.start + self.folding.words

    @property
    def over(self) -> int:
        """The clock of the last step."""
        return self.begin + self.folding.steps - 1

    @property
    def ready(self) -> int:
        return self.over + STAGES + self.folding.depth


@dataclass(frozen=True, slots=True, eq=False)
class MacMachine:
    """A multiply-accumulate design.

    Attributes:
        circuit: what lies between the products; its inputs are those of the design, then the sums of each product.
        interval: clocks from one row to the next; latency: from a row to its result.
        products: in an order in which each follows those that it depends on.
        sums: input of `circuit` -> (product, output of it).
        words, holds, outputs: as of `hwq.styles.serial.machine.Machine`.
    """

    circuit: Circuit
    interval: int
    latency: int
    products: tuple[Folded, ...]
    sums: Mapping[int, tuple[int, int]]
    words: Mapping[int, Word]
    holds: Mapping[int, int]
    outputs: tuple[Access, ...]

    @property
    def lanes(self) -> int:
        return sum(product.folding.lanes for product in self.products)

    def halves(self, product: Folded) -> bool:
        return halves(product.folding, self.interval)

    def row_depth(self, product: Folded) -> int:
        return row_depth(product.folding, self.interval)

    @property
    def pulses(self) -> list[int]:
        """Clocks at which something is told that a row is there, other than `ready` and the ends of products."""
        found = {self.latency} | {product.start - 1 for product in self.products}
        for wire, count in self.holds.items():
            found |= {self.words[wire].clock + k * self.interval for k in range(count)}
        return sorted(found)

    @property
    def register_bits(self) -> int:
        """Flip-flops of words and of sums; those of lanes and of control are left out."""
        widths = self.circuit.widths
        sums = sum(product.folding.terms.sum_bits * len(g.outputs) for product in self.products for g in product.folding.groups)
        return sums + sum(int(widths[wire]) * count for wire, count in self.holds.items())

    def reads(self, wire: int) -> tuple[int, int] | None:
        """The (product, output) that an input of the circuit is the sum of; None: an input of the design, or no input."""
        return self.sums.get(int(self.circuit.a[wire])) if self.circuit.opcode[wire] == Opcode.INPUT else None
