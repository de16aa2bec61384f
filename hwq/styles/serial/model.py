"""The integer model of a digit-serial machine: every register, clock by clock, of many copies of the design at once.

Each copy takes a share of the rows, one after the other, as the hardware does: what a row leaves in a register meets the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwq.errors import DataError
from hwq.fixed.arithmetic import SAFE_BITS, IntArray
from hwq.ir import Opcode
from hwq.styles.serial.machine import Access, ClockMask, Count, Cut, DigitSum, Feed, Machine, Slice, Stream, View, Word

_COPIES = 64  # rows are dealt out to so many copies of the design


def evaluate(machine: Machine, rows: IntArray, gaps: Sequence[int] = (0,)) -> IntArray:
    """Output mantissas (rows, outputs) for input mantissas (rows, inputs).

    Args:
        gaps: clocks that a copy waits beyond its interval before each of its next rows, over and over.

    Raises:
        DataError: a gap below zero.
    """
    if not len(rows):
        return np.zeros((0, len(machine.outputs)), np.int64)
    return dealt(rows, machine.interval, gaps, lambda given, starts: _Run(machine, given, starts).outputs())


def dealt(rows: IntArray, interval: int, gaps: Sequence[int], run: Callable[[IntArray, list[int]], list[IntArray]]) -> IntArray:
    """Deal rows out to copies of a design, each of which takes its own one after the other, and collect what they answer.

    Args:
        run: given rows (copies, rows of each, inputs), and the clocks at which a copy takes its rows: for each row (copies, outputs).

    Raises:
        DataError: a gap below zero.
    """
    if min(gaps) < 0:
        raise DataError(f"a gap of {min(gaps)} clocks")
    each = -(-len(rows) // _COPIES)
    padded = np.concatenate([rows, np.repeat(rows[-1:], each * _COPIES - len(rows), axis=0)])
    starts, clock = [], 0
    for number in range(each):
        starts.append(clock)
        clock += interval + gaps[number % len(gaps)]
    found = run(padded.reshape(_COPIES, each, rows.shape[1]), starts)
    return np.stack(found, axis=1).reshape(each * _COPIES, -1)[: len(rows)]


@dataclass(slots=True)
class _Run:
    machine: Machine
    rows: IntArray  # (copies, rows of each, inputs)
    starts: list[int]
    dtype: type = field(init=False)
    chains: dict[int, list[IntArray]] = field(init=False)  # each stream's digits, the newest first
    carries: dict[int, IntArray] = field(init=False)
    held: dict[int, list[IntArray]] = field(init=False)
    values: dict[int, IntArray] = field(default_factory=dict)  # words of this clock
    now: int = 0

    def __post_init__(self) -> None:
        m = self.machine
        wide = int(m.circuit.working_bits.max(initial=0)) > SAFE_BITS or m.digit > SAFE_BITS - 2
        self.dtype = object if wide else np.int64
        self.rows = self.rows.astype(self.dtype)
        none = np.zeros(len(self.rows), self.dtype)
        self.chains = {number: [none] * (1 + delay) for number, delay in m.delays.items()}
        self.carries = {number: none for number, s in m.streams.items() if isinstance(s, DigitSum)}
        self.held = {wire: [none] * count for wire, count in m.holds.items()}

    def outputs(self) -> list[IntArray]:
        """For each row of a copy the outputs (copies, outputs)."""
        found = []
        ends = {start + self.machine.latency for start in self.starts}
        for self.now in range(max(ends, default=-1) + 1):
            self._words()
            if self.now in ends:
                found.append(np.stack([self._read(a) for a in self.machine.outputs], axis=1))
            self._edge()
        return found

    def _token(self, clock: int) -> int | None:
        """Which row was taken `clock` clocks ago."""
        start = self.now - clock
        at = np.searchsorted(self.starts, start)
        return int(at) if at < len(self.starts) and self.starts[at] == start else None

    def _since(self, clock: int) -> int | None:
        """Clocks since a row was last at `clock`."""
        at = int(np.searchsorted(self.starts, self.now - clock, "right"))
        return None if at == 0 else self.now - clock - self.starts[at - 1]

    def _high(self, mask: ClockMask | None, otherwise: bool) -> bool:
        if mask is None:
            return otherwise
        since = self._since(mask.start)
        return since is not None and since < mask.digits

    def _count(self, count: Count) -> int:
        since = self._since(count.start)
        return 0 if since is None else min(since, count.last)

    def _words(self) -> None:
        """The words of the rows that are at their words' clocks; at other clocks nobody reads them."""
        m = self.machine
        self.values.clear()
        for wire, word in m.words.items():
            row = self._token(word.clock)
            if row is not None:
                self.values[wire] = self._word(wire, word, row)

    def _word(self, wire: int, word: Word, row: int) -> IntArray:
        c = self.machine.circuit
        if word.view is not None:
            return self._viewed(wire, word.view)
        if c.opcode[wire] == Opcode.INPUT:
            return np.asarray(self.rows[:, row, int(c.a[wire])])
        return c.apply(wire, {a.wire: self._read(a) for a in word.operands})

    def _viewed(self, wire: int, view: View) -> IntArray:
        c, d = self.machine.circuit, self.machine.digit
        chain = self.chains[view.stream]
        bits = view.digits * d + view.up
        total: IntArray = np.zeros(len(self.rows), object if bits >= SAFE_BITS else self.dtype)
        for i in range(view.digits):
            total = total + (chain[view.delay - i].astype(total.dtype) << (i * d + view.up))
        width = int(c.widths[wire])
        total = total & ((1 << width) - 1)
        if c.low[wire] < 0:
            total = total - ((total >> (width - 1)) << width)
        return np.asarray(total.astype(self.dtype))

    def _read(self, access: Access) -> IntArray:
        c = self.machine.circuit
        if c.opcode[access.wire] == Opcode.CONST:
            return np.full(len(self.rows), int(c.low[access.wire]), self.dtype)
        return self.held[access.wire][access.held - 1] if access.held else self.values[access.wire]

    def _digit(self, part: Slice) -> IntArray:
        chain, d = self.chains[part.stream], self.machine.digit
        if not part.up:
            return chain[part.delay]
        return np.asarray(((chain[part.delay] << part.up) & ((1 << d) - 1)) | (chain[part.delay + 1] >> (d - part.up)))

    def _edge(self) -> None:
        """The rising edge at the end of this clock: every register takes what it is given."""
        m = self.machine
        carries: dict[int, IntArray] = {}
        digits = {number: self._next(number, stream, carries) for number, stream in m.streams.items()}
        for wire, held in self.held.items():
            for k in range(len(held) - 1, -1, -1):
                if self._token(m.words[wire].clock + k * m.interval) is not None:
                    held[k] = held[k - 1] if k else self.values[wire]
        for number, digit in digits.items():
            self.chains[number] = [digit, *self.chains[number][:-1]]
        self.carries |= carries

    def _next(self, number: int, stream: Stream, carries: dict[int, IntArray]) -> IntArray:
        if isinstance(stream, DigitSum):
            return self._added(number, stream, carries)
        return self._fed(stream) if isinstance(stream, Feed) else self._cut(number, stream)

    def _bits(self, masks: tuple[ClockMask | None, ...], otherwise: bool) -> int:
        return sum(self._high(mask, otherwise) << bit for bit, mask in enumerate(masks))

    def _added(self, number: int, stream: DigitSum, carries: dict[int, IntArray]) -> IntArray:
        whole = (1 << self.machine.digit) - 1
        operands = [
            self._digit(part) if part is not None else np.zeros_like(self.carries[number]) for part in (stream.first, stream.second)
        ]
        if stream.late is not None:
            operands[stream.late] = operands[stream.late] & (whole & ~self._bits(stream.masks, False))
        second = operands[1] ^ whole if stream.subtract else operands[1]
        total = operands[0] + second + self.carries[number]
        carry = total >> self.machine.digit
        carries[number] = np.full_like(carry, int(stream.subtract)) if self._high(stream.clear, False) else carry
        return np.asarray(total & whole)

    def _fed(self, stream: Feed) -> IntArray:
        d = self.machine.digit
        if stream.wire < 0:
            word: IntArray = np.full(
                len(self.rows), stream.constant, self.dtype if abs(stream.constant) < 1 << SAFE_BITS else object
            )
        else:
            word = self.held[stream.wire][0]
        digit = (word >> (self._count(stream.count) * d)) & ((1 << d) - 1)
        return np.asarray(digit if self._high(stream.live, True) else digit & 0).astype(self.dtype)

    def _cut(self, number: int, stream: Cut) -> IntArray:
        d = self.machine.digit
        digit = self.chains[stream.now.stream][stream.now.delay] >> stream.up
        if stream.later is not None:
            later = self.chains[stream.later.stream][stream.later.delay]
            digit = (digit | (later << (d - stream.up))) & ((1 << d) - 1)
        live = self._bits(stream.live, True)
        kept = digit & live
        if not stream.signed or live == (1 << d) - 1:
            return np.asarray(kept)
        sign = (digit >> stream.edge) & 1 if live else self.chains[number][0] >> (d - 1)
        return np.asarray(kept | (sign * (((1 << d) - 1) & ~live)))
