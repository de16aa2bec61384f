"""Verilog-2005 from a pipelined Circuit: one module, a wire an operation, registers between the stages.

    module <top>(input clk, input [..] x, output [..] y)

A row goes in every clock; its result is at `y` after `latency` rising edges. No reset: nothing but data is stored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hwq.codegen.ports import Ports
from hwq.codegen.templates import render
from hwq.ir import Circuit, Opcode
from hwq.passes.pipeline import operands_of


@dataclass(slots=True)
class _Module:
    """What has been emitted so far; wires are named w<number>, and w<number>_<k> after k registers."""

    circuit: Circuit
    ports: Ports
    widths: list[int]
    signed: list[bool]
    registers: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    functions: dict[tuple[int, int, int, int], str] = field(default_factory=dict)  # (table, low and width of code, width) -> name

    def name(self, wire: int, stage: int) -> str:
        """The wire as seen in `stage`, behind as many registers as stages lie between."""
        delay = 0 if self.circuit.opcode[wire] == Opcode.CONST else stage - int(self.circuit.stage[wire])
        self.registers[wire] = max(self.registers[wire], delay)
        return f"w{wire}_{delay}" if delay else f"w{wire}"

    def operand(self, wire: int, stage: int) -> str:
        """The wire as a signed expression."""
        if self.widths[wire] == 0:
            return "$signed(1'b0)"
        if self.circuit.opcode[wire] == Opcode.CONST:
            return _constant(int(self.circuit.low[wire]))
        name = self.name(wire, stage)
        return name if self.signed[wire] else f"$signed({{1'b0, {name}}})"


def verilog_files(circuit: Circuit, ports: Ports, top: str) -> dict[str, str]:
    """`rtl/<top>.v`."""
    module = _Module(circuit, ports, [int(w) for w in circuit.widths], [bool(s) for s in circuit.signed])
    sections: list[tuple[str, list[str]]] = []
    last = -1
    for wire in range(len(circuit)):
        if circuit.opcode[wire] == Opcode.CONST or module.widths[wire] == 0:
            continue
        if circuit.node[wire] != last:
            last = int(circuit.node[wire])
            sections.append((circuit.names[last], []))
        sections[-1][1].extend(_statements(module, wire))
    outputs = _outputs(module)
    registers = _registers(module)
    values = {
        "top": top,
        "ports": ports,
        "sections": sections,
        "outputs": outputs,
        "registers": registers,
        "latency": circuit.latency,
    }
    return {f"rtl/{top}.v": render("verilog/top.v.j2", **values)}


def _constant(value: int) -> str:
    width = max(value.bit_length() + 1, 1)
    return f"-{width + 1}'sd{-value}" if value < 0 else f"{width}'sd{value}"


def _declaration(module: _Module, wire: int) -> str:
    return f"wire {'signed ' if module.signed[wire] else ''}[{module.widths[wire] - 1}:0] w{wire}"


def _statements(module: _Module, wire: int) -> list[str]:
    circuit = module.circuit
    op, stage, shift = Opcode(int(circuit.opcode[wire])), int(circuit.stage[wire]), int(circuit.shift[wire])
    head = _declaration(module, wire)
    if op is Opcode.INPUT:
        e = module.ports.inputs[int(circuit.a[wire])]
        return [f"{head} = x[{e.offset + e.width - 1}:{e.offset}];"]
    operands = [module.operand(w, stage) for w in operands_of(circuit, wire)]
    if op in (Opcode.ADD, Opcode.SUB):
        return _adder(module, wire, operands, shift, "+" if op is Opcode.ADD else "-")
    a = operands[0]
    if op is Opcode.NEG:
        return [f"{head} = -{a};"]
    if op is Opcode.SHIFT:
        return [f"{head} = {a} >>> {shift};" if shift > 0 else f"{head} = {a} <<< {-shift};"]
    if op is Opcode.WRAP:
        return [f"{head} = {a};"]
    if op is Opcode.MUL:
        return [f"{head} = {a} * {operands[1]};"]
    if op in (Opcode.MAX, Opcode.MIN):
        return [f"{head} = {_choice(module, wire, operands)};"]
    if op is Opcode.TABLE:
        return _lookup(module, wire)
    return [f"{head} = {_clamp(module, wire, a)};"]


def _adder(module: _Module, wire: int, operands: list[str], shift: int, sign: str) -> list[str]:
    """a + (b << shift): where the low bits of one operand meet only zeros of the other, they bypass the adder."""
    circuit, head = module.circuit, _declaration(module, wire)
    a, b = operands
    width, stage = module.widths[wire], int(circuit.stage[wire])
    low, by = (int(circuit.a[wire]), shift) if shift > 0 else (int(circuit.b[wire]), -shift)
    constant_low = circuit.opcode[low] == Opcode.CONST
    if by == 0 or width <= by or constant_low or (shift < 0 and sign == "-"):
        if shift >= 0:
            return [f"{head} = {a} {sign} ({b} <<< {shift});" if shift else f"{head} = {a} {sign} {b};"]
        return [f"{head} = ({a} <<< {-shift}) {sign} {b};"]
    # the part above bit `by` is an adder of its own; below, the finer operand passes
    fine = module.name(low, stage)
    narrow = module.widths[low]
    passed = f"{fine}[{by - 1}:0]"
    if narrow <= by:
        fill = f"{{{by - narrow}{{{fine}[{narrow - 1}]}}}}" if module.signed[low] else f"{by - narrow}'d0"
        passed = fine if narrow == by else f"{fill}, {fine}"
    high = f"({a} >>> {by}) {sign} {b}" if shift > 0 else f"{a} {sign} ({b} >>> {by})"
    mark = "signed " if module.signed[wire] else ""
    return [
        f"wire {mark}[{width - by - 1}:0] w{wire}_high = {high};",
        f"{head} = {{w{wire}_high, {passed}}};",
    ]


def _choice(module: _Module, wire: int, operands: list[str]) -> str:
    """The greater or the lesser operand; one that is the other shifted up is told apart by the sign alone."""
    circuit, (a, b) = module.circuit, operands
    first, second = operands_of(circuit, wire)
    for near, far, x, shifted in ((first, second, a, b), (second, first, b, a)):
        if (
            circuit.opcode[far] == Opcode.SHIFT
            and int(circuit.a[far]) == near
            and int(circuit.shift[far]) < 0
            and module.signed[near]
        ):
            sign = f"{module.name(near, int(circuit.stage[wire]))}[{module.widths[near] - 1}]"
            small, large = (x, shifted) if circuit.opcode[wire] == Opcode.MAX else (shifted, x)
            return f"{sign} ? {small} : {large}"
    return f"({a} {'>' if circuit.opcode[wire] == Opcode.MAX else '<'} {b}) ? {a} : {b}"


def _lookup(module: _Module, wire: int) -> list[str]:
    """A call of the table's function, and before its first use the function: a case of the operand's raw bits."""
    circuit = module.circuit
    source, number = int(circuit.a[wire]), int(circuit.b[wire])
    low, in_width, out_width = int(circuit.low[source]), module.widths[source], module.widths[wire]
    key = (number, low, in_width, out_width)
    lines: list[str] = []
    if key not in module.functions:
        module.functions[key] = name = f"table_{len(module.functions)}"
        raw = [entry & ((1 << out_width) - 1) for entry in circuit.tables[number]]
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
    return [*lines, f"{_declaration(module, wire)} = {module.functions[key]}({module.name(source, int(circuit.stage[wire]))});"]


def _clamp(module: _Module, wire: int, a: str) -> str:
    circuit = module.circuit
    source = int(circuit.a[wire])
    low, high = int(circuit.low[wire]), int(circuit.high[wire])
    below, above = int(circuit.low[source]) < low, int(circuit.high[source]) > high
    expression = a
    if above:
        expression = f"({a} > {_constant(high)}) ? {_constant(high)} : {expression}"
    if below:
        test = (
            f"{module.name(source, int(circuit.stage[wire]))}[{module.widths[source] - 1}]"
            if low == 0
            else f"{a} < {_constant(low)}"
        )
        expression = f"({test}) ? {_constant(low)} : {expression if not above else f'({expression})'}"
    return expression


def _outputs(module: _Module) -> list[str]:
    """One assignment an output element, each behind the register of the last stage."""
    circuit = module.circuit
    lines = []
    for wire, e in zip(circuit.outputs, module.ports.outputs, strict=True):
        if not e.width:
            continue
        if circuit.opcode[wire] == Opcode.CONST:
            value = int(circuit.low[wire]) & ((1 << e.width) - 1)
            source = f"{e.width}'d{value}"
        else:
            source = module.name(int(wire), circuit.latency)
            if module.widths[wire] > e.width:
                source += f"[{e.width - 1}:0]"
            elif module.widths[wire] < e.width:
                extended = f"{source}" if not module.signed[wire] else source
                source = _extended(extended, module.widths[wire], e.width, signed=module.signed[wire])
        lines.append(f"assign y[{e.offset + e.width - 1}:{e.offset}] = {source};")
    if not any(e.width for e in module.ports.outputs):
        lines.append("assign y = 1'b0;")
    return lines


def _extended(name: str, width: int, target: int, *, signed: bool) -> str:
    fill = f"{{{target - width}{{{name}[{width - 1}]}}}}" if signed else f"{target - width}'d0"
    return f"{{{fill}, {name}}}"


def _registers(module: _Module) -> list[tuple[str, str, str]]:
    """(declaration, target, source) of every register, in order."""
    out = []
    for wire in sorted(module.registers):
        mark = "signed " if module.signed[wire] else ""
        for k in range(1, module.registers[wire] + 1):
            source = f"w{wire}_{k - 1}" if k > 1 else f"w{wire}"
            out.append((f"reg {mark}[{module.widths[wire] - 1}:0] w{wire}_{k};", f"w{wire}_{k}", source))
    return out
