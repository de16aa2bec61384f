"""What a search is given and what a row takes, in numbers worked out by hand or counted over all small cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwq.ir import CircuitBuilder
from hwq.passes.adders.matrix import Multiplier, digits_of
from hwq.passes.adders.problem import PLAIN, REVERSE, SUBTRACT, Problem, adder_cost, csd
from hwq.passes.adders.row import RowOperand, SumRow
from hwq.passes.adders.solve import _tries, blocks_of


def problem(digits: list[tuple[int, int, int, int]], bounds: list[tuple[int, int]], block: list[int], columns: int) -> Problem:
    """Digits are column, wire, position, sign."""
    low, high = zip(*bounds, strict=True)
    parts = (np.array([d[k] for d in digits], np.int32) for k in range(4))
    return Problem(low, high, np.zeros(len(low), np.int32), np.array(block, np.int32), *parts, columns)


def test_pairs_that_can_be_shared() -> None:
    bounds = [(-8, 7)] * 4
    digits = [(0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 2, 1), (0, 2, 0, 1), (0, 3, 0, 1), (1, 0, 0, 1), (1, 1, 0, 1), (1, 2, 1, 1)]
    assert problem(digits, bounds, [0, 0, 0, 0], 2).pairs() == 10 + 3
    assert problem(digits, bounds, [0, 0, 0, -1], 2).pairs() == 6 + 3
    assert problem(digits, bounds, [0, 0, 1, -1], 2).pairs() == 3 + 1
    assert problem(digits, bounds, [0, 1, 1, 1], 2).pairs() == 6 + 1
    assert problem(digits, bounds, [-1, -1, -1, -1], 2).pairs() == 0 and problem([], [(0, 1)], [0], 1).pairs() == 0


@pytest.mark.parametrize(
    ("bounds", "position", "fits"),
    [
        ((-(1 << 20), 0), 38, True),
        ((-(1 << 20), 0), 39, False),  # 2^59 has 60 bits
        ((0, (1 << 20) - 1), 39, True),
        ((-(1 << 59) + 1, 3), 0, True),
        ((-(1 << 59), 3), 0, False),
        ((5, 7), 56, True),
        ((-1, (1 << 59) - 1), 0, True),
        ((-1, 1 << 59), 0, False),
    ],
)
def test_sums_that_fit_words(bounds: tuple[int, int], position: int, fits: bool) -> None:
    assert problem([(0, 0, position, 1)], [bounds], [0], 1).fits_int64() is fits


def test_digits_of_a_column_are_summed() -> None:
    digits = [(0, 0, 57, 1), (0, 1, 57, -1), (1, 0, 58, 1)]
    assert problem(digits, [(0, 1), (0, 1)], [0, 0], 2).fits_int64()
    assert not problem([*digits, (1, 1, 58, 1)], [(0, 1), (0, 1)], [0, 0], 2).fits_int64()
    assert problem([], [(0, 1)], [0], 0).fits_int64()


def test_signed_digits() -> None:
    assert csd(0) == [] and csd(7) == [(0, -1), (3, 1)] and csd(-5) == [(0, -1), (2, -1)] and csd(11) == [(0, -1), (2, -1), (4, 1)]
    for value in (*range(-300, 301), (1 << 70) - 3):
        digits = csd(value)
        assert sum(sign << position for position, sign in digits) == value
        assert all(b - a > 1 for (a, _), (b, _) in itertools.pairwise(digits))
        (_, _, position, sign) = digits_of(np.array([[value]], object if abs(value) >> 62 else np.int64))
        assert sum(int(s) << int(p) for p, s in zip(position, sign, strict=True)) == value and len(position) == len(digits)


def test_three_is_written_as_two_and_one() -> None:
    for value, want in (
        (3, [(0, 1), (1, 1)]),
        (-3, [(0, -1), (1, -1)]),
        (12, [(2, 1), (3, 1)]),
        (7, [(0, -1), (3, 1)]),
        (5, [(0, 1), (2, 1)]),
    ):
        _, _, position, sign = digits_of(np.array([[value]]))
        assert list(zip(position.tolist(), sign.tolist(), strict=True)) == want
    row, column, position, sign = digits_of(np.array([[0, 1], [-6, 0]]))
    assert sorted(zip(row.tolist(), column.tolist(), position.tolist(), sign.tolist(), strict=True)) == [
        (0, 1, 0, 1),
        (1, 0, 1, -1),
        (1, 0, 2, -1),
    ]


@pytest.mark.parametrize(
    ("kind", "shift", "a", "b", "out", "cost"),
    [
        (PLAIN, 0, (0, 15), (0, 15), (0, 30), 8),
        (PLAIN, 2, (0, 15), (0, 15), (0, 75), 4),
        (PLAIN, 4, (0, 15), (0, 15), (0, 255), 0),
        (PLAIN, 4, (-8, 7), (0, 15), (-8, 247), 8),
        (PLAIN, 0, (-8, 7), (-8, 7), (-16, 14), 8),
        (SUBTRACT, 0, (0, 15), (0, 15), (-15, 15), 10),
        (SUBTRACT, 2, (0, 15), (0, 15), (-60, 15), 8),
        (SUBTRACT, 4, (0, 15), (0, 15), (-240, 15), 4),
        (REVERSE, 2, (0, 15), (0, 15), (-15, 60), 8),
        (REVERSE, 0, (0, 15), (0, 15), (-15, 15), 10),
        (REVERSE, 4, (0, 15), (0, 15), (-15, 240), 8),
        (SUBTRACT, 0, (-8, 7), (-8, 7), (-15, 15), 10),
    ],
)
def test_what_an_adder_takes(
    kind: int, shift: int, a: tuple[int, int], b: tuple[int, int], out: tuple[int, int], cost: int
) -> None:
    assert adder_cost(kind, shift, a, b, out) == cost


def test_what_rows_take() -> None:
    """Over all rows of two and of three narrow operands: look-up tables, inverters, and rows that begin without a table of their own."""
    kinds = [(0, 1), (0, 3), (-2, 1), (-4, 3), (1, 3), (5, 5)]
    one = [RowOperand(low, high, up, sign) for low, high in kinds for up in (0, 2) for sign in (1, -1)]

    def totals(rows: list[SumRow]) -> tuple[int, ...]:
        return tuple(sum(getattr(row, name) for row in rows) for name in ("tables", "inverters", "cost", "early", "carry", "start"))

    two = [SumRow((a, b), 5) for a, b in itertools.product(one, one) if min(a.up, b.up) == 0 and a.sign > 0]
    three = [SumRow((a, b, c), 6) for a, b, c in itertools.product(one[::2], one, one) if min(a.up, b.up, c.up) == 0]
    gated = [
        SumRow((a, b), 5, gate)
        for a, b in itertools.product(one[:8], one[:8])
        for gate in ((0,), (1,), (0, 1))
        if min(a.up, b.up) == 0
    ]
    assert [len(two), len(three), len(gated)] == [216, 6048, 144]
    assert [totals(two), totals(three), totals(gated)] == TOTALS


TOTALS: list[tuple[int, ...]] = [(184, 244, 612, 108, 0, 324), (16838, 5385, 39061, 2736, 648, 3456), (274, 180, 728, 96, 12, 168)]


def test_a_bias_comes_last_and_a_column_may_be_turned() -> None:
    builder = CircuitBuilder(["y"])
    x, y, zero = builder.input(0, -8, 7, 1), builder.input(1, 0, 3, 0), builder.constant(0, 0)
    depth = {x: 3, y: 1}
    made = Multiplier(builder, depth)
    kernel, frac = (
        np.array([[3, -1, 0, 0], [0, -2, 0, 1], [7, 7, 7, 7]], object),
        np.array([[0, 1, 0, 0], [2, 0, 0, 0], [0] * 4], object),
    )
    found = made.multiply([(x, 0), (y, 1), (zero, 0)], kernel, frac, np.array([5, 0, 0, 0], object), np.array([1, 0, 0, 0], object))
    circuit = builder.build([wire for wire, _ in found])
    rows = np.array([[a, b] for a in range(-8, 8) for b in range(4)])
    values = circuit.evaluate(rows).astype(float) * [2.0 ** (e - builder.frac(w)) for w, e in found]
    want = [[3 * a / 2 + 2.5, -a / 4 - 4 * b, 0, 2 * b] for a, b in rows.tolist()]
    assert values.tolist() == want
    assert [depth.get(wire, 0) for wire, _ in found] == [5, 5, 0, 1]


@pytest.mark.parametrize(
    ("pairs", "tries"),
    [
        *((1, 1), (2, 6), (166_666, 6), (166_667, 5), (200_000, 5), (200_001, 4), (250_001, 3), (500_000, 2)),
        *((500_001, 4), (2_000_000, 4), (2_000_001, 3), (4_000_000, 2), (4_000_001, 1), (8_000_001, 1), (10**9, 1)),
    ],
)
def test_as_many_tries_as_there_is_time_for(pairs: int, tries: int) -> None:
    """A million pairs over all tries; of more than half of that eight millions, but four tries at most, and one at least."""
    assert _tries(pairs) == tries


@pytest.mark.parametrize(("most", "blocks"), [(10**6, [0, 0, 0, 0, -1]), (0, [0, 1, 1, 2, -1])])
def test_neighbours_are_searched_together(most: int, blocks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two digits a column of each of four inputs, blocks of four digits: a block ends where the digits up to an input fill it."""
    monkeypatch.setattr("hwq.passes.adders.solve._PAIRS_WHOLE", most)
    monkeypatch.setattr("hwq.passes.adders.solve._DIGITS_A_BLOCK", 4)
    digits = [(column, wire, position, 1) for wire in range(4) for column in (0, 1) for position in (0, 2)]
    given = problem([*digits, (0, 4, 0, 1)], [(0, 1)] * 5, [0, 0, 0, 0, -1], 2)
    assert blocks_of(given).tolist() == blocks
