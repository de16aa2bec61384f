"""Pieces of C++ text: types, literals, comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.fixed.types import bits_for
from hwq.ir import Node

EXACT_LITERAL_BITS = 53  # a double literal holds a constant of so many bits exactly


@dataclass(frozen=True, slots=True)
class Section:
    """The statements of one node under their comment."""

    comment: str
    lines: tuple[str, ...]


def ap_type(t: FixedType) -> str:
    """The ap_fixed type of one element; the modes are written only where they are not the defaults."""
    name = "ap_fixed" if t.signed else "ap_ufixed"
    modes = ""
    if t.rounding is not Rounding.TRN or t.overflow is not Overflow.WRAP:
        modes = f",AP_{t.rounding}"
    if t.overflow is not Overflow.WRAP:
        modes += f",AP_{t.overflow}"
    return f"{name}<{t.width},{t.integer}{modes}>"


def integer_type(width: int, *, signed: bool) -> str:
    """The ap_int type of a mantissa."""
    return f"ap_{'' if signed else 'u'}int<{width}>"


_C_TYPES = ((8, "signed char"), (16, "short"), (32, "int"), (64, "long long"))


def table_array(name: str, entries: Sequence[int]) -> str:
    """The declaration of a constant array of integers in the narrowest C type that holds them."""
    kind = next(kind for bits, kind in _C_TYPES if all(-(1 << (bits - 1)) <= v < 1 << (bits - 1) for v in entries))
    return f"static const {kind} {name}[{len(entries)}] = {{{', '.join(map(str, entries))}}};"


def literal(mantissa: int, frac: int) -> str:
    """A constant as a typed literal: the narrowest type that holds it, and its exact decimal value.

    Raises:
        GraphError: more bits than a double literal holds.
    """
    width = bits_for(min(mantissa, 0), max(mantissa, 0))
    return f"{ap_type(FixedType(mantissa < 0, width, frac))}({exact(mantissa, frac)})"


def exact(mantissa: int, frac: int) -> str:
    """mantissa * 2^-frac as a decimal double.

    Raises:
        GraphError: more bits than a double literal holds.
    """
    if abs(mantissa).bit_length() > EXACT_LITERAL_BITS:
        raise GraphError(f"a constant of {abs(mantissa).bit_length()} bits has no exact double literal")
    return repr(float(np.ldexp(float(mantissa), -frac)))


def summary(node: Node, what: str) -> str:
    """The comment over a node's statements."""
    return f"{node.name}: {what}" + (f", from layer {_quoted(node.source)}" if node.source else "")


def _quoted(name: str) -> str:
    """A user's layer name inside a one-line comment: nothing in it can end the line or continue it."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\?' else "_" for c in name) + '"'
