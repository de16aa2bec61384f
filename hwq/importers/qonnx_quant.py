"""Quantisers of ONNX and QONNX: Quant, BipolarQuant, Trunc, QuantizeLinear with Clip. Other operations are elsewhere."""

from __future__ import annotations

import math

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import ArrayFunction, Signal
from hwq.importers.fixed_point import Fixed, dyadic
from hwq.importers.walk import NodeReader, OnnxNode, Walk
from hwq.ir import Constant
from hwq.tensors import Numbers

ROUNDINGS = {"ROUND": "RND_CONV", "HALF_EVEN": "RND_CONV", "FLOOR": "TRN"}
SHORT = 16  # bits of a constant that was quantised; floats have more


def refused(node: OnnxNode, why: str, hint: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(f"node {node.name!r} ({node.op}) {why}", hint=hint)


def text_of(node: OnnxNode, name: str, default: str) -> str:
    value = node.attributes.get(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _powers(node: OnnxNode, scale: Numbers) -> Numbers:
    """log2 of a step.

    Raises:
        UnsupportedLayerError: it is no power of two.
    """
    mantissa, exponent = np.frexp(np.asarray(scale, np.float64))
    if not (mantissa == 0.5).all():
        worst = float(np.asarray(scale).ravel()[np.flatnonzero(mantissa.ravel() != 0.5)[0]])
        raise refused(
            node, f"has the step {worst:g}", "train with steps that are powers of two (Brevitas: RestrictValueType.POWER_OF_TWO)"
        )
    return (exponent - 1).astype(np.int64)


def _quant(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x, (scale, zero, bits) = walk.get(node, 0), (walk.constant(node, n) for n in (1, 2, 3))
    signed, narrow = bool(node.attributes.get("signed", 1)), bool(node.attributes.get("narrow", 0))
    rounding = text_of(node, "rounding_mode", "ROUND").upper()
    if np.any(zero != 0):
        raise refused(node, "has a zero point", "quantise symmetrically, or unsigned from zero")
    if np.any(bits != np.floor(bits)) or np.min(bits) < 1 or np.max(bits) > 32:
        raise refused(node, f"has {np.ravel(bits)[0]} bits", "whole bits from 1 to 32")
    if np.all(bits == 1) and signed:
        return _bipolar_of(node, walk, x, scale)
    if rounding not in ROUNDINGS:
        raise refused(node, f"rounds by {rounding}", f"known: {', '.join(ROUNDINGS)}")
    if narrow and not signed:
        raise refused(node, "is unsigned and narrow", "narrow=0")
    width = np.asarray(bits, np.int64)
    if not isinstance(x, Signal):
        low = -(2.0 ** (width - 1)) + narrow if signed else 0.0 * width
        high = 2.0 ** (width - signed) - 1
        kind = np.float64 if x.dtype == np.float64 else np.float32
        y = np.minimum(np.maximum(np.asarray(x, kind) / scale, low), high)
        walk.quantized.update(node.outputs)
        return np.asarray((np.rint(y) if ROUNDINGS[rounding] == "RND_CONV" else np.floor(y)) * scale, kind)
    f = -_powers(node, scale)
    k = np.full_like(f, signed)
    fixed = Fixed(k, np.asarray(width - signed - f), f, ROUNDINGS[rounding], "SAT_SYM" if narrow else "SAT")
    return walk.builder.quantize(node.name, x, fixed)


def _bipolar(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    return _bipolar_of(node, walk, walk.get(node, 0), walk.constant(node, 1))


def _bipolar_of(node: OnnxNode, walk: Walk, x: Signal | Numbers, scale: Numbers) -> Signal | Numbers:
    """The step, with the sign of x; of zero it is positive."""
    if not isinstance(x, Signal):
        return np.where(np.asarray(x, np.float32) >= 0, scale, -scale).astype(np.float32)
    one = along(node, scale, len(x.shape))
    short(node, one)
    sign = Fixed(np.ones((), np.int64), np.zeros((), np.int64), np.zeros((), np.int64), "TRN", "SAT")
    if x.function is not None:
        before: ArrayFunction = x.function
        return Signal(
            walk.builder.table(
                node.name, walk.builder.node(node.name, Signal(x.node)), lambda v: np.where(before(v) >= 0, one, -one)
            )
        )
    below = walk.builder.quantize(node.name, x, sign, "sign")  # -1 below zero, else 0
    return Signal(walk.builder.table(node.name, walk.builder.node(node.name, below), lambda v: np.where(v >= 0, one, -one)))


def _trunc(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """Drops low bits: version 1 keeps the step's name, version 2 gives the result a step of its own and a range."""
    x = walk.builder.node(node.name, signal(node, walk, 0))
    rounding = text_of(node, "rounding_mode", "FLOOR").upper()
    if rounding not in ROUNDINGS or np.any(walk.constant(node, 2) != 0):
        raise refused(node, f"rounds by {rounding}, or has a zero point", f"known: {', '.join(ROUNDINGS)}")
    f = -_powers(node, walk.constant(node, 1))
    if (x.type.frac > np.max(f)).any() or f.size > 1:
        raise refused(node, "reads numbers that are finer than its step", "quantise them to that step first")
    later = len(node.inputs) > 5
    if later:
        out_f, bits = -_powers(node, walk.constant(node, 4)), np.asarray(walk.constant(node, 5), np.int64)
        signed, narrow = bool(node.attributes.get("signed", 1)), bool(node.attributes.get("narrow", 0))
        fixed = Fixed(
            np.full_like(out_f, signed), bits - signed - out_f, out_f, ROUNDINGS[rounding], "SAT_SYM" if narrow else "SAT"
        )
        return walk.builder.quantize(node.name, Signal(x), fixed)
    drop = int(walk.constant(node, 3) - walk.constant(node, 4))
    whole = int((x.type.width.astype(np.int64) - x.type.frac).max(initial=0)) + 1  # integer bits that hold any result
    fixed = Fixed(np.ones_like(f), np.full_like(f, max(whole, drop - int(f.max()))), f - drop, ROUNDINGS[rounding], "SAT")
    kept = walk.builder.node(node.name, walk.builder.quantize(node.name, Signal(x), fixed))
    factor = dyadic(np.full(kept.shape, 2.0**-drop))
    return Signal(walk.builder.add(f"{node.name}_scale", "scale", [kept], node.name, factor=factor))


def _each(node: OnnxNode, scale: Numbers, rank: int, batch: bool = True) -> Numbers:
    """Steps along the node's axis of tensors of this rank.

    Args:
        batch: the axis counts the batch before the row; not so for constants.
    """
    if node.attributes.get("block_size"):
        raise refused(node, "has steps for blocks", "a step for a tensor, or for each channel")
    if scale.size == 1:
        return np.asarray(scale.reshape(()))
    axis, whole = int(node.attributes.get("axis", 1)), rank + batch
    place = (axis + whole if axis < 0 else axis) - batch
    if scale.ndim != 1 or not 0 <= place < rank:
        raise refused(node, f"has steps of shape {scale.shape} along axis {axis}", "a step for a tensor, or for each channel")
    return scale.reshape([-1 if a == place else 1 for a in range(rank)])


def _quantize_linear(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x = signal(node, walk, 0)
    scale = _each(node, walk.constant(node, 1), len(x.shape))
    zero = walk.constant(node, 2) if walk.has(node, 2) else np.zeros((), np.uint8)
    if np.any(zero != 0) or zero.dtype not in (np.int8, np.uint8):
        raise refused(node, "has a zero point, or more than 8 bits", "quantise symmetrically to int8 or uint8")
    f, signed = -_powers(node, scale), zero.dtype == np.int8
    walk.steps[node.outputs[0]] = scale
    return walk.builder.quantize(node.name, x, Fixed(np.full_like(f, signed), 8 - signed - f, f, "RND_CONV", "SAT"))


def _dequantize_linear(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x, scale = walk.get(node, 0), walk.constant(node, 1)
    if walk.has(node, 2) and np.any(walk.constant(node, 2) != 0):
        raise refused(node, "has a zero point", "quantise symmetrically")
    if not isinstance(x, Signal):
        return np.asarray(x.astype(np.float32) * _each(node, scale, x.ndim, batch=False), np.float32)
    if node.inputs[0] not in walk.steps or not np.array_equal(walk.steps[node.inputs[0]], _each(node, scale, len(x.shape))):
        raise refused(node, "has another step than the QuantizeLinear before it", "one step for both")
    return x


def _clip(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """Between QuantizeLinear and DequantizeLinear fewer bits; elsewhere a function."""
    x = signal(node, walk, 0)
    low, high = (
        float(walk.constant(node, n))
        if walk.has(node, n)
        else float(node.attributes.get(name, end))  # attributes before version 11
        for n, name, end in ((1, "min", -math.inf), (2, "max", math.inf))
    )
    if node.inputs[0] in walk.steps:
        scale = walk.steps[node.inputs[0]]
        walk.steps[node.outputs[0]] = scale
        for signed in (0, 1) if math.isfinite(low) and math.isfinite(high) else ():
            bits = int(high + 1).bit_length() - 1 + signed
            if high == 2.0 ** (bits - signed) - 1 and low in ((-(2.0 ** (bits - 1)), 1 - 2.0 ** (bits - 1)) if signed else (0.0,)):
                f = -_powers(node, scale)
                overflow = "SAT_SYM" if signed and low > -(2.0 ** (bits - 1)) else "SAT"
                return walk.builder.quantize(node.name, x, Fixed(np.full_like(f, signed), bits - signed - f, f, "TRN", overflow))
        raise refused(node, f"clips to {low:g} to {high:g}", "the range of so many bits")
    return then(node, walk, x, lambda v: np.clip(v, np.float32(low), np.float32(high)))


def signal(node: OnnxNode, walk: Walk, place: int) -> Signal:
    found = walk.get(node, place)
    if not isinstance(found, Signal):
        raise refused(node, "computes with constants only", "fold constants first (qonnx: FoldConstants)")
    return found


def then(node: OnnxNode, walk: Walk, x: Signal, function: ArrayFunction) -> Signal:
    """A function in float32 that waits for a quantiser, after those that wait already."""
    before = x.function
    source = walk.builder.node(node.name, Signal(x.node))
    return Signal(source, function=function if before is None else lambda v: function(np.asarray(before(v), np.float32)))


def short(node: OnnxNode, values: Numbers, told: bool = False) -> Constant:
    """A constant of the design.

    Args:
        told: a quantiser stands in front of it: however many bits it has, they are meant.

    Raises:
        UnsupportedLayerError: floats that nothing has quantised.
    """
    found = dyadic(values)
    if not told and int(found.types.width.max(initial=0)) > SHORT:
        raise refused(node, "has constants that are not quantised", "put a Quant in front of them, with a power of two as step")
    return found


def is_short(values: Numbers) -> bool:
    return int(dyadic(values).types.width.max(initial=0)) <= SHORT


def joined(node: OnnxNode, a: Signal, b: Signal) -> tuple[int, ...]:
    """The shape of what two tensors give, element by element.

    Raises:
        UnsupportedLayerError: rows of unequal rank: ONNX lines the last axes up, and the batch of one would meet an axis of the other.
    """
    if len(a.shape) != len(b.shape):
        raise refused(node, f"joins rows of shapes {a.shape} and {b.shape}", "rows of as many axes")
    return tuple(np.broadcast_shapes(a.shape, b.shape))


def along(node: OnnxNode, values: Numbers, rank: int) -> Numbers:
    """Without the batch's axis.

    Raises:
        UnsupportedLayerError: a constant for each row of a batch.
    """
    if values.ndim == rank + 1 and values.shape[0] != 1:
        raise refused(node, f"has a constant for each of {values.shape[0]} rows", "one constant for all rows of a batch")
    return values[0] if values.ndim == rank + 1 else values


READERS: dict[str, NodeReader] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "QuantizeLinear": _quantize_linear,
    "DequantizeLinear": _dequantize_linear,
    "Clip": _clip,
}
