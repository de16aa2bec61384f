"""What QKeras quantisers make of floats, in float32 step by step as QKeras computes them. Graphs and layers are elsewhere.

A scale that is no power of two is kept apart from the numbers that it multiplies: (numbers) x (scale) is exact, and their product in float32
is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwq.importers.builder import ArrayFunction
from hwq.importers.functions import named
from hwq.importers.qkeras_quantizers import Quantizer
from hwq.tensors import Singles

EPSILON = np.float32(1e-7)
_LN2 = np.float32(np.log(2.0))
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
AUTO_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class QuantizedWeights:
    """Quantised weights: values, times a scale.

    Attributes:
        values: dyadic, of few bits.
        scale: of float32, in [1, 2), that the shape of values broadcasts from; None for 1.
    """

    values: Singles
    scale: Singles | None = None


def weights(quantizer: Quantizer, x: Singles) -> QuantizedWeights:
    """Weights of a layer, quantised as QKeras does.

    Args:
        x: the file's weights, outputs along the last axis.
    """
    with np.errstate(all="ignore"):
        if quantizer.is_auto:
            codes, scale = _fitted(quantizer, x)
        elif quantizer.options.get("alpha") is None or (np.frexp(quantizer.alpha)[0] == _HALF).all():
            return QuantizedWeights(floats(quantizer)(x))
        else:
            codes, scale = _told(quantizer, x)
        fraction, exponent = np.frexp(scale)
        values = np.asarray(np.where(fraction == 0, 0, np.ldexp(codes, exponent - 1)), np.float32)
    if ((fraction == _HALF) | (fraction == 0)).all():
        return QuantizedWeights((x + (values - x)).astype(np.float32))
    return QuantizedWeights(values, np.asarray(np.where(fraction == 0, _ONE, 2 * fraction), np.float32))


def floats(quantizer: Quantizer) -> ArrayFunction:
    """A quantiser or a function of one number, whose scale is told, on float32 of any shape."""
    if quantizer.is_function:
        return _FUNCTIONS.get(quantizer.kind) or named(quantizer.kind)
    made = _QUANTIZERS[quantizer.kind]

    def call(x: Singles) -> Singles:
        with np.errstate(all="ignore"):
            return np.asarray(made(quantizer, np.asarray(x, np.float32)), np.float32)

    return call


def _told(quantizer: Quantizer, x: Singles) -> tuple[Singles, Singles]:
    """(numbers before the scale, scale)."""
    if quantizer.kind == "quantized_linear":  # brings x to the step that the scale makes
        codes, step = _linear(quantizer, x)
        return codes, np.asarray(step, np.float32)
    plain = Quantizer(quantizer.kind, {**quantizer.options, "alpha": np.float32(1)}, quantizer.refits)
    if quantizer.kind == "quantized_hswish":
        plain = Quantizer("quantized_bits", _bits_options(plain), quantizer.refits)
        x = _hswish(quantizer, x)
    return _exact(plain, x), quantizer.alpha


def _exact(plain: Quantizer, x: Singles) -> Singles:
    return _QUANTIZERS[plain.kind](plain, x)


def _fitted(quantizer: Quantizer, x: Singles) -> tuple[Singles, Singles]:
    """(numbers, scale computed from x)."""
    alpha = str(quantizer.options["alpha"])
    if quantizer.kind == "binary":
        signs = _signs(quantizer, x)
        return signs, _least_squares(alpha, x, signs)
    if quantizer.kind == "ternary":
        return _fitted_ternary(quantizer, x, alpha)
    if quantizer.kind == "quantized_linear":
        return _fitted_linear(quantizer, x, alpha)
    if quantizer.kind == "quantized_hswish":
        x = _hswish(quantizer, x)
    return _fitted_bits(quantizer, x, alpha)


def _fitted_bits(quantizer: Quantizer, x: Singles, alpha: str) -> tuple[Singles, Singles]:
    m_i = _TWO ** np.float32(quantizer.whole("integer"))
    u = quantizer.whole("bits") - quantizer.is_set("keep_negative")
    x = x / m_i
    most = np.float32(2 ** (quantizer.whole("bits") - 1) - 1)

    def levels(scale: Singles) -> Singles:
        v = np.floor(np.abs(x) / scale + _HALF)
        return np.asarray(np.sign(x) * np.where(v < most, v, most), np.float32)

    frozen = quantizer.options.get("post_training_scale")
    if frozen is not None:
        scale = np.asarray(frozen, np.float32) / _TWO ** np.float32(u)
        return levels(scale), np.asarray(scale * m_i, np.float32)
    scale = np.max(np.abs(x), axis=_channels(x), keepdims=True) * _TWO / np.float32(2 * most)
    codes = levels(scale) if alpha == "auto" else x
    if alpha == "auto_po2":
        scale = _power(scale)
        for _ in range(AUTO_ROUNDS):
            codes = levels(scale)
            scale = _least_squares(alpha, x, codes)
        codes = levels(scale) if quantizer.refits else codes
    return np.nan_to_num(codes), np.asarray(scale * m_i, np.float32)


def _fitted_ternary(quantizer: Quantizer, x: Singles, alpha: str) -> tuple[Singles, Singles]:
    scale = _TWO * np.max(np.abs(x), axis=None if x.ndim == 1 else _channels(x), keepdims=True) / np.float32(3)
    scale = _power(scale) if alpha == "auto_po2" else scale
    codes = np.zeros_like(x)
    for _ in range(quantizer.whole("number_of_unrolls")):
        threshold = scale / _TWO
        codes = np.asarray((np.abs(scale * np.rint(x / scale)) >= threshold) * np.sign(x), np.float32)
        scale = _least_squares(alpha, x, codes)
    return codes, np.asarray(scale, np.float32)


def _fitted_linear(quantizer: Quantizer, x: Singles, alpha: str) -> tuple[Singles, Singles]:
    low, high = _linear_range(quantizer)
    axes = tuple(range(x.ndim - 1))
    signed = quantizer.is_set("keep_negative")
    most = np.max(np.abs(x) if signed else x, axis=axes, keepdims=True)
    scale = np.maximum(most * _TWO / (high - low) if signed else most / (high - low), EPSILON).astype(np.float32)
    if alpha == "auto_po2":
        scale = _power(scale)
        for _ in range(1 if _is_sign(quantizer) else AUTO_ROUNDS):
            before = scale
            scale = _least_squares(alpha, x, _linear_codes(quantizer, x, scale))
            if (before == scale).all():
                break
    return _linear_codes(quantizer, x, scale), scale


def _least_squares(alpha: str, x: Singles, codes: Singles) -> Singles:
    """The scale of each channel that brings codes nearest to x; of a vector, each element is a channel."""
    qx, qq = x * codes, codes * codes
    if x.ndim > 1:
        qx, qq = (np.asarray(np.mean(v, axis=_channels(x), keepdims=True, dtype=np.float32)) for v in (qx, qq))
    scale = np.asarray(qx / (qq + EPSILON), np.float32)
    return _power(scale) if alpha == "auto_po2" else scale


def _power(scale: Singles) -> Singles:
    """The nearest power of two, by the logarithm."""
    return np.asarray(_TWO ** np.rint(np.log(scale + EPSILON) / _LN2), np.float32)


def _channels(x: Singles) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1)) if x.ndim > 1 else (0,)


def _through(x: Singles, y: Singles) -> Singles:
    """y, as the peer gives it: its difference to x, added to x."""
    return np.asarray(x + (y - x), np.float32)


def _signs(quantizer: Quantizer, x: Singles) -> Singles:
    signs = np.where(x >= 0, _ONE, -_ONE)
    return np.asarray((signs + _ONE) / _TWO if quantizer.is_set("use_01") else signs, np.float32)


def _bits(quantizer: Quantizer, x: Singles) -> Singles:
    signed = quantizer.is_set("keep_negative")
    u = quantizer.whole("bits") - signed
    m, m_i = _TWO ** np.float32(u), _TWO ** np.float32(quantizer.whole("integer"))
    if u > 0:
        low = signed * (-m + np.float32(quantizer.is_set("symmetric")))
        y = m_i * np.clip(np.rint(x * m / m_i), low, m - _ONE) / m
    else:
        y = np.where(x >= 0, _ONE, -_ONE)
    return _through(x, np.asarray(quantizer.alpha * y, np.float32))


def _is_sign(quantizer: Quantizer) -> bool:
    return quantizer.whole("bits") == 1 and quantizer.is_set("keep_negative")


def _linear_range(quantizer: Quantizer) -> tuple[Any, Any]:
    if _is_sign(quantizer):
        return -_HALF, _HALF
    signed = quantizer.is_set("keep_negative")
    m = _TWO ** np.float32(quantizer.whole("bits") - signed)
    return signed * (-m + np.float32(quantizer.is_set("symmetric"))), m - _ONE


def _linear_codes(quantizer: Quantizer, x: Singles, step: Singles) -> Singles:
    shift = _HALF if _is_sign(quantizer) else np.float32(0)
    return np.asarray(np.rint(np.clip(x / step, *_linear_range(quantizer)) - shift) + shift, np.float32)


def _linear(quantizer: Quantizer, x: Singles) -> tuple[Singles, Singles]:
    """(codes, their step)."""
    places = quantizer.whole("integer") - quantizer.whole("bits") + quantizer.is_set("keep_negative")
    step = np.asarray(quantizer.alpha * _TWO ** np.float32(places), np.float32)
    return _linear_codes(quantizer, x, step), step


def _linear_values(quantizer: Quantizer, x: Singles) -> Singles:
    codes, step = _linear(quantizer, x)
    return _through(x, codes * step)


def _relu(quantizer: Quantizer, x: Singles) -> Singles:
    slope = np.float32(quantizer.options["negative_slope"] or 0)
    m = _TWO ** np.float32(quantizer.whole("bits") - (slope != 0))
    m_i = _TWO ** np.float32(quantizer.whole("integer"))
    bound = quantizer.options["relu_upper_bound"]
    clipped = quantizer.is_set("is_quantized_clip")
    limit = m_i - m_i / m if clipped else bound
    base = np.where(x >= 0, x, slope * x)
    base = base if limit is None else np.where(x <= np.float32(limit), base, np.float32(limit))
    sigmoid = quantizer.is_set("use_sigmoid")
    p = _hard_sigmoid(x / m_i) * m if sigmoid else x * m / m_i
    two, one = (_TWO, _ONE) if sigmoid else (_ONE, np.float32(0))
    y = m_i * np.clip(two * (np.rint(p) / m) - one, 0, _ONE - _ONE / m)
    if slope > 0:
        below = two * (np.rint(p * slope) * (_ONE / (slope * m))) - one
        y = y + m_i * slope * np.clip(below, -_ONE, 0)
    if bound and not clipped:
        y = np.where(y <= np.float32(bound), y, np.float32(bound))
    return _through(np.asarray(base, np.float32), np.asarray(y, np.float32))


def _tanh(quantizer: Quantizer, x: Singles) -> Singles:
    m = _TWO ** np.float32(quantizer.whole("bits") - 1)
    p = named("tanh")(x) if quantizer.is_set("use_real_tanh") else _TWO * _hard_sigmoid(x) - _ONE
    return np.asarray(np.clip(np.rint(p * m) / m, -_ONE + np.float32(quantizer.is_set("symmetric")) / m, _ONE - _ONE / m))


def _sigmoid(quantizer: Quantizer, x: Singles) -> Singles:
    m = _TWO ** np.float32(quantizer.whole("bits"))
    p = named("sigmoid")(x) if quantizer.is_set("use_real_sigmoid") else _hard_sigmoid(x)
    return np.asarray(np.clip(np.rint(p * m) / m, np.float32(quantizer.is_set("symmetric")) / m, _ONE - _ONE / m))


def _ulaw(quantizer: Quantizer, x: Singles) -> Singles:
    m, m_i = _TWO ** np.float32(quantizer.whole("bits") - 1), _TWO ** np.float32(quantizer.whole("integer"))
    u = np.float32(quantizer.options["u"])
    r = _TWO * (np.rint(_hard_sigmoid(x / m_i) * m) / m) - _ONE
    y = np.sign(r) * _log(_ONE + u * np.abs(r)) / _log(_ONE + u)
    return np.asarray(m_i * np.clip(y, -_ONE + np.float32(quantizer.is_set("symmetric")) / m, _ONE - _ONE / m), np.float32)


def _log(x: Any) -> Singles:
    """As Keras' backend has it: a result that is not rounded afterwards must be the peer's to the last bit."""
    from hwq.backend import ops

    return np.asarray(ops.convert_to_numpy(ops.log(ops.convert_to_tensor(np.asarray(x, np.float32)))))


def _po2(quantizer: Quantizer, x: Singles) -> Singles:
    exponents = _exponents(quantizer, np.abs(x), quantizer.whole("bits") - 1)
    return _through(x, np.where(x >= 0, _ONE, -_ONE) * _TWO**exponents)


def _relu_po2(quantizer: Quantizer, x: Singles) -> Singles:
    slope, most = np.float32(quantizer.options["negative_slope"] or 0), quantizer.options["max_value"]
    base = np.where(x >= 0, x, slope * x)
    base = base if most is None else np.where(x <= np.float32(most), base, np.float32(most))
    bits = quantizer.whole("bits")
    above = _TWO ** _exponents(quantizer, np.maximum(x, 0), bits)
    below = -(_TWO ** _exponents(quantizer, np.maximum(-x, 0) * slope, bits))
    return _through(np.asarray(base, np.float32), np.where((x >= 0) | (slope == 0), above, below))


def _exponents(quantizer: Quantizer, size: Singles, bits: int) -> Singles:
    """The exponents of the powers of two next to sizes."""
    most, squares = quantizer.options["max_value"], quantizer.is_set("quadratic_approximation")
    reach = np.float32(2.0 ** (bits - (most is None or most > 1)))
    low, high = -reach, reach - _ONE
    high = _TWO * np.floor(high / _TWO) if squares else high
    kept = np.where(size < EPSILON, EPSILON, size)
    kept = kept if most is None else np.where(kept >= np.float32(most), np.float32(most), kept)
    logarithms = _log(np.sqrt(kept) if squares else kept) / _LN2
    whole = np.floor(logarithms) if quantizer.options["log2_rounding"] == "floor" else np.rint(logarithms)
    exponents = (_TWO if squares else _ONE) * np.clip(whole, low, high)
    return np.asarray(np.where(size < EPSILON, low, exponents), np.float32)


def _binary(quantizer: Quantizer, x: Singles) -> Singles:
    base = named("tanh")(x) if quantizer.options["alpha"] is None else x
    return _through(base, np.asarray(quantizer.alpha * _signs(quantizer, x), np.float32))


def _ternary(quantizer: Quantizer, x: Singles) -> Singles:
    told = quantizer.options["threshold"]
    q = (np.abs(x) >= np.float32(0.33 if told is None else told)) * np.sign(x)
    base = named("tanh")(x) if quantizer.options["alpha"] is None else x
    return _through(base, np.asarray(quantizer.alpha * q, np.float32))


def _hswish(quantizer: Quantizer, x: Singles) -> Singles:
    most = np.float32(quantizer.options["relu_upper_bound"])
    gate = np.clip(x + np.float32(quantizer.options["relu_shift"]), 0, most)
    return np.asarray(x * gate / most, np.float32)


def _bits_options(quantizer: Quantizer) -> dict[str, Any]:
    return {name: value for name, value in quantizer.options.items() if not name.startswith("relu_")}


def _hswish_bits(quantizer: Quantizer, x: Singles) -> Singles:
    return _bits(quantizer, _hswish(quantizer, x))


def _hard_sigmoid(x: Singles) -> Singles:
    return np.asarray(np.clip(_HALF * x + _HALF, 0, 1), np.float32)


def _smooth_sigmoid(x: Singles) -> Singles:
    return np.asarray(np.clip(np.float32(0.1875) * x + _HALF, 0, 1), np.float32)


_QUANTIZERS = {
    "quantized_bits": _bits,
    "quantized_linear": _linear_values,
    "quantized_relu": _relu,
    "quantized_tanh": _tanh,
    "quantized_sigmoid": _sigmoid,
    "quantized_ulaw": _ulaw,
    "quantized_po2": _po2,
    "quantized_relu_po2": _relu_po2,
    "quantized_hswish": _hswish_bits,
    "binary": _binary,
    "ternary": _ternary,
}
_FUNCTIONS: dict[str, ArrayFunction] = {
    "linear": lambda x: x,
    "relu": lambda x: np.asarray(np.maximum(x, np.float32(0)), np.float32),
    "hard_sigmoid": _hard_sigmoid,
    "smooth_sigmoid": _smooth_sigmoid,
    "hard_tanh": lambda x: np.asarray(_TWO * _hard_sigmoid(x) - _ONE, np.float32),
    "smooth_tanh": lambda x: np.asarray(_TWO * _smooth_sigmoid(x) - _ONE, np.float32),
    "binary_sigmoid": lambda x: np.rint(_hard_sigmoid(x)),
    "binary_tanh": lambda x: np.asarray(_TWO * np.rint(_hard_sigmoid(x)) - _ONE, np.float32),
}
