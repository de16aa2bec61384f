"""Verilog-2005 from a pipelined Circuit: a module for each node of the graph, and the top that joins them.

    module <top>(input clk, input [..] x, output [..] y)

A row goes in every clock; its result is at `y` after `latency` rising edges. No reset: nothing but data is stored. A wire belongs to
the module of the node that first asked for it, and so do the registers that carry it on to later stages, whoever reads them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from hwq.codegen.ports import Ports
from hwq.codegen.verilog_ops import TOP, CircuitDraft, DelayedWire, Statement, signal_name, statement
from hwq.ir import Circuit, Opcode
from hwq.templates import render


@dataclass(frozen=True, slots=True)
class Module:
    """One module as the template prints it; `inputs` and `outputs` are (declaration, name)."""

    name: str
    node: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    registers: tuple[tuple[str, str, str], ...]  # (declaration or nothing, target, source)
    lines: tuple[str, ...]

    def ports(self, enable: bool) -> list[str]:
        """The declarations of its ports; a module without registers has no clock, and with `enable` the others have one for it."""
        return (
            [f"input  {kind} {name}" for kind, name in self.inputs]
            + [f"output {kind} {name}" for kind, name in self.outputs]
            + [f"input  wire {name}" for name in self._clocked(enable)]
        )

    def names(self, enable: bool) -> list[str]:
        return [name for _, name in (*self.inputs, *self.outputs)] + self._clocked(enable)

    def _clocked(self, enable: bool) -> list[str]:
        return [] if not self.registers else ["ce", "clk"] if enable else ["clk"]


def verilog_files(circuit: Circuit, ports: Ports, top: str) -> dict[str, str]:
    """`rtl/<top>.v`."""
    return {f"rtl/{top}.v": verilog_text(circuit, ports, top)}


def verilog_text(circuit: Circuit, ports: Ports, top: str, *, enable: bool = False) -> str:
    """The modules of `circuit`; with `enable`, an input `ce` without which no register moves."""
    d = CircuitDraft(circuit, ports, top)
    groups: dict[int, list[Statement]] = defaultdict(list)
    for wire in range(len(circuit)):
        if d.opcode[wire] != Opcode.CONST and d.widths[wire] and wire not in d.gated.unread:
            d.group = d.groups[wire]
            groups[d.group].append(statement(d, wire))
    d.group = TOP
    outputs = _outputs(d)
    own = _own_signals(groups, d)
    exports: dict[int, dict[DelayedWire, None]] = defaultdict(dict)
    for group in sorted(d.imports):
        for signal in d.imports[group]:
            exports[d.groups[signal[0]]][signal] = None
    modules = [_module(d, f"{top}_{circuit.names[g]}", g, groups[g], own[g], exports[g]) for g in sorted(groups) if g != TOP]
    here = _module(d, top, TOP, groups[TOP], own[TOP], {})
    values = {"top": top, "ports": ports, "modules": modules, "here": here, "outputs": outputs}
    return render("verilog/top.v.j2", enable=enable, latency=circuit.latency, rows=d.rows, **values)


def _own_signals(groups: dict[int, list[Statement]], d: CircuitDraft) -> dict[int, list[DelayedWire]]:
    """The registers of each group, in order."""
    return {g: [(s.wire, k) for s in each for k in range(1, d.delays[s.wire] + 1)] for g, each in groups.items()} | {
        g: [] for g in {TOP} - set(groups)
    }


def _module(
    d: CircuitDraft,
    name: str,
    group: int,
    statements: list[Statement],
    registers: list[DelayedWire],
    exports: dict[DelayedWire, None],
) -> Module:
    lines: list[str] = []
    for s in statements:
        lines += s.before
        head = "assign" if (s.wire, 0) in exports else f"wire {d.kind(s.wire)}"
        lines.append(f"{head} w{s.wire} = {s.value};")
    stored = tuple(
        (
            "" if signal in exports else f"reg {d.kind(signal[0])} {signal_name(signal)};",
            signal_name(signal),
            signal_name((signal[0], k - 1)),
        )
        for signal in registers
        for k in (signal[1],)
    )
    inputs = tuple((f"wire {d.kind(signal[0])}", signal_name(signal)) for signal in d.imports[group])
    outputs = tuple((f"{'reg ' if signal[1] else 'wire'} {d.kind(signal[0])}", signal_name(signal)) for signal in exports)
    return Module(name, "" if group == TOP else d.circuit.names[group], inputs, outputs, stored, tuple(lines))


def _outputs(d: CircuitDraft) -> list[str]:
    """One assignment an output element, each behind the register of the last stage."""
    lines = []
    latency = d.circuit.latency
    for wire, e in zip(d.circuit.outputs.tolist(), d.ports.outputs, strict=True):
        if not e.width:
            continue
        if d.opcode[wire] == Opcode.CONST:
            value = d.low[wire] & ((1 << e.width) - 1)
            source = f"{e.width}'d{value}"
        else:
            source = d.name(wire, latency)
            if d.widths[wire] > e.width:
                source += f"[{e.width - 1}:0]"
            elif d.widths[wire] < e.width:
                source = _extended(source, d.widths[wire], e.width, signed=d.signed[wire])
        lines.append(f"assign y[{e.offset + e.width - 1}:{e.offset}] = {source};")
    if not any(e.width for e in d.ports.outputs):
        lines.append("assign y = 1'b0;")
    return lines


def _extended(name: str, width: int, target: int, *, signed: bool) -> str:
    fill = f"{{{target - width}{{{name}[{width - 1}]}}}}" if signed else f"{target - width}'d0"
    return f"{{{fill}, {name}}}"
