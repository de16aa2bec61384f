"""Exact interval arithmetic over mantissas, element by element, with the actual constants.

An Interval holds the lowest and highest mantissa an element can take, as Python integers in object arrays, and its
fractional bits; it is exact where inputs are independent and an enclosure otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.fixed import Overflow, TypeArray
from hwq.fixed.arithmetic import SAFE_BITS, IntArray, shift_round

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

    @property
    def flat(self) -> Interval:
        """The elements in one row."""
        return Interval(self.low.ravel(), self.high.ravel(), self.frac.ravel())

    def take(self, index: npt.NDArray[np.int64]) -> Interval:
        """The elements at `index` of a flat interval; its shape."""
        return Interval(self.low[index], self.high[index], self.frac[index])

    def with_zero(self) -> Interval:
        """A flat interval with a zero behind it, which the index -1 then reads."""
        return Interval(*(np.append(column, 0) for column in (self.low, self.high, self.frac)))

    def plain(self) -> Interval:
        """The same with Python integers as bounds, whatever they were computed in."""
        return Interval(self.low.astype(object), self.high.astype(object), self.frac)

    @property
    def zero(self) -> npt.NDArray[np.bool_]:
        """Where the value is always zero."""
        return np.asarray((self.low == 0) & (self.high == 0), bool)


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


def product_sum_bounds(x: Interval, kernel: IntArray, kernel_frac: npt.NDArray[np.int64]) -> Interval:
    """Bounds (p, m) of x @ kernel for x of shape (p, n) and a kernel of shape (n, m); frac is that of the finest non-zero term of each sum."""
    used, alive = kernel != 0, ~x.zero
    lowest = np.iinfo(np.int32).min  # below any step
    x_frac, k_frac = np.where(alive, x.frac, lowest), np.where(used, kernel_frac, lowest)
    summed = _any_term(alive, used)
    frac = np.where(summed, _finest(x_frac, k_frac), 0)
    if not summed.any():
        zeros = np.zeros(frac.shape, object)
        return Interval(zeros, zeros, frac)
    x_one, k_one = int(x_frac.max()), int(k_frac.max())
    low, high = (shifted(bound, np.maximum(x_one - x.frac, 0)) for bound in (x.low, x.high))
    k = shifted(kernel, np.maximum(k_one - kernel_frac, 0))  # what is finer than the finest that counts is zero
    largest = max(int(np.abs(low).max()), int(np.abs(high).max())) * int(np.abs(k).max()) * max(1, len(k))
    if largest.bit_length() < SAFE_BITS:
        low, high, k = low.astype(np.int64), high.astype(np.int64), k.astype(np.int64)
    up, down = np.maximum(k, 0), np.minimum(k, 0)
    cut = np.where(summed, x_one + k_one - frac, 0).astype(k.dtype)  # the bits cut off are zero
    return Interval((low @ up + high @ down).astype(k.dtype) >> cut, (high @ up + low @ down).astype(k.dtype) >> cut, frac).plain()


def _finest(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """max over i of a[p, i] + b[i, m], a few rows at a time."""
    rows = max(1, (1 << 22) // max(1, b.size))
    parts = [(a[start : start + rows, :, None] + b).max(axis=1, initial=np.iinfo(np.int64).min) for start in range(0, len(a), rows)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros((0, b.shape[1]), np.int64)


def _any_term(alive: npt.NDArray[np.bool_], used: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray((alive.astype(np.float32) @ used.astype(np.float32)) > 0, bool)


def product_bounds(a: Interval, b: Interval) -> Interval:
    """Bounds of a * b, element by element."""
    corners = np.stack([a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Interval(low, high, np.where((low == 0) & (high == 0), 0, a.frac + b.frac))


def negated(a: Interval) -> Interval:
    """Bounds of -a."""
    return Interval(-a.high, -a.low, a.frac)


def extreme_bounds(terms: Sequence[Interval], *, least: bool) -> Interval:
    """Bounds of the greatest (or the least) of `terms`, element by element."""
    lowest = np.iinfo(np.int64).min
    frac = np.max([np.where(t.zero, lowest, t.frac) for t in terms], axis=0)
    frac = np.where(frac == lowest, 0, frac)
    lows, highs = (
        np.stack([shifted(getattr(t, part), np.where(t.zero, 0, frac - t.frac)) for t in terms]) for part in ("low", "high")
    )
    pick = np.min if least else np.max
    return Interval(pick(lows, axis=0), pick(highs, axis=0), frac)


def add_bounds(a: Interval, b: Interval) -> Interval:
    """Bounds of a + b; an element that is always zero does not raise the fractional bits of the sum."""
    a_zero, b_zero = (a.low == 0) & (a.high == 0), (b.low == 0) & (b.high == 0)
    frac = np.where(a_zero, b.frac, np.where(b_zero, a.frac, np.maximum(a.frac, b.frac)))
    up_a, up_b = np.where(a_zero, 0, frac - a.frac), np.where(b_zero, 0, frac - b.frac)
    return Interval(shifted(a.low, up_a) + shifted(b.low, up_b), shifted(a.high, up_a) + shifted(b.high, up_b), frac)
