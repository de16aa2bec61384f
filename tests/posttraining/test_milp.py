"""The integer program against brute force, and at the size that it must manage."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest
import scipy.optimize

from hwq.errors import BudgetError, UsageError
from hwq.posttraining.milp import ChoiceTable, solve


def random_table(seed: int, groups: int, choices: int) -> ChoiceTable:
    """Losses fall and costs rise with the choice, unevenly; now and then a choice is missing."""
    rng = np.random.default_rng(seed)
    loss = np.sort(rng.exponential(1, (groups, choices)))[:, ::-1].copy()
    cost = np.sort(rng.uniform(10, 200, (groups, choices)))
    cost[rng.random((groups, choices)) < 0.1] = np.inf
    cost[:, 0] = np.minimum(cost[:, 0], 100)
    return ChoiceTable(loss, cost)


def brute(table: ChoiceTable, budget: float) -> list[tuple[float, tuple[int, ...]]]:
    """Every choice within the budget, best first."""
    groups, choices = table.loss.shape
    found = []
    for choice in itertools.product(range(choices), repeat=groups):
        rows = np.arange(groups)
        if table.family is not None and table.shared is not None:
            options = {(f, table.shared[g, choice[g]]) for g, f in enumerate(table.family) if f >= 0}
            if len({f for f, _ in options}) != len(options):
                continue
        if table.cost[rows, choice].sum() <= budget:
            found.append((float(table.loss[rows, choice].sum()), choice))
    return sorted(found)


@pytest.mark.parametrize("seed", range(12))
def test_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(seed, int(rng.integers(1, 6)), int(rng.integers(2, 5)))
    least = table.cost.min(axis=1).sum()
    budget = float(least * rng.uniform(1.0, 2.5))
    wanted = brute(table, budget)[:3]
    found = solve(table, budget=budget, count=3)
    assert [c.loss for c in found] == pytest.approx([loss for loss, _ in wanted], rel=1e-9)
    assert all(c.cost <= budget * (1 + 1e-6) for c in found)
    assert len({c.choice for c in found}) == len(found)


@pytest.mark.parametrize("seed", range(4))
def test_the_fewest_luts_within_a_loss(seed: int) -> None:
    table = random_table(seed, 4, 4)
    limit = float(table.loss.min(axis=1).sum()) * 1.8
    rows = np.arange(4)
    every = [c for c in itertools.product(range(4), repeat=4) if table.loss[rows, c].sum() <= limit]
    least = min(float(table.cost[rows, c].sum()) for c in every)
    if not np.isfinite(least):
        with pytest.raises(BudgetError):
            solve(table, most_loss=limit)
        return
    assert solve(table, most_loss=limit)[0].cost == pytest.approx(least)


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_a_family_choose_the_same_option(seed: int) -> None:
    """Four channels of two layers: choices 0 and 1 have one activation width, 2 and 3 another."""
    plain = random_table(seed, 4, 4)
    table = ChoiceTable(plain.loss, plain.cost, np.tile([0, 0, 1, 1], (4, 1)), np.array([0, 0, 1, -1]))
    budget = float(
        np.sort(plain.cost, axis=1)[:, :3].max(axis=1, where=np.isfinite(np.sort(plain.cost, axis=1)[:, :3]), initial=0).sum()
    )
    found, wanted = solve(table, budget=budget)[0], brute(table, budget)[0]
    assert found.loss == pytest.approx(wanted[0]) and (found.choice[0] < 2) == (found.choice[1] < 2)


def test_a_budget_below_the_least_is_said() -> None:
    table = random_table(0, 3, 3)
    with pytest.raises(BudgetError, match="no allocation has a cost of at most 1"):
        solve(table, budget=1.0)
    with pytest.raises(UsageError, match="give a budget"):
        solve(table)


def test_what_the_solver_prints_is_not_in_the_way(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, libc = scipy.optimize.milp, ctypes.CDLL(None)

    def loud(*args: object, **options: object) -> object:
        libc.printf(b"HighsMipSolverData\n")
        return plain(*args, **options)

    monkeypatch.setattr(scipy.optimize, "milp", loud)
    print("before")
    assert solve(random_table(0, 3, 3), budget=1e4)
    print("after", flush=True)
    libc.fflush(None)
    assert capfd.readouterr().out == "before\nafter\n"


@pytest.mark.slow
def test_two_thousand_groups_of_eight_choices() -> None:
    table = random_table(1, 2000, 8)
    budget = float(table.cost.min(axis=1).sum() * 1.6)
    (found,) = solve(table, budget=budget)
    assert found.cost <= budget * (1 + 1e-6)
    # the linear relaxation bounds the optimum: a Lagrangian sweep is within a group's loss of it
    bound = -np.inf
    for price in np.geomspace(1e-5, 1, 200):
        bound = max(bound, float((table.loss + price * table.cost).min(axis=1).sum() - price * budget))
    assert bound <= found.loss * (1 + 1e-9) and found.loss - bound < 0.02 * found.loss
