"""Native C++ of a Circuit for fast simulation: a statement a wire, each a vector of samples in the narrowest integers that hold it.

The circuit is cut into functions of bounded length, and those into files, so that compile time grows linearly with the wires; what
one function hands on to another lies in a scratch memory whose slots are used again. Only g++ reads this, no HLS tool does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding
from hwq.ir import Circuit, Graph, Opcode
from hwq.ir.circuit import SIGNS
from hwq.passes.pipeline import operands_of
from hwq.templates import render

LANES = 32  # samples in a vector: of 16 bits one register of AVX-512, two of AVX2
CHUNK = 250  # wires in a function: what g++ does grows faster than linearly beyond
PART = 40  # functions in a file
VECTORS = (16, 32, 64)  # bits; 8 gain nothing: no instruction shifts bytes, and sums outgrow them at once
WIDEST = 128
PORT_BITS = 64  # of outputs and of tables' entries

_ROUNDING = {Rounding.TRN: 0, Rounding.RND: 1, Rounding.RND_CONV: 2}


@dataclass(frozen=True, slots=True)
class Native:
    """Files (name -> text) and the sources among them, to be compiled one by one."""

    files: dict[str, str]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A function over consecutive wires; `shared` where another file calls it, `tables` are the numbers of those it reads."""

    number: int
    lines: tuple[str, ...]
    shared: bool
    tables: frozenset[int]


@dataclass(frozen=True, slots=True)
class Table:
    """A table in the integers that hold its values."""

    number: int
    bits: int
    values: tuple[str, ...]


def integer_bits(low: int, high: int) -> int:
    """The narrowest two's complement type that holds [low, high].

    Raises:
        GraphError: more than 128 bits.
    """
    need = max(low if low >= 0 else -low - 1, high).bit_length() + 1
    for bits in (*VECTORS, WIDEST):
        if need <= bits:
            return bits
    raise GraphError(f"a wire of {need} bits has no native integer type")


@dataclass(frozen=True, slots=True)
class _Wire:
    """A wire while its statement is written: operands by the type they are wanted in."""

    emitter: _Emitter
    number: int

    @property
    def shift(self) -> int:
        return self.emitter.shift[self.number]

    @property
    def bits(self) -> int:
        return self.emitter.bits[self.number]

    @property
    def bounds(self) -> tuple[int, int]:
        return self.emitter.low[self.number], self.emitter.high[self.number]

    def operand(self, wire: int, bits: int, up: int = 0) -> str:
        """The low `bits` bits of a wire times 2^up."""
        e = self.emitter
        if e.constant[wire]:
            return _fill(e.low[wire] << up, bits)
        if up >= bits:
            return _fill(0, bits)
        name = f"w{wire}" if e.bits[wire] == bits else f"to_i{bits}(w{wire})"
        return f"({name} << {up})" if up else name

    def first(self, bits: int, up: int = 0) -> str:
        return self.operand(self.emitter.a[self.number], bits, up)

    def second(self, bits: int, up: int = 0) -> str:
        return self.operand(self.emitter.b[self.number], bits, up)

    @property
    def source_bits(self) -> int:
        return self.emitter.bits[self.emitter.a[self.number]]


def _fill(value: int, bits: int) -> str:
    value = ((value + (1 << (bits - 1))) & ((1 << bits) - 1)) - (1 << (bits - 1))
    if bits <= 64:
        return f"fill_i{bits}({_int64(value)})"
    return f"fill_i128(((__int128){_int64(value >> 64)} << 64) | {value & ((1 << 64) - 1)}ULL)"


def _int64(value: int) -> str:
    return f"({value + 1}LL - 1)" if value == -(1 << 63) else f"{value}LL"


def _sum(w: _Wire) -> str:
    e, ups = w.emitter, w.emitter.circuit.ups(w.number)
    operands = [w.operand(int(column[w.number]), w.bits, up) for column, up in zip((e.a, e.b, e.c), ups, strict=False)]
    signs = SIGNS[Opcode[e.opcode[w.number]]]
    return "".join(f" {'+' if sign > 0 else '-'} {operand}" for sign, operand in zip(signs, operands, strict=True)).removeprefix(
        " + "
    )


def _shift(w: _Wire) -> str:
    if w.shift <= 0:
        return w.first(w.bits, -w.shift)
    source = w.source_bits
    moved = f"({w.first(source)} >> {min(w.shift, source - 1)})"
    return moved if source == w.bits else f"to_i{w.bits}{moved}"


def _wrap(w: _Wire) -> str:
    low, high = w.bounds
    if high - low == (1 << w.bits) - 1:
        return w.first(w.bits)
    if low == 0:
        return f"{w.first(w.bits)} & {_fill(high, w.bits)}"
    return f"(({w.first(w.bits)} - {_fill(low, w.bits)}) & {_fill(high - low, w.bits)}) + {_fill(low, w.bits)}"


def _clamp(w: _Wire) -> str:
    low, high = w.bounds
    bits = max(w.bits, w.source_bits)
    text = w.first(bits)
    source = w.emitter.a[w.number]
    if w.emitter.high[source] > high:
        text = f"smaller({text}, {_fill(high, bits)})"
    if w.emitter.low[source] < low:
        text = f"larger({text}, {_fill(low, bits)})"
    return text if bits == w.bits else f"to_i{w.bits}({text})"


def _extreme(function: str) -> Callable[[_Wire], str]:
    def text(w: _Wire) -> str:
        e, up_a, up_b = w.emitter, max(-w.shift, 0), max(w.shift, 0)
        bounds = [(e.low[i] << up, e.high[i] << up) for i, up in ((e.a[w.number], up_a), (e.b[w.number], up_b))]
        bits = max(w.bits, *(integer_bits(low, high) for low, high in bounds))
        both = f"{function}({w.first(bits, up_a)}, {w.second(bits, up_b)})"
        return both if bits == w.bits else f"to_i{w.bits}({both})"

    return text


def _table(w: _Wire) -> str:
    e, source = w.emitter, w.emitter.a[w.number]
    return f"to_i{w.bits}(lookup_i{e.table(e.b[w.number]).bits}(table_{e.b[w.number]}, {_int64(e.low[source])}, {w.first(w.source_bits)}))"


# by name: an operation is one line
EXPRESSIONS: dict[str, Callable[[_Wire], str]] = {
    "CONST": lambda w: _fill(w.bounds[0], w.bits),
    **{op.name: _sum for op in SIGNS},
    "NEG": lambda w: f"-{w.first(w.bits)}",
    "SHIFT": _shift,
    "WRAP": _wrap,
    "CLAMP": _clamp,
    "MUL": lambda w: f"{w.first(w.bits)} * {w.second(w.bits)}",
    "MAX": _extreme("larger"),
    "MIN": _extreme("smaller"),
    "TABLE": _table,
}


@dataclass(slots=True)
class _Slots:
    """Scratch memory: a slot a wire, free again after the last function that reads it."""

    size: int = 0
    of: dict[int, int] = field(default_factory=dict)
    _free: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def take(self, wire: int, bits: int) -> None:
        if self._free[bits]:
            self.of[wire] = self._free[bits].pop()
        else:
            self.of[wire] = self.size
            self.size += -(-LANES * bits // 512) * 64

    def release(self, wire: int, bits: int) -> None:
        self._free[bits].append(self.of[wire])


class _Emitter:
    """The circuit's columns as Python lists, and the functions made of them."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.opcode = [Opcode(int(op)).name for op in circuit.opcode]
        self.a: list[int] = circuit.a.tolist()
        self.b: list[int] = circuit.b.tolist()
        self.c: list[int] = circuit.c.tolist()
        self.shift: list[int] = circuit.shift.tolist()
        self.low, self.high = ([int(v) for v in column] for column in (circuit.low, circuit.high))
        self.bits = [integer_bits(low, high) for low, high in zip(self.low, self.high, strict=True)]
        self.outputs = [int(w) for w in circuit.outputs]
        kept = set(self.outputs)
        self.constant = [op == "CONST" for op in self.opcode]
        self.work = [i for i, op in enumerate(self.opcode) if op != "INPUT" and (op != "CONST" or i in kept)]
        self.slots = _Slots()
        self.tables: dict[int, Table] = {}

    def table(self, number: int) -> Table:
        if number not in self.tables:
            values = self.circuit.tables[number]
            bits = integer_bits(min(values), max(values))
            if bits > PORT_BITS:
                raise GraphError(f"a table's entries of {bits} bits have no native form")
            self.tables[number] = Table(number, bits, tuple(map(_int64, values)))
        return self.tables[number]

    def chunks(self) -> list[Chunk]:
        pieces = [self.work[i : i + CHUNK] for i in range(0, len(self.work), CHUNK)]
        home = {wire: number for number, piece in enumerate(pieces) for wire in piece}
        last: dict[int, int] = {}
        for number, piece in enumerate(pieces):
            for wire in piece:
                for operand in operands_of(self.circuit, wire):
                    if not self.constant[operand] and home.get(operand, -1) != number:
                        last[operand] = number
        for wire in self.outputs:
            last[wire] = len(pieces)
        for wire, op in enumerate(self.opcode):
            if op == "INPUT" and wire in last:
                self.slots.take(wire, self.bits[wire])
        ends = defaultdict(list)
        for wire, number in last.items():
            ends[number].append(wire)
        shared = len(pieces) > PART
        out = []
        for number, piece in enumerate(pieces):
            used = frozenset(self.b[wire] for wire in piece if self.opcode[wire] == "TABLE")
            out.append(Chunk(number, tuple(self._lines(piece, last)), shared, used))
            for wire in ends[number]:
                self.slots.release(wire, self.bits[wire])
        return out

    def _lines(self, piece: list[int], last: dict[int, int]) -> list[str]:
        inside = set(piece)
        read = {o for wire in piece for o in operands_of(self.circuit, wire) if o not in inside and not self.constant[o]}
        lines = [f"const i{self.bits[o]} w{o} = *(const i{self.bits[o]} *)(s + {self.slots.of[o]});" for o in sorted(read)]
        for wire in piece:
            lines.append(f"const i{self.bits[wire]} w{wire} = {EXPRESSIONS[self.opcode[wire]](_Wire(self, wire))};")
        for wire in piece:
            if wire in last:
                self.slots.take(wire, self.bits[wire])
                lines.append(f"*(i{self.bits[wire]} *)(s + {self.slots.of[wire]}) = w{wire};")
        return lines


def native_files(circuit: Circuit, graph: Graph) -> Native:
    """The emulator's sources.

    Args:
        circuit: what is computed; its inputs and outputs are those of `graph`, element by element.
        graph: says how a float input is quantised and at which steps the outputs are.

    Raises:
        GraphError: a wire of more than 128 bits, a table's entry of more than 64, or an operation that has no native form.
    """
    emitter = _Emitter(circuit)
    unknown = set(emitter.opcode) - {*EXPRESSIONS, "INPUT"}
    if unknown:
        raise GraphError(f"operations without a native form: {', '.join(sorted(unknown))}")
    chunks = emitter.chunks()
    whole = len(chunks) <= PART
    files = {"lanes.h": render("emulator/lanes.h.j2", lanes=LANES, vectors=VECTORS)}
    sources = []
    for first in range(0, max(len(chunks), 1), PART):
        name = f"part_{first // PART}.cpp"
        part = chunks[first : first + PART]
        tables = [emitter.tables[n] for n in sorted(frozenset().union(*(c.tables for c in part)))]
        files[name] = render("emulator/part.cpp.j2", chunks=part, tables=tables)
        sources.append(name)
    files["main.cpp"] = render(
        "emulator/main.cpp.j2",
        lanes=LANES,
        vectors=VECTORS,
        include=sources[0] if whole else "lanes.h",
        whole=whole,
        chunks=[c.number for c in chunks],
        inputs=_inputs(emitter, graph),
        outputs=_outputs(emitter, graph),
        scratch=max(emitter.slots.size, 1),
    )
    return Native(files, ("main.cpp",) if whole else ("main.cpp", *sources))


def _inputs(emitter: _Emitter, graph: Graph) -> list[dict[str, int]]:
    wires = {emitter.a[i]: i for i, op in enumerate(emitter.opcode) if op == "INPUT"}
    out: list[dict[str, int]] = []
    for name in graph.inputs:
        for t in graph[name].type:
            wire = wires.get(len(out), -1)
            out.append(
                {
                    "slot": emitter.slots.of.get(wire, -1),
                    "bytes": emitter.bits[wire] // 8 if wire >= 0 else 0,
                    "rounding": _ROUNDING[t.rounding],
                    "wraps": int(t.overflow is Overflow.WRAP),
                    "frac": t.frac,
                    "width": t.width,
                    "low": t.lowest,
                    "high": t.highest,
                    "mask": (1 << t.width) - 1,
                }
            )
    return out


def _outputs(emitter: _Emitter, graph: Graph) -> list[dict[str, int]]:
    types = [t for name in graph.outputs for t in graph[name].type]
    return [
        {"slot": emitter.slots.of[wire], "bytes": emitter.bits[wire] // 8, "frac": t.frac}
        for wire, t in zip(emitter.outputs, types, strict=True)
    ]
