"""Merge the rounding constant of a quantise into the bias before it: floor(x + half) needs no adder of its own.

    dense -> quantize RND          becomes  dense' -> quantize TRN,          bias' = bias + half a step
    dense -> relu -> quantize RND  likewise: half a step is less than a step, so max(0, .) and floor commute with it

Any op with a bias will do (dense, conv2d, einsum, bias), through reshapes too, as long as nothing else reads what lies between and
all elements that share one bias round at the same step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.fixed import Rounding, TypeArray
from hwq.fixed.arithmetic import SAFE_BITS, greatest
from hwq.fixed.types import MOST_FRAC
from hwq.ir import Constant, Graph, Node
from hwq.ir.ops import blocks, is_matrix, make_node, odd_form


def merge_rounding(graph: Graph) -> Graph:
    """The same outputs with RND replaced by TRN wherever a bias can take the rounding constant."""
    nodes = graph.by_name()
    for node in graph.nodes:
        if node.op != "quantize" or node.type.rounding is not Rounding.RND:
            continue
        chain = _chain(graph, nodes, node)
        if not chain:
            continue
        before = nodes[chain[0].inputs[0]]
        first = _with_half(chain[0], before.shape, node.type)
        if first is None:
            continue
        for link in (first, *chain[1:]):
            before = nodes[link.name] = make_node(link.name, link.op, [before], attrs=link.attrs, source=link.source)
        t = node.type
        nodes[node.name] = node.with_(type=TypeArray.of(t.signed, t.width, t.frac, Rounding.TRN, t.overflow))
    return graph.with_nodes(nodes[node.name] for node in graph.nodes)


def _chain(graph: Graph, nodes: dict[str, Node], quantize: Node) -> list[Node]:
    """The op with a bias in front of `quantize`, and the relu and reshapes between; empty where there is none, or another reader."""
    chain: list[Node] = []
    name = quantize.inputs[0]
    while len(graph.users(name)) == 1 and name not in graph.outputs:
        node = nodes[name]
        chain.insert(0, node)
        if is_matrix(node, weighted=True) or node.op == "bias":
            return chain
        if node.op not in ("relu", "reshape"):
            break
        name = node.inputs[0]
    return []


def _bias_of_outputs(node: Node, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """For each element of the result, the element of the bias that it gets."""
    out = np.arange(node.type.size, dtype=np.int64)
    if node.op != "bias":
        for block in blocks(node, shape):
            out[block.outputs] = block.biases
    return out


def _with_half(node: Node, shape: tuple[int, ...], types: TypeArray) -> Node | None:
    """`node` with half a step of `types` added to the bias of every element that the quantise really rounds; None where it cannot be."""
    alive = types.width.ravel() > 0
    step = types.frac.astype(np.int64).ravel()
    rounds = alive & (node.type.frac.ravel() > step)
    bias = node.constant("bias")
    mantissas, frac = (a.ravel() for a in odd_form(bias))
    place = _bias_of_outputs(node, shape)
    finest = np.full(len(frac), np.iinfo(np.int64).min)
    np.maximum.at(finest, place[rounds], step[rounds])
    rounded = finest[place]  # the step at which the elements that share a bias round
    # one that rounds must do so at that step; one that does not must have a step at least as coarse, or the half would reach its bits
    if (rounds & (step != rounded)).any() or (alive & ~rounds & (rounded > np.iinfo(np.int64).min) & (step > rounded)).any():
        return None
    gets = np.zeros(len(frac), bool)
    gets[place[rounds]] = True
    half_frac = np.where(gets, finest + 1, 0)
    one = np.where(gets, np.maximum(frac, half_frac), frac)
    total = mantissas << (one - frac).astype(object)
    total = total + np.where(gets, 1, 0).astype(object) * (1 << np.where(gets, one - half_frac, 0).astype(object))
    if greatest(np.abs(total)).bit_length() >= SAFE_BITS or greatest(np.abs(one)) > MOST_FRAC:
        return None
    bias_types = TypeArray.enclosing(np.minimum(total, 0), np.maximum(total, 0), one)
    merged = Constant(total.astype(np.int64).reshape(bias.shape), bias_types.reshape(bias.shape))
    return node.with_(attrs={**node.attrs, "bias": merged})
