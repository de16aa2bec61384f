"""One choice for each group, exactly: the integer program of OHQ (Huang et al., arXiv 2309.01945) through SciPy's HiGHS.

min sum loss[g, c] x[g, c]   s.t.  sum cost[g, c] x[g, c] <= budget     (or loss and cost the other way round)
    sum_c x[g, c] = 1,  x binary;  groups that share an option (the activations of a layer) choose the same one
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.errors import BudgetError, UsageError
from hwq.tensors import Floats

EXACT_GROUPS = 200  # up to which the optimum is proven; beyond, to one part in a hundred thousand
TIME_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceTable:
    """What every choice of every group costs and loses.

    Attributes:
        loss, cost: (groups, choices); infinite where a choice is not there.
        shared: (groups, choices) number of the option that a choice belongs to, among those of its family; None: nothing is shared.
        family: (groups,) groups of one family choose the same option; -1: none.
    """

    loss: Floats
    cost: Floats
    shared: npt.NDArray[np.int64] | None = None
    family: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A solution: the choice of every group, and its totals."""

    choice: tuple[int, ...]
    loss: float
    cost: float


def solve(table: ChoiceTable, *, budget: float | None = None, most_loss: float | None = None, count: int = 1) -> list[Chosen]:
    """The `count` best solutions, best first: least loss within the budget, or least cost within the loss. Fewer where there are no more.

    Raises:
        UsageError: not exactly one limit.
        BudgetError: nothing keeps it; says what the least is.
    """
    if (budget is None) == (most_loss is None):
        raise UsageError("give a budget, or a limit of the loss")
    goal, held, limit = (table.loss, table.cost, budget) if budget is not None else (table.cost, table.loss, most_loss)
    found: list[Chosen] = []
    while len(found) < count:
        choice = _one(table, goal, held, float(limit or 0.0), [c.choice for c in found])
        if choice is None:
            break
        found.append(_totals(table, choice))
    if not found:
        least = float(np.where(np.isfinite(held), held, np.inf).min(axis=1).sum())
        name = "cost" if budget is not None else "loss"
        raise BudgetError(f"no allocation has a {name} of at most {limit:g}; the least is about {least:g}", hint="a higher limit")
    return found


def _totals(table: ChoiceTable, choice: tuple[int, ...]) -> Chosen:
    rows = np.arange(len(choice))
    return Chosen(choice, float(table.loss[rows, list(choice)].sum()), float(table.cost[rows, list(choice)].sum()))


def _one(table: ChoiceTable, goal: Floats, held: Floats, limit: float, known: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The best choice that is none of `known`."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, vstack

    groups, choices = goal.shape
    usable = np.isfinite(goal) & np.isfinite(held)
    options = _options(table)
    size = groups * choices + len(options)
    number = np.arange(groups * choices).reshape(groups, choices)

    def rows(entries: Sequence[tuple[int, int, float]], count: int) -> coo_array:
        r, c, v = zip(*entries, strict=True) if entries else ((), (), ())
        return coo_array((v, (r, c)), shape=(count, size))

    blocks = [rows([(g, int(number[g, c]), 1.0) for g in range(groups) for c in range(choices)], groups)]
    low, high = [np.ones(groups)], [np.ones(groups)]
    scale = max(float(np.abs(held[usable]).max(initial=0)), 1e-30)
    blocks.append(rows([(0, int(number[g, c]), float(held[g, c]) / scale) for g, c in np.argwhere(usable)], 1))
    low.append(np.full(1, -np.inf))
    high.append(np.full(1, limit / scale))
    linked = _links(table, options, number, groups * choices)
    if linked[1]:
        blocks.append(rows(*linked))
        low.append(np.zeros(linked[1]))
        high.append(np.zeros(linked[1]))
    for solution in known:
        blocks.append(rows([(0, int(number[g, c]), 1.0) for g, c in enumerate(solution)], 1))
        low.append(np.full(1, -np.inf))
        high.append(np.full(1, groups - 1.0))
    weights = np.concatenate([np.where(usable, goal, 0.0).ravel(), np.zeros(len(options))])
    weights = weights / max(float(np.abs(weights).max(initial=0)), 1e-30)
    top = np.concatenate([usable.ravel().astype(float), np.ones(len(options))])
    with _quiet():
        done = milp(
            weights,
            constraints=LinearConstraint(vstack(blocks).tocsr(), np.concatenate(low), np.concatenate(high)),
            bounds=Bounds(np.zeros(size), top),
            integrality=np.ones(size),
            options={"mip_rel_gap": 0.0 if groups <= EXACT_GROUPS else 1e-5, "time_limit": TIME_LIMIT_S},
        )
    if done.x is None:
        return None
    choice = tuple(int(c) for c in done.x[: groups * choices].reshape(groups, choices).argmax(axis=1))
    return choice


@contextmanager
def _quiet() -> Iterator[None]:
    """No standard output: HiGHS prints a line there now and then whatever its options say, through C, and so into what --json writes."""
    sys.stdout.flush()
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        libc.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _options(table: ChoiceTable) -> dict[tuple[int, int], int]:
    """A number for each option of each family."""
    if table.shared is None or table.family is None:
        return {}
    pairs = {(int(f), int(o)) for f, row in zip(table.family, table.shared, strict=True) if f >= 0 for o in row}
    return {pair: n for n, pair in enumerate(sorted(pairs))}


def _links(
    table: ChoiceTable, options: dict[tuple[int, int], int], number: npt.NDArray[np.int64], first: int
) -> tuple[list[tuple[int, int, float]], int]:
    """For each group and option: the group's choices of that option are taken just as often as the family's option."""
    entries: list[tuple[int, int, float]] = []
    count = 0
    if table.shared is None or table.family is None:
        return entries, 0
    for g, f in enumerate(table.family):
        for (family, option), n in options.items():
            if family == f:
                entries += [(count, int(number[g, c]), 1.0) for c in np.flatnonzero(table.shared[g] == option)]
                entries.append((count, first + n, -1.0))
                count += 1
    return entries, count
