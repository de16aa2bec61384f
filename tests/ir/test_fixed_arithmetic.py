"""Rounding and overflow against exact rational arithmetic, for every mode."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwq.fixed import FixedType, Overflow, Rounding, TypeArray, quantize_float, requantize, shift_round
from hwq.fixed.types import bits_for, bits_for_each


def exact_round(x: Fraction, mode: Rounding) -> int:
    if mode is Rounding.TRN:
        return floor(x)
    down = floor(x)
    rest = x - down
    if mode is Rounding.RND:
        return down + (rest >= Fraction(1, 2))
    return down + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2 == 1))


def exact_overflow(m: int, t: FixedType) -> int:
    if t.width == 0:
        return 0
    if t.overflow is Overflow.WRAP:
        m %= 1 << t.width
        return m - (1 << t.width) if t.signed and m >= 1 << (t.width - 1) else m
    return min(max(m, t.lowest), t.highest)


types = st.builds(
    FixedType,
    st.booleans(),
    st.integers(0, 12),
    st.integers(-6, 14),
    st.sampled_from(list(Rounding)),
    st.sampled_from(list(Overflow)),
)


@given(st.lists(st.integers(-(1 << 20), 1 << 20), min_size=1, max_size=20), st.integers(-6, 14), types, st.booleans())
def test_requantize_is_exact(values: list[int], frac: int, t: FixedType, as_object: bool) -> None:
    array = TypeArray.of(np.full(len(values), t.signed), t.width, t.frac, t.rounding, t.overflow)
    t = array[0]
    got = requantize(np.array(values, object if as_object else np.int64), frac, array)
    want = [exact_overflow(exact_round(Fraction(v) * Fraction(2) ** (t.frac - frac), t.rounding), t) for v in values]
    assert got.tolist() == want


@given(st.floats(-1e6, 1e6, width=32), types)
def test_quantize_float_is_exact(value: float, t: FixedType) -> None:
    array = TypeArray.of([t.signed], t.width, t.frac, t.rounding, t.overflow)
    t = array[0]
    want = exact_overflow(exact_round(Fraction(value) * Fraction(2) ** t.frac, t.rounding), t)
    assert quantize_float([value], array).tolist() == [want]


def test_just_below_a_tie_rounds_down() -> None:
    """0.49999999999999994 + 0.5 is 1.0 in float64: adding a half first would round it up."""
    types = TypeArray.of([0], 4, 0, Rounding.RND)
    assert quantize_float([np.nextafter(0.5, 0)], types).tolist() == [0]
    assert quantize_float([0.5], types).tolist() == [1]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("shift", [61, 62, 63, 64, 80])
def test_far_shifts(rounding: Rounding, shift: int) -> None:
    values = [-(1 << 61), -3, -1, 0, 1, (1 << 61)]
    want = [exact_round(Fraction(v, 1 << shift), rounding) for v in values]
    assert shift_round(np.array(values), shift, rounding).tolist() == want
    assert shift_round(np.array(values, object), shift, rounding).tolist() == want


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_no_number(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        quantize_float([bad], TypeArray.of([1], 4, 0))


@given(st.integers(-(1 << 40), 1 << 40), st.integers(0, 1 << 20))
def test_bits_for_is_the_narrowest(low: int, span: int) -> None:
    high = low + span
    bits = bits_for(low, high)
    t = FixedType(low < 0, bits, 0)
    assert t.lowest <= low and high <= t.highest
    if bits:
        narrower = FixedType(low < 0, bits - 1, 0)
        assert narrower.lowest > low or narrower.highest < high


@given(st.lists(st.tuples(st.integers(-(1 << 70), 1 << 70) | st.integers(-300, 300), st.integers(0, 300)), max_size=8))
def test_widths_of_arrays_are_those_of_their_elements(pairs: list[tuple[int, int]]) -> None:
    low = np.array([a for a, _ in pairs], object)
    high = np.array([a + b for a, b in pairs], object)
    assert bits_for_each(low, high).tolist() == [bits_for(a, a + b) for a, b in pairs]


@pytest.mark.parametrize("overflow", list(Overflow))
def test_the_ends_of_arrays_are_those_of_their_elements(overflow: Overflow) -> None:
    types = TypeArray.of(np.arange(256) // 128, np.arange(256) % 128, 3, overflow=overflow)
    assert types.lowest.tolist() == [t.lowest for t in types]
    assert types.highest.tolist() == [t.highest for t in types]
