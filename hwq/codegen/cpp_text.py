"""Pieces of C++ text: types, literals, comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwq.fixed import FixedType, Overflow, Rounding
from hwq.fixed.types import bits_for
from hwq.ir import Node

PART_BITS = 62  # of an entry of a table, in each of several arrays
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


def from_bits(t: FixedType, name: str, bits: str) -> list[str]:
    """A variable of type `t` with the bits of `bits`, a named ap_uint: Bambu has no assignment from a range to a range."""
    return [f"{ap_type(t)} {name} = 0;", f"{name}.range({t.width - 1}, 0) = {bits};"]


def packed_into(width: int, offset: int, bits: str) -> str:
    """Put a named ap_uint into `packed`, whose bits there are zero: Bambu 2024.10 loses bits of a range of a wide ap_uint."""
    return f"packed |= ap_uint<{width}>({bits})" + (f" << {offset};" if offset else ";")


def integer_type(width: int, *, signed: bool) -> str:
    """The ap_int type of a mantissa."""
    return f"ap_{'' if signed else 'u'}int<{width}>"


_C_TYPES = ((8, "signed char"), (16, "short"), (32, "int"), (64, "long long"))


def table_array(name: str, entries: Sequence[int]) -> str:
    """The declaration of a constant array of integers of at most 64 bits, in the narrowest C type that holds them."""
    kind = next(kind for bits, kind in _C_TYPES if _signed_bits(entries) <= bits)
    return f"static const {kind} {name}[{len(entries)}] = {{{', '.join(map(_integer, entries))}}};"


def table_lookup(name: str, entries: Sequence[int], code: str, kind: str) -> tuple[list[str], str]:
    """(declarations, expression of entry number `code` in the integer type `kind`); entries that no C type holds lie in several arrays."""
    if _signed_bits(entries) <= _C_TYPES[-1][0]:
        return [table_array(name, entries)], f"{name}[{code}]"
    lines, parts = [], []
    rest, place = list(entries), 0
    while any(rest):
        last = _signed_bits(rest) <= _C_TYPES[-1][0]
        part = rest if last else [v & ((1 << PART_BITS) - 1) for v in rest]
        rest = [0] * len(rest) if last else [v >> PART_BITS for v in rest]
        lines.append(table_array(f"{name}_{place}", part))
        parts.append(f"({kind}({name}_{place}[{code}]) << {place * PART_BITS})" if place else f"{kind}({name}_{place}[{code}])")
        place += 1
    return lines, " | ".join(parts)


def _signed_bits(entries: Sequence[int]) -> int:
    return 1 + max((v if v >= 0 else -v - 1).bit_length() for v in entries)


def _integer(value: int) -> str:
    return f"{value + 1}LL - 1" if value == -(1 << 63) else str(value)  # its digits alone are no C integer


def literal(mantissa: int, frac: int) -> str:
    """A constant as a typed literal: the narrowest type that holds it, and its exact decimal value.

    One of more bits than a double literal holds is the sum of several.
    """
    width = bits_for(min(mantissa, 0), max(mantissa, 0))
    return f"{ap_type(FixedType(mantissa < 0, width, frac))}({exact(mantissa, frac)})"


def exact(mantissa: int, frac: int) -> str:
    """mantissa * 2^-frac as a decimal double, or as a sum of literals where it has more bits than one double holds."""
    if abs(mantissa).bit_length() > EXACT_LITERAL_BITS:
        high, low = mantissa >> EXACT_LITERAL_BITS, mantissa & ((1 << EXACT_LITERAL_BITS) - 1)
        parts = [literal(high, frac - EXACT_LITERAL_BITS)] + ([literal(low, frac)] if low else [])
        return " + ".join(parts)
    return repr(float(np.ldexp(float(mantissa), -frac)))


def summary(node: Node, what: str) -> str:
    """The comment over a node's statements."""
    return f"{node.name}: {what}" + (f", from layer {_quoted(node.source)}" if node.source else "")


def _quoted(name: str) -> str:
    """A user's layer name inside a one-line comment: nothing in it can end the line or continue it."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\?' else "_" for c in name) + '"'
