"""How many bits a float must have to compute every number of a graph exactly, whatever the order of its sums."""

from __future__ import annotations

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.exporters.program import OUTSIDE
from hwq.fixed import TypeArray
from hwq.ir import Graph, Node
from hwq.ir.ops import blocks, constants, is_matrix
from hwq.ir.spec import Steps, odd_form
from hwq.passes.narrow import intervals
from hwq.tensors import Floats

SINGLE, DOUBLE = 24, 53
NOWHERE = -(1 << 20)  # fractional bits of a number that is always zero


def bits_of_nodes(graph: Graph) -> dict[str, int]:
    """For each node: bits of the longest number, or sum of absolute values, on the way to its result."""
    bounds = intervals(graph)
    reach = {
        name: np.ldexp(np.maximum(np.abs(b.low), np.abs(b.high)).astype(np.float64), -b.frac.astype(np.int64))
        for name, b in bounds.items()
    }
    frac = {name: np.where(reach[name] > 0, b.frac.astype(np.int64), NOWHERE) for name, b in bounds.items()}
    found = {}
    for node in graph.nodes:
        own = _bits(reach[node.name], frac[node.name])
        read = [(reach[name], frac[name]) for name in node.inputs]
        found[node.name] = max(own, _computing(node, read))
    return found


def _bits(reach: Floats, frac: Steps) -> int:
    """Bits of integers up to `reach` at the step 2^-frac."""
    alive = (reach > 0) & (frac > NOWHERE)
    whole = np.ceil(np.log2(np.where(alive, reach, 1.0))).astype(np.int64)
    return int(np.where(alive, whole + frac, 0).max(initial=0))


def _computing(node: Node, read: list[tuple[Floats, Steps]]) -> int:
    if node.op == "input":
        return int(node.type.width.max(initial=0)) + 3 + (OUTSIDE if str(node.type.overflow) == "WRAP" else 0)
    if node.op == "quantize":
        return _rounding(node.type, *read[0])
    if is_matrix(node):
        return _summing(node, *read[0])
    if node.op in ("add", "subtract"):
        return _bits(read[0][0] + read[1][0], np.maximum(read[0][1], read[1][1]))
    if node.op == "multiply":
        return _bits(read[0][0] * read[1][0], np.maximum(read[0][1] + read[1][1], NOWHERE))
    if node.op in ("bias", "scale"):
        mantissas, frac = odd_form(node.constant("bias" if node.op == "bias" else "factor"))
        size = np.ldexp(np.abs(mantissas).astype(np.float64), -frac)
        frac = np.where(size > 0, frac, NOWHERE)
        if node.op == "bias":
            return _bits(read[0][0] + size, np.maximum(read[0][1], frac))
        return _bits(read[0][0] * size, np.maximum(read[0][1] + frac, NOWHERE))
    if node.op == "leaky_relu":
        return _bits(read[0][0], read[0][1] + node.integer("shift"))
    return int(node.constant("values").types.size).bit_length() if node.op == "table" else 0


def _rounding(types: TypeArray, reach: Floats, frac: Steps) -> int:
    """Half a step is added, and what wraps gets half its span."""
    f = types.frac.astype(np.int64)
    step = np.ldexp(1.0, -f)
    rounds = str(types.rounding) == "RND"
    span = np.ldexp(step, types.width.astype(np.int64)) if str(types.overflow) == "WRAP" else 0.0
    alive = types.width > 0
    finest = np.where(alive, np.maximum(frac, f + rounds), NOWHERE)
    return max(_bits(reach + step, finest), _bits(np.where(alive, reach + step + span, 0.0), f))


def _summing(node: Node, reach: Floats, frac: Steps) -> int:
    """For each result the sum of all absolute values, at the step of its finest product."""
    kernel, bias = constants(node)
    k, k_frac = (a.ravel() for a in odd_form(kernel))
    b, b_frac = (a.ravel() for a in odd_form(bias))
    size, offset = np.ldexp(np.abs(k).astype(np.float64), -k_frac), np.ldexp(np.abs(b).astype(np.float64), -b_frac)
    x, x_frac = np.append(reach.ravel(), 0.0), np.append(frac.ravel(), NOWHERE)
    most = 0
    for block in blocks(node, reach.shape):
        total = x[block.windows] @ size[block.weights] + offset[block.biases]
        finest = np.where(offset[block.biases] > 0, b_frac[block.biases], NOWHERE)
        for n in range(block.weights.shape[0]):
            each = np.where(k[block.weights[n]] != 0, k_frac[block.weights[n]], NOWHERE)
            finest = np.maximum(finest, x_frac[block.windows[:, n]][:, None] + each)
        most = max(most, _bits(total, np.maximum(finest, NOWHERE)))
    return most


def require_bits(graph: Graph, most: int, why: str) -> None:
    """That floats of `most` bits compute the graph exactly.

    Raises:
        UnsupportedLayerError: names the first node whose numbers are longer.
    """
    for name, bits in bits_of_nodes(graph).items():
        if bits > most:
            source = graph[name].source
            layer = f" of layer {source!r}" if source else ""
            raise UnsupportedLayerError(
                f"node {name}{layer} has numbers of {bits} bits; {why} of {most} bits", hint="fewer bits for what it reads"
            )
