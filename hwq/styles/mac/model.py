"""The integer model of a multiply-accumulate machine: every register of data, clock by clock, of many copies of the design at once.

Each copy takes a share of the rows, one after the other, as the hardware does: what a row leaves in a memory or an accumulator meets the
next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hwq.fixed.arithmetic import SAFE_BITS, IntArray
from hwq.ir import Opcode
from hwq.styles.mac.lanes import Folding
from hwq.styles.mac.machine import Folded, MacMachine
from hwq.styles.serial.machine import Access
from hwq.styles.serial.model import dealt

_Item = TypeVar("_Item")


def evaluate(machine: MacMachine, rows: IntArray, gaps: Sequence[int] = (0,)) -> IntArray:
    """Output mantissas (rows, outputs) for input mantissas (rows, inputs).

    Args:
        gaps: clocks that a copy waits beyond its interval before each of its next rows, over and over.

    Raises:
        DataError: a gap below zero.
    """
    if not len(rows):
        return np.zeros((0, len(machine.outputs)), np.int64)
    return dealt(rows, machine.interval, gaps, lambda given, starts: _MacRun(machine, given, starts).outputs())


@dataclass(slots=True)
class _MacRun:
    machine: MacMachine
    rows: IntArray  # (copies, rows of each, inputs)
    starts: list[int]
    parts: list[_MacUnit] = field(init=False)
    held: dict[int, list[IntArray]] = field(init=False)
    at: dict[int, list[int]] = field(default_factory=dict)  # clock of a row -> the words of it
    kept: dict[int, list[tuple[int, int]]] = field(
        default_factory=dict
    )  # clock of a row -> registers that take a word: (wire, which)
    values: dict[int, IntArray] = field(default_factory=dict)  # words of this clock
    now: int = 0

    def __post_init__(self) -> None:
        m = self.machine
        wide = int(m.circuit.working_bits.max(initial=0)) > SAFE_BITS
        self.rows = self.rows.astype(object if wide else np.int64)
        none = np.zeros(len(self.rows), self.rows.dtype)
        self.parts = [_MacUnit(product, len(self.rows)) for product in m.products]
        self.held = {wire: [none] * count for wire, count in m.holds.items()}
        for wire, word in m.words.items():
            self.at.setdefault(word.clock, []).append(wire)
        for wire, count in m.holds.items():
            for k in range(count):
                self.kept.setdefault(m.words[wire].clock + k * m.interval, []).append((wire, k))

    def outputs(self) -> list[IntArray]:
        """For each row of a copy the outputs (copies, outputs)."""
        found, m = [], self.machine
        ends = {start + m.latency for start in self.starts}
        for self.now in range(max(ends, default=-1) + 1):
            self._words()
            if self.now in ends:
                found.append(np.stack([self._read(a) for a in m.outputs], axis=1))
            self._edge()
        return found

    def _since(self, clock: int) -> tuple[int, int]:
        """(number of the row that was last at `clock`, clocks since); (-1, 0) where none was."""
        at = int(np.searchsorted(self.starts, self.now - clock, "right"))
        return (-1, 0) if at == 0 else (at - 1, self.now - clock - self.starts[at - 1])

    def _words(self) -> None:
        """The words of the rows that are at their words' clocks; at other clocks nobody reads them."""
        m, c = self.machine, self.machine.circuit
        self.values.clear()
        for row, wires in self._due(self.at):
            for wire in wires:
                place = m.reads(wire)
                if c.opcode[wire] != Opcode.INPUT:
                    self.values[wire] = c.apply(wire, {a.wire: self._read(a) for a in m.words[wire].operands})
                elif place is None:
                    self.values[wire] = np.asarray(self.rows[:, row, int(c.a[wire])])
                else:
                    self.values[wire] = self.parts[place[0]].sum_of(place[1]).astype(self.rows.dtype)

    def _due(self, at: dict[int, list[_Item]]) -> list[tuple[int, list[_Item]]]:
        """What is listed for the clocks at which the rows are: (row, items)."""
        return [(row, at[self.now - start]) for row, start in enumerate(self.starts) if self.now - start in at]

    def _read(self, access: Access) -> IntArray:
        c = self.machine.circuit
        if c.opcode[access.wire] == Opcode.CONST:
            return np.full(len(self.rows), int(c.low[access.wire]), self.rows.dtype)
        return self.held[access.wire][access.held - 1] if access.held else self.values[access.wire]

    def _edge(self) -> None:
        """The rising edge at the end of this clock: every register takes what it is given."""
        for part in self.parts:
            self._step(part)
        taken = [
            (wire, k, self.held[wire][k - 1] if k else self.values[wire]) for _, each in self._due(self.kept) for wire, k in each
        ]
        for wire, k, value in taken:
            self.held[wire][k] = value

    def _step(self, part: _MacUnit) -> None:
        product, folding = part.product, part.product.folding
        row, word = self._since(product.start)
        data = None
        if row >= 0 and word < folding.words:
            read = product.operands[word * folding.together : (word + 1) * folding.together]
            data = np.stack([self._read(a) for a in read], axis=1).astype(np.int64)
        half, step = self._since(product.begin)
        halved = self.machine.halves(product)
        part.edge(
            (row % 2 if halved else 0, word * folding.together, data),
            (half % 2 if halved else 0, step) if half >= 0 and step < folding.steps else None,
        )


@dataclass(slots=True)
class _MacUnit:
    """The registers and memories of a folded product."""

    product: Folded
    copies: int
    memory: IntArray = field(init=False)  # (copies, half, place): the same in every lane
    written: tuple[int, int, IntArray | None] = (0, 0, None)  # what goes into the memory: (half, place, elements)
    read: tuple[int, int] | None = None  # whose weights the lanes have: (half, step)
    multiplied: tuple[int, IntArray] | None = None  # (step, elements of the lanes)
    waiting: list[tuple[int, IntArray] | None] = field(init=False)  # products, then the levels of the groups' adders
    sums: IntArray = field(init=False)  # (copies, groups)
    fresh: list[bool] = field(init=False)  # whether a group begins a sum
    number: list[int] = field(init=False)  # which of its sums a group is at
    chains: list[list[IntArray]] = field(init=False)  # finished sums of a group, the newest first

    def __post_init__(self) -> None:
        folding = self.product.folding
        self.memory = np.zeros((self.copies, 2, folding.words * folding.together), np.int64)
        self.waiting = [None] * (1 + folding.depth)
        self.sums = np.zeros((self.copies, len(folding.groups)), np.int64)
        self.fresh, self.number = [True] * len(folding.groups), [0] * len(folding.groups)
        self.chains = [[np.zeros(self.copies, np.int64)] * len(group.outputs) for group in folding.groups]

    @property
    def folding(self) -> Folding:
        return self.product.folding

    def edge(self, data: tuple[int, int, IntArray | None], step: tuple[int, int] | None) -> None:
        """Registers behind those that take something first: each takes what was there before this edge."""
        self._accumulate(self.waiting[-1])
        self.waiting = [self._products(), *self.waiting[:-1]]
        self.multiplied = self._elements()
        half, place, elements = self.written
        if elements is not None:
            self.memory[:, half, place : place + elements.shape[1]] = elements
        self.read, self.written = step, data

    def _elements(self) -> tuple[int, IntArray] | None:
        if self.read is None:
            return None
        half, step = self.read
        places = np.concatenate([group.places[step] for group in self.folding.groups])
        return step, self.memory[:, half, places].copy()

    def _products(self) -> tuple[int, IntArray] | None:
        """The sum of each group's products: (copies, groups)."""
        if self.multiplied is None:
            return None
        step, elements = self.multiplied
        groups = self.folding.groups
        weights = np.concatenate([group.weights[step] << np.array([lane.up for lane in group.lanes]) for group in groups])
        begins = np.cumsum([0, *(len(group.lanes) for group in groups[:-1])])
        return step, np.add.reduceat(elements * weights, begins, axis=1)

    def _accumulate(self, given: tuple[int, IntArray] | None) -> None:
        if given is None:
            return
        step, products = given
        bits, terms = self.folding.terms.sum_bits, self.folding.terms
        for g, group in enumerate(self.folding.groups):
            begin = np.full(self.copies, terms.biases[group.outputs[self.number[g]]]) if self.fresh[g] else self.sums[:, g]
            self.sums[:, g] = (begin + products[:, g]) & ((1 << bits) - 1)
            self.fresh[g] = bool(group.last[step])
            if group.last[step]:
                self.chains[g] = [self.sums[:, g].copy(), *self.chains[g][:-1]]
                self.number[g] = (self.number[g] + 1) % len(group.outputs)

    def sum_of(self, output: int) -> IntArray:
        """A finished sum, read from its group's chain, with its constant bits."""
        terms = self.folding.terms
        g = next(g for g, group in enumerate(self.folding.groups) if output in group.outputs)
        outputs = self.folding.groups[g].outputs
        value = self.chains[g][len(outputs) - 1 - outputs.index(output)]
        t = terms.types[output]
        width = max(t.width - int(terms.up[output]), 1)
        value = value & ((1 << width) - 1)
        if t.signed:
            value = value - ((value >> (width - 1)) << width)
        return np.asarray((value << int(terms.up[output])) | int(terms.low[output]))
