"""Drop what no output needs: weights on inputs that are always zero, and elements that nothing reads.

An element that nothing reads gets width 0 (quantise) or an all-zero kernel column and bias (dense), so that it is never emitted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, Node
from hwq.ir.graph import Attr

Mask = npt.NDArray[np.bool_]


def prune(graph: Graph) -> Graph:
    """The same outputs from fewer weights; types of dense nodes are left for `narrow`."""
    types = {node.name: node.type for node in graph.nodes}
    needed = {node.name: np.zeros(node.shape, bool) for node in graph.nodes}
    for name in graph.outputs:
        needed[name][...] = True
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        new = _pruned(node, needed[node.name], [types[name] for name in node.inputs])
        for name, mask in zip(node.inputs, _reads(new, needed[node.name]), strict=True):
            needed[name] |= mask.reshape(needed[name].shape)
        kept.append(new)
    return graph.with_nodes(reversed(kept))


def _reads(node: Node, needed: Mask) -> list[Mask]:
    """Which elements of each input the needed elements of `node` read."""
    if node.op == "dense":
        used = node.constant("kernel").mantissas != 0
        return [needed @ used.T.astype(bool)]
    return [needed & (node.type.width > 0)] * len(node.inputs)


def _pruned(node: Node, needed: Mask, inputs: list[TypeArray]) -> Node:
    if node.op == "dense":
        # one kernel serves every leading position: an entry goes only when none of them needs it
        alive: Mask = np.asarray((inputs[0].width > 0).reshape(-1, inputs[0].shape[-1]).any(axis=0))
        read: Mask = np.asarray(needed.reshape(-1, needed.shape[-1]).any(axis=0))
        attrs: dict[str, Attr] = {
            "kernel": _masked(node.constant("kernel"), alive[:, None] & read[None, :]),
            "bias": _masked(node.constant("bias"), read),
        }
        return node.with_(attrs=attrs)
    if node.op == "quantize":
        t = node.type
        return node.with_(type=TypeArray.of(t.signed, np.where(needed, t.width, 0), t.frac, t.rounding, t.overflow))
    return node


def _masked(constant: Constant, keep: Mask) -> Constant:
    t = constant.types
    mantissas = np.where(keep, constant.mantissas, 0)
    width = np.where(mantissas == 0, 0, t.width)
    return Constant(mantissas, TypeArray.of(t.signed, width, t.frac, t.rounding, t.overflow))
