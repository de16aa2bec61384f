"""Merge the rounding constant of a quantise into the bias before it: floor(x + half) needs no adder of its own.

    dense -> quantize RND          becomes  dense' -> quantize TRN,          bias' = bias + half a step
    dense -> relu -> quantize RND  likewise: half a step is less than a step, so max(0, .) and floor commute with it

Only where the dense (and the relu) has no other reader and is no output.
"""

from __future__ import annotations

import numpy as np

from hwq.fixed import Rounding, TypeArray
from hwq.ir import Constant, Graph, Node
from hwq.ir.ops import make_node, odd_form


def merge_rounding(graph: Graph) -> Graph:
    """The same outputs with RND replaced by TRN wherever a bias can take the rounding constant."""
    nodes = graph.by_name()
    for node in graph.nodes:
        if node.op != "quantize" or node.type.rounding is not Rounding.RND:
            continue
        chain = _chain(graph, nodes, node)
        if chain is None:
            continue
        dense = _with_half(chain[0], node.type)
        if dense is None:
            continue
        nodes[dense.name] = dense
        if len(chain) == 2:
            nodes[chain[1].name] = make_node(chain[1].name, "relu", [dense], source=chain[1].source)
        t = node.type
        nodes[node.name] = node.with_(type=TypeArray.of(t.signed, t.width, t.frac, Rounding.TRN, t.overflow))
    return graph.with_nodes(nodes[node.name] for node in graph.nodes)


def _chain(graph: Graph, nodes: dict[str, Node], quantize: Node) -> list[Node] | None:
    """[dense] or [dense, relu] in front of `quantize`, when nothing else reads them."""
    chain: list[Node] = []
    name = quantize.inputs[0]
    for op in ("relu", "dense"):
        node = nodes[name]
        if node.op != op:
            continue
        if len(graph.users(name)) != 1 or name in graph.outputs:
            return None
        chain.insert(0, node)
        if op == "dense":
            return chain if len(node.shape) == 1 else None
        name = node.inputs[0]
    return None


def _with_half(dense: Node, types: TypeArray) -> Node | None:
    """`dense` with half a step of `types` added to the bias of every element that the quantise really rounds."""
    rounds = (types.width > 0) & (dense.type.frac > types.frac)
    mantissas, frac = odd_form(dense.constant("bias"))
    half_frac = types.frac.astype(np.int64) + 1
    one = np.where(rounds, np.maximum(frac, half_frac), frac)
    total = mantissas << (one - frac).astype(object)
    total = total + np.where(rounds, 1, 0).astype(object) * (1 << np.where(rounds, one - half_frac, 0).astype(object))
    bias_types = TypeArray.enclosing(np.minimum(total, 0), np.maximum(total, 0), one)
    if int(bias_types.width.max(initial=0)) > 62:
        return None
    bias = Constant(total.astype(np.int64), bias_types)
    return dense.with_(attrs={**dense.attrs, "bias": bias})
