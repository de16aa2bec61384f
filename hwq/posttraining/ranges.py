"""Ranges of hidden activations: quantisers that calibration rows overflow, or do not fill, get the integer bits that those need."""

from __future__ import annotations

import numpy as np

from hwq.fixed import Overflow, TypeArray
from hwq.fixed.arithmetic import IntArray, as_integers, shift_round
from hwq.fixed.types import bits_for_each
from hwq.ir import OPS, Graph, Node
from hwq.ir.ops import spec_of
from hwq.passes.tables import renumbered
from hwq.posttraining.rebuild import rebuilt

MARGIN = 1.125  # as training has it


def retraced(graph: Graph, inputs: IntArray, *, margin: float = MARGIN, narrower: bool = False, apart: bool = False) -> Graph:
    """The graph with hidden quantisers as wide as the rows need, times `margin`, their steps as they are.

    Elements that had one type (a whole tensor, a channel) still have one, unless they are to be taken apart.

    Args:
        inputs: input mantissas (rows, elements) of calibration rows.
        apart: each element of a vector, each channel of an image, gets a width of its own.
        narrower: also take bits away that no row needs; otherwise a type changes only where rows overflow it.
    """
    nodes: dict[str, Node] = {}
    values: dict[str, IntArray] = {}
    start = 0
    tabled = {name for node in graph.nodes if spec_of(node.op).lookups for name in node.inputs}
    for old in graph.nodes:
        sources = [nodes[name] for name in old.inputs]
        node = rebuilt(old, sources)
        if node.op == "input":
            values[node.name] = inputs[:, start : start + node.type.size].reshape(-1, *node.shape)
            start += node.type.size
        else:
            operands = [values[name] for name in node.inputs]
            if node.op == "quantize":
                if node.name in tabled:  # a table has a value for each code, and no more
                    node = node.with_(type=_saturated(node, sources[0].type, operands[0]))
                else:
                    node = node.with_(type=_fitted(node, sources[0].type, operands[0], margin, narrower, apart))
            values[node.name] = OPS[node.op].evaluate(node, [s.type for s in sources], operands)
        nodes[node.name] = node
    return graph.with_nodes(nodes.values())


def with_input_range(graph: Graph, inputs: IntArray, *, margin: float = MARGIN) -> Graph:
    """The graph with an input that holds the rows, times `margin`: it answers as before inside that range, and for those rows.

    Args:
        inputs: input mantissas (rows, elements) of rows of the kind that the design will read.
    """
    nodes: dict[str, Node] = {}
    before = graph.by_name()
    start = 0
    for old in graph.nodes:
        sources = [nodes[name] for name in old.inputs]
        if spec_of(old.op).lookups:  # its entries are numbered by the codes of what it reads
            old = renumbered(old, before[old.inputs[0]].type, sources[0].type)
        node = rebuilt(old, sources)
        if node.op == "input":
            t = node.type
            values = inputs[:, start : start + t.size].reshape(-1, *node.shape)
            start += t.size
            low, high = (np.ceil(margin * np.abs(end)) * np.sign(end) for end in (values.min(axis=0), values.max(axis=0)))
            needed = bits_for_each(np.minimum(low, 0).astype(np.int64), np.maximum(high, 0).astype(np.int64))
            signed = np.where(low < 0, t.signed, 0)
            needed = np.where((t.signed != 0) & (signed == 0) & (needed >= t.width), t.width - 1, needed)
            width = np.where(t.width > 0, np.minimum(t.width, needed), 0)
            node = node.with_(type=TypeArray.of(signed, width, t.frac, t.rounding, t.overflow))
        nodes[node.name] = node
    return graph.with_nodes(nodes.values())


def _fitted(node: Node, source: TypeArray, values: IntArray, margin: float, narrower: bool, apart: bool) -> TypeArray:
    t = node.type
    low, high = _extent(t, source, values)
    alive = t.width > 0
    over = alive & ((low < t.lowest) | (high > t.highest))
    if not narrower and not over.any():
        return t
    nothing = (low == 0) & (high == 0)  # what rounds to zero in every row stays zero, whatever the margin
    bottom, top = (np.where(nothing, 0, end) for end in _grown(values, source, t, margin))
    axes = tuple(range(len(t.shape) - 1)) or None if apart else _axes(t)
    bottom, top = _shared(axes, bottom, top)
    needed = bits_for_each(np.minimum(bottom, 0), np.maximum(top, 0))
    signed = (bottom < 0).astype(np.int64)
    change = alive if narrower else _shared_mask(axes, over)
    if not narrower:  # never a bit less than before
        both = signed | t.signed
        needed = np.maximum(needed + (both - signed), t.width + (both - t.signed))
        signed = both
    width, sign = np.where(change, needed, t.width), np.where(change, signed, t.signed)
    return TypeArray.of(sign, width, t.frac, t.rounding, t.overflow)


def _extent(t: TypeArray, source: TypeArray, values: IntArray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest mantissa of each element at the steps of `t`."""
    up = np.maximum(t.frac.astype(np.int64) - source.frac, 0)
    wide = as_integers(values, int((source.width + up).max(initial=0)) + 1)
    rounded = shift_round(wide, source.frac.astype(np.int64) - t.frac, t.rounding)
    low, high = (np.asarray(reduce(axis=0), object) for reduce in (rounded.min, rounded.max))
    return low, high


def _saturated(node: Node, source: TypeArray, values: IntArray) -> TypeArray:
    """The type as it is; where rows overflow one that wraps, one that saturates: the table's first or last value is the nearest."""
    t = node.type
    low, high = _extent(t, source, values)
    if t.overflow is not Overflow.WRAP or not ((t.width > 0) & ((low < t.lowest) | (high > t.highest))).any():
        return t
    return TypeArray.of(t.signed, t.width, t.frac, t.rounding, Overflow.SAT)


def _grown(values: IntArray, source: TypeArray, t: TypeArray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest mantissa of the values times `margin`, exact; the margin is on values, as in training, not on mantissas."""
    factor, divisor = float(margin).as_integer_ratio()
    shift = source.frac.astype(np.int64) - t.frac + divisor.bit_length() - 1
    widest = int((source.width - np.minimum(shift, 0)).max(initial=0)) + factor.bit_length() + 1
    ends = (as_integers(reduce(axis=0), widest) * factor for reduce in (values.min, values.max))
    least, most = (np.asarray(shift_round(end, shift, t.rounding)).astype(np.int64) for end in ends)
    return least, most


def _axes(t: TypeArray) -> tuple[int, ...] | None:
    """The axes along which all elements have one type: every one, all but the last, or none (None)."""
    parts = (t.signed, t.width, t.frac)
    if t.size > 1 and all((p == p.flat[0]).all() for p in parts):
        return tuple(range(len(t.shape)))
    if len(t.shape) > 1 and all((p == p.reshape(-1, t.shape[-1])[0]).all() for p in parts):
        return tuple(range(len(t.shape) - 1))
    return None


def _shared(axes: tuple[int, ...] | None, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if axes is None:
        return low, high
    a, b = low.min(axis=axes, keepdims=True), high.max(axis=axes, keepdims=True)
    return np.broadcast_to(a, low.shape), np.broadcast_to(b, high.shape)


def _shared_mask(axes: tuple[int, ...] | None, mask: np.ndarray) -> np.ndarray:
    return mask if axes is None else np.broadcast_to(mask.any(axis=axes, keepdims=True), mask.shape)
