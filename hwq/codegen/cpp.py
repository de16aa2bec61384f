"""HLS C++ from a Graph: straight-line code in which every weight and every element has its own ap_fixed type.

Only what Vitis HLS, Vivado HLS and Bambu all take: packed ports, one statement a term, typed literals, no loops, no arrays.
Sums are accumulated in a type that holds the final value exactly; partial sums may wrap on the way, which is exact modulo 2^n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwq.codegen.ports import Element, Ports, ports_of
from hwq.codegen.templates import render
from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.fixed.types import bits_for
from hwq.ir import Graph, Node
from hwq.ir.ops import odd_form

EXACT_LITERAL_BITS = 53  # a double literal holds a constant of so many bits exactly


@dataclass(frozen=True, slots=True)
class Section:
    """The statements of one node under their comment."""

    comment: str
    lines: tuple[str, ...]


def cpp_files(graph: Graph, top: str) -> dict[str, str]:
    """`hls/<top>.h`, `hls/<top>.cpp` and `hls/<top>_tb.cpp`.

    Raises:
        GraphError: an op that has no C++ form, or a constant of more than 53 bits.
    """
    ports = ports_of(graph)
    nodes = graph.by_name()
    sections = [EMITTERS_SPECIAL["input"](nodes[name], ports) for name in graph.inputs]
    for node in graph.nodes:
        if node.op == "input":
            continue
        if node.op not in EMITTERS:
            raise GraphError(f"node {node.name}: {node.op} has no C++ form")
        sections.append(EMITTERS[node.op](node, [nodes[name] for name in node.inputs]))
    sections.append(_output_section(ports))
    values = {"top": top, "ports": ports, "sections": sections, "int_bits": _ap_int_limit(ports)}
    return {
        f"hls/{top}.h": render("cpp/top.h.j2", **values),
        f"hls/{top}.cpp": render("cpp/top.cpp.j2", **values),
        f"hls/{top}_tb.cpp": render("cpp/tb.cpp.j2", **values),
    }


def _ap_int_limit(ports: Ports) -> int:
    """AP_INT_MAX_W: the headers take 1024 bits by default, in steps of 1024."""
    widest = max(ports.input_bits, ports.output_bits)
    return -(-widest // 1024) * 1024


def ap_type(t: FixedType) -> str:
    """The ap_fixed type of one element; the modes are written only where they are not the defaults."""
    name = "ap_fixed" if t.signed else "ap_ufixed"
    modes = ""
    if t.rounding is not Rounding.TRN or t.overflow is not Overflow.WRAP:
        modes = f",AP_{t.rounding}"
    if t.overflow is not Overflow.WRAP:
        modes += f",AP_{t.overflow}"
    return f"{name}<{t.width},{t.integer}{modes}>"


def literal(mantissa: int, frac: int) -> str:
    """A constant as a typed literal: the narrowest type that holds it, and its exact decimal value.

    Raises:
        GraphError: more bits than a double literal holds.
    """
    width = bits_for(min(mantissa, 0), max(mantissa, 0))
    if abs(mantissa).bit_length() > EXACT_LITERAL_BITS:
        raise GraphError(f"a constant of {width} bits has no exact double literal")
    value = float(np.ldexp(float(mantissa), -frac))
    return f"{ap_type(FixedType(mantissa < 0, width, frac))}({value!r})"


def _summary(node: Node, what: str) -> str:
    return f"{node.name}: {what}" + (f", from layer {_quoted(node.source)}" if node.source else "")


def _quoted(name: str) -> str:
    """A user's layer name inside a one-line comment: nothing in it can end the line or continue it."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\?' else "_" for c in name) + '"'


def _input_section(node: Node, ports: Ports) -> Section:
    lines = []
    for e in ports.inputs:
        if e.node == node.name and e.width:
            t = FixedType(e.signed, e.width, int(node.type.frac.flat[e.index]))
            lines.append(f"ap_uint<{e.width}> {e.node}_{e.index}_bits = x.range({e.offset + e.width - 1}, {e.offset});")
            lines.append(f"{ap_type(t)} {e.node}_{e.index};")
            lines.append(f"{e.node}_{e.index}.range({e.width - 1}, 0) = {e.node}_{e.index}_bits;")
    return Section(_summary(node, f"{node.type.size} inputs"), tuple(lines))


def _output_section(ports: Ports) -> Section:
    lines = [f"ap_uint<{ports.output_bits}> packed = 0;"]
    for e in ports.outputs:
        if e.width:
            lines.append(f"ap_uint<{e.width}> {e.node}_{e.index}_out = {e.node}_{e.index}.range({e.width - 1}, 0);")
            lines.append(f"packed.range({e.offset + e.width - 1}, {e.offset}) = {e.node}_{e.index}_out;")
    lines.append("*y = packed;")
    return Section(f"{len(ports.outputs)} outputs", tuple(lines))


def _dense(node: Node, inputs: Sequence[Node]) -> Section:
    source = inputs[0]
    kernel, kernel_frac = odd_form(node.constant("kernel"))
    bias, bias_frac = odd_form(node.constant("bias"))
    n, m = kernel.shape
    lines: list[str] = []
    for index, t in enumerate(node.type):
        if not t.width:
            continue
        row, j = divmod(index, m)
        lines.append(f"{ap_type(t)} {node.name}_{index} = {literal(int(bias[j]), int(bias_frac[j])) if bias[j] else 0};")
        for i in np.flatnonzero(kernel[:, j]):
            if source.type.width.flat[row * n + i]:
                weight = literal(int(kernel[i, j]), int(kernel_frac[i, j]))
                # brought to the sum's own type first: one addition type a sum, which halves the compile time of the C-simulation
                lines.append(f"{node.name}_{index} += {ap_type(t)}({source.name}_{row * n + i} * {weight});")
    return Section(_summary(node, f"dense {n} -> {m}, {np.count_nonzero(kernel)} of {n * m} weights"), tuple(lines))


def _relu(node: Node, inputs: Sequence[Node]) -> Section:
    source = inputs[0]
    lines = []
    for index, t in enumerate(node.type):
        if not t.width:
            continue
        x = f"{source.name}_{index}"
        lines.append(f"{ap_type(t)} {node.name}_{index} = {x};")
        if source.type[index].signed:
            lines.append(f"if ({x} < 0) {node.name}_{index} = 0;")
    return Section(_summary(node, "relu"), tuple(lines))


def _add(node: Node, inputs: Sequence[Node]) -> Section:
    lines = []
    for index, t in enumerate(node.type):
        if t.width:
            terms = [f"{n.name}_{index}" for n in inputs if n.type.width.flat[index]]
            lines.append(f"{ap_type(t)} {node.name}_{index} = {' + '.join(terms)};")
    return Section(_summary(node, "add"), tuple(lines))


def _reshape(node: Node, inputs: Sequence[Node]) -> Section:
    lines = tuple(f"{ap_type(t)} {node.name}_{i} = {inputs[0].name}_{i};" for i, t in enumerate(node.type) if t.width)
    return Section(_summary(node, f"reshape to {list(node.shape)}"), lines)


def _quantize(node: Node, inputs: Sequence[Node]) -> Section:
    source = inputs[0]
    lines: list[str] = []
    for index, t in enumerate(node.type):
        if not t.width:
            continue
        name, x = f"{node.name}_{index}", f"{source.name}_{index}"
        if not source.type.width.flat[index]:
            lines.append(f"{ap_type(t)} {name} = 0;")
        elif t.signed or t.overflow is Overflow.WRAP:
            lines.append(f"{ap_type(t)} {name} = {x};")
        else:
            # saturate in a signed type one bit wider, then drop the sign: HLS compilers differ on unsigned saturation
            wide = FixedType(True, t.width + 1, t.frac, t.rounding, Overflow.SAT)
            plain = FixedType(False, t.width, t.frac)
            lines.append(f"{ap_type(wide)} {name}_wide = {x};")
            lines.append(f"{ap_type(plain)} {name} = {name}_wide;")
            if source.type[index].signed:
                lines.append(f"if ({name}_wide < 0) {name} = 0;")
    return Section(_summary(node, f"quantize {node.type.rounding} {node.type.overflow}"), tuple(lines))


Emitter = Callable[[Node, Sequence[Node]], Section]
EMITTERS_SPECIAL: dict[str, Callable[[Node, Ports], Section]] = {"input": _input_section}
EMITTERS: dict[str, Emitter] = {"dense": _dense, "relu": _relu, "add": _add, "reshape": _reshape, "quantize": _quantize}

__all__ = ["EMITTERS", "EMITTERS_SPECIAL", "Element", "Section", "ap_type", "cpp_files", "literal"]
