"""Rounding and overflow on integer mantissas, the one place that does either.

Arrays are int64 where every number fits in 62 bits, else Python integers in object arrays; every function here takes both
and keeps what it was given; `as_integers` chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.fixed.types import MOST_BITS, Overflow, Rounding, TypeArray

IntArray = npt.NDArray[Any]  # int64 or object (Python integers)
SAFE_BITS = 62  # int64 without its sign bit and with one guard bit for the rounding constant


def greatest(values: IntArray) -> int:
    """The greatest element; 0 where it is less, or where there is none."""
    return int(values.max(initial=0))


def as_integers(values: IntArray, bits: int) -> IntArray:
    """`values` as int64 when `bits` bits are enough for every later step, else as Python integers."""
    if bits <= SAFE_BITS:
        return values.astype(np.int64)
    return values if values.dtype == object else values.astype(object)


def shift_round(mantissas: IntArray, shift: npt.ArrayLike, rounding: Rounding) -> IntArray:
    """mantissas / 2^shift, brought to an integer by `rounding`; a negative shift multiplies, exactly.

    Args:
        mantissas: integers of any shape.
        shift: integers that broadcast against `mantissas`.
    """
    s = np.atleast_1d(np.asarray(shift)).astype(mantissas.dtype)  # 0-d object arrays decay to scalars of a NumPy dtype
    up, down = np.maximum(-s, 0), np.maximum(s, 0)
    m = mantissas << up
    if mantissas.dtype != object:
        # NumPy leaves a shift by 64 or more undefined; by 63 every int64 has become its sign, and rounding sees it too
        down = np.minimum(down, 63)
    floor: IntArray = m >> down
    if rounding is Rounding.TRN:
        return floor
    rest = m - (floor << down)  # 0 <= rest < 2^down
    half = np.ones_like(down) << np.maximum(down - 1, 0)  # more than the rest, 0, where nothing is cut
    if mantissas.dtype != object:
        far = np.broadcast_to(s > 63, np.broadcast_shapes(s.shape, m.shape))  # |m| <= 2^63 <= half: rounds to zero
        return np.where(far, 0, floor + _round_up(rest, half, floor, rounding))
    rounded: IntArray = floor + _round_up(rest, half, floor, rounding)
    return rounded


def _round_up(rest: IntArray, half: IntArray, floor: IntArray, rounding: Rounding) -> IntArray:
    if rounding is Rounding.RND:
        up = rest >= half
    else:
        up = (rest > half) | ((rest == half) & ((floor & 1) == 1))
    one_or_zero: IntArray = np.asarray(up).astype(floor.dtype)
    return one_or_zero


def wrap(mantissas: IntArray, signed: npt.ArrayLike, width: npt.ArrayLike) -> IntArray:
    """The low `width` bits, read as two's complement where `signed`; 0 where the width is 0."""
    w = np.atleast_1d(np.asarray(width)).astype(mantissas.dtype)
    most = MOST_BITS if mantissas.dtype == object else SAFE_BITS
    span = np.ones_like(w) << np.minimum(w, most)
    sign = np.where(signed, span >> 1, 0)  # the sign bit
    wrapped = ((mantissas & (span - 1)) ^ sign) - sign
    return np.where(w <= most, wrapped, mantissas)  # an int64 mantissa is inside any type wider than 62 bits already


def saturate(mantissas: IntArray, signed: npt.ArrayLike, width: npt.ArrayLike, *, symmetric: bool = False) -> IntArray:
    """The nearest mantissa in range; 0 where the width is 0."""
    types = TypeArray.of(signed, width, 0, overflow=Overflow.SAT_SYM if symmetric else Overflow.SAT)
    low, high = types.lowest, types.highest
    if mantissas.dtype != object:
        low = np.asarray(np.maximum(low, -(1 << 63))).astype(np.int64)  # 0-d object arrays decay here, too
        high = np.asarray(np.minimum(high, (1 << 63) - 1)).astype(np.int64)
    return np.minimum(np.maximum(mantissas, low), high)


def requantize(mantissas: IntArray, frac: npt.ArrayLike, types: TypeArray) -> IntArray:
    """Bring mantissas with `frac` fractional bits to `types`: round, then wrap or saturate.

    Args:
        mantissas: shape (..., *types.shape).
        frac: fractional bits of the source, broadcasting to types.shape.

    Returns:
        Mantissas of `types`, the same shape and dtype.
    """
    shift = np.asarray(frac).astype(np.int64) - types.frac.astype(np.int64)
    rounded = shift_round(mantissas, shift, types.rounding)
    return overflow(rounded, types)


def overflow(mantissas: IntArray, types: TypeArray) -> IntArray:
    """Bring mantissas that already have the right step into the range of `types`."""
    if types.overflow is Overflow.WRAP:
        return wrap(mantissas, types.signed, types.width)
    return saturate(mantissas, types.signed, types.width, symmetric=types.overflow is Overflow.SAT_SYM)


def quantize_float(values: npt.ArrayLike, types: TypeArray) -> IntArray:
    """Floats to mantissas of `types`, exactly as the mode says: no float addition that could itself round.

    Args:
        values: finite floats, shape (..., *types.shape).

    Returns:
        Mantissas: int64, or Python integers where a type is wider than 62 bits.

    Raises:
        ValueError: NaN or infinity.
    """
    x = np.asarray(values, np.float64)
    if not np.isfinite(x).all():
        raise ValueError("cannot quantise NaN or infinity")
    rounded = _rounded_float(x, types)
    if types.overflow is Overflow.WRAP:
        # beyond the largest float a number is a multiple of 2^971, and so of the span of any type
        rounded = np.where(np.isinf(rounded), 0.0, rounded)
    if greatest(types.width) > SAFE_BITS:
        whole = [int(v) for v in np.nan_to_num(rounded).ravel().tolist()]
        return overflow(np.array(whole or [], object).reshape(rounded.shape), types)
    if types.overflow is Overflow.WRAP:
        span = np.ldexp(1.0, types.width.astype(np.int64))
        return wrap(np.fmod(rounded, span).astype(np.int64), types.signed, types.width)  # fmod is exact
    limit = float(1 << SAFE_BITS)
    return overflow(np.clip(rounded, -limit, limit).astype(np.int64), types)


def _rounded_float(x: npt.NDArray[np.float64], types: TypeArray) -> npt.NDArray[np.float64]:
    """x at the steps of `types`, rounded to whole numbers; infinite where that is beyond the range of float64."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled = np.ldexp(x, types.frac.astype(np.int64))
        floor = np.floor(scaled)
        floor = np.where((scaled == 0) & (x < 0), -1.0, floor)  # too small for a float: just below zero
        rest = scaled - floor  # exact: both are multiples of the last place of `scaled`
        if types.rounding is Rounding.RND:
            floor = floor + (rest >= 0.5)
        elif types.rounding is Rounding.RND_CONV:
            floor = np.rint(scaled)
    return floor


def to_float(mantissas: IntArray, frac: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """mantissa * 2^-frac as float64 (exact up to 53 bits)."""
    return np.ldexp(mantissas.astype(np.float64), -np.asarray(frac).astype(np.int64))
