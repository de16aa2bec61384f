"""Rounding and overflow against exact rational arithmetic, for every mode."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray, quantize_float, requantize, saturate, shift_round, to_float, wrap
from hwq.fixed.arithmetic import as_integers, greatest
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


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("shift", [62, 63, 64, 65])
def test_far_shifts_of_any_int64(rounding: Rounding, shift: int) -> None:
    """Half a step is 2^(shift - 1): at 63 the upper half of int64 reaches it, at 64 nothing but the lowest number does."""
    values = [-(1 << 63), -(1 << 62) - 1, -(1 << 62), 1 << 62, (1 << 62) - 1, (1 << 63) - 1]
    want = [exact_round(Fraction(v, 1 << shift), rounding) for v in values]
    assert shift_round(np.array(values), shift, rounding).tolist() == want


def test_saturation_keeps_every_int64_that_its_type_holds() -> None:
    ends = np.array([-(1 << 63), (1 << 63) - 1])
    for width in (64, 65, 200):
        assert saturate(ends, 1, width).tolist() == ends.tolist()
        assert saturate(ends, 0, width).tolist() == [0, (1 << 63) - 1]
    assert saturate(ends, 1, 63).tolist() == [-(1 << 62), (1 << 62) - 1]
    assert saturate(ends, 0, 62).tolist() == [0, (1 << 62) - 1]


@pytest.mark.parametrize(("width", "lowest"), [(0, 0), (1, -1), (2, -1), (3, -3), (64, 1 - (1 << 63))])
def test_a_symmetric_type_has_no_lowest_code_from_two_bits_on(width: int, lowest: int) -> None:
    t = FixedType(True, width, 0, overflow=Overflow.SAT_SYM)
    array = TypeArray.of([1], width, 0, overflow=Overflow.SAT_SYM)
    assert t.lowest == lowest and array.lowest.tolist() == [lowest]
    assert requantize(np.array([-(1 << 70)], object), 0, array).tolist() == [lowest]


def test_the_ends_of_the_narrowest_types() -> None:
    for overflow, signed, width, ends in (
        *((Overflow.SAT, True, w, e) for w, e in ((0, (0, 0)), (1, (-1, 0)), (2, (-2, 1)), (3, (-4, 3)))),
        *((Overflow.WRAP, False, w, e) for w, e in ((0, (0, 0)), (1, (0, 1)), (2, (0, 3)))),
        *((Overflow.SAT_SYM, False, w, e) for w, e in ((0, (0, 0)), (1, (0, 1)), (2, (0, 3)))),
    ):
        t = FixedType(signed, width, 3, overflow=overflow)
        assert (t.lowest, t.highest) == ends


@pytest.mark.parametrize("dtype", [np.int64, object])
def test_the_narrowest_types_that_wrap(dtype: type) -> None:
    """A signed type of no bits holds zero alone, as an unsigned one."""
    values = np.array([-3, -2, -1, 0, 1, 2, 3], dtype)
    assert wrap(values, 1, 0).tolist() == wrap(values, 0, 0).tolist() == [0] * 7
    assert wrap(values, 1, 1).tolist() == [-1, 0, -1, 0, -1, 0, -1]
    assert wrap(values, 0, 1).tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert wrap(values, 1, 2).tolist() == [1, -2, -1, 0, 1, -2, -1]
    assert wrap(values, [1, 0, 1, 0, 1, 0, 1], [0, 1, 2, 2, 1, 0, 3]).tolist() == [0, 0, -1, 0, -1, 0, 3]


def test_a_type_of_no_bits_is_u0_0() -> None:
    types = TypeArray.of([1, 1], [0, 1], [7, 7])
    assert (types.signed.tolist(), types.width.tolist(), types.frac.tolist()) == ([0, 1], [0, 1], [0, 7])


@pytest.mark.parametrize("part", ["signed", "width", "frac"])
def test_types_that_differ_in_one_element_are_not_equal(part: str) -> None:
    parts = {"signed": [1, 0], "width": [5, 6], "frac": [2, 3]}
    types = TypeArray.of(**parts)
    assert types == TypeArray.of(**parts) and types != TypeArray.of(**parts, rounding=Rounding.RND)
    assert types != TypeArray.of(**parts, overflow=Overflow.SAT) and types != types.reshape((2, 1))
    other = {**parts, part: [parts[part][0], 1 if part == "signed" else 9]}
    assert types != TypeArray.of(**other)


def test_the_greatest_of_some_or_none() -> None:
    assert [greatest(np.array(v, np.int64)) for v in ([], [-3], [0], [2, 5, 1])] == [0, 0, 0, 5]


def test_integers_of_python_begin_above_62_bits() -> None:
    assert quantize_float([1.0], TypeArray.of([1], 62, 0)).dtype == np.int64
    assert quantize_float([1.0], TypeArray.of([1], 63, 0)).dtype == object
    assert quantize_float([1.0, -1.5], TypeArray.of([1, 1], [4, 70], 0)).tolist() == [1, -2]
    assert as_integers(np.array([1], object), 62).dtype == np.int64
    assert as_integers(np.array([1]), 63).dtype == object


def test_the_width_of_every_small_range() -> None:
    for low in range(-9, 10):
        for high in range(low, 10):
            want = next(w for w in range(9) if FixedType(low < 0, w, 0).lowest <= low and high <= FixedType(low < 0, w, 0).highest)
            assert bits_for(low, high) == want
            assert bits_for_each(np.array([low]), np.array([high])).tolist() == [want]


def test_lengths_of_numbers_that_a_float_would_round_up() -> None:
    """2^54 - 1 is 2^54 as a float."""
    for bits in (52, 53, 54, 59, 60, 61, 64):
        last = (1 << bits) - 1
        assert bits_for_each(np.array([0], object), np.array([last], object)).tolist() == [bits]
        assert bits_for_each(np.array([-last - 1], object), np.array([0], object)).tolist() == [bits + 1]


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint64])
def test_narrow_and_unsigned_arrays_have_bits_too(kind: type[np.integer[Any]]) -> None:
    low, high = np.array([0, 0, 0], kind), np.array([0, 3, np.iinfo(kind).max], kind)
    assert bits_for_each(low, high).tolist() == [0, 2, int(np.iinfo(kind).max).bit_length()]
    assert bits_for_each(low, high.astype(object)).tolist() == bits_for_each(low, high).tolist()


def test_words_and_objects_have_the_same_bits() -> None:
    """Whole words are counted in halves, at every power of two up to the last of 64 bits, one before and one behind it."""
    ends = [n for bit in range(63) for n in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1)] + [(1 << 63) - 1]
    for low, high in (([0] * len(ends), ends), ([-n - 1 for n in ends], [0] * len(ends))):
        want = [bits_for(a, b) for a, b in zip(low, high, strict=True)]
        assert bits_for_each(np.array(low, np.int64), np.array(high, np.int64)).tolist() == want
        assert bits_for_each(np.array(low, object), np.array(high, object)).tolist() == want


def test_arrays_of_objects_may_hold_numbers_of_numpy() -> None:
    """Importers compute in arrays of objects, and what NumPy reads from a file stays its own integer there."""
    low, high = np.array([np.int64(-4), -5, np.int8(0)], object), np.array([3, np.int64(3), np.uint8(255)], object)
    assert bits_for_each(low, high).tolist() == [3, 4, 8]


@pytest.mark.parametrize("width", [62, 63, 64, 100])
def test_floats_to_wide_types(width: int) -> None:
    values = [-1e300, -(2.0**62), -1.5, 2.0**61 + 2.0**40, 2.0**62, 2.0**80 + 2.0**62, 1e300]
    for signed in (0, 1):
        for overflow in Overflow:
            array = TypeArray.of(np.full(len(values), signed), width, 0, Rounding.RND, overflow)
            want = [exact_overflow(exact_round(Fraction(v), Rounding.RND), array[0]) for v in values]
            assert quantize_float(values, array).tolist() == want


def test_floats_beyond_the_range_of_floats() -> None:
    """Scaled by the step, the first two are infinite and the last two zero as float64."""
    values = [1e300, -1e300, 1e-300, -1e-300]
    fine = TypeArray.of([1] * 4, 8, [500, 500, -500, -500])
    assert quantize_float(values, fine).tolist() == [0, 0, 0, -1]
    saturated = TypeArray.of([1] * 4, 8, [500, 500, -500, -500], Rounding.RND, Overflow.SAT)
    assert quantize_float(values, saturated).tolist() == [127, -128, 0, 0]


@pytest.mark.parametrize(("width", "frac"), [(512, 0), (-1, 0), (8, 512), (8, -512), (8, 1 << 40)])
def test_the_limits_of_a_type(width: int, frac: int) -> None:
    with pytest.raises(GraphError, match=r"element 1 would need .* types have 0 to 511 bits and -511 to 511 fractional bits"):
        TypeArray.of([1, 1, 1], [8, width, -3], [0, frac, 0])
    edge = TypeArray.of([1, 0], [511, 511], [-511, 511])
    assert edge.highest.tolist() == [(1 << 510) - 1, (1 << 511) - 1] and edge[0].integer == 1022
    assert np.isfinite(to_float(edge.highest, edge.frac)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_no_number(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        quantize_float([bad, 1.0], TypeArray.of([1, 1], 4, 0))


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
    types = TypeArray.of(np.arange(1024) // 512, np.arange(1024) % 512, 3, overflow=overflow)
    assert types.lowest.tolist() == [t.lowest for t in types]
    assert types.highest.tolist() == [t.highest for t in types]
