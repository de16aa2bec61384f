"""Quantisers of peers: their types, and what they make of weights in float32. Layers are elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant
from hwq.tensors import Singles

Wholes = npt.NDArray[np.int64]
ROUNDINGS = ("TRN", "RND", "RND_CONV", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")
MOST_BITS = 1024


@dataclass(frozen=True, slots=True)
class Fixed:
    """One quantiser: value = mantissa * 2^-f in [-k 2^i, 2^i - 2^-f].

    Attributes:
        k: 1 where negative numbers are kept, else 0. Of activations the arrays may have the batch's axis, of length 1, first.
        i, f: integer bits without the sign, and fractional bits; any integers. No bits at all (k + i + f <= 0) is zero.
        rounding, overflow: as HLS calls them.
        unbounded: weights are brought to the step alone, whatever i says.
        lone: a symmetric sign without other bits keeps its code, as hwq's own types have it; of peers it is always zero.
    """

    k: Wholes
    i: Wholes
    f: Wholes
    rounding: str = "RND"
    overflow: str = "WRAP"
    unbounded: bool = False
    lone: bool = False

    def types(self, shape: tuple[int, ...], layer: str) -> TypeArray:
        """The types of activations.

        Raises:
            UnsupportedLayerError: a rounding that a design has not, or bits for each row of a batch.
        """
        if self.rounding not in Rounding.__members__:
            raise UnsupportedLayerError(
                f"layer {layer!r} rounds activations by {self.rounding}", hint=f"a design has {', '.join(Rounding)}"
            )
        each = self.each(shape, layer)
        k, i, f = each.k, each.i, each.f
        width = np.maximum(k + i + f, 0)
        if self.overflow == "SAT_SYM" and not self.lone:
            width = np.where((width == 1) & (k == 1), 0, width)  # its one code is zero
        return TypeArray.of(k, width, f, Rounding(self.rounding), Overflow(self.overflow))

    def each(self, shape: tuple[int, ...], layer: str) -> Fixed:
        """With bits of every element of a row, and no batch.

        Raises:
            UnsupportedLayerError: bits for each row of a batch.
            ModelError: of another shape than the rows.
        """
        parts = []
        for part in (self.k, self.i, self.f):
            if part.ndim == len(shape) + 1 and part.shape[0] != 1:
                raise UnsupportedLayerError(
                    f"layer {layer!r} has a quantiser for each of {part.shape[0]} rows",
                    hint="one quantiser for all rows of a batch",
                )
            row = part[0] if part.ndim == len(shape) + 1 else part
            try:
                parts.append(np.broadcast_to(row, shape))
            except ValueError as error:
                raise ModelError(
                    f"layer {layer!r} quantises {shape} by bits of shape {row.shape}", hint="is the file whole?"
                ) from error
        return replace(self, k=parts[0], i=parts[1], f=parts[2])

    def values(self, x: Singles) -> Singles:
        """What the peer makes of floats, in float32 as it does.

        Args:
            x: any shape that k, i and f broadcast to.
        """
        k, i, f = (part.astype(np.float32) for part in (self.k, self.i, self.f))
        one, i_used = np.exp2(f), np.maximum(i, -f)
        high = np.exp2(i_used) - np.exp2(-f)
        even = self.overflow == "SAT_SYM" and (not self.lone or k + i + f != 1)
        low = -k * np.where(even, high, np.exp2(i_used))
        bounded = not self.unbounded
        if bounded and self.overflow != "WRAP":
            x = np.where(x > high, high, np.where(x < low, low, x))
        y = _rounded((x * one).astype(np.float32), self.rounding) / one
        if bounded and self.overflow == "WRAP":
            half = k * np.exp2(i_used + k - 1)
            y = (y + half) % np.exp2(i_used + k) - half
        if bounded:
            y = np.where(k + i + f > 0, y, np.float32(0))
        return np.broadcast_to(y, x.shape).astype(np.float32)


def _rounded(x: Singles, rounding: str) -> Singles:
    half = np.float32(0.5)
    sign: Singles = np.sign(x)
    found: dict[str, Callable[[], Singles]] = {
        "TRN": lambda: np.floor(x),
        "RND": lambda: np.floor(x + half),
        "RND_CONV": lambda: np.rint(x),
        "TRN_ZERO": lambda: np.floor(np.abs(x)) * sign,
        "RND_ZERO": lambda: -np.floor(-np.abs(x) + half) * sign,
        "RND_MIN_INF": lambda: -np.floor(-x + half),
        "RND_INF": lambda: np.floor(np.abs(x) + half) * sign,
    }
    return found[rounding]().astype(np.float32)


def dyadic(values: Any) -> Constant:
    """Floats as a constant of the narrowest types that hold them exactly.

    Args:
        values: floats of any shape.

    Raises:
        ModelError: NaN, infinity or complex numbers.
    """
    if np.iscomplexobj(values) or not np.isfinite(floats := np.asarray(values, np.float64)).all():
        raise ModelError("a constant has NaN, infinity or complex numbers", hint="is it the network after training went well?")
    fraction, exponent = np.frexp(floats)
    mantissas = np.ldexp(fraction, 53).astype(np.int64)  # exact: a float64 has 53 bits
    lowest = np.where(mantissas == 0, 1, mantissas & -mantissas)
    zeros = np.frexp(lowest.astype(np.float64))[1].astype(np.int64) - 1
    mantissas = mantissas >> zeros
    frac = np.where(mantissas == 0, 0, 53 - exponent.astype(np.int64) - zeros)
    return Constant(mantissas, TypeArray.enclosing(np.minimum(mantissas, 0), np.maximum(mantissas, 0), frac))


def whole_bits(values: Any) -> Wholes:
    """Numbers of bits, rounded.

    Raises:
        ModelError: NaN, infinity, or more bits than any quantiser has.
    """
    found = np.rint(np.asarray(values, np.float64))
    if not np.isfinite(found).all() or np.abs(found).max(initial=0) > MOST_BITS:
        raise ModelError("a quantiser has NaN, infinity or thousands of bits", hint="is it the network after training went well?")
    return found.astype(np.int64)


def zeros(shape: tuple[int, ...]) -> Constant:
    """Nothing but zeros."""
    return dyadic(np.zeros(shape))
