"""Narrow every wire to the values it can take: exact interval arithmetic over the actual constants, from the inputs onward.

A quantise node whose declared type is wider than its values becomes the narrower one: no value that can occur changes. An
element that can only be one value keeps its node; a width of 0 says that it is zero. A table whose input has other codes now gets
the entries of those.
"""

from __future__ import annotations

import numpy as np

from hwq.fixed import TypeArray
from hwq.fixed.types import Overflow
from hwq.ir import OPS, Graph, Node
from hwq.ir.intervals import Interval, overflows
from hwq.ir.ops import spec_of, types_of
from hwq.passes.tables import renumbered


def intervals(graph: Graph) -> dict[str, Interval]:
    """The bounds of every node's result, by node name."""
    types = {node.name: node.type for node in graph.nodes}
    bounds: dict[str, Interval] = {}
    for node in graph.nodes:
        bounds[node.name] = OPS[node.op].infer(node, [types[name] for name in node.inputs], [bounds[name] for name in node.inputs])
    return bounds


def narrow(graph: Graph) -> Graph:
    """The same graph with the narrowest types; input nodes keep theirs, which belong to the host."""
    bounds = intervals(graph)
    old = graph.by_name()
    new: dict[str, Node] = {}
    for node in graph.nodes:
        node = _narrowed(node, bounds)
        if spec_of(node.op).lookups:
            source = node.inputs[0]
            node = renumbered(node, old[source].type, new[source].type)
        new[node.name] = node
    return graph.with_nodes(new.values())


def _narrowed(node: Node, bounds: dict[str, Interval]) -> Node:
    if node.op == "input":
        return node
    tight = types_of(node, bounds[node.name])
    if node.op != "quantize":
        return node.with_(type=tight)
    declared = node.type
    keep = overflows(bounds[node.inputs[0]], declared)
    if not keep.any():
        # nothing can overflow: the mode no longer matters, and WRAP is the one that costs nothing
        return node.with_(type=TypeArray.of(tight.signed, tight.width, declared.frac, declared.rounding, Overflow.WRAP))
    if declared.overflow is Overflow.SAT_SYM:
        keep |= (declared.signed != 0) & (tight.width > 0)  # a narrower symmetric type may lack its own lowest code
    signed, width = (np.where(keep, a, b) for a, b in ((declared.signed, tight.signed), (declared.width, tight.width)))
    return node.with_(type=TypeArray.of(signed, width, declared.frac, declared.rounding, declared.overflow))
