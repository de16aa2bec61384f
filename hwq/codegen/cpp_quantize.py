"""A quantise in C++: conversions that AMD's and Bambu's headers make alike.

Bambu 2024.10 differs from AMD where a type rounds or saturates and the source or the target is unsigned: a carry past the top wraps, negative
values are not clamped, and a signed source with no integer bit to spare may wrap as well. So rounding and saturation happen in a signed type,
and where a value can exceed it, from a signed source with at least one integer bit more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwq.codegen.cpp_text import ap_type
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.fixed.arithmetic import shift_round


def conversion(name: str, t: FixedType, x: str, source: FixedType) -> list[str]:
    """Statements that declare `name` with the value of `x`, of the type `source`, quantised to `t`."""
    plain = FixedType(t.signed, t.width, t.frac)
    vanishes = t.rounding is not Rounding.TRN and source.frac - t.frac > source.width  # less than half a step, always
    if not source.width or vanishes:
        return [f"{ap_type(plain)} {name} = 0;"]  # AMD's headers read past the top bit of what vanishes
    signed = t if t.signed else FixedType(True, t.width + 1, t.frac, t.rounding, t.overflow)
    if t.overflow is Overflow.WRAP or _fits(source, signed):
        signed = replace(signed, overflow=Overflow.WRAP)
    elif not t.signed:
        signed = replace(signed, overflow=Overflow.SAT)
    clamped = not t.signed and source.signed and t.overflow is not Overflow.WRAP
    if source.frac <= t.frac:
        signed = replace(signed, rounding=Rounding.TRN)  # nothing to round
    if signed.rounding is Rounding.TRN and signed.overflow is Overflow.WRAP and not clamped:
        return [f"{ap_type(plain)} {name} = {x};"]
    held = name if t.signed else f"{name}_wide"
    lines = [f"{ap_type(signed)} {held} = {_signed_source(x, source, signed)};"]
    if not t.signed:
        lines.append(f"{ap_type(plain)} {name} = {held};")
    return [*lines, f"if ({held} < 0) {name} = 0;"] if clamped else lines


def _fits(source: FixedType, target: FixedType) -> bool:
    """Whether no value of `source`, once rounded, exceeds the range of `target`."""
    down = source.frac - target.frac
    low, high = (_rounded(v, down, target.rounding) for v in (source.lowest, source.highest))
    return target.lowest <= low and high <= target.highest


def _rounded(mantissa: int, down: int, rounding: Rounding) -> int:
    """A mantissa with `down` fractional bits less."""
    return mantissa << -down if down <= 0 else int(shift_round(np.array([mantissa], object), down, rounding)[0])


def _signed_source(x: str, source: FixedType, target: FixedType) -> str:
    """`x` as a signed value, where `target` saturates with at least one integer bit more than it."""
    integer = source.integer + (not source.signed)
    if target.overflow is not Overflow.WRAP:
        integer = max(integer, target.integer + 1)
    if source.signed and integer == source.integer:
        return x
    return f"{ap_type(FixedType(True, integer + source.frac, source.frac))}({x})"
