"""HLS C++ from a Circuit: the adder graph as ap_int statements, one a wire, for tools that share less than hwq does.

Wires are integers (mantissas); where their binary points lie is of no concern to an adder once they are aligned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwq.codegen.cpp_text import Section, integer_type, packed_into, table_lookup
from hwq.codegen.ports import Ports
from hwq.fixed.types import bits_for
from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import SIGNS, WIRES_C
from hwq.templates import render

LITERAL_BITS = 63


@dataclass(frozen=True, slots=True)
class _Text:
    """The circuit with what its statements need."""

    circuit: Circuit
    widths: list[int]
    ports: Ports

    def type_of(self, wire: int) -> str:
        """ap_int or ap_uint of the wire's own width."""
        return integer_type(max(self.widths[wire], 1), signed=bool(self.circuit.low[wire] < 0))

    def constant(self, value: int, like: int) -> str:
        return _constant(value, self.type_of(like))

    def name(self, wire: int) -> str:
        if self.circuit.opcode[wire] == Opcode.CONST:
            return self.constant(int(self.circuit.low[wire]), wire)
        return f"w{wire}"


def _constant(value: int, kind: str) -> str:
    """A literal of an integer type; one that no C++ literal holds is put together from two."""
    if abs(value).bit_length() <= LITERAL_BITS:
        return f"{kind}({value}LL)"
    high, low = value >> LITERAL_BITS, value & ((1 << LITERAL_BITS) - 1)
    return f"{kind}(({_constant(high, kind)} << {LITERAL_BITS}) | {_constant(low, kind)})"


def adder_sections(circuit: Circuit, ports: Ports) -> list[Section]:
    """The statements of every graph node's wires, in order, inputs unpacked and outputs packed."""
    text = _Text(circuit, [int(w) for w in circuit.widths], ports)
    sections: list[tuple[str, list[str]]] = []
    last = -1
    for wire in range(len(circuit)):
        if circuit.opcode[wire] == Opcode.CONST:
            continue
        if circuit.node[wire] != last:
            last = int(circuit.node[wire])
            sections.append((circuit.names[last], []))
        sections[-1][1].extend(_statements(text, wire))
    sections.append((f"{len(ports.outputs)} outputs", _outputs(text)))
    return [Section(comment, tuple(lines)) for comment, lines in sections]


def adders_file(circuit: Circuit, ports: Ports, top: str, interval: int = 1) -> dict[str, str]:
    """`hls/<top>.cpp` in the style "adders"; a row every `interval` clocks."""
    sections = adder_sections(circuit, ports)
    return {f"hls/{top}.cpp": render("cpp/adders.cpp.j2", top=top, ports=ports, sections=sections, interval=interval)}


def _statements(text: _Text, wire: int) -> list[str]:
    circuit, op = text.circuit, Opcode(int(text.circuit.opcode[wire]))
    if op is Opcode.INPUT:
        e = text.ports.inputs[int(circuit.a[wire])]
        bits = f"ap_uint<{e.width}> w{wire}_bits = x.range({e.offset + e.width - 1}, {e.offset});"
        return [bits, f"{text.type_of(wire)} w{wire} = w{wire}_bits;"]
    return STATEMENTS[op](text, wire)


def _call(text: _Text, wire: int, function: str, *operands: str) -> list[str]:
    return [f"{text.type_of(wire)} w{wire} = 0;", f"{function}(w{wire}, {', '.join(operands)});"]


def _assign(text: _Text, wire: int, expression: str) -> list[str]:
    return [f"{text.type_of(wire)} w{wire} = {expression};"]


def _add(text: _Text, wire: int) -> list[str]:
    a, b, shift = _operands(text, wire)
    return _call(text, wire, "add", a, b, str(shift)) if shift >= 0 else _call(text, wire, "add", b, a, str(-shift))


def _subtract(text: _Text, wire: int) -> list[str]:
    a, b, shift = _operands(text, wire)
    return _call(text, wire, "subtract", a, b, str(shift)) if shift >= 0 else _call(text, wire, "subtract_from", b, a, str(-shift))


def _operands(text: _Text, wire: int) -> tuple[str, str, int]:
    c = text.circuit
    return text.name(int(c.a[wire])), text.name(int(c.b[wire])), int(c.shift[wire])


def _sum(text: _Text, wire: int) -> list[str]:
    """One expression of three terms: HLS compilers make one row of look-up tables of it."""
    c = text.circuit
    kind, terms = text.type_of(wire), []
    for column, up, sign in zip((c.a, c.b, c.c), c.ups(wire), SIGNS[Opcode(int(c.opcode[wire]))], strict=True):
        term = f"{kind}({text.name(int(column[wire]))})"
        terms.append(f"{'+' if sign > 0 else '-'} {f'({term} << {up})' if up else term}")
    return _assign(text, wire, " ".join(terms).removeprefix("+ "))


def _negate(text: _Text, wire: int) -> list[str]:
    return _assign(text, wire, f"-{text.name(int(text.circuit.a[wire]))}")


def _shift(text: _Text, wire: int) -> list[str]:
    a, shift = text.name(int(text.circuit.a[wire])), int(text.circuit.shift[wire])
    return _assign(text, wire, f"{a} >> {shift}" if shift >= 0 else f"{text.type_of(wire)}({a}) << {-shift}")


def _wrap(text: _Text, wire: int) -> list[str]:
    return _assign(text, wire, text.name(int(text.circuit.a[wire])))


def _clamp(text: _Text, wire: int) -> list[str]:
    source, c = int(text.circuit.a[wire]), text.circuit
    # the bounds in the source's own type: one that lies outside it bounds nothing
    low, high = max(int(c.low[wire]), int(c.low[source])), min(int(c.high[wire]), int(c.high[source]))
    return _call(text, wire, "clamp", text.name(source), text.constant(low, source), text.constant(high, source))


def _multiply(text: _Text, wire: int) -> list[str]:
    a, b, _ = _operands(text, wire)
    return _assign(text, wire, f"{a} * {b}")


def _extreme(sign: str) -> Callable[[_Text, int], list[str]]:
    def statements(text: _Text, wire: int) -> list[str]:
        a, b, _ = _operands(text, wire)
        one, other = _alike(text, wire)
        return [*_assign(text, wire, b), f"if ({one} {sign} {other}) w{wire} = {a};"]

    return statements


def _alike(text: _Text, wire: int) -> list[str]:
    """Both operands in one type: C++ compares a signed with an unsigned one as if both were unsigned, from 32 bits on."""
    c = text.circuit
    operands = int(c.a[wire]), int(c.b[wire])
    kinds = [text.type_of(o) for o in operands]
    if kinds[0] == kinds[1]:
        return [text.name(o) for o in operands]
    low, high = min(int(c.low[o]) for o in operands), max(int(c.high[o]) for o in operands)
    common = integer_type(max(bits_for(low, high), 1), signed=low < 0)
    return [f"{common}({text.name(o)})" for o in operands]


def _table(text: _Text, wire: int) -> list[str]:
    c = text.circuit
    source = int(c.a[wire])
    low, width = int(c.low[source]), text.widths[source]
    entries = [0] * (1 << width)
    for k, entry in enumerate(c.tables[int(c.b[wire])]):
        entries[(low + k) % len(entries)] = entry
    lines, looked_up = table_lookup(f"w{wire}_table", entries, f"w{wire}_code", text.type_of(wire))
    return [*lines, f"ap_uint<{width}> w{wire}_code = {text.name(source)};", *_assign(text, wire, looked_up)]


STATEMENTS: dict[Opcode, Callable[[_Text, int], list[str]]] = {
    Opcode.ADD: _add,
    Opcode.SUB: _subtract,
    **dict.fromkeys(WIRES_C, _sum),
    Opcode.NEG: _negate,
    Opcode.SHIFT: _shift,
    Opcode.WRAP: _wrap,
    Opcode.CLAMP: _clamp,
    Opcode.MUL: _multiply,
    Opcode.MAX: _extreme(">"),
    Opcode.MIN: _extreme("<"),
    Opcode.TABLE: _table,
}


def _outputs(text: _Text) -> list[str]:
    lines = [f"ap_uint<{text.ports.output_bits}> packed = 0;"]
    for number, (wire, e) in enumerate(zip(text.circuit.outputs.tolist(), text.ports.outputs, strict=True)):
        if e.width:
            lines.append(f"ap_uint<{e.width}> y_{number} = {text.name(wire)};")
            lines.append(packed_into(text.ports.output_bits, e.offset, f"y_{number}"))
    return [*lines, "*y = packed;"]
