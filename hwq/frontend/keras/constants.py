"""Keras variables to integers: the types of a quantiser, and constants with a type for each weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwq.errors import ModelError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.fixed.types import bits_for
from hwq.ir import Constant

_WIDEST_INPUT = 62


def quantizer_types(quantizer: Any, shape: tuple[int, ...] | None = None) -> TypeArray:
    """The types of a Quantize layer for rows of `shape` (None: that of its bitwidths): fractional bits, and the width of the traced range.

    Raises:
        ModelError: a type wider than a float can be brought to.
    """
    f = np.round(np.asarray(quantizer.f, np.float64)).astype(np.int64)
    low, high = (np.asarray(v, np.float64).astype(object) for v in (quantizer.low, quantizer.high))
    width = np.array([bits_for(int(a), int(b)) for a, b in zip(low.ravel(), high.ravel(), strict=True)], np.int64).reshape(f.shape)
    if width.max(initial=0) > _WIDEST_INPUT:
        raise ModelError(f"an activation of {quantizer.name!r} needs {width.max()} bits", hint="fewer initial bits")
    signed = np.array([int(a) < 0 for a in low.ravel()]).reshape(f.shape)
    shape = f.shape if shape is None else shape
    signed, width, f = (np.broadcast_to(part, shape) for part in (signed, width, f))
    return TypeArray.of(signed, width, f, Rounding(quantizer.rounding), Overflow(quantizer.overflow))


def constant(values: Any, f: Any) -> Constant:
    """Values that are already rounded to 2^-round(f), as integer mantissas with the narrowest types.

    Args:
        values: floats of any shape.
        f: fractional bits, broadcasting to that shape.

    Raises:
        ModelError: a value that is no multiple of its step.
    """
    floats = np.asarray(values, np.float64)
    frac = np.broadcast_to(np.round(np.asarray(f, np.float64)).astype(np.int64), floats.shape)
    scaled = np.ldexp(floats, frac)
    mantissas = np.rint(scaled).astype(np.int64)
    if (mantissas != scaled).any():
        raise ModelError("a weight is no multiple of its step", hint="freeze the model first (hwq.conversion.freeze)")
    return Constant(mantissas, TypeArray.enclosing(np.minimum(mantissas, 0), np.maximum(mantissas, 0), frac))


def whole(values: np.ndarray) -> Constant:
    """Whole numbers as a constant."""
    return constant(values, np.zeros(values.shape))
