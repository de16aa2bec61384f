"""Adaptive rounding: each weight up or down, so that the layer's outputs, not its weights, are nearest to the float model's.

In the manner of BRECQ (Li et al., ICLR 2021) and AdaRound, layer by layer, on what the layer reads in the network as quantised so far;
here by coordinate descent on the exact quadratic error instead of by gradient. No labels, no training step.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, Node
from hwq.posttraining.quantize import Bits, Widths, bias_widths, channel_steps, coarse_rows, quantized
from hwq.posttraining.rebuild import exact, real, rebuilt
from hwq.posttraining.statistics import Seen, linear_nodes, seen
from hwq.sim.reference import evaluate_nodes
from hwq.tensors import Floats

SWEEPS = 6


def adaptive(fine: Graph, choice: Mapping[str, Bits], rows: IntArray) -> Graph:
    """As `hwq.posttraining.quantize.quantized`, with every kernel rounded for its layer's outputs, biases taking the mean error.

    Args:
        rows: input mantissas of `fine` for calibration rows.
    """
    graph = quantized(fine, choice, rows)
    inputs = coarse_rows(fine, graph, rows)
    for name in (node.name for node in linear_nodes(fine) if node.name in choice):
        node = graph[name]
        sees = list(seen(graph, node, evaluate_nodes(graph, inputs)))
        wide = choice[name].weights
        made = _rounded(node, fine[name], wide, _finest(fine[name], graph[node.inputs[0]].shape, wide), sees)
        graph = with_constants(graph, {name: made})
    return graph


def _finest(wanted: Node, shape: tuple[int, ...], bits: Widths) -> Floats:
    """The step of each element of the bias (or of all): the finest that any channel has at the width of the element's own."""
    widths = np.asarray(bias_widths(wanted, shape, bits))
    known = {int(b): float(channel_steps(wanted, int(b)).min()) for b in np.unique(widths)}
    return np.array([known[int(b)] for b in widths.flat]).reshape(widths.shape)


def _rounded(node: Node, wanted: Node, bits: Widths, finest: Floats, matrices: list[Seen]) -> tuple[Floats, Floats]:
    """(kernel, bias) of one operation."""
    w, q, bias = (real(n.constant(part)).copy() for n, part in ((wanted, "kernel"), (node, "kernel"), (node, "bias")))
    step = np.broadcast_to(channel_steps(wanted, bits), w.shape)
    limit = (2.0 ** (Bits(bits, 0).each(w.shape[-1]) - 1) - 1) * step
    flat, count = bias.ravel(), np.zeros(bias.size)
    shift = np.zeros(bias.size)
    for matrix in matrices:
        places = matrix.block.weights
        inputs = np.arange(len(places))
        moments = matrix.moments(inputs, 0)
        found = descend(q.ravel()[places], w.ravel()[places], step.ravel()[places], limit.ravel()[places], moments.second)
        q.ravel()[places] = found
        np.add.at(shift, matrix.biases, -(moments.means @ (found - w.ravel()[places])))
        np.add.at(count, matrix.biases, 1)
    flat += np.where(count > 0, shift / np.maximum(count, 1), 0)
    return q, (np.floor(bias / finest + 0.5) * finest).reshape(bias.shape)


def descend(q: Floats, w: Floats, step: Floats, limit: Floats, second: Floats) -> Floats:
    """The multiples of `step` next to w, above or below, that a coordinate descent on (q - w)' second (q - w) ends at.

    Args:
        q: (n, m) where it begins; w: (n, m) wanted; step, limit: (n, m); second: (n, n).
    """
    q = q.copy()
    low = np.clip(np.floor(w / step) * step, -limit, limit)
    high = np.clip(np.ceil(w / step) * step, -limit, limit)
    gradient = second @ (q - w)
    for _ in range(SWEEPS):
        moved = False
        for i in range(len(q)):
            other = np.where(q[i] > low[i], low[i], high[i])
            de = other - q[i]
            take = 2 * de * gradient[i] + de * de * second[i, i] < -1e-15
            if take.any():
                de = np.where(take, de, 0.0)
                q[i] += de
                gradient += second[:, i : i + 1] * de
                moved = True
        if not moved:
            break
    return q


def with_constants(graph: Graph, made: Mapping[str, tuple[Floats, Floats]]) -> Graph:
    """The graph with other kernels and biases."""
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if node.name in made:
            kernel, bias = made[node.name]
            node = node.with_(attrs={**node.attrs, "kernel": exact(kernel), "bias": exact(bias)})
        nodes[node.name] = rebuilt(node, [nodes[name] for name in node.inputs])
    return graph.with_nodes(nodes.values())
