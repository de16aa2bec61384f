"""Bounds of single operations by hand: where a bound is not reached, no random network shows it."""

from __future__ import annotations

import numpy as np
import pytest

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import OPS, CircuitBuilder, make_node
from hwq.ir.intervals import Interval, _finest, add_bounds, extreme_bounds, product_bounds, requantized


def interval(low: int, high: int, frac: int = 0) -> Interval:
    return Interval(np.array([low], object), np.array([high], object), np.array([frac]))


def bounds(x: Interval) -> tuple[int, int, int]:
    return int(x.low[0]), int(x.high[0]), int(x.frac[0])


def test_a_product_that_is_always_zero_has_no_step() -> None:
    """Else it would make every sum that it enters finer."""
    assert bounds(product_bounds(interval(0, 0, 7), interval(-3, 3, 5))) == (0, 0, 0)
    assert bounds(product_bounds(interval(-2, 3, 7), interval(-3, 3, 5))) == (-9, 9, 12)
    total = add_bounds(product_bounds(interval(0, 0, 7), interval(-3, 3, 5)), interval(1, 2, 1))
    assert bounds(total) == (1, 2, 1)


@pytest.mark.parametrize(("signed", "width", "want"), [(1, 3, (0, 16)), (0, 2, (0, 9)), (1, 1, (0, 1)), (0, 1, (0, 1))], ids=str)
def test_a_square_begins_at_zero(signed: int, width: int, want: tuple[int, int]) -> None:
    x = make_node("x", "input", type=TypeArray.of([signed], width, 0))
    t = make_node("y", "multiply", [x, x]).type
    assert (int(t.lowest[0]), int(t.highest[0])) == (0, (1 << want[1].bit_length()) - 1)
    builder = CircuitBuilder(["y"])
    wire = builder.input(0, x.type[0].lowest, x.type[0].highest, 0)
    assert builder.bounds(builder.multiply(wire, wire)) == want


@pytest.mark.parametrize(("ends", "want"), [((2, 5), (4, 25)), ((-5, -2), (4, 25)), ((-5, 0), (0, 25)), ((0, 5), (0, 25))])
def test_squares_away_from_zero(ends: tuple[int, int], want: tuple[int, int]) -> None:
    x = make_node("x", "input", type=TypeArray.of([1], 8, 0))
    node = make_node("y", "multiply", [x, x])
    found = OPS["multiply"].infer(node, [x.type, x.type], [interval(*ends), interval(*ends)])
    assert bounds(found) == (*want, 0)
    builder = CircuitBuilder(["y"])
    wire = builder.input(0, *ends, 0)
    assert builder.bounds(builder.multiply(wire, wire)) == want


@pytest.mark.parametrize(
    ("source", "overflow", "want"),
    [
        ((0, 255), Overflow.WRAP, (0, 255)),
        ((0, 256), Overflow.WRAP, (0, 255)),  # 256 is 0, and 0 to 255 stay: all values occur
        ((256, 257), Overflow.WRAP, (0, 255)),
        ((-1, 3), Overflow.WRAP, (0, 255)),
        ((0, 256), Overflow.SAT, (0, 255)),
        ((256, 257), Overflow.SAT, (255, 255)),
        ((-9, -1), Overflow.SAT, (0, 0)),
        ((-9, 3), Overflow.SAT_SYM, (0, 3)),
    ],
)
def test_what_can_leave_a_type_that_wraps_can_be_anything(
    source: tuple[int, int], overflow: Overflow, want: tuple[int, int]
) -> None:
    types = TypeArray.of([0], 8, 0, Rounding.TRN, overflow)
    assert bounds(requantized(interval(*source), types)) == (*want, 0)


def test_a_symmetric_type_of_two_bits() -> None:
    types = TypeArray.of([1], 2, 0, Rounding.TRN, Overflow.SAT_SYM)
    assert bounds(requantized(interval(-5, 5), types)) == (-1, 1, 0)


def test_extremes_meet_at_the_finest_step_of_what_is_not_zero() -> None:
    terms = [interval(-3, 3, 1), interval(0, 0, 9), interval(1, 2, 2)]
    assert bounds(extreme_bounds(terms, least=False)) == (1, 6, 2)
    assert bounds(extreme_bounds(terms, least=True)) == (-6, 0, 2)
    assert bounds(extreme_bounds([interval(0, 0, 4)] * 2, least=True)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("op", "attrs", "source", "want"),
    [
        ("relu", {}, (-5, -2, 1), (0, 0, 1)),
        ("relu", {}, (-5, 3, 1), (0, 3, 1)),
        ("relu", {}, (2, 3, 1), (2, 3, 1)),
        ("leaky_relu", {"shift": 2}, (-5, -2, 1), (-5, -2, 3)),
        ("leaky_relu", {"shift": 2}, (-5, 3, 1), (-5, 12, 3)),
        ("leaky_relu", {"shift": 2}, (0, 3, 1), (0, 3, 1)),
        ("leaky_relu", {"shift": 2}, (-1, 0, 1), (-1, 0, 3)),
    ],
)
def test_one_input(op: str, attrs: dict[str, int], source: tuple[int, int, int], want: tuple[int, int, int]) -> None:
    x = make_node("x", "input", type=TypeArray.of([1], 8, 0))
    assert bounds(OPS[op].infer(make_node("y", op, [x], attrs=attrs), [x.type], [interval(*source)])) == want


def test_the_finest_of_no_rows() -> None:
    a, b = np.array([[1, 2], [5, 0], [0, 0]]), np.array([[1, 0, 4], [0, 7, 0]])
    assert _finest(a, b).tolist() == [[2, 9, 5], [6, 7, 9], [1, 7, 4]]
    assert _finest(a[:0], b).shape == (0, 3) and _finest(a[:, :0], b[:0]).max() == np.iinfo(np.int64).min
