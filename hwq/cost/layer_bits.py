"""Every matrix of a network as training sees it: how many bits each weight and each input has, and where they lie. No values.

From these the size of its adder tree follows before any adder graph is solved: each weight stands for as many shifted copies of its
input as signed digits are to be expected of its bits, and the copies of a column meet in a tree. Terms that columns have in common
are added once: how many there are is told by how often two digits of one column lie as far apart as in another.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.ir import Graph, Node
from hwq.ir.ops import blocks, constants, is_matrix, odd_form
from hwq.ir.spec import enclosed_bits
from hwq.passes.wires import csd
from hwq.tensors import Longs

# mean count of canonical signed digits of the odd numbers of 1, 2, ... bits; each bit above adds a third
_DIGITS = (0.0, 1.0, 2.0, 2.0, 2.5)
# what shared terms leave of a tree: scale * (1 + meetings)^-shared * inputs^-rest; fitted to 230 random layers that hwq's solver
# solved (docs/reference/cost-models.md), with the digits that are expected and with those that are there
_LEFT = {False: (1.125, 0.135, 0.043), True: (0.928, 0.140, 0.017)}


@dataclass(frozen=True, slots=True, eq=False)
class LayerBits:
    """One matrix of a design, used at `places` places.

    Attributes:
        name: of its graph node; source: of the layer that it came from.
        weights: (n, m) bits of each weight from the first to the last that is not zero; 0 for an absent one.
        positions: (n, m) exponents of the weights' lowest bits: the weight is an odd integer times 2^position.
        inputs: (n,) bits of each input; input_positions, (n,): exponents of their lowest bits; signed, (n,).
        digits: (n, m) signed digits of each weight where the constants are known.
    """

    name: str
    source: str
    weights: Longs
    positions: Longs
    inputs: Longs
    input_positions: Longs
    signed: npt.NDArray[np.bool_]
    places: int = 1
    digits: npt.NDArray[np.object_] | None = None

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n, m): whether there is anything to multiply."""
        return (self.weights > 0) & (self.inputs > 0)[:, None]


def layer_bits(graph: Graph) -> list[LayerBits]:
    """The matrices of a graph, with their digits; several of one node where it is a grouped convolution."""
    nodes = graph.by_name()
    return [layer for node in graph.nodes if is_matrix(node, weighted=True) for layer in _layers(node, nodes[node.inputs[0]])]


def _layers(node: Node, source: Node) -> list[LayerBits]:
    mantissas, frac = (a.ravel() for a in odd_form(constants(node)[0]))
    bits = enclosed_bits(mantissas)
    digits = np.empty(len(mantissas), object)
    digits[:] = [csd(int(v)) if v else [] for v in mantissas]
    t = source.type
    width, low, signed = (np.append(a.ravel().astype(np.int64), 0) for a in (t.width, -t.frac.astype(np.int64), t.signed))
    found = []
    for block in blocks(node, t.shape):
        # the place with most inputs stands for all: at the edges some read padding
        window = block.windows[int((width[block.windows] > 0).sum(axis=1).argmax())]
        w = block.weights
        x = (width[window], low[window], signed[window] != 0)
        found.append(LayerBits(node.name, node.source, bits[w], -frac[w].astype(np.int64), *x, len(block.windows), digits[w]))
    return found


def expected_digits(bits: Longs) -> npt.NDArray[np.float64]:
    """Signed digits to be expected of odd numbers of so many bits: (...) -> (...)."""
    table = np.array([*_DIGITS, *(1 + 0.35 * b for b in range(len(_DIGITS), 64))])
    return np.asarray(table[np.minimum(bits, 63)])


def tree_bits(layer: LayerBits, *, exact: bool = False) -> float:
    """Bits at which the operands of the adders overlap, over the trees of all columns, nothing shared; of one place.

    Args:
        exact: with the digits of the constants, instead of those to be expected of their bits.
    """
    return float(sum(_column(layer, j, exact) for j in range(layer.weights.shape[1])))


def shared_bits(layer: LayerBits, *, exact: bool = False) -> float:
    """As `tree_bits`, less what columns share, at all places."""
    rows = int(layer.present.any(axis=1).sum())
    if not rows:
        return 0.0
    scale, shared, rest = _LEFT[exact]
    shrink = scale * (1 + meetings(layer)) ** -shared * float(rows) ** -rest
    return float(layer.places * tree_bits(layer, exact=exact) * min(shrink, 1.0))


def meetings(layer: LayerBits) -> float:
    """How many columns, on average, have two given inputs in the same relation: columns x density^2 x the chance of equal distances."""
    present = layer.present
    used = present[present.any(axis=1)][:, present.any(axis=0)]
    if not used.size:
        return 0.0
    counts = expected_digits(layer.weights)[present]
    density = float(counts.sum()) / used.size
    at = layer.positions[present]
    spread = np.bincount(at - at.min(), weights=counts) / counts.sum()
    # digits of one weight lie anywhere in its bits
    width = max(round(float(layer.weights[present].mean())), 1)
    spread = np.convolve(spread, np.ones(width) / width)
    distances = np.convolve(spread, spread[::-1])
    return float(used.shape[1] * density**2 * (distances**2).sum())


def _column(layer: LayerBits, j: int, exact: bool) -> int:
    terms: list[tuple[int, int, bool]] = []
    for i in np.flatnonzero(layer.present[:, j]).tolist():
        low = int(layer.positions[i, j] + layer.input_positions[i])
        width, signed = int(layer.inputs[i]), bool(layer.signed[i])
        if exact and layer.digits is not None:
            terms += [(low + at, low + at + width, signed or sign < 0) for at, sign in layer.digits[i, j]]
        else:
            terms += [(low + at, low + at + width, signed) for at in _spread(int(layer.weights[i, j]))]
    return _tree(terms)


def _spread(bits: int) -> Sequence[int]:
    """Where the digits of a weight of so many bits may lie: first and last, and evenly between."""
    count = round(float(expected_digits(np.array(bits))))
    return [round(k * (bits - 1) / (count - 1)) for k in range(count)] if count > 1 else [0]


def _tree(terms: list[tuple[int, int, bool]]) -> int:
    """Overlapping bits of all adders when the earliest and lowest terms, (low, end, signed), are joined first."""
    if len(terms) < 2:
        return 0
    top = math.ceil(math.log2(sum(2.0**end for _, end, _ in terms)))
    heap = [(0, end, low, signed) for low, end, signed in terms]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        depth, end, low, signed = heapq.heappop(heap)
        depth2, end2, low2, signed2 = heapq.heappop(heap)
        # the shorter operand goes on upwards with its sign
        extended = signed if end < end2 else signed2
        upper = max(end, end2) if extended and end != end2 else min(end, end2)
        total += max(upper - max(low, low2), 0)
        joined = (max(depth, depth2) + 1, min(max(end, end2) + 1, top), min(low, low2), signed or signed2)
        heapq.heappush(heap, joined)
    return total
