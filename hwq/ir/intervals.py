"""Exact interval arithmetic over mantissas, element by element, with the actual constants.

An Interval holds the lowest and highest mantissa an element can take, as Python integers in object arrays, and its
fractional bits; it is exact where inputs are independent and an enclosure otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.fixed import Overflow, TypeArray
from hwq.fixed.arithmetic import IntArray, shift_round

Objects = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Bounds of a tensor: `low` and `high` are mantissas (object arrays), `frac` their fractional bits (int64)."""

    low: Objects
    high: Objects
    frac: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.low.shape

    @property
    def types(self) -> TypeArray:
        """The narrowest types that hold the bounds."""
        return TypeArray.enclosing(self.low, self.high, self.frac)

    @classmethod
    def of(cls, types: TypeArray) -> Interval:
        """Everything that `types` can hold."""
        return cls(types.lowest, types.highest, types.frac.astype(np.int64))

    def reshape(self, shape: tuple[int, ...]) -> Interval:
        return Interval(self.low.reshape(shape), self.high.reshape(shape), self.frac.reshape(shape))


def shifted(values: Objects, shift: npt.NDArray[np.int64]) -> Objects:
    """values << shift, as Python integers (shift >= 0)."""
    out: Objects = values << shift.astype(object)
    return out


def rounded(source: Interval, types: TypeArray) -> Interval:
    """Bounds after rounding to the step of `types`, before its overflow mode: rounding is monotonic."""
    shift = source.frac - types.frac.astype(np.int64)
    low = shift_round(source.low, shift, types.rounding)
    high = shift_round(source.high, shift, types.rounding)
    return Interval(low, high, types.frac.astype(np.int64))


def overflows(source: Interval, types: TypeArray) -> npt.NDArray[np.bool_]:
    """Where a value of `source`, once rounded, can be outside `types`."""
    bounds = rounded(source, types)
    return np.asarray((bounds.low < types.lowest) | (bounds.high > types.highest), bool)


def requantized(source: Interval, types: TypeArray) -> Interval:
    """Bounds after `requantize(source, types)`."""
    bounds = rounded(source, types)
    lowest, highest = types.lowest, types.highest
    if types.overflow is Overflow.WRAP:
        out = overflows(source, types)
        low, high = np.where(out, lowest, bounds.low), np.where(out, highest, bounds.high)
    else:
        low = np.minimum(np.maximum(bounds.low, lowest), highest)
        high = np.minimum(np.maximum(bounds.high, lowest), highest)
    return Interval(low, high, bounds.frac)


def matmul_bounds(x: Interval, kernel: IntArray, kernel_frac: npt.NDArray[np.int64]) -> Interval:
    """Bounds of x @ kernel for x of shape (n,) and a kernel of shape (n, m); frac is that of the finest non-zero term of each output."""
    n, m = kernel.shape
    used = kernel != 0
    alive = ((x.low != 0) | (x.high != 0))[:, None] & used
    term_frac = x.frac[:, None] + kernel_frac
    lowest = np.iinfo(np.int64).min
    frac = np.where(alive, term_frac, lowest).max(axis=0) if n else np.full(m, lowest)
    frac = np.where(frac == lowest, 0, frac).astype(np.int64)
    low, high = np.zeros(m, object), np.zeros(m, object)
    for i, j in zip(*np.nonzero(alive), strict=True):
        scale = int(kernel[i, j]) << int(frac[j] - term_frac[i, j])
        a, b = int(x.low[i]) * scale, int(x.high[i]) * scale
        low[j] += min(a, b)
        high[j] += max(a, b)
    return Interval(low, high, frac)


def add_bounds(a: Interval, b: Interval) -> Interval:
    """Bounds of a + b; an element that is always zero does not raise the fractional bits of the sum."""
    a_zero, b_zero = (a.low == 0) & (a.high == 0), (b.low == 0) & (b.high == 0)
    frac = np.where(a_zero, b.frac, np.where(b_zero, a.frac, np.maximum(a.frac, b.frac)))
    up_a, up_b = np.where(a_zero, 0, frac - a.frac), np.where(b_zero, 0, frac - b.frac)
    return Interval(shifted(a.low, up_a) + shifted(b.low, up_b), shifted(a.high, up_a) + shifted(b.high, up_b), frac)
