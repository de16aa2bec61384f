"""What a fixed-point number is: FixedType for one value, TypeArray for a tensor whose every element has its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError

TypeColumn = npt.NDArray[np.int16]

# The limits of a type: with these the greatest value of any type, 2^(511 + 511), is a finite float64, and differences of fractional
# bits are far from the end of int16.
MOST_BITS = 511
MOST_FRAC = 511


class Rounding(StrEnum):
    """What happens to the bits below the last one kept."""

    TRN = "TRN"  # toward minus infinity (AP_TRN)
    RND = "RND"  # to nearest, ties toward plus infinity (AP_RND)
    RND_CONV = "RND_CONV"  # to nearest, ties to even (AP_RND_CONV)


class Overflow(StrEnum):
    """What happens to a value outside the range."""

    WRAP = "WRAP"  # modulo 2^width (AP_WRAP)
    SAT = "SAT"  # to the nearest end of the range (AP_SAT)
    SAT_SYM = "SAT_SYM"  # as SAT, with the range made symmetric: the lowest code is never used (AP_SAT_SYM)


def _lowest(signed: bool, width: int, overflow: Overflow) -> int:
    bottom = -(1 << width >> 1) if signed else 0
    return bottom + 1 if overflow is Overflow.SAT_SYM and bottom < -1 else bottom


def _highest(signed: bool, width: int) -> int:
    return max(0, (1 << width >> signed) - 1)


@dataclass(frozen=True, slots=True)
class FixedType:
    """One fixed-point type: value = mantissa * 2^-frac, the mantissa an integer of `width` bits.

    Attributes:
        signed: two's complement when true.
        width: all bits, the sign included; 0 means "always zero".
        frac: fractional bits; may be negative or greater than `width`.
        rounding: how a value is brought to this step.
        overflow: how a value is brought into this range.
    """

    signed: bool
    width: int
    frac: int
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    @property
    def integer(self) -> int:
        """Integer bits with the sign bit, the I of `ap_fixed<W, I>`."""
        return self.width - self.frac

    @property
    def lowest(self) -> int:
        """The smallest mantissa."""
        return _lowest(self.signed, self.width, self.overflow)

    @property
    def highest(self) -> int:
        """The greatest mantissa."""
        return _highest(self.signed, self.width)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.width}.{self.frac}"


@dataclass(frozen=True, slots=True, eq=False)
class TypeArray:
    """The types of a tensor, element by element: three int16 arrays of the tensor's shape, and one rounding and overflow mode."""

    signed: TypeColumn
    width: TypeColumn
    frac: TypeColumn
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    @classmethod
    def of(
        cls,
        signed: npt.ArrayLike,
        width: npt.ArrayLike,
        frac: npt.ArrayLike,
        rounding: Rounding = Rounding.TRN,
        overflow: Overflow = Overflow.WRAP,
    ) -> TypeArray:
        """Build from anything that broadcasts to one shape; elements of width 0 become the canonical u0.0.

        Raises:
            GraphError: a width below 0 or above 511, or fractional bits outside -511..511; names the first such type.
        """
        s, w, f = np.broadcast_arrays(np.asarray(signed, np.int64), np.asarray(width, np.int64), np.asarray(frac, np.int64))
        f = np.where(w == 0, 0, f)
        s = np.where(w == 0, 0, s)
        beyond = (w < 0) | (w > MOST_BITS) | (np.abs(f) > MOST_FRAC)
        if beyond.any():
            at = int(np.flatnonzero(beyond)[0])
            raise _beyond_limits(at, int(s.flat[at]), int(w.flat[at]), int(f.flat[at]))
        return cls(s.astype(np.int16), w.astype(np.int16), f.astype(np.int16), Rounding(rounding), Overflow(overflow))

    @classmethod
    def enclosing(cls, low: npt.ArrayLike, high: npt.ArrayLike, frac: npt.ArrayLike) -> TypeArray:
        """The narrowest types that hold every mantissa in [low, high], element by element (arrays of one shape)."""
        low, high = np.asarray(low), np.asarray(high)
        frac = np.broadcast_to(np.asarray(frac), low.shape)
        return cls.of((low < 0).astype(np.int64), bits_for_each(low, high), frac)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.width.shape

    @property
    def size(self) -> int:
        return int(self.width.size)

    def __getitem__(self, index: int) -> FixedType:
        """The type of the element with flat index `index`."""
        return FixedType(
            bool(self.signed.flat[index]), int(self.width.flat[index]), int(self.frac.flat[index]), self.rounding, self.overflow
        )

    def __iter__(self) -> Iterator[FixedType]:
        return (self[i] for i in range(self.size))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TypeArray)
            and self.shape == other.shape
            and bool((self.signed == other.signed).all() and (self.width == other.width).all() and (self.frac == other.frac).all())
            and self.rounding == other.rounding
            and self.overflow == other.overflow
        )

    __hash__ = None  # type: ignore[assignment]

    def reshape(self, shape: tuple[int, ...]) -> TypeArray:
        return TypeArray(
            self.signed.reshape(shape), self.width.reshape(shape), self.frac.reshape(shape), self.rounding, self.overflow
        )

    @property
    def lowest(self) -> npt.NDArray[np.object_]:
        """The smallest mantissas, as Python integers in an object array."""
        return self._ends(_lowest_of_kinds(self.overflow))

    @property
    def highest(self) -> npt.NDArray[np.object_]:
        """The greatest mantissas, as Python integers in an object array."""
        return self._ends(_highest_of_kinds())

    def _ends(self, of_kinds: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        index = (self.signed != 0).astype(np.int64) * (MOST_BITS + 1) + self.width
        return np.asarray(of_kinds[index], object).reshape(self.shape)


def _beyond_limits(element: int, signed: int, width: int, frac: int) -> GraphError:
    found = f"{'s' if signed else 'u'}{width}.{frac}"
    return GraphError(
        f"element {element} would need the type {found}; types have 0 to {MOST_BITS} bits and -{MOST_FRAC} to {MOST_FRAC} fractional bits",
        hint="quantize values before they grow so far, or bring steps and ranges nearer to each other",
    )


# the ends of a type depend on its sign and width alone: one list of all kinds, unsigned first


@cache
def _lowest_of_kinds(overflow: Overflow) -> npt.NDArray[np.object_]:
    return np.array([_lowest(s, w, overflow) for s in (False, True) for w in range(MOST_BITS + 1)], object)


@cache
def _highest_of_kinds() -> npt.NDArray[np.object_]:
    return np.array([_highest(s, w) for s in (False, True) for w in range(MOST_BITS + 1)], object)


_bit_lengths = np.frompyfunc(lambda value: int(value).bit_length(), 1, 1)  # of NumPy's integers in an array of objects as well


def bits_for_each(low: npt.NDArray[Any], high: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """`bits_for`, element by element, of arrays of one shape, of any integers."""
    if {low.dtype, high.dtype} != {np.dtype(np.int64)}:
        low, high = low.astype(object), high.astype(object)  # the complement of a narrow or unsigned one is another number
    most = np.asarray(np.maximum(~low, high), low.dtype)
    if most.dtype == object:
        lengths = np.asarray(_bit_lengths(most), np.int64)
    else:  # a float holds each half of a word, and so its exponent is their length
        upper, lower = (np.frexp(half.astype(np.float64))[1] for half in (most >> 32, most & 0xFFFFFFFF))
        lengths = np.where(upper > 0, upper + 32, lower).astype(np.int64)
    return lengths + np.asarray(low < 0, np.int64)


def bits_for(low: int, high: int) -> int:
    """The width of the narrowest type that holds every integer in [low, high]: unsigned where low >= 0, else signed; 0 for [0, 0]."""
    return max(~low, high).bit_length() + (low < 0)
