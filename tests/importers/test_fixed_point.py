"""Quantisers of peers: the float32 of weights and the types of activations say the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwq.fixed import to_float
from hwq.fixed.arithmetic import quantize_float
from hwq.importers.fixed_point import OVERFLOWS, ROUNDINGS, Fixed, dyadic


def fixed(k: int, i: int, f: int, rounding: str = "RND", overflow: str = "WRAP", unbounded: bool = False) -> Fixed:
    return Fixed(*(np.full(1, v) for v in (k, i, f)), rounding, overflow, unbounded)  # type: ignore[arg-type, misc]


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 1),
    st.integers(-3, 4),
    st.integers(-3, 5),
    st.sampled_from(["TRN", "RND", "RND_CONV"]),
    st.sampled_from(OVERFLOWS),
    st.lists(st.integers(-4096, 4096), min_size=1, max_size=20),
)
def test_values_and_types_agree(k: int, i: int, f: int, rounding: str, overflow: str, sixteenths: list[int]) -> None:
    x = np.array(sixteenths, np.float32)[:, None] / 16
    quantiser = fixed(k, i, f, rounding, overflow)
    types = quantiser.types((1,), "layer")
    assert (quantiser.values(x) == to_float(quantize_float(x, types), types.frac)).all()


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("TRN", [-2, -1, 0, 1]),
        ("RND", [-1, 0, 1, 2]),
        ("RND_CONV", [-2, 0, 0, 2]),
        ("TRN_ZERO", [-1, 0, 0, 1]),
        ("RND_ZERO", [-1, 0, 0, 1]),
        ("RND_MIN_INF", [-2, -1, 0, 1]),
        ("RND_INF", [-2, -1, 1, 2]),
    ],
)
def test_each_rounding_of_a_half(rounding: str, expected: list[int]) -> None:
    assert rounding in ROUNDINGS
    found = fixed(1, 4, 0, rounding).values(np.array([-1.5, -0.5, 0.5, 1.5], np.float32))
    assert found.tolist() == expected


def test_weights_that_are_only_rounded() -> None:
    assert fixed(1, 0, 1, unbounded=True).values(np.array([3.3], np.float32)).tolist() == [3.5]
    assert fixed(1, 0, -9, unbounded=True).values(np.array([300.0], np.float32)).tolist() == [512.0]  # no bits, and not zero


@given(st.lists(st.floats(-(2.0**40), 2.0**40, width=32), min_size=1, max_size=8))
def test_dyadic_is_exact(values: list[float]) -> None:
    constant = dyadic(values)
    for value, mantissa, frac in zip(values, constant.mantissas, constant.types.frac, strict=True):
        assert Fraction(value) == Fraction(int(mantissa)) / Fraction(2) ** int(frac)
        assert mantissa % 2 or mantissa == 0
