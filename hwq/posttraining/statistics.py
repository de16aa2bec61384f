"""What a linear operation really reads: its quantised inputs on calibration rows, and how much each of its results matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.fixed import to_float
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, Node
from hwq.ir.ops import blocks, is_matrix
from hwq.ir.windows import Block
from hwq.tensors import Floats

MOST_VALUES = 1 << 24  # of gathered windows held at a time; beyond, places are left out evenly


def linear_nodes(graph: Graph) -> list[Node]:
    """The operations with weights of their own, in order."""
    return [node for node in graph.nodes if is_matrix(node, weighted=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """How one output's loss depends on errors e of its weights, its biases following: linear' e + e' second e / 2.

    Without a gradient, e' second e is its mean squared error.

    Attributes:
        second: (k, k) second moments of the inputs about their means, summed over places, averaged over rows.
        linear: (k,) likewise of gradient times input.
        means: (groups, k) of the inputs, for each bias.
    """

    second: Floats
    linear: Floats
    means: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one matrix of a linear operation reads, over rows and places together.

    Attributes:
        block: the matrix.
        x: (places x rows, n) values; a padding reads zero.
        importance: (places x rows, m) weight of the squared error of each result; None: all the same.
        gradient: (places x rows, m) of what is to be kept small, by each result; None: at a minimum.
        group: (places x rows,) which values share a bias; 0 .. groups - 1.
        biases: (groups, m) elements of the bias.
        scale: what a sum over `x` must be multiplied with to be a sum over all places, averaged over rows.
    """

    block: Block
    x: Floats
    importance: Floats | None
    gradient: Floats | None
    group: npt.NDArray[np.int64]
    biases: npt.NDArray[np.int64]
    scale: float

    def moments(self, inputs: npt.NDArray[np.int64], output: int) -> Moments:
        """The statistics of the chosen inputs, weighted for one output."""
        x = self.x[:, inputs]
        h = np.ones(len(x)) if self.importance is None else self.importance[:, output]
        slope = None if self.gradient is None else self.gradient[:, output]
        total, linear = np.zeros((len(inputs), len(inputs))), np.zeros(len(inputs))
        means = np.zeros((len(self.biases), len(inputs)))
        for g in range(len(self.biases)):
            here = slice(None) if len(self.biases) == 1 else self.group == g
            part, weight = x[here], h[here]
            mass = float(weight.sum())
            if mass <= 0:
                means[g] = part.mean(axis=0) if len(part) else 0.0
                continue
            means[g] = weight @ part / mass
            centred = part - means[g]
            total += (centred * weight[:, None]).T @ centred
            if slope is not None:
                linear += slope[here] @ centred
        return Moments(total * self.scale, linear * self.scale, means)


def seen(
    graph: Graph,
    node: Node,
    values: Mapping[str, IntArray],
    importance: Mapping[str, Floats] | None = None,
    gradient: Mapping[str, Floats] | None = None,
) -> Iterator[Seen]:
    """What each matrix of a linear operation reads.

    Args:
        values: every node's mantissas (rows, *shape), as `hwq.sim.reference.evaluate_nodes` gives them.
        importance, gradient: (rows, *shape) of linear operations, by name.
    """
    source = graph[node.inputs[0]]
    rows = len(values[source.name])
    flat = to_float(values[source.name], source.type.frac).reshape(rows, -1)
    flat = np.concatenate([flat, np.zeros((rows, 1))], axis=1)  # element -1: the padding
    given = [None if of is None else of[node.name].reshape(rows, -1) for of in (importance, gradient)]
    for block in blocks(node, source.shape):
        places, n = block.windows.shape
        step = max(1, -(-places * rows * n // MOST_VALUES))
        kept = np.arange(0, places, step)
        _, group = np.unique(block.biases[kept, 0], return_inverse=True)
        first = [int(np.flatnonzero(group == g)[0]) for g in range(int(group.max()) + 1)]
        x = flat[:, block.windows[kept]].transpose(1, 0, 2).reshape(-1, n)
        h, slope = (None if a is None else a[:, block.outputs[kept]].transpose(1, 0, 2).reshape(len(x), -1) for a in given)
        yield Seen(block, x, h, slope, np.repeat(group, rows), block.biases[kept][first], places / len(kept) / rows)
