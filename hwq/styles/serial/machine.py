"""What a digit-serial design consists of, clock by clock: streams of digits, words, and the signals that say where a row is.

A row that is taken at clock 0 is a *token* that moves on by a register a clock: token t is high at clock t. A *stream* carries a number
of a row in `interval` digits of `digit` bits, the lowest first: digit i is visible at clock start + i. A *word* is a whole number,
there at one clock; what is read later is stored in registers that the token of that clock enables.

No Verilog and no schedule stands here: `hwq.styles.serial.schedule` makes these, `hwq.styles.serial.model` and
`hwq.styles.serial.verilog` read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwq.ir import Circuit


@dataclass(frozen=True, slots=True)
class Slice:
    """A digit of a stream as seen `delay` clocks later, its bits moved up by `up` (below `digit`): the rest comes from the digit before."""

    stream: int
    delay: int
    up: int = 0


@dataclass(frozen=True, slots=True)
class ClockMask:
    """High for `digits` clocks from clock `start` of a row on."""

    digits: int
    start: int


@dataclass(frozen=True, slots=True)
class Count:
    """The clocks since clock `start` of a row, at most `last`."""

    last: int
    start: int


@dataclass(frozen=True, slots=True)
class Feed:
    """A word as a stream: digit i is picked from registers that hold the word, and is zero where `live` is low.

    Attributes:
        wire: of the circuit; -1: a constant, the number `constant`.
    """

    start: int
    wire: int
    width: int
    count: Count
    live: ClockMask | None
    constant: int = 0


@dataclass(frozen=True, slots=True)
class DigitSum:
    """first +- second << (low * digit bits + within): a full adder a bit, its carry in a register.

    Attributes:
        first, second: what is added; a NEG has no `first`.
        subtract: the second is subtracted.
        late: which operand comes later than the other (0 the first, 1 the second), and so is masked in the digits before; None: neither.
        masks: for each bit of a digit the mask of the late operand; None: none.
        clear: while it is high, the carry into the next digit is that of an empty sum.
    """

    start: int
    first: Slice | None
    second: Slice
    subtract: bool
    late: int | None
    masks: tuple[ClockMask | None, ...]
    clear: ClockMask


@dataclass(frozen=True, slots=True)
class Cut:
    """A stream from one of its bits on (a floor division by a power of two), and up to one of its bits (a number modulo a power of two).

    Attributes:
        now: the digit; its bits from `up` on, then the lowest of `later`.
        later: the digit after it, where `up` is above 0.
        up: how many of the lowest bits are left out.
        live: for each bit, while it is high the bit is of the word; afterwards it is the sign, or zero.
        edge: the bit of the digit that is the sign while the digit's upper bits are not of the word.
    """

    start: int
    now: Slice
    later: Slice | None
    up: int
    live: tuple[ClockMask | None, ...]
    signed: bool
    edge: int


Stream = Feed | DigitSum | Cut


@dataclass(frozen=True, slots=True)
class View:
    """A word read from a stream: its digit i, counted from the lowest, `delay - i` clocks ago; then `up` zeros are appended below."""

    stream: int
    delay: int
    digits: int
    up: int


@dataclass(frozen=True, slots=True)
class Access:
    """How a wire is read as a word at a clock: 0: as it is there; k: behind k registers, each `interval` clocks after the one before."""

    wire: int
    clock: int
    held: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """A wire as a word at `clock`: read from a stream, or computed from other words."""

    wire: int
    clock: int
    view: View | None
    operands: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A digit-serial design.

    Attributes:
        circuit: what it computes; its stages are of no meaning here.
        digit: bits a clock.
        interval: clocks from one row to the next.
        latency: clocks from a row to its result.
        streams: in an order in which each follows those that it reads; by number.
        words: in such an order as well.
        holds: wire -> how many registers its word is stored in, one after the other.
        outputs: how each output is read.
    """

    circuit: Circuit
    digit: int
    interval: int
    latency: int
    streams: Mapping[int, Stream]
    words: Mapping[int, Word]
    holds: Mapping[int, int]
    outputs: tuple[Access, ...]

    @property
    def masks(self) -> list[ClockMask]:
        """All masks, those of equal length by their start."""
        found: set[ClockMask] = set()
        for stream in self.streams.values():
            read = (stream.clear, *stream.masks) if isinstance(stream, DigitSum) else stream.live
            found |= {mask for mask in (read if isinstance(read, tuple) else (read,)) if mask is not None and mask.digits}
        return sorted(found, key=lambda mask: (mask.digits, mask.start))

    @property
    def counts(self) -> list[Count]:
        found = {stream.count for stream in self.streams.values() if isinstance(stream, Feed)}
        return sorted(found, key=lambda count: (count.last, count.start))

    @property
    def delays(self) -> dict[int, int]:
        """Stream -> the registers behind it."""
        found = dict.fromkeys(self.streams, 0)

        def read(part: Slice | None) -> None:
            if part is not None:
                found[part.stream] = max(found[part.stream], part.delay + (part.up > 0))

        for stream in self.streams.values():
            for part in (stream.first, stream.second) if isinstance(stream, DigitSum) else ():
                read(part)
            if isinstance(stream, Cut):
                read(stream.now)
                read(stream.later)
        for word in self.words.values():
            if word.view is not None:
                found[word.view.stream] = max(found[word.view.stream], word.view.delay)
        return found

    @property
    def register_bits(self) -> int:
        """Flip-flops of streams, words and carries; those of masks and tokens are left out."""
        widths = self.circuit.widths
        chains = sum(1 + delay for delay in self.delays.values()) * self.digit
        carries = sum(isinstance(stream, DigitSum) for stream in self.streams.values())
        return chains + carries + sum(int(widths[wire]) * count for wire, count in self.holds.items())
