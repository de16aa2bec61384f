"""Exact EBOPs of every operation: bits(a) bits(b) over the multiplications of an unrolled design, from the constants that are there.

A kernel that moves over positions counts once for each position: each has multipliers of its own. Adding, comparing and moving
values counts nothing. A table counts the 6-input LUTs that hold it. `hwq.layers` prices the same in training, where the
bits of a constant are those from its first one to its last step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.fixed import TypeArray
from hwq.ir import Node
from hwq.ir.ops import odd_form
from hwq.ir.windows import blocks

LUT_INPUTS = 6
_KERNELS = {"dense": "kernel", "conv2d": "kernel", "einsum": "kernel", "scale": "factor"}


def enclosed_bits(mantissas: np.ndarray) -> np.ndarray:
    """Bits between the first and the last non-zero bit of each integer, 0 for 0."""
    flat = [int(abs(v)) for v in mantissas.ravel()]
    return np.array([(v // (v & -v)).bit_length() if v else 0 for v in flat], np.int64).reshape(mantissas.shape)


def ebops(node: Node, sources: Sequence[TypeArray]) -> float:
    """EBOPs of one node.

    Args:
        node: of any op; 0 for one without multiplications.
        sources: the types of its inputs.
    """
    widths = [types.width.astype(np.int64) for types in sources]
    if node.op in _KERNELS:
        return _on_bits(node, widths[0], enclosed_bits(odd_form(node.constant(_KERNELS[node.op]))[0]))
    if node.op == "multiply":
        return float((widths[0] * widths[1]).sum())
    if node.op == "table":
        luts = np.exp2(np.maximum(widths[0] - LUT_INPUTS, 0)) * node.type.width
        return float(np.where(widths[0] > 0, luts, 0).sum())
    return 0.0


def multiplications(node: Node, sources: Sequence[TypeArray]) -> int:
    """Multiplications by constants of one node, those by zero included; the padding of a convolution is none."""
    if node.op not in _KERNELS:
        return 0
    return int(_on_bits(node, np.ones(sources[0].shape, np.int64), np.ones(node.constant(_KERNELS[node.op]).shape, np.int64)))


def _on_bits(node: Node, widths: np.ndarray, bits: np.ndarray) -> float:
    """Sum of widths[input] * bits[constant] over all products of the node."""
    if node.op == "scale":
        return float((widths * bits).sum())
    padded = np.append(widths.ravel(), 0)
    found = blocks(node, widths.shape)
    return float(sum((padded[block.windows].sum(axis=0)[:, None] * bits.ravel()[block.weights]).sum() for block in found))
