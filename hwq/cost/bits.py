"""A pipelined circuit bit by bit, as the emitted Verilog spells it: which bits are the same wire, and which anything reads.

A wire's bit is a number: 0 and 1 are constants, any other is a bit that some operation makes. Shifting, wrapping and sign extension
make none, they only name bits again; so do the low bits of an adder that meet zeros. What is not read needs neither register nor
gate, except in an adder, which the scripts of the tools keep whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import ADDERS, SIGNS, WIRES_C
from hwq.passes.adders.gates import gated
from hwq.passes.adders.row import row_of

ZERO, ONE = 0, 1


@dataclass(frozen=True, slots=True)
class Adder:
    """The carry chain of one addition, subtraction or negation.

    Attributes:
        length: bits of the chain, those that bypass it left out.
        pairs: places at which two different bits that are no constants meet, or three; equal places, as in sign extensions, count once.
        first: 1 for a subtraction whose lowest place is a pair: that bit of the result is a function apart from the chain.
    """

    wire: int
    length: int
    pairs: int
    first: int


@dataclass(frozen=True, slots=True)
class Gate:
    """An operation made of gates: its result's bits, and what each of them depends on; `relu` for a clamp at zero alone."""

    wire: int
    opcode: Opcode
    relu: bool
    outputs: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Reads:
    """The bits that an adder reads: as they are, where it subtracts them, and those of a ReLU that it takes in."""

    plain: Sequence[int]
    subtracted: Sequence[int] = ()
    absorbed: Sequence[int] = ()


@dataclass(slots=True)
class BitView:
    """What a circuit is made of; the lists `stage`, `kept`, `live` and `bare` have an entry a bit.

    Attributes:
        bits: of each wire, lowest first.
        stage: the pipeline stage that makes a bit.
        kept: for how many stages registers carry it on.
        live: whether anything reads it.
        bare: whether a gate must make it: something in its own stage reads it that cannot make it by itself, as a register can by its
            reset, a saturation, and the lookup table of what is subtracted by one more input.
        subtracted: whether it is subtracted in its own stage.
    """

    bits: list[Sequence[int]] = field(default_factory=list)
    adders: list[Adder] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    stage: list[int] = field(default_factory=lambda: [0, 0])
    kept: list[int] = field(default_factory=list)
    live: list[bool] = field(default_factory=list)
    bare: list[bool] = field(default_factory=list)
    subtracted: list[bool] = field(default_factory=list)

    @property
    def register_bits(self) -> int:
        """Flip-flops; the registers behind a bit are shared by all its readers."""
        return sum(self.kept)

    def _new(self, count: int, stage: int) -> list[int]:
        start = len(self.stage)
        self.stage += [stage] * count
        return list(range(start, start + count))

    def _read(self, bits: Iterable[int], stage: int, how: str = "bare") -> None:
        for bit in bits:
            if bit > ONE:
                self.live[bit] = True
                self.kept[bit] = max(self.kept[bit], stage - self.stage[bit])
                if stage == self.stage[bit] and how != "absorbed":
                    (self.bare if how == "bare" else self.subtracted)[bit] = True


def bit_view(circuit: Circuit) -> BitView:
    """Every bit of `circuit`: forward through its operations, then backward from the outputs."""
    view = BitView()
    c = _Columns(circuit)
    makers = [_make(view, c, wire) for wire in range(len(circuit))]
    view.kept = [0] * len(view.stage)
    view.live, view.bare, view.subtracted = ([False] * len(view.stage) for _ in range(3))
    latency = circuit.latency
    for wire in circuit.outputs.tolist():
        view._read(view.bits[wire], latency)
    for wire in range(len(circuit) - 1, -1, -1):
        maker, stage = makers[wire], c.stage[wire]
        if isinstance(maker, Gate):
            for bit, inputs in zip(maker.outputs, maker.inputs, strict=True):
                if view.live[bit]:
                    view._read(inputs, stage, "absorbed" if maker.opcode is Opcode.CLAMP and not maker.relu else "bare")
        elif maker is not None:
            view._read(maker.plain, stage)
            view._read(maker.subtracted, stage, "subtracted")
            view._read(maker.absorbed, stage, "absorbed")
    return view


class _Columns:
    """A circuit's columns as lists."""

    def __init__(self, c: Circuit) -> None:
        self.circuit, self.gated = c, gated(c).operands
        self.opcode, self.a, self.b, self.shift = c.opcode.tolist(), c.a.tolist(), c.b.tolist(), c.shift.tolist()
        self.low, self.high = c.low.tolist(), c.high.tolist()
        self.widths, self.stage = c.widths.tolist(), c.stage.tolist()


def _make(view: BitView, c: _Columns, wire: int) -> Gate | _Reads | None:
    """Name the bits of a wire; the gates that make them, or what an adder reads (plainly, and as what is subtracted)."""
    op, width, stage = Opcode(c.opcode[wire]), c.widths[wire], c.stage[wire]
    if op is Opcode.INPUT:
        view.bits.append(view._new(width, stage))
        return None
    if op is Opcode.CONST:
        view.bits.append([c.low[wire] >> i & 1 for i in range(width)])
        return None
    if op is Opcode.SHIFT or op is Opcode.WRAP:
        by = c.shift[wire] if op is Opcode.SHIFT else 0
        view.bits.append(_bits(view, c, c.a[wire], -by, width))
        return None
    if op in ADDERS:
        return _row(view, c, wire, op) if op in WIRES_C or wire in c.gated else _chain(view, c, wire, op)
    gate = _gate(view, c, wire, op)
    view.gates.append(gate)
    return gate


def _bits(view: BitView, c: _Columns, wire: int, up: int, width: int) -> list[int]:
    """`width` bits of a wire shifted up, with zeros below and its sign above."""
    own = view.bits[wire]
    sign = own[-1] if own and c.low[wire] < 0 else ZERO
    return [ZERO if i < up else own[i - up] if i - up < len(own) else sign for i in range(width)]


def _chain(view: BitView, c: _Columns, wire: int, op: Opcode) -> _Reads:
    width, stage, shift = c.widths[wire], c.stage[wire], c.shift[wire]
    subtract = op is not Opcode.ADD
    if op is Opcode.NEG:
        a, b = [ZERO] * width, _bits(view, c, c.a[wire], 0, width)
    else:
        a, b = _bits(view, c, c.a[wire], max(-shift, 0), width), _bits(view, c, c.b[wire], max(shift, 0), width)
    low = 0
    while low < width and (b[low] == ZERO or (a[low] == ZERO and not subtract)):
        low += 1
    passed = [x if y == ZERO else y for x, y in zip(a[:low], b[:low], strict=True)]
    view.bits.append(passed + view._new(width - low, stage))
    high = list(zip(a[low:], b[low:], strict=True))
    pairs = {(x, y) for x, y in high if x > ONE and y > ONE and x != y}
    # a row of look-up tables works its first carry out beside the chain
    first = int(bool(high) and subtract and high[0] in pairs and not c.circuit.fused)
    if high:
        view.adders.append(Adder(wire, len(high), len(pairs), first))
    paired = {y for _, y in pairs} if subtract else set()
    # bits that pass an adder spelt as a whole are bits of its result, which the scripts keep
    whole = passed[_apart(c, wire, op) :]
    plain = [*whole, *(x for x, _ in high), *(y for x, y in high if not subtract or (x, y) not in pairs)]
    return _Reads(plain, list(paired))


def _row(view: BitView, c: _Columns, wire: int, op: Opcode) -> _Reads:
    """A row of tables that are cells: they read every bit as it is, but for the ReLU that they take in."""
    gate, _ = c.gated.get(wire, ((), wire))
    width, row, count = c.widths[wire], row_of(c.circuit, wire, gate), len(SIGNS[op])
    wires = [int(column[wire]) for column in (c.circuit.a, c.circuit.b, c.circuit.c)[:count]]
    operands = [_bits(view, c, w, up, width) for w, up in zip(wires, c.circuit.ups(wire), strict=True)]
    passed = [max(places) for places in zip(*(bits[: row.start] for bits in operands), strict=True)]
    taken = [bit for number in gate for bit in operands[number] if bit > ONE]
    below = dict.fromkeys(bit for bit in passed if bit in taken)
    names = dict(zip(below, view._new(len(below), c.stage[wire]), strict=True))
    view.bits.append([names.get(bit, bit) for bit in passed] + view._new(width - row.start, c.stage[wire]))
    if row.start < width:
        view.adders.append(Adder(wire, width - row.start, row.tables, 0))
    plain = [bit for number, bits in enumerate(operands) if number not in gate for bit in bits[row.start :]]
    return _Reads(plain, absorbed=taken)


def _apart(c: _Columns, wire: int, op: Opcode) -> int:
    """How many low bits the Verilog spells beside the adder, instead of adding zeros to them (`hwq.codegen.verilog_ops`)."""
    shift = c.shift[wire]
    if op is Opcode.NEG or shift == 0 or (shift < 0 and op is Opcode.SUB) or c.widths[wire] <= abs(shift):
        return 0
    fine = c.a[wire] if shift > 0 else c.b[wire]
    return 0 if c.opcode[fine] == Opcode.CONST else abs(shift)


def _gate(view: BitView, c: _Columns, wire: int, op: Opcode) -> Gate:
    """Clamps, choices, products and tables: which bits of the operands each bit of the result depends on."""
    width, stage = c.widths[wire], c.stage[wire]
    a = _bits(view, c, c.a[wire], 0, c.widths[c.a[wire]])
    if op is Opcode.CLAMP and is_relu(c.circuit, wire):
        named = dict.fromkeys(a[:width])
        made = dict(zip((bit for bit in named if bit > ONE), view._new(sum(bit > ONE for bit in named), stage), strict=True))
        view.bits.append([made.get(bit, bit) for bit in a[:width]])
        return Gate(wire, op, True, tuple(made.values()), tuple((bit, a[-1]) for bit in made))
    every = tuple(a)
    if op is Opcode.MUL:
        every += tuple(_bits(view, c, c.b[wire], 0, c.widths[c.b[wire]]))
    if op in (Opcode.MAX, Opcode.MIN):
        return _choice(view, c, wire, op)
    outputs = view._new(width, stage)
    view.bits.append(outputs)
    # bit i of a product depends on the bits up to i of both factors
    parts = [tuple(x[: i + 1] for x in (a, every[len(a) :])) for i in range(width)] if op is Opcode.MUL else []
    return Gate(wire, op, False, tuple(outputs), tuple((*x, *y) for x, y in parts) or (every,) * width)


def _choice(view: BitView, c: _Columns, wire: int, op: Opcode) -> Gate:
    """Where the operands have the same bit there is nothing to choose."""
    width = c.widths[wire]
    a, b = (_bits(view, c, operand, 0, max(width, c.widths[c.a[wire]], c.widths[c.b[wire]])) for operand in (c.a[wire], c.b[wire]))
    compared = tuple(bit for x, y in zip(a, b, strict=True) if x != y for bit in (x, y))
    outputs: list[int] = []
    bits = []
    for x, y in zip(a[:width], b[:width], strict=True):
        bits.append(x if x == y else view._new(1, c.stage[wire])[0])
        outputs += bits[-1:] if x != y else []
    view.bits.append(bits)
    return Gate(wire, op, False, tuple(outputs), (compared,) * len(outputs))


def is_relu(circuit: Circuit, wire: int) -> bool:
    """Whether a clamp only cuts negative values to zero."""
    return bool(circuit.low[wire] == 0 and circuit.high[wire] == circuit.high[circuit.a[wire]])
