"""A product with a constant matrix as a list of its non-zero weights, in integers: what a folded layer has to add up, and no circuit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Node
from hwq.ir.ops import blocks, constants, is_matrix, odd_form
from hwq.ir.windows import Index

_WIDEST = 40  # bits of a weight, of an element and of a sum: what the models' 64 bits multiply and add exactly


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """sum[output] = ((bias + the sum of weight * x[element]) << up) + low, all of them mantissas.

    Attributes:
        outputs, elements, weights: of each product that is not always zero: (k,) each.
        biases: (m,); `up` bits below them are constants, `low`: a bias may be finer than every product, as after a merged rounding.
        types: of the sums: (m,).
        sources: types of the elements: (n,).
    """

    outputs: Index
    elements: Index
    weights: Index
    biases: IntArray
    up: Index
    low: Index
    types: TypeArray
    sources: TypeArray

    @property
    def sum_bits(self) -> int:
        """Bits that hold every sum without its constant bits; partial sums may wrap."""
        alive = self.types.width.astype(np.int64)
        return max(1, int(np.maximum(alive - self.up, 1).max(initial=1)))


def terms_of(node: Node, source: TypeArray) -> Terms:
    """The terms of a product whose operand has the types `source`.

    Raises:
        GraphError: no product with a constant matrix, or numbers of more than 40 bits.
    """
    if not is_matrix(node, weighted=True):
        raise GraphError(f"node {node.name}: {node.op} is no product with a constant matrix")
    kernel, bias = constants(node)
    (k, k_frac), (b, b_frac) = ((part.ravel() for part in odd_form(c)) for c in (kernel, bias))
    outputs, elements, weights, sums = [], [], [], np.zeros(node.type.size, np.int64)
    for block in blocks(node, source.shape):
        rows, columns = np.nonzero(k[block.weights] != 0)
        chosen = block.weights[rows, columns]
        for window, places, biases in zip(block.windows, block.outputs, block.biases, strict=True):
            outputs.append(places[columns])
            elements.append(window[rows])
            weights.append(chosen)
            sums[places] = biases
    none = np.zeros(0, np.int64)
    out, element, weight = (np.concatenate(parts) if parts else none for parts in (outputs, elements, weights))
    flat, types = source.reshape((source.size,)), node.type.reshape((node.type.size,))
    alive = (element >= 0) & (flat.width[element] > 0) & (types.width[out] > 0)
    out, element, weight = out[alive], element[alive], weight[alive]
    frac = k_frac[weight] + flat.frac[element].astype(np.int64)
    finest = np.full(types.size, np.iinfo(np.int64).min)
    np.maximum.at(finest, out, frac)
    whole = types.frac.astype(np.int64)
    finest = np.where(finest == np.iinfo(np.int64).min, whole, finest)
    up = whole - finest
    found = k[weight].astype(object) << (finest[out] - frac).astype(object)
    shift = whole - b_frac[sums]
    given = np.where(types.width > 0, b[sums], 0)
    if (up < 0).any() or (shift[given != 0] < 0).any():
        raise GraphError(f"node {node.name}: its type has a coarser step than its terms")
    exact = given.astype(object) << np.where(given != 0, shift, 0).astype(object)
    high = exact >> up.astype(object)
    widest = max(map(_length, (found, high)), default=0)
    if max(widest, int(flat.width.max(initial=0)), int(types.width.max(initial=0))) > _WIDEST:
        raise GraphError(f"node {node.name}: its numbers have more than {_WIDEST} bits")
    rest = exact - (high << up.astype(object))
    return Terms(out, element, found.astype(np.int64), high.astype(np.int64), up, rest.astype(np.int64), types, flat)


def _length(values: npt.NDArray[np.object_]) -> int:
    return int(np.abs(values).max(initial=0)).bit_length()
