"""The Verilog expression of each circuit operation, and the bookkeeping of names: who reads what, behind how many registers.

Wires are named w<number>, and w<number>_<k> after k registers; a module's own wires, those it is given and the top's have the same names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from hwq.codegen.ports import Ports
from hwq.codegen.verilog_rows import instance
from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import SIGNS, WIRES_C
from hwq.passes.adders.gates import Gated, gated
from hwq.passes.adders.row import row_of

DelayedWire = tuple[int, int]  # a wire, and the registers behind it
TOP = -1  # the group of what stands in the top module: the inputs
SHORTEST = 3  # places of a row that is a carry chain; what is shorter is made of gates


@dataclass(frozen=True, slots=True)
class Statement:
    """One wire and its value, behind the lines that must stand before it."""

    wire: int
    value: str
    before: tuple[str, ...] = ()


@dataclass(slots=True)
class CircuitDraft:
    """A circuit while its Verilog is written, its columns as lists; `group` is the module that is being written."""

    circuit: Circuit
    ports: Ports
    top: str
    opcode: list[int] = field(init=False)
    a: list[int] = field(init=False)
    b: list[int] = field(init=False)
    shift: list[int] = field(init=False)
    low: list[int] = field(init=False)
    high: list[int] = field(init=False)
    stage: list[int] = field(init=False)
    widths: list[int] = field(init=False)
    signed: list[bool] = field(init=False)
    groups: list[int] = field(init=False)
    group: int = TOP
    delays: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # registers behind each wire
    imports: dict[int, dict[DelayedWire, None]] = field(default_factory=lambda: defaultdict(dict))  # by group, in order
    functions: dict[tuple[int, int, int, int, int], str] = field(default_factory=dict)
    rows: bool = False  # whether a sum is a module of its own (`verilog_rows`)
    gated: Gated = field(init=False)  # the ReLUs that such a sum takes in

    def __post_init__(self) -> None:
        c = self.circuit
        self.gated = gated(c)
        self.opcode, self.a, self.b, self.shift = c.opcode.tolist(), c.a.tolist(), c.b.tolist(), c.shift.tolist()
        self.low, self.high, self.stage = c.low.tolist(), c.high.tolist(), c.stage.tolist()
        self.widths, self.signed = c.widths.tolist(), c.signed.tolist()
        inputs = (int(Opcode.INPUT), int(Opcode.CONST))
        self.groups = [TOP if op in inputs else node for op, node in zip(self.opcode, c.node.tolist(), strict=True)]

    def name(self, wire: int, stage: int) -> str:
        """The wire as seen in `stage`, behind as many registers as stages lie between."""
        delay = 0 if self.opcode[wire] == Opcode.CONST else stage - self.stage[wire]
        if delay > self.delays[wire]:
            self.delays[wire] = delay
        if self.groups[wire] != self.group:
            self.imports[self.group][wire, delay] = None
        return signal_name((wire, delay))

    def fit(self, wire: int, stage: int, width: int, shift: int = 0) -> str:
        """The wire times 2^shift, rounded down, as a signed expression of exactly `width` bits: modulo 2^width.

        Every width is written out: what a tool would extend or cut by itself, a linter warns of.
        """
        return f"$signed({self.bits(wire, stage, width, shift)})"

    def bits(self, wire: int, stage: int, width: int, shift: int = 0, *, source: int | None = None) -> str:
        """As `fit`, unsigned.

        Args:
            source: whose low bits stand for those of `wire`.
        """
        if self.widths[wire] == 0 or self.opcode[wire] == Opcode.CONST:
            value = self.low[wire] if self.widths[wire] else 0
            return literal((value << shift if shift >= 0 else value >> -shift), width)
        name, high = self.name(wire if source is None else source, stage), self.widths[wire] - 1
        top = high if source is None else self.widths[source] - 1
        first, zeros = max(-shift, 0), min(max(shift, 0), width)
        last = min(high, first + width - zeros - 1)
        missing = width - zeros - max(last - first + 1, 0)
        parts = [] if not missing else [f"{{{missing}{{{name}[{high}]}}}}" if self.signed[wire] else f"{missing}'d0"]
        if last >= first:
            parts.append(name if (first, last) == (0, top) else f"{name}[{last}:{first}]")
        parts += [f"{zeros}'d0"] if zeros else []
        return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"

    def compared(self, wire: int) -> int:
        """How many bits hold the wire as a signed number."""
        if self.opcode[wire] == Opcode.CONST:
            return signed_bits(self.low[wire])
        return self.widths[wire] + (not self.signed[wire])

    def kind(self, wire: int) -> str:
        """`signed [7:0]`, as a declaration of the wire needs it."""
        return f"{'signed ' if self.signed[wire] else ''}[{self.widths[wire] - 1}:0]"


def signal_name(signal: DelayedWire) -> str:
    wire, delay = signal
    return f"w{wire}_{delay}" if delay else f"w{wire}"


def literal(value: int, width: int) -> str:
    """A literal of exactly `width` bits, modulo 2^width."""
    return f"{width}'d{value & ((1 << width) - 1)}"


def signed_bits(value: int) -> int:
    """How many bits hold `value` as a signed number."""
    return (value if value >= 0 else ~value).bit_length() + 1


def statement(d: CircuitDraft, wire: int) -> Statement:
    """What computes `wire`."""
    return _STATEMENTS[Opcode(d.opcode[wire])](d, wire)


def _input(d: CircuitDraft, wire: int) -> Statement:
    e = d.ports.inputs[d.a[wire]]
    return Statement(wire, f"x[{e.offset + e.width - 1}:{e.offset}]")


def _row(d: CircuitDraft, wire: int) -> Statement:
    """A sum as a row of look-up tables, a module of its own (`verilog_rows`); below its chain the one operand that is there passes."""
    c, stage, width = d.circuit, d.stage[wire], d.widths[wire]
    signs, ups = SIGNS[Opcode(d.opcode[wire])], c.ups(wire)
    wires = [int(column[wire]) for column in (c.a, c.b, c.c)[: len(signs)]]
    gate, relu = d.gated.operands.get(wire, ((), wire))
    row = row_of(c, wire, gate)
    sources = [d.a[relu] if number in gate else None for number in range(len(wires))]
    sign = f"{d.name(d.a[relu], stage)}[{d.widths[d.a[relu]] - 1}]" if gate else "1'b0"
    operands = list(zip(wires, ups, sources, strict=True))

    def shown(start: int, width: int) -> list[str]:
        """The places of each operand from `start` on, a ReLU as a gate."""
        found = [(d.bits(w, stage, width, up - start, source=source), source) for w, up, source in operands]
        return [bits if source is None else f"({bits} & {{{width}{{~{sign}}}}})" for bits, source in found]

    passed = [bits for bits, up in zip(shown(0, row.start), ups, strict=True) if up < row.start] if row.start else []
    low = " | ".join(passed)
    above, name = width - row.start, f"w{wire}_row"
    if not above:
        return Statement(wire, low)
    if above < SHORTEST:
        total = " ".join(f"{'+' if s > 0 else '-'} {vector}" for s, vector in zip(signs, shown(row.start, above), strict=True))
        before = [f"wire [{above - 1}:0] {name} = {total.removeprefix('+ ')};"]
    else:
        d.rows = True
        vectors = [d.bits(w, stage, above, up - row.start, source=source) for w, up, source in operands]
        before = instance(row, vectors, f"{d.top}_row", name, sign)
    return Statement(wire, f"{{{name}, {low}}}" if row.start else name, tuple(before))


def _adder(d: CircuitDraft, wire: int) -> Statement:
    """a + (b << shift): where the low bits of one operand meet only zeros of the other, they bypass the adder."""
    if wire in d.gated.operands or (d.circuit.fused and d.opcode[wire] == Opcode.SUB and row_of(d.circuit, wire).early):
        return _row(d, wire)
    shift, stage, width = d.shift[wire], d.stage[wire], d.widths[wire]
    sign = "+" if d.opcode[wire] == Opcode.ADD else "-"
    a, b = d.a[wire], d.b[wire]
    low, by = (a, shift) if shift > 0 else (b, -shift)
    constant_low = d.opcode[low] == Opcode.CONST
    if by == 0 or width <= by or constant_low or (shift < 0 and sign == "-"):
        first, second = d.fit(a, stage, width, max(-shift, 0)), d.fit(b, stage, width, max(shift, 0))
        return Statement(wire, f"{first} {sign} {second}")
    # the part above bit `by` is an adder of its own; below, the finer operand passes
    above = width - by
    first, second = d.fit(a, stage, above, -max(shift, 0)), d.fit(b, stage, above, min(shift, 0))
    high = f"{first} {sign} {second}"
    if d.widths[low] <= by and not d.signed[low] and sign == "+":
        high = second if shift > 0 else first  # nothing but zeros to add
    mark = "signed " if d.signed[wire] else ""
    return Statement(wire, f"{{w{wire}_high, {d.bits(low, stage, by)}}}", (f"wire {mark}[{above - 1}:0] w{wire}_high = {high};",))


def _negation(d: CircuitDraft, wire: int) -> Statement:
    return Statement(wire, f"-{d.fit(d.a[wire], d.stage[wire], d.widths[wire])}")


def _shift(d: CircuitDraft, wire: int) -> Statement:
    return Statement(wire, d.bits(d.a[wire], d.stage[wire], d.widths[wire], -d.shift[wire]))


def _wrap(d: CircuitDraft, wire: int) -> Statement:
    return Statement(wire, d.bits(d.a[wire], d.stage[wire], d.widths[wire]))


def _clamp(d: CircuitDraft, wire: int) -> Statement:
    source, stage, width = d.a[wire], d.stage[wire], d.widths[wire]
    expression = d.bits(source, stage, width)
    low, high = d.low[wire], d.high[wire]
    below, above = d.low[source] < low, d.high[source] > high
    if above:
        expression = f"({_against(d, source, stage, '>', high)}) ? {literal(high, width)} : {expression}"
    if below:
        test = f"{d.name(source, stage)}[{d.widths[source] - 1}]" if low == 0 else _against(d, source, stage, "<", low)
        expression = f"({test}) ? {literal(low, width)} : {expression if not above else f'({expression})'}"
    return Statement(wire, expression)


def _against(d: CircuitDraft, source: int, stage: int, relation: str, bound: int) -> str:
    """A comparison with a constant, as signed numbers of as many bits as both need."""
    bits = max(d.compared(source), signed_bits(bound))
    return f"{d.fit(source, stage, bits)} {relation} $signed({literal(bound, bits)})"


def _product(d: CircuitDraft, wire: int) -> Statement:
    stage, width = d.stage[wire], d.widths[wire]
    return Statement(wire, f"{d.fit(d.a[wire], stage, width)} * {d.fit(d.b[wire], stage, width)}")


def _choice(d: CircuitDraft, wire: int) -> Statement:
    """The greater or the lesser operand; one that is the other shifted up is told apart by the sign alone."""
    stage, first, second, width = d.stage[wire], d.a[wire], d.b[wire], d.widths[wire]
    a, b = d.bits(first, stage, width), d.bits(second, stage, width)
    most = d.opcode[wire] == Opcode.MAX
    for near, far, x, shifted in ((first, second, a, b), (second, first, b, a)):
        if d.opcode[far] == Opcode.SHIFT and d.a[far] == near and d.shift[far] < 0 and d.signed[near]:
            sign = f"{d.name(near, stage)}[{d.widths[near] - 1}]"
            return Statement(wire, f"{sign} ? {x} : {shifted}" if most else f"{sign} ? {shifted} : {x}")
    bits = max(d.compared(first), d.compared(second))
    test = f"{d.fit(first, stage, bits)} {'>' if most else '<'} {d.fit(second, stage, bits)}"
    return Statement(wire, f"({test}) ? {a} : {b}")


def _lookup(d: CircuitDraft, wire: int) -> Statement:
    """A call of the table's function, and before its first use in a module the function: a case of the operand's raw bits."""
    source, number = d.a[wire], d.b[wire]
    low, in_width, out_width = d.low[source], d.widths[source], d.widths[wire]
    key = (d.group, number, low, in_width, out_width)
    lines: list[str] = []
    if key not in d.functions:
        d.functions[key] = name = f"table_{sum(known[0] == d.group for known in d.functions)}"
        raw = [entry & ((1 << out_width) - 1) for entry in d.circuit.tables[number]]
        rest = Counter(raw).most_common(1)[0][0]  # also for codes that never occur
        cases = [
            f"        {in_width}'d{(low + k) & ((1 << in_width) - 1)}: {name} = {out_width}'d{value};"
            for k, value in enumerate(raw)
            if value != rest
        ]
        lines = [
            f"function [{out_width - 1}:0] {name};",
            f"    input [{in_width - 1}:0] code;",
            "    case (code)",
            *cases,
            f"        default: {name} = {out_width}'d{rest};",
            "    endcase",
            "endfunction",
        ]
    return Statement(wire, f"{d.functions[key]}({d.name(source, d.stage[wire])})", tuple(lines))


_STATEMENTS: dict[Opcode, Callable[[CircuitDraft, int], Statement]] = {
    Opcode.INPUT: _input,
    Opcode.ADD: _adder,
    Opcode.SUB: _adder,
    **dict.fromkeys(WIRES_C, _row),
    Opcode.NEG: _negation,
    Opcode.SHIFT: _shift,
    Opcode.WRAP: _wrap,
    Opcode.CLAMP: _clamp,
    Opcode.MUL: _product,
    Opcode.MAX: _choice,
    Opcode.MIN: _choice,
    Opcode.TABLE: _lookup,
}
