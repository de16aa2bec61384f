"""What the proof benchmarks compute from points: fronts, areas, ratios, significance, and the prices of the placebo."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.common import fronts, row
from benchmarks.experiments import feedback
from benchmarks.workers import proof_worker


def found(*points: tuple[float, float, float]) -> list[fronts.Found]:
    return [fronts.Found(*p) for p in points]


def test_validation_rows_choose_the_front_and_test_rows_make_the_area() -> None:
    case = fronts.Case("any", "mlp:4", 0.5, 1024)
    points = found((128, 0.7, 0.6), (256, 0.6, 0.99), (512, 0.9, 0.8))
    assert [p.lut for p in fronts.front(points)] == [128, 512]
    # 10 points over the two octaves from 128 to 512, then 30 over one
    assert fronts.hypervolume(points, case) == pytest.approx(10 * 2 + 30 * 1)
    beyond = found((2048, 1.0, 1.0), (64, 0.4, 0.4))
    assert fronts.hypervolume([*points, *beyond], case) == pytest.approx(50)


def test_lut_at_equal_accuracy_is_a_ratio_over_the_common_range() -> None:
    mine = found((100, 0.8, 0.8), (1000, 0.9, 0.9))
    theirs = found((200, 0.8, 0.8), (2000, 0.9, 0.9), (9000, 0.95, 0.95), (5000, 0.7, 0.7))
    ratio, low, high = fronts.lut_ratio(mine, theirs)
    assert ratio == pytest.approx(0.5) and (low, high) == (0.8, 0.9)
    assert math.isnan(fronts.lut_ratio(mine, found((100, 0.95, 0.95)))[0])


def test_chance_is_told_of_differences() -> None:
    assert feedback.paired([1.0, 1.1, 0.9, 1.0, 1.05])[0] < 0.001
    assert feedback.paired([1.0, -1.1, 0.9, -1.0, 0.05])[0] > 0.5
    assert feedback.paired([0.0, 0.0]) == (1.0, 1.0)


def test_bars_are_a_gain_that_is_no_chance_and_a_placebo_without() -> None:
    better, worse = [3.0, 3.1, 2.9, 3.0, 3.05], [-3.0, -3.1, -2.9, -3.0, -3.05]

    def short(arm: str, gains: list[float]) -> bool:
        return bool(row.failures(feedback.compared("g", arm, gains)))

    assert not short("measured", better) and short("measured", worse)
    assert short("placebo", better) and not short("placebo", worse)


def test_the_placebo_keeps_the_prices_and_moves_them() -> None:
    prices = {"a": {"e": 1.0, "w": 2.0}, "b": {"e": 3.0, "w": 4.0}, "c": {"e": 5.0, "w": 6.0}}
    moved = proof_worker.shuffled(prices, np.random.default_rng(1))
    assert moved.keys() == prices.keys() and moved != prices
    assert sorted(v for p in moved.values() for v in p.values()) == [1, 2, 3, 4, 5, 6]


def test_ebops_see_no_digit_inside_a_weight() -> None:
    # 21 = 16 + 4 + 1 of five bits, and 3 = 4 - 1 of two
    freed = proof_worker.bits_freed(np.array([0, 0, 0, 1, 1]), np.array([16.0, 4.0, 1.0, 4.0, -1.0]))
    assert freed.tolist() == [2, 0, 2, 1, 1]
