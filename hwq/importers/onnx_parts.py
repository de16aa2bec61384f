"""Operations of ONNX beside layers: forms of `hwq.importers.forms`, Max and Min, Einsum, Pad, Gather and LeakyRelu."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwq.importers.builder import PADDING, Signal
from hwq.importers.fixed_point import Fixed, dyadic, zeros
from hwq.importers.joined import HOLDS
from hwq.importers.onnx_windows import WINDOWS, window_node
from hwq.importers.qonnx_quant import along, joined, refused, short, signal, then
from hwq.importers.walk import FIXED, TABLE, TEXT, NodeReader, OnnxNode, Walk
from hwq.ir import Node
from hwq.ir.ops import places
from hwq.tensors import Numbers


def _fixed(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """A quantiser of per-element types. One that wraps was held to `whole` bits before, which is said where the numbers may be longer."""
    a = node.attributes
    x = signal(node, walk, 0)
    integer = np.asarray(a["width"] - a["signed"] - a["frac"])
    fixed = Fixed(a["signed"], integer, a["frac"], a["rounding"], a["overflow"], lone=True)
    if a["whole"] and x.node is not None:
        one = np.ones_like(a["frac"])
        wide = Fixed(one, np.asarray(a["whole"] - 1 - a["frac"]), a["frac"], a["rounding"], "SAT")
        if x.function is not None:
            before = x.function
            return walk.builder.quantize(node.name, replace(x, function=lambda v: wide.values(before(v))), fixed)
        limit = np.ldexp(1.0, a["whole"] - 1 - a["frac"])
        reach = np.maximum(-x.node.type.lowest, x.node.type.highest).astype(np.float64)
        if (np.ldexp(reach, -x.node.type.frac.astype(np.int64)) > limit - np.ldexp(1.0, -a["frac"])).any():
            x = walk.builder.quantize(node.name, x, wide, HOLDS)
    return walk.builder.quantize(node.name, x, fixed)


def _table(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    entries, factor, offset = (node.attributes[name] for name in ("entries", "factor", "offset"))
    x = walk.builder.node(node.name, signal(node, walk, 0))

    def function(v: Numbers) -> Numbers:
        place = v.astype(np.float64) * factor + offset
        if (place != np.floor(place)).any() or place.min() < 0 or place.max() >= len(entries):
            raise refused(node, "has numbers that its table has no entry for", "a quantiser in front that holds them")
        return np.asarray(entries[place.astype(np.int64)])

    return Signal(walk.builder.table(node.name, x, function))


def _extreme(op: str) -> NodeReader:
    """A reader of Max or Min, of two tensors or of one and a constant c: max(x, c) = relu(x - c) + c, min(x, c) = x - relu(x - c)."""

    def read(node: OnnxNode, walk: Walk) -> Signal | Numbers:
        if len(node.inputs) != 2:
            raise refused(node, f"reads {len(node.inputs)} tensors", "two")
        a, b = walk.get(node, 0), walk.get(node, 1)
        if not isinstance(a, Signal) and not isinstance(b, Signal):
            return np.maximum(a, b) if op == "maximum" else np.minimum(a, b)
        if isinstance(a, Signal) and isinstance(b, Signal):
            shape = joined(node, a, b)
            pair = [walk.builder.node(node.name, walk.builder.spread(node.name, v, shape)) for v in (a, b)]
            return Signal(walk.builder.add(node.name, op, pair, node.name))
        x, constant = (a, b) if isinstance(a, Signal) else (b, a)
        if not isinstance(x, Signal) or isinstance(constant, Signal):  # the other one is the tensor
            raise refused(node, "has no tensor", "fold constants first")
        c = along(node, np.asarray(constant), len(x.shape))
        if np.broadcast_shapes(x.shape, c.shape) != x.shape:
            raise refused(node, f"spreads {x.shape} to a constant of shape {c.shape}", "constants no larger than the tensor")
        if x.function is not None:
            numpy = np.maximum if op == "maximum" else np.minimum
            return then(node, walk, x, lambda v: np.asarray(numpy(v, c), np.float32))
        inner = walk.builder.node(node.name, x)
        c = np.broadcast_to(c, x.shape)
        down = walk.builder.add(f"{node.name}_less", "bias", [inner], node.name, bias=short(node, -c)) if c.any() else inner
        over = walk.builder.add(node.name, "relu", [down], node.name)
        if op == "minimum":
            return Signal(walk.builder.add(f"{node.name}_least", "subtract", [inner, over], node.name))
        return Signal(walk.builder.add(f"{node.name}_most", "bias", [over], node.name, bias=dyadic(c)) if c.any() else over)

    return read


def _einsum(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """An einsum of a tensor and a constant, the batch as the first letter."""
    told = node.attributes.get("equation", b"")
    equation = (told.decode() if isinstance(told, bytes) else str(told)).replace(" ", "")
    left, arrow, out = equation.partition("->")
    batch, x, kernel = left[:1], left[1:].split(",")[0], left.split(",")[-1]
    good = arrow and left.count(",") == 1 and "." not in equation and out[:1] == batch and batch not in x + kernel + out[1:]
    if not good or len(node.inputs) != 2:
        raise refused(node, f"is the equation {equation!r}", 'the batch first: "zab,bc->zac", of a tensor and a constant')
    weights = walk.constant(node, 1)
    source = walk.builder.node(node.name, signal(node, walk, 0))
    sizes = dict(zip(x + kernel, (*source.shape, *weights.shape), strict=False))
    bias = zeros(tuple(sizes[c] for c in out[1:] if c in sizes))
    constants = {"kernel": short(node, weights, walk.is_quantized(node, 1)), "bias": bias}
    if equation == WINDOWS:
        window = window_node(walk.builder, node.name, source, constants["kernel"], str(node.attributes.get(TEXT, "")))
        if window is not None:
            return Signal(window)
    return Signal(walk.builder.add(node.name, "einsum", [source], node.name, equation=f"{x},{kernel}->{out[1:]}", **constants))


def _pad(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    told = node.attributes.get("mode", b"constant")
    x, pads = signal(node, walk, 0), [int(n) for n in walk.constant(node, 1).ravel()]
    value = walk.constant(node, 2) if walk.has(node, 2) else np.zeros(())
    rank = len(x.shape) + 1
    good = len(pads) == 2 * rank and pads[0] == pads[rank] == 0 and min(pads) >= 0 and not value.any() and not walk.has(node, 3)
    if not good or (told.decode() if isinstance(told, bytes) else told) != "constant":
        raise refused(node, "pads with something else than zeros, or the batch", "zeros around each row")
    return walk.builder.pad(node.name, x, list(zip(pads[1:rank], pads[rank + 1 :], strict=True)))


def _gather(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """Elements at constant places along an axis of the row."""
    x, places = signal(node, walk, 0), walk.constant(node, 1)
    axis = int(node.attributes.get("axis", 0))
    axis = axis - 1 if axis > 0 else axis + len(x.shape) if axis < 0 else -1
    if not 0 <= axis < len(x.shape) or places.dtype.kind not in "iu" or places.ndim != 1:
        raise refused(node, "reads from the batch, or at places that are no list of integers", "an axis of the row")
    size = x.shape[axis]
    if (np.abs(places + 0.5) > size).any():
        raise refused(node, f"reads a place that is none of {size}", "places within the axis")
    index = np.arange(math.prod(x.shape)).reshape(x.shape).take(places % size, axis)
    if x.node is None:
        return Signal(places=x.raw.ravel()[index])
    found = taken(walk, node.name, x.node, index)
    return Signal(found, function=x.function)


def taken(walk: Walk, name: str, source: Node, index: Numbers) -> Node:
    """The elements at `index` of a node, read past what only rearranges zeros, shapes and pieces."""
    sources, flat = [source], index.ravel()
    while len(sources) == 1 and sources[0].op in ("reshape", "pad", "concatenate"):
        node = sources[0]
        sources = [walk.builder.named(read) for read in node.inputs]
        behind = np.append(places(node, [one.shape for one in sources]).ravel(), PADDING)
        flat = behind[flat]
    sources = [_before_reshape(walk, one) for one in sources]
    return walk.builder.add(name, "take", sources, name, index=tuple(map(int, flat)), shape=tuple(index.shape))


def _before_reshape(walk: Walk, node: Node) -> Node:
    while node.op == "reshape":
        node = walk.builder.named(node.inputs[0])
    return node


def reshaped(walk: Walk, name: str, x: Signal, shape: Sequence[int]) -> Signal:
    """As `Builder.reshape`; what was taken out of a tensor takes the shape itself."""
    node = x.node
    if node is None or node.op != "take" or x.shape == tuple(shape):
        return walk.builder.reshape(name, x, shape)
    sources = [walk.builder.named(read) for read in node.inputs]
    index = node.integers("index")
    return Signal(walk.builder.add(name, "take", sources, name, index=index, shape=tuple(map(int, shape))), function=x.function)


def _leaky(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x, slope = signal(node, walk, 0), float(node.attributes.get("alpha", 0.01))
    mantissa, exponent = math.frexp(slope)
    if x.function is None and mantissa == 0.5 and slope <= 1:
        inner = walk.builder.node(node.name, x)
        return Signal(walk.builder.add(node.name, "leaky_relu", [inner], node.name, shift=1 - exponent))
    return then(node, walk, x, lambda v: np.asarray(np.where(v < 0, np.float32(slope) * v, v), np.float32))


def with_bias(walk: Walk, node: OnnxNode, source: Node, values: Numbers, told: bool) -> Node | None:
    """A product with its sum's constant in it, where nothing else reads the product; None where it is no such sum."""
    if source.op not in ("dense", "einsum", "conv2d") or walk.uses[node.inputs[0]] != 1 or source.constant("bias").mantissas.any():
        return None
    wanted = source.constant("bias").shape
    if source.op != "einsum":
        first = values.reshape(-1, wanted[0])[0] if values.shape[-1:] == wanted else np.full(wanted, values.ravel()[0])
        if not (np.broadcast_to(values, source.shape) == first).all():
            return None
        values = first
    read = walk.builder.named(source.inputs[0])
    attrs = {**source.attrs, "bias": short(node, np.broadcast_to(values, wanted), told)}
    return walk.builder.add(node.name, source.op, [read], node.name, **attrs)


READERS: dict[str, NodeReader] = {
    FIXED: _fixed,
    TABLE: _table,
    "Max": _extreme("maximum"),
    "Min": _extreme("minimum"),
    "Einsum": _einsum,
    "Pad": _pad,
    "Gather": _gather,
    "LeakyRelu": _leaky,
}
