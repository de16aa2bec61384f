"""The Verilog of a digit-serial machine: one module, its registers and words node by node, and the module of a sum beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hwq.codegen.ports import Ports
from hwq.codegen.verilog_ops import TOP, literal
from hwq.styles.serial.machine import ClockMask, Count, Cut, DigitSum, Feed, Machine, Slice, Stream, View
from hwq.styles.words import Words, held_name
from hwq.templates import render

_FAR = 3  # clocks behind another mask of the same length from which on a register of its own is less


def serial_files(machine: Machine, ports: Ports, top: str) -> dict[str, str]:
    """`rtl/<top>.v`."""
    return {f"rtl/{top}.v": serial_text(machine, ports, top)}


def serial_text(machine: Machine, ports: Ports, top: str) -> str:
    """The module of `machine`: ports clk, start, ready, x, valid, y."""
    writer = _Writer(machine, ports, top)
    sections = writer.sections()
    values = {
        "top": top,
        "m": machine,
        "ports": ports,
        "tokens": writer.tokens(),
        "busy_bits": (machine.interval - 1).bit_length(),
        "control": writer.control(),
        "sections": sections,
        "outputs": writer.words.outputs(machine.outputs),
    }
    return render("verilog/serial.v.j2", **values)


@dataclass(slots=True)
class _Writer:
    machine: Machine
    ports: Ports
    top: str
    words: Words = field(init=False)
    delays: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.words = Words(self.machine.circuit, self.ports, self.top)
        self.words.group = TOP
        self.delays = self.machine.delays

    def sections(self) -> list[tuple[str, list[str]]]:
        """(title, lines) of every node: first what is stored, since any line may read it, then what is computed."""
        m, c = self.machine, self.machine.circuit
        stored = [line for number in m.streams for line in self._declared(number)]
        stored += [
            f"reg {self.words.kind(wire)} {held_name(wire, k + 1)};" for wire, count in m.holds.items() for k in range(count)
        ]
        found: list[tuple[str, list[str]]] = [("registers: streams, and words that are kept", stored)]
        nodes: dict[int, list[str]] = {-1: []}
        for number, stream in m.streams.items():
            if number < 0:
                nodes[-1] += self._stream(number, stream)
        for wire in range(len(c)):
            lines = nodes.setdefault(int(c.node[wire]), [])
            if wire in m.words:
                lines += self._word(wire)
            if wire in m.streams:
                lines += self._stream(wire, m.streams[wire])
        return found + [(c.names[node] if node >= 0 else "constants", lines) for node, lines in sorted(nodes.items()) if lines]

    def _declared(self, number: int) -> Iterator[str]:
        kind = "wire" if isinstance(self.machine.streams[number], DigitSum) else "reg "
        yield f"{kind} [{self.machine.digit - 1}:0] {_stream(number)};"
        for k in range(1, self.delays[number] + 1):
            yield f"reg  [{self.machine.digit - 1}:0] {_stream(number, k)};"

    def tokens(self) -> int:
        """How long a row's token is followed: until its result, or the end of a mask that goes on behind what is read."""
        m = self.machine
        ends = [mask.start - 1 + mask.digits if mask.digits > 1 else mask.start for mask in m.masks]
        ends += [count.start - 1 for count in m.counts]
        ends += [m.words[wire].clock + (count - 1) * m.interval for wire, count in m.holds.items()]
        return max(m.latency, *ends)

    def control(self) -> list[str]:
        """The masks and counters, from the tokens or from one another."""
        lines: list[str] = []
        before: ClockMask | None = None
        for mask in self.machine.masks:
            if mask.digits == 1 and mask.start >= 1:
                continue  # the token itself
            lines.append(f"reg {_mask_name(mask)} = 0;")
            if before is not None and before.digits == mask.digits and mask.start - before.start < _FAR:
                for k in range(before.start + 1, mask.start):
                    lines.append(f"reg {_mask_name(ClockMask(mask.digits, k))} = 0;")
                    lines.append(
                        f"always @(posedge clk) {_mask_name(ClockMask(mask.digits, k))} <= {_mask_name(ClockMask(mask.digits, k - 1))};"
                    )
                lines.append(f"always @(posedge clk) {_mask_name(mask)} <= {_mask_name(ClockMask(mask.digits, mask.start - 1))};")
            else:
                begins, ends = _token(mask.start - 1), _token(mask.start - 1 + mask.digits)
                lines.append(
                    f"always @(posedge clk) if ({begins}) {_mask_name(mask)} <= 1'b1; else if ({ends}) {_mask_name(mask)} <= 1'b0;"
                )
            before = mask
        counted: Count | None = None
        for count in self.machine.counts:
            if not count.last:
                continue
            name, bits = _count_name(count), count.last.bit_length()
            lines.append(f"reg [{bits - 1}:0] {name} = 0;")
            if counted is not None and counted.last == count.last and count.start == counted.start + 1:
                lines.append(f"always @(posedge clk) {name} <= {_count_name(counted)};")
            else:
                step = f"else if ({name} != {literal(count.last, bits)}) {name} <= {name} + 1'b1;"
                lines.append(f"always @(posedge clk) if ({_token(count.start - 1)}) {name} <= 0; {step}")
            counted = count
        return lines

    def _stream(self, number: int, stream: Stream) -> list[str]:
        if isinstance(stream, DigitSum):
            lines = self._sum(number, stream)
        else:
            lines = self._fed(number, stream) if isinstance(stream, Feed) else self._cut(number, stream)
        name = _stream(number)
        if self.delays[number]:
            chain = [f"{_stream(number, k)} <= {_stream(number, k - 1)};" for k in range(1, self.delays[number] + 1)]
            lines.append(f"always @(posedge clk) begin {' '.join(chain)} end // {name} later")
        return lines

    def _sum(self, number: int, stream: DigitSum) -> list[str]:
        d = self.machine.digit
        first = f"{d}'d0" if stream.first is None else self._slice(stream.first)
        early = f"{d}'d0" if stream.late is None else _vector([_high(mask, "1'b0") for mask in stream.masks])
        late = 0 if stream.late is None else stream.late + 1
        given = f".D({d}), .SUB({int(stream.subtract)}), .LATE({late})"
        ports = f".clk(clk), .clear({_high(stream.clear, '')}), .early({early}), .a({first}), .b({self._slice(stream.second)})"
        return [f"{self.top}_sum #({given}) {_stream(number)}_i ({ports}, .y({_stream(number)}));"]

    def _slice(self, part: Slice) -> str:
        d = self.machine.digit
        if not part.up:
            return _stream(part.stream, part.delay)
        now, before = _stream(part.stream, part.delay), _stream(part.stream, part.delay + 1)
        return f"{{{now}[{d - 1 - part.up}:0], {before}[{d - 1}:{d - part.up}]}}"

    def _fed(self, number: int, stream: Feed) -> list[str]:
        d, name = self.machine.digit, _stream(number)
        count = stream.count
        digits = [self._digit_of(stream, i) for i in range(count.last + 1)]
        picked = digits[-1]
        if count.last:
            bits = count.last.bit_length()
            cases = [f"{literal(i, bits)}: {name} <= {digit};" for i, digit in enumerate(digits[:-1])]
            picked = f"case ({_count_name(count)}) {' '.join(cases)} default: {name} <= {picked}; endcase"
        else:
            picked = f"{name} <= {picked};"
        if stream.live is not None:
            picked = f"if (!{_high(stream.live, '')}) {name} <= {d}'d0; else {picked}"
        return [f"always @(posedge clk) {picked}"]

    def _digit_of(self, stream: Feed, i: int) -> str:
        d = self.machine.digit
        if stream.wire < 0:
            return literal(stream.constant >> (i * d), d)
        width, signed = self.words.widths[stream.wire], self.words.signed[stream.wire]
        name, low = held_name(stream.wire, 1), i * d
        high = min(low + d, width) - 1
        missing = d - max(high - low + 1, 0)
        parts = []
        if missing:
            parts.append(f"{{{missing}{{{name}[{width - 1}]}}}}" if signed else f"{missing}'d0")
        if high >= low:
            parts.append(f"{name}[{high}:{low}]")
        return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"

    def _cut(self, number: int, stream: Cut) -> list[str]:
        d, name = self.machine.digit, _stream(number)
        now = _stream(stream.now.stream, stream.now.delay)
        digit = now
        lines = []
        if stream.later is not None:
            later = _stream(stream.later.stream, stream.later.delay)
            digit = f"{name}_digit"
            lines.append(f"wire [{d - 1}:0] {digit} = {{{later}[{stream.up - 1}:0], {now}[{d - 1}:{stream.up}]}};")
        live = [_high(mask, "1'b1") for mask in stream.live]
        if not stream.signed:
            return [*lines, f"always @(posedge clk) {name} <= {digit} & {_vector(live)};"]
        lowest = live[0]
        if d == 1:
            return [*lines, f"always @(posedge clk) if ({lowest}) {name} <= {digit};"]
        old = f"{name}[{d - 1}]"
        bits = []
        for bit, high in enumerate(live):
            taken = f"{digit}[{bit}]"
            if high != "1'b1":
                other = old if high == lowest else f"({lowest} ? {digit}[{stream.edge}] : {old})"
                taken = f"{high} ? {taken} : {other}"
            bits.append(taken)
        return [*lines, f"always @(posedge clk) {name} <= {_vector(bits)};"]

    def _word(self, wire: int) -> list[str]:
        word, m = self.machine.words[wire], self.machine
        lines, value = ([], self._viewed(wire, word.view)) if word.view is not None else self.words.computed(word)
        enables = [_token(word.clock + k * m.interval) for k in range(m.holds.get(wire, 0))]
        return [*lines, *self.words.kept(wire, value, enables)]

    def _viewed(self, wire: int, view: View) -> str:
        d, width = self.machine.digit, self.words.widths[wire]
        parts = [f"{view.up}'d0"] if view.up else []
        for i in range(view.digits):
            bits = min(d, width - view.up - i * d)
            name = _stream(view.stream, view.delay - i)
            parts.append(name if bits == d else f"{name}[{bits - 1}:0]")
        return f"{{{', '.join(reversed(parts))}}}"


def _stream(number: int, delay: int = 0) -> str:
    name = f"s{number}" if number >= 0 else f"k{-1 - number}"
    return f"{name}_{delay}" if delay else name


def _token(clock: int) -> str:
    return f"token[{clock}]" if clock else "take"


def _mask_name(mask: ClockMask) -> str:
    return f"first{mask.digits}_{mask.start}"


def _high(mask: ClockMask | None, otherwise: str) -> str:
    """The signal of a mask; `otherwise` where there is none."""
    if mask is None:
        return otherwise
    if not mask.digits:
        return "1'b0"
    return _token(mask.start) if mask.digits == 1 else _mask_name(mask)


def _count_name(count: Count) -> str:
    return f"digit{count.last}_{count.start}"


def _vector(bits: list[str]) -> str:
    """Bits, the lowest first, as one expression."""
    if len(set(bits)) == 1 and len(bits) > 1:
        return f"{{{len(bits)}{{{bits[0]}}}}}"
    return bits[0] if len(bits) == 1 else f"{{{', '.join(reversed(bits))}}}"
