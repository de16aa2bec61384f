"""Digit removal: the signed digits whose loss changes the outputs least, one at a time, over the whole network.

The FPGA form of multipoint quantisation (Liu et al., AAAI 2021, arXiv 2002.09049): there a weight is a sum of low-bit points, here of
signed powers of two, each of which is an adder. With M the second moments of a matrix's real quantised inputs and e the error of a
channel's weights so far, taking the digit d 2^k of input i away changes the channel's squared error by

    2 de (M e)_i + de^2 M_ii,    de = -d 2^k

The digit with the least change for each bit of adder that it frees goes first; biases make up for the mean of what is lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, Node
from hwq.ir.ops import odd_form
from hwq.passes.adders import csd
from hwq.posttraining.rebuild import exact, real, rebuilt
from hwq.posttraining.statistics import Moments, Seen, linear_nodes, seen
from hwq.tensors import Floats, Longs

JOINING = 1.0  # bits of adder beside those of the digit's own input: carries, and sums that grow


@dataclass(slots=True, eq=False)
class Channel:
    """The weights of one output of one matrix.

    Attributes:
        elements: (k,) places in the kernel of the weights that are not zero.
        inputs: (k,) their rows in the matrix.
        moments: of what they read.
        biases: (groups,) elements of the bias.
        error: (k,) how much each weight is off by now.
        gradient: of half the loss by each weight.
        owner, value, bits: (d,) of each digit that is left: its weight's place among the k, its value, what its removal frees.
        unit: what the squared error is divided by before channels are compared.
        step: the smallest digit that a halving may lead to.
    """

    elements: Longs
    inputs: Longs
    moments: Moments
    biases: Longs
    error: Floats
    owner: Longs
    value: Floats
    bits: Floats
    unit: float = 1.0
    step: float = 0.0
    gradient: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.gradient = self.moments.linear + self.moments.second @ self.error

    @property
    def squared_error(self) -> float:
        """What the removed digits cost, in the unit of the channel."""
        return float(self.error @ self.gradient) / self.unit

    def changes(self) -> Floats:
        """By how much the squared error would change with each digit's removal."""
        de = -self.value
        diagonal = self.moments.second.diagonal()[self.owner]
        return (2 * de * self.gradient[self.owner] + de * de * diagonal) / self.unit

    def cheapest(self) -> tuple[float, int] | None:
        """(change for each bit that it frees, digit); None where none is left."""
        if not len(self.value):
            return None
        rate = self.changes() / self.bits
        digit = int(rate.argmin())
        return float(rate[digit]), digit

    def best_shift(self) -> tuple[float, int, float] | None:
        """(change, digit, its new value) of the best doubling or halving of a digit, which costs no adder; None where none is left."""
        if not len(self.value):
            return None
        diagonal = self.moments.second.diagonal()[self.owner]
        de = np.stack([self.value, np.where(np.abs(self.value) > self.step, -self.value / 2, 0)])
        change = (2 * de * self.gradient[self.owner] + de * de * diagonal) / self.unit
        way, digit = (int(i) for i in np.unravel_index(int(change.argmin()), change.shape))
        return float(change[way, digit]), digit, float(self.value[digit] + de[way, digit])

    def shift(self, digit: int, value: float) -> None:
        """Give a digit another value."""
        self._move(int(self.owner[digit]), value - float(self.value[digit]))
        self.value[digit] = value

    def _move(self, i: int, de: float) -> None:
        self.error[i] += de
        self.gradient += de * self.moments.second[:, i]

    def remove(self, digit: int) -> float:
        """Take a digit away; the bits that it frees."""
        bits = float(self.bits[digit])
        self._move(int(self.owner[digit]), -float(self.value[digit]))
        keep = np.arange(len(self.value)) != digit
        self.owner, self.value, self.bits = self.owner[keep], self.value[keep], self.bits[keep]
        return bits


def channels_of(node: Node, source: TypeArray, matrix: Seen, weights: Floats, target: Floats, *, relative: bool) -> list[Channel]:
    """The channels of one matrix that have weights.

    Args:
        weights: the kernel's values now.
        target: those that the result is compared with.
        relative: compare channels by their error relative to their own output, not by importance.
    """
    flat, wanted = weights.ravel(), target.ravel()
    step = min((abs(d) for w in np.unique(wanted).tolist() for d in digits_of(w)), default=0.0)
    width = np.append(source.width.ravel(), 0)[matrix.block.windows].max(axis=0).astype(np.float64)
    found = []
    for j in range(matrix.block.weights.shape[1]):
        elements = matrix.block.weights[:, j]
        inputs = np.flatnonzero((flat[elements] != 0) | (wanted[elements] != 0))
        if not len(inputs):
            continue
        elements = elements[inputs]
        moments = matrix.moments(inputs, j)
        pairs = [(i, digit) for i, w in enumerate(flat[elements].tolist()) for digit in digits_of(w)]
        owner = np.array([i for i, _ in pairs], np.int64)
        value = np.array([digit for _, digit in pairs])
        w = wanted[elements]
        unit = max(float(w @ moments.second @ w), 1e-30) if relative else 1.0
        bits = width[inputs][owner] + JOINING if len(owner) else np.zeros(0)
        biases = matrix.biases[:, j]
        found.append(Channel(elements, inputs, moments, biases, flat[elements] - w, owner, value, bits, unit, step))
    return found


def digits_of(weight: float) -> list[float]:
    """The canonical signed digits of a dyadic number, as values."""
    numerator, denominator = weight.as_integer_ratio()
    return [sign * 2.0**position / denominator for position, sign in csd(numerator)]


@dataclass(slots=True)
class Removal:
    """The digits of a whole network, and which of them are gone.

    Attributes:
        graph: the network now.
        target: the network that the outputs are compared with.
        channels: by the name of the linear operation.
    """

    graph: Graph
    target: Graph
    channels: dict[str, list[Channel]]

    @classmethod
    def begin(
        cls,
        graph: Graph,
        target: Graph,
        values: Mapping[str, IntArray],
        importance: Mapping[str, Floats] | None = None,
        gradient: Mapping[str, Floats] | None = None,
    ) -> Removal:
        """Look at what every linear operation reads.

        Args:
            values: of every node of `graph` on calibration rows.
            importance: (rows, *shape) of linear operations; None: the error of each channel counts relative to its own output.
        """
        wanted = target.by_name()
        channels: dict[str, list[Channel]] = {}
        for node in linear_nodes(graph):
            now, before = (real(n.constant("kernel")) for n in (node, wanted[node.name]))
            source = graph[node.inputs[0]].type
            channels[node.name] = [
                channel
                for matrix in seen(graph, node, values, importance, gradient)
                for channel in channels_of(node, source, matrix, now, before, relative=importance is None)
            ]
        return cls(graph, target, channels)

    @property
    def bits(self) -> float:
        """The cost of all digits that are left: an estimate of adder bits without sharing."""
        return float(sum(c.bits.sum() for many in self.channels.values() for c in many))

    @property
    def digits(self) -> int:
        """How many are left."""
        return sum(len(c.value) for many in self.channels.values() for c in many)

    def remove(self, bits: float, most: float = np.inf) -> float:
        """Take digits away until so many bits are free, or the next would cost more than `most` a bit; the bits freed."""
        every = [c for many in self.channels.values() for c in many]
        heap = []
        for number, channel in enumerate(every):
            cheapest = channel.cheapest()
            if cheapest is not None:
                heap.append((cheapest[0], number, cheapest[1]))
        heapq.heapify(heap)
        freed = 0.0
        while heap and freed < bits:
            rate, number, digit = heapq.heappop(heap)
            if rate > most:
                break
            freed += every[number].remove(digit)
            cheapest = every[number].cheapest()
            if cheapest is not None:
                heapq.heappush(heap, (cheapest[0], number, cheapest[1]))
        return freed

    def repair(self, count: int) -> int:
        """Double or halve up to so many digits where that makes the loss less; how many."""
        every = [c for many in self.channels.values() for c in many]
        heap = [(best[0], number) for number, channel in enumerate(every) if (best := channel.best_shift())]
        heapq.heapify(heap)
        done = 0
        while heap and done < count:
            change, number = heapq.heappop(heap)
            best = every[number].best_shift()
            if change >= 0 or best is None:
                break
            every[number].shift(*best[1:])
            done += 1
            again = every[number].best_shift()
            if again is not None:
                heapq.heappush(heap, (again[0], number))
        return done

    def result(self) -> Graph:
        """The graph without the digits that are gone, its biases corrected."""
        nodes: dict[str, Node] = {}
        for node in self.graph.nodes:
            sources = [nodes[name] for name in node.inputs]
            if node.name in self.channels:
                node = self._with_weights(node)
            nodes[node.name] = rebuilt(node, sources)
        return self.graph.with_nodes(nodes.values())

    def _with_weights(self, node: Node) -> Node:
        wanted = self.target[node.name]
        kernel, bias = (real(wanted.constant(name)).ravel().copy() for name in ("kernel", "bias"))
        shift, count = np.zeros(len(bias)), np.zeros(len(bias))
        for channel in self.channels[node.name]:
            kernel[channel.elements] += channel.error
            np.add.at(shift, channel.biases, -(channel.moments.means @ channel.error))
            np.add.at(count, channel.biases, 1)
        bias += np.where(count > 0, shift / np.maximum(count, 1), 0)
        frac = bias_frac(wanted)
        made = {
            "kernel": exact(kernel.reshape(wanted.constant("kernel").shape)),
            "bias": exact((np.floor(np.ldexp(bias, frac) + 0.5) * 2.0**-frac).reshape(wanted.constant("bias").shape)),
        }
        return node.with_(attrs={**node.attrs, **made})


def bias_frac(node: Node) -> int:
    """The finest step of the biases of an operation; of one without, that of its results."""
    mantissas, frac = odd_form(node.constant("bias"))
    used = mantissas != 0
    return int(frac[used].max()) if used.any() else int(node.type.frac.max(initial=0))
