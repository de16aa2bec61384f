"""Choosing the adder graph of a problem: which search, tried with which valuations, the cheapest result kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwq.errors import UsageError
from hwq.fixed.types import bits_for
from hwq.passes.adders import da4ml, native
from hwq.passes.adders import search as plain
from hwq.passes.adders.problem import Problem, Solution, Weights

# Valuations in the order in which they are tried: none is best on every matrix. Overlapping bits find the narrow sums.
WEIGHTS = (
    Weights(count=32, bits=1, overlap=True),
    Weights(count=4, bits=1, overlap=True),
    Weights(count=0, bits=1, overlap=True),
    Weights(count=2, bits=1, overlap=True, base=1),
    Weights(count=0, bits=1, base=1),
    Weights(count=8, bits=1, base=1),
)
_ALIKE = 1.003  # costs that differ by less are alike: then the fewer adders, which have the fewer registers
_PAIRS_QUICK = 1_000_000  # pairs of digits over all tries that take less than half a second
_PAIRS_SLOW, _SLOW_TRIES = 8_000_000, 4  # over all tries of larger matrices: less than ten seconds
_PAIRS_WHOLE = 8_000_000  # pairs up to which all inputs are searched together: a few seconds, 300 MB
_DIGITS_A_BLOCK = 96  # of a column, where they are not


@dataclass(frozen=True, slots=True)
class AdderOptions:
    """How constant products become adders.

    Attributes:
        backend: "hwq" (shared terms), "naive" (each column by itself), "da4ml" where that package is installed, or any
            function that solves a problem.
        extra_depth: adder levels allowed above the least possible; None: any number. None saves a LUT in a hundred, and
            costs a fifth more flip-flops and often a cycle.
    """

    backend: str | Callable[[Problem], Solution] = "hwq"
    extra_depth: int | None = 0


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A solution with the exact bounds of every operation's result, and what it takes in half LUTs."""

    solution: Solution
    bounds: list[tuple[int, int]]
    cost: int


def solve(problem: Problem, options: AdderOptions | None = None) -> Solved:
    """The adder graph of `problem`; deterministic.

    Raises:
        UsageError: a backend that does not exist or is not installed.
    """
    options = options or AdderOptions()
    if callable(options.backend):
        return finished(problem, options.backend(problem))
    if options.backend == "da4ml":
        return finished(problem, da4ml.search(problem))
    if options.backend == "naive":
        alone = np.full(problem.inputs, -1, np.int32)
        problem = _with_blocks(problem, alone)
        return finished(problem, _search(problem, Weights(extra_depth=options.extra_depth)))
    if options.backend != "hwq":
        raise UsageError(f"no adder backend {options.backend!r}", hint="choose one of: hwq, naive, da4ml")
    problem = _with_blocks(problem, blocks_of(problem))
    pairs = max(problem.pairs(), 1)
    tries = [replace(weights, extra_depth=options.extra_depth) for weights in WEIGHTS[: _tries(pairs)]]
    found = [finished(problem, _search(problem, weights)) for weights in tries]
    least = min(one.cost for one in found)
    return min((one for one in found if one.cost <= least * _ALIKE), key=lambda one: (len(one.solution.operations), one.cost))


def _tries(pairs: int) -> int:
    """How many valuations there is time for."""
    if pairs == 1:
        return 1
    if pairs > _PAIRS_QUICK // 2:
        return max(1, min(_SLOW_TRIES, _PAIRS_SLOW // pairs))
    return min(len(WEIGHTS), _PAIRS_QUICK // pairs)


def _with_blocks(problem: Problem, block: np.ndarray) -> Problem:
    return replace(problem, block=block.astype(np.int32))


def _search(problem: Problem, weights: Weights) -> Solution:
    loaded = native.library() if problem.fits_int64() else None
    return native.search(loaded, problem, weights) if loaded else plain.search(problem, weights)


def finished(problem: Problem, solution: Solution) -> Solved:
    """A solution with its exact bounds and cost, whoever found it."""
    loaded = native.library() if problem.fits_int64() else None
    bounds, cost = native.ranges(loaded, problem, solution) if loaded else plain.ranges(problem, solution)
    for wire, _, sign in solution.outputs.tolist():
        if wire >= 0 and sign == -1:  # a column that comes out negated is negated again
            number = wire - problem.inputs
            low, high = bounds[number] if number >= 0 else (problem.low[wire], problem.high[wire])
            cost += bits_for(low, high)
    return Solved(solution, bounds, cost)


def blocks_of(problem: Problem) -> np.ndarray:
    """Which inputs to search together: all, or runs of neighbours where all would take too long."""
    together = np.where(problem.block < 0, -1, 0)
    if _with_blocks(problem, together).pairs() <= _PAIRS_WHOLE:
        return together
    digits = np.bincount(problem.wire[together[problem.wire] >= 0], minlength=problem.inputs) / problem.columns
    return np.where(problem.block < 0, -1, (np.cumsum(digits) / _DIGITS_A_BLOCK).astype(np.int64))
