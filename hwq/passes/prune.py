"""Drop what no output needs: weights on inputs that are always zero, and elements that nothing reads.

An element that nothing reads gets width 0 (quantise) or an all-zero kernel column and bias (dense), so that it is never emitted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, Node
from hwq.ir.forms import Mask
from hwq.ir.graph import Attr
from hwq.ir.ops import blocks, constants, is_matrix, is_wiring, places, spec_of


def prune(graph: Graph) -> Graph:
    """The same outputs from fewer weights; types of dense nodes are left for `narrow`."""
    by_name = graph.by_name()
    types = {node.name: node.type for node in graph.nodes}
    needed = {node.name: np.zeros(node.shape, bool) for node in graph.nodes}
    for name in graph.outputs:
        needed[name][...] = True
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        inputs = [types[name] for name in node.inputs]
        new = _pruned(node, needed[node.name], inputs)
        vanishes = node.op == "relu" and _vanishes(by_name[node.inputs[0]], by_name)
        for name, mask in zip(node.inputs, _reads(new, needed[node.name], inputs, vanishes=vanishes), strict=True):
            needed[name] |= mask.reshape(needed[name].shape)
        kept.append(new)
    return graph.with_nodes(reversed(kept))


def _reads(node: Node, needed: Mask, inputs: list[TypeArray], *, vanishes: bool) -> list[Mask]:
    """Which elements of each input the needed elements of `node` read."""
    if is_matrix(node):
        used = constants(node)[0].mantissas.ravel() != 0
        read = np.zeros(inputs[0].size + 1, bool)  # the last one is the padding's zero
        for block in blocks(node, inputs[0].shape):
            # float32 counts to 2^24 exactly and never falls back to zero
            terms = needed.ravel()[block.outputs].astype(np.float32) @ used[block.weights].T.astype(np.float32)
            read[block.windows[terms > 0]] = True
        return [read[:-1]]
    if is_wiring(node):
        sizes = [t.size for t in inputs]
        read = np.zeros(sum(sizes) + 1, bool)
        read[places(node, [t.shape for t in inputs])[needed]] = True
        return np.split(read[:-1], np.cumsum(sizes)[:-1].tolist())
    reads = spec_of(node.op).reads
    if reads is not None:
        return reads(node, needed, inputs)
    if node.op == "quantize" or (node.op == "relu" and vanishes):
        needed = needed & (node.type.width > 0)
    return [needed] * len(node.inputs)


def _vanishes(node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether an element that nothing reads turns zero, or stays as it was: then a relu that is always zero need not read it.

    Nothing of the kind holds for a bias or a table, which are not zero at zero, nor where one weight serves several places.
    """
    if node.op == "quantize":
        return True
    if is_matrix(node):
        return is_matrix(node, weighted=True) and all(len(b.windows) == 1 for b in blocks(node, nodes[node.inputs[0]].shape))
    return node.op in ("relu", "leaky_relu", "reshape") and _vanishes(nodes[node.inputs[0]], nodes)


def _pruned(node: Node, needed: Mask, inputs: list[TypeArray]) -> Node:
    if is_matrix(node, weighted=True):
        return _pruned_linear(node, needed.ravel(), inputs[0])
    each = spec_of(node.op).each
    if each:
        return node.with_(attrs={**node.attrs, **{name: _masked(node.constant(name), needed) for name in each}})
    if node.op == "quantize":
        t = node.type
        return node.with_(type=TypeArray.of(t.signed, np.where(needed, t.width, 0), t.frac, t.rounding, t.overflow))
    return node


def _pruned_linear(node: Node, needed: Mask, x: TypeArray) -> Node:
    """One kernel serves many places: a weight goes only when none of them needs it."""
    kernel, bias = constants(node)
    keep_kernel, keep_bias = np.zeros(kernel.types.size, bool), np.zeros(bias.types.size, bool)
    alive = np.append(x.width.ravel() > 0, False)
    for block in blocks(node, x.shape):
        read = needed[block.outputs]
        keep_bias[block.biases[read]] = True
        pairs = alive[block.windows].T.astype(np.float32) @ read.astype(np.float32)
        keep_kernel[block.weights[pairs > 0]] = True
    attrs: dict[str, Attr] = {
        "kernel": _masked(kernel, keep_kernel.reshape(kernel.shape)),
        "bias": _masked(bias, keep_bias.reshape(bias.shape)),
    }
    return node.with_(attrs={**node.attrs, **attrs})


def _masked(constant: Constant, keep: Mask) -> Constant:
    t = constant.types
    mantissas = np.where(keep, constant.mantissas, 0)
    width = np.where(mantissas == 0, 0, t.width)
    return Constant(mantissas, TypeArray.of(t.signed, width, t.frac, t.rounding, t.overflow))
