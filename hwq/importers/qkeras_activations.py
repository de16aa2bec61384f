"""QKeras quantisers of activations as operations of a design: exact ones where there are, else a table. Weights and layers are elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import ArrayFunction, Builder, Signal
from hwq.importers.fixed_point import Fixed, dyadic
from hwq.importers.qkeras_floats import floats
from hwq.importers.qkeras_quantizers import Quantizer
from hwq.ir import Node
from hwq.tensors import Singles

EXACT_BITS = 24  # of float32
_FLOOR = Fixed(np.asarray(1), np.asarray(0), np.asarray(0), "TRN", "SAT")  # -1 below zero, else 0


def activated(builder: Builder, layer: str, value: Signal, quantizer: Quantizer | None) -> Signal:
    """A value through a quantiser, or through a function of one number.

    Raises:
        UnsupportedLayerError: one that has no exact form here.
    """
    if quantizer is None or quantizer.kind == "linear":
        return value
    if quantizer.kind == "softmax":
        raise UnsupportedLayerError(
            f"layer {layer!r} is a softmax that another layer reads", hint="a softmax may stand at the output"
        )
    if quantizer.is_auto or quantizer.options.get("post_training_scale") is not None:
        raise UnsupportedLayerError(
            f"layer {layer!r} quantises activations by {quantizer.kind} with alpha={quantizer.options['alpha']!r}: QKeras computes that "
            "scale anew from each batch",
            hint="alpha=1, or a power of two",
        )
    if value.function is not None:
        return _after_function(builder, layer, value, value.function, quantizer)
    if quantizer.is_function and quantizer.kind == "relu":
        return Signal(builder.add(f"{layer}_relu", "relu", [builder.node(layer, value)], layer))
    if quantizer.is_function and not quantizer.kind.startswith("binary_"):
        return Signal(builder.node(layer, value), function=floats(quantizer))
    _require_exact_alpha(layer, quantizer)
    return _LOWERED.get(quantizer.kind, _as_table)(builder, layer, value, quantizer)


def _after_function(builder: Builder, layer: str, value: Signal, before: ArrayFunction, quantizer: Quantizer) -> Signal:
    """A function waits: both are one table, or one function that waits."""
    source = builder.node(layer, Signal(value.node))
    own = floats(quantizer)

    def both(x: Singles) -> Singles:
        return own(np.asarray(before(x), np.float32))

    if quantizer.is_function:
        return Signal(source, function=both)
    return Signal(builder.table(layer, source, both))


def _require_exact_alpha(layer: str, quantizer: Quantizer) -> None:
    """Raises UnsupportedLayerError: a factor whose products are rounded in float32."""
    alpha = quantizer.alpha
    if quantizer.options.get("alpha") is None or (np.frexp(alpha)[0] == 0.5).all():
        return
    bits = int(quantizer.options.get("bits", 2)) + int(dyadic(alpha).types.width.max(initial=0))
    if bits > EXACT_BITS or quantizer.kind == "quantized_linear":
        raise UnsupportedLayerError(
            f"layer {layer!r} quantises activations by {quantizer.kind} with alpha={quantizer.options['alpha']}, whose products "
            "float32 rounds",
            hint="alpha=1, or a power of two",
        )


def _fixed(signed: bool, whole: int, frac: int, symmetric: bool = False) -> Fixed:
    k, i, f = (np.asarray(n, np.int64) for n in (int(signed), whole, frac))
    return Fixed(k, i, f, "RND_CONV", "SAT_SYM" if symmetric and signed else "SAT")


def _times_alpha(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    return _times(builder, layer, value, quantizer.alpha)


def _times(builder: Builder, layer: str, value: Signal, factor: Any) -> Signal:
    if np.all(factor == 1):
        return value
    node = builder.node(layer, value)
    return Signal(builder.add(f"{layer}_scale", "scale", [node], layer, factor=dyadic(np.broadcast_to(factor, node.shape))))


def _plus(builder: Builder, layer: str, value: Signal, number: Any) -> Node:
    node = builder.node(layer, value)
    return builder.add(f"{layer}_bias", "bias", [node], layer, bias=dyadic(np.broadcast_to(number, node.shape)))


def _bits(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    signed, bits, whole = quantizer.is_set("keep_negative"), quantizer.whole("bits"), quantizer.whole("integer")
    u = bits - signed
    if u == 0:
        return _times_alpha(builder, layer, _sign(builder, layer, value), quantizer)
    found = builder.quantize(layer, value, _fixed(signed, whole, u - whole, quantizer.is_set("symmetric")))
    return _times_alpha(builder, layer, found, quantizer)


def _linear(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    """As quantized_bits, but that alpha, a power of two here, makes the step; one signed bit is half a step either way."""
    signed, bits = quantizer.is_set("keep_negative"), quantizer.whole("bits")
    places = int(np.frexp(quantizer.alpha)[1]) - 1 if quantizer.alpha.size == 1 else None
    if places is None:
        raise UnsupportedLayerError(f"layer {layer!r} has a scale for each channel", hint="one number as alpha")
    whole = quantizer.whole("integer") + places
    if bits == 1 and signed:
        half = np.float32(2.0 ** (whole - bits + signed - 1))
        return _times(builder, layer, _sign(builder, layer, value), half)
    u = bits - signed
    return builder.quantize(layer, value, _fixed(signed, whole, u - whole, quantizer.is_set("symmetric")))


def _sign(builder: Builder, layer: str, value: Signal) -> Signal:
    """1 with the sign of a number; of zero it is positive."""
    below = builder.quantize(layer, value, _FLOOR, "sign")
    doubled = _times(builder, layer, below, np.float32(2))  # -2 below zero, else 0
    return Signal(_plus(builder, layer, doubled, np.float32(1)))


def _binary(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    if not quantizer.is_set("use_01"):
        return _times_alpha(builder, layer, _sign(builder, layer, value), quantizer)
    below = builder.quantize(layer, value, _FLOOR, "sign")
    return _times_alpha(builder, layer, Signal(_plus(builder, layer, below, np.float32(1))), quantizer)


def _ternary(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    """By two comparisons: -1 up to -threshold, 1 from threshold on, else 0, the numbers' own step being known."""
    x = builder.node(layer, value)
    told = quantizer.options["threshold"]
    step = np.ldexp(1.0, -x.type.frac.astype(np.int64))
    reach = np.ceil(np.maximum(float(np.float32(0.33 if told is None else told)), 0.0) / step) * step
    # each is -1 below its threshold, else 0
    above = builder.quantize(layer, Signal(_plus(builder, layer, value, -reach)), _FLOOR, "above")
    below = builder.quantize(layer, Signal(_plus(builder, layer, value, reach - step)), _FLOOR, "below")
    both = builder.add(layer, "add", [builder.node(layer, above), builder.node(layer, below)], layer)
    return _times_alpha(builder, layer, Signal(_plus(builder, layer, Signal(both), np.float32(1))), quantizer)


def _relu(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    bits, whole = quantizer.whole("bits"), quantizer.whole("integer")
    slope = float(quantizer.options["negative_slope"] or 0)
    if quantizer.is_set("use_sigmoid"):
        return _as_table(builder, layer, value, quantizer)
    bound = None if quantizer.is_set("is_quantized_clip") else quantizer.options["relu_upper_bound"]
    u = bits - (slope != 0)
    frac = u - whole
    high, low = float(bound) if bound else np.inf, -slope * 2.0**whole
    if not slope:
        found = builder.quantize(layer, value, _fixed(False, whole, frac))
    else:
        shift = -int(np.log2(slope))
        leaky = builder.add(f"{layer}_leaky", "leaky_relu", [builder.node(layer, value)], layer, shift=shift)
        found = builder.quantize(layer, Signal(leaky), _fixed(True, whole, frac))
    if high >= 2.0**whole and (not slope or slope == 1):
        return found
    node = builder.node(layer, found)
    return Signal(builder.table(layer, node, lambda v: np.clip(v, low if slope else 0.0, high).astype(np.float32)))


def _tanh(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    """The hard one is a saturation at one."""
    if quantizer.is_set("use_real_tanh"):
        return _as_table(builder, layer, value, quantizer)
    return builder.quantize(layer, value, _fixed(True, 0, quantizer.whole("bits") - 1, quantizer.is_set("symmetric")))


def _sigmoid(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    """The hard one is x / 2 + 1 / 2, saturated at zero and one."""
    if quantizer.is_set("use_real_sigmoid"):
        return _as_table(builder, layer, value, quantizer)
    bits = quantizer.whole("bits")
    line = Signal(_plus(builder, layer, _times(builder, layer, value, np.float32(0.5)), np.float32(0.5)))
    found = builder.quantize(layer, line, _fixed(False, 0, bits))
    if not quantizer.is_set("symmetric"):
        return found
    least = np.float32(2.0**-bits)
    return Signal(builder.table(layer, builder.node(layer, found), lambda v: np.maximum(v, least)))


def _as_table(builder: Builder, layer: str, value: Signal, quantizer: Quantizer) -> Signal:
    return Signal(builder.table(layer, builder.node(layer, value), floats(quantizer)))


_LOWERED: dict[str, Callable[[Builder, str, Signal, Quantizer], Signal]] = {
    "quantized_bits": _bits,
    "quantized_linear": _linear,
    "quantized_relu": _relu,
    "quantized_tanh": _tanh,
    "quantized_sigmoid": _sigmoid,
    "binary": _binary,
    "ternary": _ternary,
}
