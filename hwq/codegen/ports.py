"""The layout of a design's two packed ports: input `x` and output `y`, element after element, the first in the lowest bits.

C++ and Verilog have the same ports, so that one set of vectors drives both. Elements of width 0 take no bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwq.errors import GraphError
from hwq.ir import Graph

WIDEST = 63  # the test benches move elements as 64-bit integers


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a port: bits [offset, offset + width) of it."""

    node: str
    index: int
    offset: int
    width: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Ports:
    """All elements, those of width 0 included, in the order of the vectors."""

    inputs: tuple[Element, ...]
    outputs: tuple[Element, ...]

    @property
    def input_bits(self) -> int:
        """Width of port x; at least 1, since a port of no bits cannot be written."""
        return max(1, sum(e.width for e in self.inputs))

    @property
    def output_bits(self) -> int:
        return max(1, sum(e.width for e in self.outputs))


def ports_of(graph: Graph) -> Ports:
    """Raises GraphError: an element wider than 63 bits."""
    return Ports(_elements(graph, graph.inputs), _elements(graph, graph.outputs))


def _elements(graph: Graph, names: tuple[str, ...]) -> tuple[Element, ...]:
    elements, offset = [], 0
    for name in names:
        for index, t in enumerate(graph[name].type):
            if t.width > WIDEST:
                raise GraphError(f"element {index} of {name} has {t.width} bits; ports carry at most {WIDEST}")
            elements.append(Element(name, index, offset, t.width, t.signed))
            offset += t.width
    return tuple(elements)
