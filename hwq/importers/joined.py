"""One quantiser in place of two where the first, which only holds what the second wraps, never saturates. Reading nodes is elsewhere."""

from __future__ import annotations

from hwq.fixed import Overflow
from hwq.ir import OPS, Graph, Node
from hwq.ir.intervals import Interval, overflows

HOLDS = "range"  # how such a first quantiser's name ends


def joined(graph: Graph) -> Graph:
    """The same answers; the range of every number is known only when all nodes are there."""
    types = {node.name: node.type for node in graph.nodes}
    bounds: dict[str, Interval] = {}
    read: dict[str, Node] = {}
    for node in graph.nodes:
        bounds[node.name] = OPS[node.op].infer(node, [types[n] for n in node.inputs], [bounds[n] for n in node.inputs])
        first = read.get(node.inputs[0]) if node.op == "quantize" else None
        if first is not None and _idle(first, node) and not overflows(bounds[first.inputs[0]], first.type).any():
            node = node.with_(inputs=first.inputs)
        read[node.name] = node
    used = {name for node in read.values() for name in node.inputs} | set(graph.outputs)
    return graph.with_nodes(node for node in read.values() if node.name in used or not node.name.endswith(HOLDS))


def _idle(first: Node, node: Node) -> bool:
    """Whether the first one rounds as the second would, and wrapping is all that is left to the second."""
    a, b = first.type, node.type
    steps = bool(((a.frac == b.frac) | (b.width == 0)).all()) and a.rounding == b.rounding
    return first.op == "quantize" and first.name.endswith(HOLDS) and b.overflow is Overflow.WRAP and steps
