"""What each width of each group costs in answers: measured by quantising one group alone, or from the roundoff of its weights.

KL: the divergence of the answers from the float model's on unlabelled rows (OHQ's masking). Roundoff: squared error of the weights in
units of that at 8 bits (MixQuant, arXiv 2309.17341), which needs no data at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.events import Progress, Watch, quiet
from hwq.fixed import to_float
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph
from hwq.posttraining.quantize import Bits, per_channel, quantized
from hwq.posttraining.rebuild import real
from hwq.sim.compare import output_types
from hwq.sim.reference import evaluate
from hwq.tensors import Floats


def told(logits: Floats) -> Floats:
    """Log-probabilities of logits (rows, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out


def divergence(wanted: Floats, got: Floats) -> float:
    """Mean KL(wanted || got) over rows, of log-probabilities."""
    return float((np.exp(wanted) * (wanted - got)).sum(axis=1).mean())


def answers(graph: Graph, inputs: IntArray) -> Floats:
    """Log-probabilities of the integer reference for input mantissas."""
    return told(to_float(evaluate(graph, inputs), output_types(graph).frac))


def by_divergence(
    fine: Graph,
    groups: Sequence[str],
    choices: Sequence[Bits],
    rows: IntArray,
    *,
    progress: Watch = quiet,
) -> Floats:
    """(groups, choices): KL of the answers when only that linear operation is quantised.

    Args:
        rows: input mantissas of `fine` for unlabelled rows.
    """
    from hwq.posttraining.quantize import coarse_rows

    wanted = answers(fine, rows)
    out = np.zeros((len(groups), len(choices)))
    for g, name in enumerate(groups):
        for c, bits in enumerate(choices):
            graph = quantized(fine, {name: bits}, rows)
            out[g, c] = max(divergence(wanted, answers(graph, coarse_rows(fine, graph, rows))), 0.0)
            progress(Progress("sensitivities", g * len(choices) + c + 1, out.size))
    return out


def by_roundoff(fine: Graph, groups: Sequence[str], choices: Sequence[Bits]) -> Floats:
    """(groups, choices): squared error of the weights relative to that at 8 bits, plus that of the activations' step likewise."""
    out = np.zeros((len(groups), len(choices)))
    for g, name in enumerate(groups):
        node = fine[name]
        w = real(node.constant("kernel"))
        floor = max(float(((per_channel(node, 8) - w) ** 2).sum()), 1e-30)
        for c, bits in enumerate(choices):
            weights = float(((per_channel(node, bits.weights) - w) ** 2).sum()) / floor
            out[g, c] = weights + 4.0 ** (8 - bits.activations)
    return out


def part_of(graph: Graph, name: str) -> Graph:
    """The out-of-context design of one linear operation: what it reads as the input, and all that follows up to the next quantiser."""
    nodes = graph.by_name()
    source = nodes[name].inputs[0]
    first = nodes[source].with_(op="input", inputs=(), attrs={})
    kept, front = [first], {source}
    last = source
    for node in graph.nodes:
        if node.name != source and node.inputs and set(node.inputs) <= front and (node.name == name or last != source):
            kept.append(node)
            last = node.name
            front = {last}
            if node.op == "quantize" or len(graph.users(last)) != 1:
                break
    return Graph(tuple(kept), (source,), (last,))
