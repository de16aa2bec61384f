"""HLS C++ from a Graph: straight-line code in which every weight and every element has its own ap_fixed type.

Only what Vitis HLS, Vivado HLS and Bambu all take: packed ports, one statement a term, typed literals, no loops, no arrays, and of the
ap types the members that tests/codegen/ap_subset.h declares. Every variable has a value from its declaration on.
Sums are accumulated in a type that holds the final value exactly; partial sums may wrap on the way, which is exact modulo 2^n.
"""

from __future__ import annotations

from collections.abc import Iterable

from hwq.codegen.cpp_ops import describe, section_of
from hwq.codegen.cpp_shifts import in_shifts, shift_section
from hwq.codegen.cpp_text import Section, ap_type, from_bits, literal, packed_into, summary
from hwq.codegen.cpp_weights import STEP
from hwq.codegen.ports import Element, Ports, ports_of
from hwq.fixed import FixedType
from hwq.ir import Constant, Graph, Node
from hwq.templates import render


def cpp_files(graph: Graph, top: str, terms: int = 1, interval: int = 1) -> dict[str, str]:
    """`hls/<top>.h`, `hls/<top>.cpp` and `hls/<top>_tb.cpp`.

    Args:
        terms: layers all of whose weights are sums of at most so many signed powers of two are written without products.
        interval: clocks from one input to the next, as the HLS tool is told.

    Raises:
        GraphError: an op that has no C++ form.
    """
    ports = ports_of(graph)
    sections = sections_of(graph, ports, terms)
    values = {"top": top, "ports": ports, "sections": sections, "products": has_products(sections), "interval": interval}
    values["int_bits"] = ap_int_limit(ports.input_bits, ports.output_bits, product_bits(graph))
    return {
        f"hls/{top}.h": render("cpp/top.h.j2", **values),
        f"hls/{top}.cpp": render("cpp/top.cpp.j2", **values),
        f"hls/{top}_tb.cpp": render("cpp/tb.cpp.j2", **values),
    }


def sections_of(graph: Graph, ports: Ports, terms: int = 1) -> list[Section]:
    """The statements from the packed input `x` to the packed output `*y`.

    Raises:
        GraphError: an op that has no C++ form.
    """
    nodes = graph.by_name()
    sections = [_input_section(nodes[name], ports) for name in graph.inputs]
    for node in graph.nodes:
        if node.op == "input":
            continue
        inputs = [nodes[name] for name in node.inputs]
        shifts = in_shifts(node, terms)
        sections.append(shift_section(node, inputs, describe(node, inputs)) if shifts else section_of(node, inputs))
    return [*sections, _output_section(ports)]


def has_products(sections: Iterable[Section]) -> bool:
    """Whether any statement multiplies by a weight: a design of shifts alone does without the helper that does."""
    return any("add_product(" in line for section in sections for line in section.lines)


def ap_int_limit(*widths: int) -> int:
    """AP_INT_MAX_W for words of these widths: the headers take 1024 bits by default, in steps of 1024."""
    return -(-max(widths) // 1024) * 1024


def product_bits(graph: Graph) -> int:
    """At least the bits of the widest product in the C++ of `graph`, a bit and the steps of the weights' types beside."""
    constants = [c.types for node in graph.nodes for c in node.attrs.values() if isinstance(c, Constant)]
    widths = [int(t.width.max(initial=0)) for t in (*(node.type for node in graph.nodes), *constants)]
    return 2 * (max(widths, default=0) + 2 * STEP)


def _input_section(node: Node, ports: Ports) -> Section:
    lines = []
    for e in ports.inputs:
        if e.node == node.name and e.width:
            t = FixedType(e.signed, e.width, int(node.type.frac.flat[e.index]))
            lines.append(f"ap_uint<{e.width}> {e.node}_{e.index}_bits = x.range({e.offset + e.width - 1}, {e.offset});")
            lines += from_bits(t, f"{e.node}_{e.index}", f"{e.node}_{e.index}_bits")
    return Section(summary(node, f"{node.type.size} inputs"), tuple(lines))


def _output_section(ports: Ports) -> Section:
    lines = [f"ap_uint<{ports.output_bits}> packed = 0;"]
    for e in ports.outputs:
        if e.width:
            lines.append(f"ap_uint<{e.width}> {e.node}_{e.index}_out = {e.node}_{e.index}.range({e.width - 1}, 0);")
            lines.append(packed_into(ports.output_bits, e.offset, f"{e.node}_{e.index}_out"))
    lines.append("*y = packed;")
    return Section(f"{len(ports.outputs)} outputs", tuple(lines))


__all__ = [
    "Element",
    "Section",
    "ap_int_limit",
    "ap_type",
    "cpp_files",
    "has_products",
    "literal",
    "sections_of",
]
