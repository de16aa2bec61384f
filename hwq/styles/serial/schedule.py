"""From a circuit to the digit-serial machine that computes it: which wires are streams, which are words, and at which clocks.

Sums are streams; comparisons, products and tables need the whole number and are words; shifts and wraps are what their operand is.
Every wire is computed as early as its operands allow. No Verilog is written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwq.errors import GraphError
from hwq.fixed.types import bits_for
from hwq.ir import Circuit, Opcode
from hwq.passes.pipeline import half_levels, operands_of
from hwq.styles.serial.machine import Access, ClockMask, Count, Cut, DigitSum, Feed, Machine, Slice, Stream, View, Word

_FIRST = 2  # clocks from a row to its first digit: a register that holds the word, and one that holds the digit
_WORDS = frozenset({Opcode.INPUT, Opcode.CLAMP, Opcode.MUL, Opcode.MAX, Opcode.MIN, Opcode.TABLE})
_SUMS = (Opcode.ADD, Opcode.SUB, Opcode.NEG)  # of two operands: those of three are rows of the parallel form
_EITHER = frozenset({Opcode.SHIFT, Opcode.WRAP})
KNOWN = _WORDS | _EITHER | {Opcode.CONST, *_SUMS}


@dataclass(frozen=True, slots=True)
class Number:
    """A wire as a stream: the numbers of `stream`, in `width` bits, times 2^up."""

    stream: int
    up: int
    width: int
    signed: bool


@dataclass(slots=True)
class Roles:
    """Which form each wire of a circuit has and needs, whatever the digit.

    Attributes:
        native: wire -> whether it comes into being as a stream.
        streamed, whole: the wires that are read as streams, and as words.
        numbers: the streams.
    """

    circuit: Circuit
    native: list[bool] = field(default_factory=list)
    streamed: set[int] = field(default_factory=set)
    whole: set[int] = field(default_factory=set)
    numbers: dict[int, Number] = field(default_factory=dict)
    word: int = 1

    @classmethod
    def of(cls, circuit: Circuit) -> Roles:
        """Raises GraphError: an operation that has no digit-serial form; names the node."""
        found = cls(circuit)
        found._classify()
        found._demand()
        for wire in range(len(circuit)):
            if wire in found.streamed:
                found._number(wire)
        return found

    def _classify(self) -> None:
        c = self.circuit
        for wire, op in enumerate(c.opcode.tolist()):
            if op not in KNOWN:
                name = c.names[int(c.node[wire])]
                raise GraphError(f"node {name}: {Opcode(op).name} has no digit-serial form", hint="leave the interval at 1")
            self.native.append(self.native[int(c.a[wire])] if op in _EITHER else op in _SUMS)

    def _demand(self) -> None:
        c = self.circuit
        constant = c.opcode == Opcode.CONST
        self.whole |= {int(wire) for wire in c.outputs if not constant[wire]}
        for wire in range(len(c) - 1, -1, -1):
            op = Opcode(int(c.opcode[wire]))
            for operand in operands_of(c, wire):
                if constant[operand]:
                    continue
                if op in _SUMS:
                    self.streamed.add(operand)
                elif op not in _EITHER:
                    self.whole.add(operand)
                else:
                    # what is a word is shifted and cut by wiring
                    if wire in self.whole or not self.native[wire]:
                        self.whole.add(operand)
                    if wire in self.streamed and self.native[wire]:
                        self.streamed.add(operand)
            if op in _SUMS:
                self.streamed.add(wire)  # computed as a stream, whoever reads it
            elif wire in self.streamed and not self.native[wire]:
                self.whole.add(wire)

    def _number(self, wire: int) -> None:
        c = self.circuit
        op = Opcode(int(c.opcode[wire]))
        up, stream = 0, wire
        if op in (Opcode.ADD, Opcode.SUB):
            up = min(place.up for place in self.terms(wire))
        elif op is Opcode.NEG:
            up = self.numbers[int(c.a[wire])].up
        elif self.native[wire]:
            source = self.numbers[int(c.a[wire])]
            up = source.up - int(c.shift[wire]) if op is Opcode.SHIFT else source.up
            if op is Opcode.SHIFT and up >= 0:
                stream = source.stream
            up = max(up, 0)
        found = Number(stream, up, *_bits(int(c.low[wire]) >> up, int(c.high[wire]) >> up))
        self.numbers[wire] = found
        self.word = max(self.word, found.width)

    def terms(self, wire: int) -> list[Aligned]:
        """Both operands of an ADD or SUB, aligned: the finer one's `up` is what the sum's stream leaves out."""
        c = self.circuit
        shift = int(c.shift[wire])
        found = [self._term(int(c.a[wire]), max(-shift, 0)), self._term(int(c.b[wire]), max(shift, 0))]
        least = min(term.up for term in found)
        for k, term in enumerate(found):
            if term.number is None and term.up > least:  # a constant is written out
                value = term.constant << (term.up - least)
                found[k] = Aligned(None, least, value)
            if term.number is None:
                self.word = max(self.word, _bits(found[k].constant, found[k].constant)[0])
        return found

    def _term(self, wire: int, up: int) -> Aligned:
        c = self.circuit
        if c.opcode[wire] != Opcode.CONST:
            return Aligned(self.numbers[wire], self.numbers[wire].up + up, 0)
        value = int(c.low[wire])
        zeros = (value & -value).bit_length() - 1 if value else 0
        return Aligned(None, up + zeros, value >> zeros)


@dataclass(frozen=True, slots=True)
class Aligned:
    """An operand of a sum: a stream, or a constant (`number` is None); times 2^up."""

    number: Number | None
    up: int
    constant: int


def _bits(low: int, high: int) -> tuple[int, bool]:
    """(bits, whether one is a sign) of what lies between."""
    return max(1, bits_for(low, high)), low < 0


def word_of(circuit: Circuit) -> int:
    """The bits of the longest stream: a digit-serial design takes a row every ceil(word / digit) clocks.

    Raises:
        GraphError: an operation that has no digit-serial form.
    """
    return Roles.of(circuit).word


def schedule(circuit: Circuit, digit: int, levels: int, forms: Roles | None = None) -> Machine:
    """The machine that computes `circuit`, `digit` bits a clock.

    Args:
        digit: at least 1, and fewer than `word_of` bits.
        levels: how many adders may follow one another between two registers, where words are computed.
        forms: of this circuit, where they are known.

    Raises:
        GraphError: an operation that has no digit-serial form, or a word of one digit.
    """
    forms = forms or Roles.of(circuit)
    if not 1 <= digit < forms.word:
        raise GraphError(f"digits of {digit} bits for a word of {forms.word}", hint="a whole word a clock is the parallel form")
    return _Scheduler(circuit, forms, digit, 2 * max(1, levels)).machine()


@dataclass(slots=True)
class _Scheduler:
    circuit: Circuit
    forms: Roles
    digit: int
    limit: int  # half levels between two registers
    streams: dict[int, Stream] = field(default_factory=dict)
    words: dict[int, Word] = field(default_factory=dict)
    holds: dict[int, int] = field(default_factory=dict)
    arrival: dict[int, int] = field(default_factory=dict)  # half levels after the clock's edge at which a word is there
    constants: dict[tuple[int, int], int] = field(default_factory=dict)
    delays: list[int] = field(default_factory=list)

    @property
    def interval(self) -> int:
        return -(-self.forms.word // self.digit)

    def machine(self) -> Machine:
        c = self.circuit
        self.delays = half_levels(c).tolist()
        for wire, op in enumerate(c.opcode.tolist()):
            if op == Opcode.CONST:
                continue
            if self.forms.native[wire]:
                if wire in self.forms.streamed:
                    self._stream(wire, Opcode(op))
                if wire in self.forms.whole:
                    self._whole_of_stream(wire)
            elif wire in self.forms.whole:
                self._compute(wire)
                if wire in self.forms.streamed:
                    self._feed(wire)
        read = [int(wire) for wire in c.outputs]
        clocks = [self.words[wire].clock for wire in read if c.opcode[wire] != Opcode.CONST]
        latency = max(clocks, default=0) + 1
        outputs = tuple(self._access(wire, latency) for wire in read)
        return Machine(c, self.digit, self.interval, latency, self.streams, self.words, self.holds, outputs)

    def _stream(self, wire: int, op: Opcode) -> None:
        number = self.forms.numbers[wire]
        if number.stream != wire:
            return  # another reading of the same digits
        source = self.forms.numbers.get(int(self.circuit.a[wire]))
        if op in (Opcode.ADD, Opcode.SUB):
            self.streams[wire] = self._sum(self.forms.terms(wire), op is Opcode.SUB)
        elif source is None:
            raise GraphError(f"wire {wire} reads no stream")
        elif op is Opcode.NEG:
            clock = self._start(source)
            self.streams[wire] = DigitSum(
                clock + 1, None, Slice(source.stream, 0), True, None, (None,) * self.digit, ClockMask(1, clock - 1)
            )
        elif op is Opcode.SHIFT:
            self.streams[wire] = self._shifted(source, int(self.circuit.shift[wire]) - source.up)
        else:
            self.streams[wire] = self._wrapped(wire, source)

    def _start(self, number: Number) -> int:
        return self.streams[number.stream].start

    def _sum(self, terms: list[Aligned], subtract: bool) -> DigitSum:
        if not subtract and terms[0].up > terms[1].up:
            terms = terms[::-1]
        least = min(term.up for term in terms)
        apart = [divmod(term.up - least, self.digit) for term in terms]
        clock = max(
            _FIRST,
            *(self._start(t.number) - q for t, (q, _) in zip(terms, apart, strict=True) if t.number is not None),
        )
        first, second = (
            self._constant(t.constant, clock) if t.number is None else Slice(t.number.stream, clock + q - self._start(t.number), r)
            for t, (q, r) in zip(terms, apart, strict=True)
        )
        late = next((k for k, (q, r) in enumerate(apart) if q or r), None)
        q, r = (0, 0) if late is None else apart[late]
        masks = tuple(self._mask(q + (bit < r), clock) for bit in range(self.digit))
        # below the late operand there is nothing to carry; a late first operand leaves the negation of the second
        clear = ClockMask(1 + (q if late == 1 else 0), clock - 1)
        return DigitSum(clock + 1, first, second, subtract, late, masks, clear)

    def _mask(self, digits: int, clock: int) -> ClockMask | None:
        return ClockMask(digits, clock) if digits else None

    def _live(self, digits: int, clock: int) -> ClockMask | None:
        """None where a bit belongs to the word in every digit."""
        return None if digits >= self.interval else ClockMask(digits, clock)

    def _shifted(self, source: Number, amount: int) -> Cut:
        """Floor division: the sign goes on where the digits of the next row begin."""
        q, r = divmod(min(amount, source.width - 1), self.digit)
        clock = self._start(source) + q + (r > 0)
        now = Slice(source.stream, int(r > 0))
        later = Slice(source.stream, 0) if r else None
        live = tuple(self._live(self.interval - q - (bit >= self.digit - r), clock) for bit in range(self.digit))
        return Cut(clock + 1, now, later, r, live, source.signed, self.digit - r - 1)

    def _wrapped(self, wire: int, source: Number) -> Cut:
        width = bits_for(int(self.circuit.low[wire]), int(self.circuit.high[wire])) - source.up
        clock = self._start(source)
        q, r = divmod(max(width, 0), self.digit)
        live = tuple(self._live(q + (bit < r), clock) for bit in range(self.digit))
        signed = bool(self.circuit.low[wire] < 0) and width > 0
        return Cut(clock + 1, Slice(source.stream, 0), None, 0, live, signed, r - 1 if r else self.digit - 1)

    def _constant(self, value: int, start: int) -> Slice:
        """The stream of a constant that begins at `start`."""
        if (value, start) not in self.constants:
            name = -1 - len(self.constants)
            self.constants[value, start] = name
            self.streams[name] = self._fed(-1, *_bits(value, value), start, value)
        return Slice(self.constants[value, start], 0)

    def _feed(self, wire: int) -> None:
        number = self.forms.numbers[wire]
        start = self.words[wire].clock + _FIRST
        self.holds[wire] = max(self.holds.get(wire, 0), 1)
        self.streams[wire] = self._fed(wire, number.width, number.signed, start)

    def _fed(self, wire: int, width: int, signed: bool, start: int, constant: int = 0) -> Feed:
        digits = -(-width // self.digit)
        last = digits - 1
        if signed and last * self.digit < width - 1:
            last += 1  # a digit of nothing but the sign
        live = None if signed else self._live(digits, start - 1)
        return Feed(start, wire, width, Count(min(last, self.interval - 1), start - 1), live, constant)

    def _whole_of_stream(self, wire: int) -> None:
        """A word of a stream, as soon as its digits are there: of a sum; of what shifts and cuts it, by wiring."""
        if Opcode(int(self.circuit.opcode[wire])) in _EITHER:
            self._compute(wire)
            return
        number = self.forms.numbers[wire]
        digits = -(-number.width // self.digit)
        clock = self._start(number) + digits - 1
        self.words[wire] = Word(wire, clock, View(number.stream, digits - 1, digits, number.up))
        self.arrival[wire] = 0

    def _compute(self, wire: int) -> None:
        operands = [w for w in operands_of(self.circuit, wire) if self.circuit.opcode[w] != Opcode.CONST]
        clock = max((self.words[w].clock for w in operands), default=0)
        begins = max((self.arrival[w] for w in operands if self.words[w].clock == clock), default=0)
        if begins and begins + self.delays[wire] > self.limit:
            clock, begins = clock + 1, 0
        self.arrival[wire] = begins + self.delays[wire]
        read = tuple(self._access(w, clock) for w in operands_of(self.circuit, wire))
        self.words[wire] = Word(wire, clock, None, read)

    def _access(self, wire: int, clock: int) -> Access:
        word = None if self.circuit.opcode[wire] == Opcode.CONST else self.words[wire]
        return kept_until(clock, word, wire, self.interval, self.holds)


def kept_until(clock: int, word: Word | None, wire: int, interval: int, holds: dict[int, int]) -> Access:
    """A word as it is read at `clock`, from so many registers one behind the other as rows come meanwhile; `holds` notes them.

    Args:
        word: None for a constant, which is always there.
    """
    held = -(-(clock - word.clock) // interval) if word is not None else 0
    if held:
        holds[wire] = max(holds.get(wire, 0), held)
    return Access(wire, clock, held)


def features_of(machine: Machine) -> dict[str, float]:
    """What a digit-serial design consists of: none of it is a count of any tool's cells.

    Beside `digit`, `interval` and `latency_cycles`: full adders, bits of digits cut, bits of words fed into streams, bits of delays,
    bits of words held, bits of words compared, multiplied or looked up, all registers, and masks.
    """
    widths, d = machine.circuit.widths, machine.digit
    streams = list(machine.streams.values())
    computed = [word.wire for word in machine.words.values() if machine.circuit.opcode[word.wire] in _WORDS - {Opcode.INPUT}]
    return {
        "serial_digit": float(d),
        "serial_interval": float(machine.interval),
        "latency_cycles": float(machine.latency),
        "serial_adders": float(d * sum(isinstance(s, DigitSum) for s in streams)),
        "serial_cuts": float(d * sum(isinstance(s, Cut) for s in streams)),
        "serial_fed_bits": float(sum(s.width for s in streams if isinstance(s, Feed))),
        "serial_constants": float(d * sum(isinstance(s, Feed) and s.wire < 0 for s in streams)),
        "serial_delay_bits": float(d * sum(machine.delays.values())),
        "serial_held_bits": float(sum(int(widths[wire]) * count for wire, count in machine.holds.items())),
        "serial_requantizer_bits": float(sum(int(widths[wire]) for wire in computed)),
        "serial_register_bits": float(machine.register_bits),
        "serial_masks": float(len(machine.masks)),
    }
