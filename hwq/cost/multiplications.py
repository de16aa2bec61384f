"""Exact EBOPs of every operation: bits(a) bits(b) over the multiplications of an unrolled design, from the constants that are there.

A kernel that moves over positions counts once for each position: each has multipliers of its own. Adding, comparing and moving
values counts nothing. A table counts the 6-input LUTs that hold it. What an op multiplies, its file says (`hwq.ir.ops`).
`hwq.layers` prices the same in training, where the bits of a constant are those from its first one to its last step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.fixed import TypeArray
from hwq.ir import Constant, Node
from hwq.ir.ops import blocks, constants, is_matrix, odd_form, spec_of
from hwq.ir.spec import enclosed_bits

LUT_INPUTS = 6


def ebops(node: Node, sources: Sequence[TypeArray]) -> float:
    """EBOPs of one node.

    Args:
        node: of any op; 0 for one without multiplications.
        sources: the types of its inputs.
    """
    factors = _factors(node)
    if factors is not None:
        return _on_bits(node, sources[0].width.astype(np.int64), enclosed_bits(odd_form(factors)[0]))
    spec, widths = spec_of(node.op), [types.width.astype(np.int64) for types in sources]
    if spec.lookups is not None:
        luts = np.exp2(np.maximum(widths[0] - LUT_INPUTS, 0)) * node.type.width
        return float(np.where(widths[0] > 0, luts, 0).sum())
    return spec.effort(node, sources).products


def multiplications(node: Node, sources: Sequence[TypeArray]) -> int:
    """Multiplications by constants of one node, those by zero included; the padding of a convolution is none."""
    factors = _factors(node)
    return 0 if factors is None else int(_on_bits(node, np.ones(sources[0].shape, np.int64), np.ones(factors.shape, np.int64)))


def _factors(node: Node) -> Constant | None:
    """The constants that the node multiplies by; None where it does not."""
    if is_matrix(node, weighted=True):
        return constants(node)[0]
    factor = spec_of(node.op).factor
    return node.constant(factor) if factor else None


def _on_bits(node: Node, widths: np.ndarray, bits: np.ndarray) -> float:
    """Sum of widths[input] * bits[constant] over all products of the node."""
    if not is_matrix(node):
        return float((widths * bits).sum())
    padded = np.append(widths.ravel(), 0)
    found = blocks(node, widths.shape)
    return float(sum((padded[block.windows].sum(axis=0)[:, None] * bits.ravel()[block.weights]).sum() for block in found))
