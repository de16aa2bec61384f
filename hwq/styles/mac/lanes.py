"""A product with a constant matrix dealt out in space and time: groups of lanes, and what each lane multiplies in each step.

A *group* computes its outputs one after the other. In each step every one of its *lanes* multiplies one non-zero weight by the element of
the row that belongs to it; their sum joins the group's accumulator. The weights of an output are sorted by width, so that the first lane has the
widest and each lane's memory and multiplier are as wide as its own. Outputs are dealt to the groups longest first, always
to the group with the fewest steps: Graham 1969, at most 4/3 of the least makespan.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed.arithmetic import IntArray
from hwq.fixed.types import bits_for, bits_for_each
from hwq.ir.spec import bits_of, exact_matmul
from hwq.ir.windows import Index
from hwq.styles.mac.terms import Terms

BLOCKS = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))  # bits and words of half a block memory of 36 Kb
SHALLOW = 256  # words of a memory that is made of look-up tables; deeper ones are block memories


@dataclass(frozen=True, slots=True)
class Lane:
    """A multiplier: weights of `width` bits, its products times 2^up."""

    width: int
    signed: bool
    up: int


@dataclass(frozen=True, slots=True, eq=False)
class LaneGroup:
    """Lanes that add up the same outputs.

    Attributes:
        outputs: in the order of their sums.
        weights, places: (steps, lanes): what is multiplied, as mantissas of the lane, and which of the used elements with.
        last: (steps,): whether a sum is complete with that step.
    """

    outputs: tuple[int, ...]
    lanes: tuple[Lane, ...]
    weights: Index
    places: Index
    last: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Folding:
    """One product, folded.

    Attributes:
        name: of its node.
        used: elements of the operand that any weight reads; `width` bits hold each, one of them a sign where `signed`.
        together: elements that one word of a lane's memory of the row holds, a power of two.
        steps: of every group.
    """

    name: str
    terms: Terms
    used: Index
    width: int
    signed: bool
    together: int
    steps: int
    groups: tuple[LaneGroup, ...]

    @property
    def lanes(self) -> int:
        return sum(len(group.lanes) for group in self.groups)

    @property
    def words(self) -> int:
        """Clocks in which the row is written into the lanes' memories."""
        return -(-len(self.used) // self.together)

    @property
    def place_bits(self) -> int:
        """Bits of the place of an element."""
        return max(0, (self.words * self.together - 1).bit_length())

    @property
    def depth(self) -> int:
        """Levels of the adders that add up the products of a group, each a clock."""
        return max(len(group.lanes) - 1 for group in self.groups).bit_length()

    @property
    def deep(self) -> bool:
        """Whether the weights lie in block memories."""
        return self.steps > SHALLOW

    def word_bits(self, group: LaneGroup) -> int:
        """Bits of a group's memory of weights: weights, places, and whether a sum is complete."""
        return 1 + sum(lane.width + self.place_bits for lane in group.lanes)

    def sums(self, operand: IntArray) -> IntArray:
        """The sums (rows, outputs) of operands (rows, elements), from what the memories hold: steps and clocks left out."""
        read, terms = operand[:, self.used], self.terms
        found = np.zeros((len(operand), terms.types.size), np.int64)
        for group in self.groups:
            ends = np.flatnonzero(group.last)
            number = np.searchsorted(ends, np.arange(self.steps))
            matrix = np.zeros((len(self.used), len(group.outputs)), np.int64)
            scaled = group.weights << np.array([lane.up for lane in group.lanes])
            np.add.at(matrix, (group.places, np.broadcast_to(number[:, None], group.places.shape)), scaled)
            largest = float((np.abs(read).max(initial=0) * np.abs(matrix).sum(axis=0)).max(initial=0))
            found[:, list(group.outputs)] = exact_matmul(read, matrix, bits_of(largest))
        alive = terms.types.width.ravel() > 0
        return np.where(alive, ((found + np.where(alive, terms.biases, 0)) << terms.up) | terms.low, 0)

    @property
    def memory_bits(self) -> int:
        return self.steps * sum(map(self.word_bits, self.groups))


def fold(name: str, terms: Terms, interval: int, block_lut: float = 0.0) -> Folding:
    """The folding with the fewest look-up tables, as counted, that takes a row every `interval` clocks.

    Args:
        block_lut: look-up tables that a block memory of 36 Kb is worth: as many as the part has for each of its own.

    Raises:
        GraphError: none does.
    """
    counts = np.bincount(terms.outputs, minlength=terms.types.size)
    alive = np.flatnonzero(terms.types.width.ravel() > 0)
    used = np.unique(terms.elements)
    if not len(alive) or not len(used):
        raise GraphError(f"node {name}: nothing to multiply")
    together = 1
    while -(-len(used) // together) > interval:
        together *= 2
    best: tuple[float, Folding] | None = None
    size = 1
    while size == 1 or size < 2 * int(counts.max(initial=1)):
        steps = np.maximum(-(-counts[alive] // size), 1)
        dealt = _dealt(steps, interval)
        if dealt is not None:
            found = _folded(name, terms, [alive[mine] for mine in dealt], size, used, together)
            cost = lut_of(found) + block_lut * blocks_of(found)
            if best is None or cost < best[0]:
                best = cost, found
        size *= 2
    if best is None:
        raise GraphError(f"node {name}: no folding takes a row every {interval} clocks")
    return best[1]


def _dealt(steps: Index, interval: int) -> list[list[int]] | None:
    """Which outputs each group has: as few groups as keep the interval; None where one output alone does not."""
    if int(steps.max()) > interval:
        return None
    order = np.argsort(-steps, kind="stable").tolist()
    for groups in range(-(-int(steps.sum()) // interval), len(steps) + 1):
        loads = [(0, g) for g in range(groups)]
        dealt: list[list[int]] = [[] for _ in range(groups)]
        for output in order:
            load, g = heapq.heappop(loads)
            dealt[g].append(output)
            heapq.heappush(loads, (load + int(steps[output]), g))
        if max(load for load, _ in loads) <= interval:
            return [sorted(mine) for mine in dealt if mine]
    return None


def _folded(name: str, terms: Terms, dealt: list[Index], size: int, used: Index, together: int) -> Folding:
    counts = np.bincount(terms.outputs, minlength=terms.types.size)
    steps = np.maximum(-(-counts // size), 1)
    # the terms of each output, the widest first; of equals in the order of the elements
    widths = bits_for_each(np.minimum(terms.weights, -1), np.maximum(terms.weights, 0))
    order = np.lexsort((terms.elements, -widths, terms.outputs))
    outputs = terms.outputs[order]
    rank = np.arange(len(order)) - np.concatenate([[0], np.cumsum(counts)])[outputs]
    lane, step = rank // steps[outputs], rank % steps[outputs]
    longest = max(int(steps[mine].sum()) for mine in dealt)
    where = np.full(terms.types.size, -1)
    begins = np.zeros(terms.types.size, np.int64)
    for g, mine in enumerate(dealt):
        where[mine] = g
        ends = np.cumsum(steps[mine])
        begins[mine] = longest - ends[-1] + ends - steps[mine]  # idle steps come first, and multiply by zero
    weights = np.zeros((len(dealt), longest, size), np.int64)
    places = np.zeros_like(weights)
    at = where[outputs], begins[outputs] + step, lane
    weights[at] = terms.weights[order]
    places[at] = np.searchsorted(used, terms.elements[order])
    groups = tuple(_group(weights[g], places[g], mine, begins[mine] + steps[mine] - 1) for g, mine in enumerate(dealt))
    sources = terms.sources
    signed = bool((sources.signed[used] != 0).any())
    width = int((sources.width[used] + (signed & (sources.signed[used] == 0))).max())
    return Folding(name, terms, used, width, signed, together, longest, groups)


def _group(weights: Index, places: Index, outputs: Index, ends: Index) -> LaneGroup:
    lanes, columns = [], []
    for k in range(weights.shape[1]):
        column = weights[:, k]
        if not column.any() and (k or weights.any()):
            continue  # no output has so many terms
        zeros = int(np.bitwise_or.reduce(column))
        up = (zeros & -zeros).bit_length() - 1 if zeros else 0
        low, high = int(column.min()) >> up, int(column.max()) >> up
        lanes.append(Lane(max(1, bits_for(low, high)), low < 0, up))
        columns.append(k)
    last = np.zeros(len(weights), bool)
    last[ends] = True
    mine = weights[:, columns] >> np.array([lane.up for lane in lanes])
    return LaneGroup(tuple(outputs.tolist()), tuple(lanes), mine, places[:, columns], last)


def lut_of(folding: Folding) -> float:
    """Look-up tables with six inputs, as counted: multipliers, memories in look-up tables, adders, accumulators.

    Of a row that is written while another is read, so that the choice does not depend on the intervals of other layers.
    """
    a, total = folding.width, 0.0
    depth = row_depth(folding, 1)
    row = 0.0 if depth > SHALLOW else -(-depth // 64) * 4 / 3 * a * folding.together + (a if depth > 64 else 0)
    sums = folding.terms.sum_bits
    for group in folding.groups:
        for lane in group.lanes:
            total += product_lut(lane.width, a) + row + a * (folding.together - 1) / 3
        total += (len(group.lanes) - 1) * (a + max(lane.width for lane in group.lanes) + 1)
        total += sums + sums * -(-len(group.outputs) // 64) + 4
        if not folding.deep:
            total += folding.word_bits(group) * -(-folding.steps // 64)
    bits = a * len(folding.used)
    return total + bits / 3 + 2 * folding.steps.bit_length() + 2 * folding.words.bit_length() + 8


def blocks_of(folding: Folding, interval: int = 1) -> float:
    """Block memories of 36 Kb: of the weights, and of the row in every lane."""
    depth = row_depth(folding, interval)
    row = _halves_of(folding.width * folding.together, depth) if depth > SHALLOW else 0
    weights = sum(_halves_of(folding.word_bits(group), folding.steps) for group in folding.groups) if folding.deep else 0
    return (weights + folding.lanes * row) / 2


def _halves_of(bits: int, words: int) -> int:
    return min(-(-bits // wide) * -(-words // deep) for wide, deep in BLOCKS)


def product_lut(width: int, other: int) -> float:
    """A product in look-up tables (FINN's formula, `finn.util.resource_models`): rows of two partial products, and what adds them up."""
    return float((2 * -(-(width + other) // 6) - 1) * (width + other)) if width > 1 else float(other)


def halves(folding: Folding, interval: int) -> bool:
    """Whether a row is written while the one before is still read: the memory of the row then has two halves."""
    return interval < folding.words + folding.steps - 1


def row_depth(folding: Folding, interval: int) -> int:
    """Words of a lane's memory of the row."""
    return 2 << (folding.words - 1).bit_length() if halves(folding, interval) else folding.words
