"""Choosing the adder graph of a problem: which search, tried with which valuations, the cheapest result kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwq.errors import UsageError
from hwq.fixed.types import bits_for
from hwq.passes.adders import da4ml, native
from hwq.passes.adders import search as plain
from hwq.passes.adders.problem import Problem, Solution, Weights

# Valuations in the order in which they are tried: none is best on every matrix. Overlapping bits find the narrow sums.
WEIGHTS = (
    Weights(count=4, bits=1, overlap=True),
    Weights(count=0, bits=1, overlap=True),
    Weights(count=2, bits=1, overlap=True, base=1),
    Weights(count=0, bits=1, base=1),
    Weights(count=0, bits=1, overlap=True, base=1),
    Weights(count=8, bits=1, base=1),
)
_PAIRS_QUICK = 1_000_000  # pairs of digits over all tries that take less than half a second
_FEW_TRIES = 2  # of what takes longer
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
    tries = 1 if pairs == 1 else min(len(WEIGHTS), max(_PAIRS_QUICK // pairs, _FEW_TRIES if pairs <= _PAIRS_WHOLE else 1))
    best: Solved | None = None
    for weights in WEIGHTS[:tries]:
        weights = Weights(weights.count, weights.bits, weights.overlap, weights.base, options.extra_depth)
        found = finished(problem, _search(problem, weights))
        if best is None or (found.cost, len(found.solution.operations)) < (best.cost, len(best.solution.operations)):
            best = found
    if best is None:
        raise UsageError("no valuation to try")
    return best


def _with_blocks(problem: Problem, block: np.ndarray) -> Problem:
    return Problem(
        problem.low,
        problem.high,
        problem.depth,
        block.astype(np.int32),
        problem.column,
        problem.wire,
        problem.position,
        problem.sign,
        problem.columns,
    )


def _search(problem: Problem, weights: Weights) -> Solution:
    loaded = native.library() if problem.fits_int64() else None
    return native.search(loaded, problem, weights) if loaded else plain.search(problem, weights)


def finished(problem: Problem, solution: Solution) -> Solved:
    """A solution with its exact bounds and cost, whoever found it."""
    loaded = native.library() if problem.fits_int64() else None
    bounds, cost = native.ranges(loaded, problem, solution) if loaded else plain.ranges(problem, solution)
    for wire, _, sign in solution.outputs.tolist():
        if wire >= 0 and sign < 0:  # a column that comes out negated is negated again
            number = wire - problem.inputs
            low, high = bounds[number] if number >= 0 else (problem.low[wire], problem.high[wire])
            cost += bits_for(low, high)
    return Solved(solution, bounds, cost)


def blocks_of(problem: Problem) -> np.ndarray:
    """Which inputs to search together: all, or runs of neighbours where all would take too long."""
    together = np.where(problem.block < 0, -1, 0)
    if _with_blocks(problem, together).pairs() <= _PAIRS_WHOLE:
        return together
    digits = np.bincount(problem.wire[together[problem.wire] >= 0], minlength=problem.inputs) / max(problem.columns, 1)
    return np.where(problem.block < 0, -1, (np.cumsum(digits) / _DIGITS_A_BLOCK).astype(np.int64))
