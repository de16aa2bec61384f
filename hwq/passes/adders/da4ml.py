"""da4ml (Sun et al., arXiv 2507.04535) as an adder backend, where the user has that package; nothing here requires it.

da4ml solves the matrix as a chain of stages, each a list of additions and subtractions of shifted entries of a buffer; they
become operations on wires, kept in the order and sign in which da4ml has them. A bias is added last, as da4ml does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwq.errors import UsageError
from hwq.passes.adders.problem import PLAIN, REVERSE, SUBTRACT, Problem, Solution

FLOAT_BITS = 24  # integers that da4ml's single precision matrix holds exactly

PlacedWire = tuple[int, int, int]  # wire, position, sign


class SolvedStage(Protocol):
    """What is read of one of da4ml's solved stages (`da4ml.types.CombLogic`)."""

    inp_shifts: Sequence[int]
    out_idxs: Sequence[int]
    out_shifts: Sequence[int]
    out_negs: Sequence[bool]
    ops: Sequence[Sequence[Any]]  # (first entry, second entry, operation, shift of the second, ...)


def search(problem: Problem) -> Solution:
    """The problem's matrix by the installed da4ml.

    Raises:
        UsageError: da4ml is not installed, or the constants are too wide for it.
    """
    try:
        from da4ml.cmvm import solve
    except ImportError as error:
        raise UsageError("the adder backend da4ml is not installed", hint="pip install da4ml, or take the backend hwq") from error
    kernel, rows = matrix_of(problem)
    intervals = [(float(problem.low[i]), float(problem.high[i]), 1.0) for i in rows]
    return converted(problem, solve(kernel, qintervals=intervals).solutions) if kernel.any() else converted(problem, [])


def matrix_of(problem: Problem) -> tuple[npt.NDArray[np.float32], list[int]]:
    """The matrix of the inputs that may be shared (rows, columns), and which inputs its rows are.

    Raises:
        UsageError: a constant of more than 24 bits.
    """
    rows = np.flatnonzero(problem.block >= 0).tolist()
    place = {wire: row for row, wire in enumerate(rows)}
    kernel = np.zeros((len(rows), problem.columns), object)
    for column, wire, position, sign in _digits(problem):
        if wire in place:
            kernel[place[wire], column] += sign << position
    widest = max((abs(int(v)).bit_length() for v in kernel.ravel()), default=0)
    if widest > FLOAT_BITS:
        raise UsageError(
            f"a constant of {widest} bits is too wide for da4ml, which takes {FLOAT_BITS}", hint="take the backend hwq"
        )
    return np.ascontiguousarray(kernel, np.float32), rows


def _digits(problem: Problem) -> list[tuple[int, int, int, int]]:
    return list(zip(*(a.tolist() for a in (problem.column, problem.wire, problem.position, problem.sign)), strict=True))


def converted(problem: Problem, stages: Sequence[SolvedStage]) -> Solution:
    """da4ml's stages, solved for the matrix of `matrix_of`, with the inputs that are never shared (biases) added last."""
    operations: list[tuple[int, int, int, int]] = []

    def joined(x: PlacedWire, y: PlacedWire) -> PlacedWire:
        """x + y; the sign of the first is kept outside."""
        (fine, coarse), turned = ((x, y), False) if x[1] <= y[1] else ((y, x), True)
        kind = PLAIN if x[2] == y[2] else REVERSE if turned else SUBTRACT
        operations.append((fine[0], coarse[0], coarse[1] - fine[1], kind))
        return problem.inputs + len(operations) - 1, fine[1], x[2]

    current: list[PlacedWire | None] = [(int(wire), 0, 1) for wire in np.flatnonzero(problem.block >= 0)]
    if not stages:
        current = [None] * problem.columns
    for stage in stages:
        current = _outputs(stage, _buffer(stage, current, joined))
    for column, wire, position, sign in _digits(problem):
        if problem.block[wire] < 0:
            term, before = (wire, position, sign), current[column]
            current[column] = term if before is None else joined(*sorted((term, before), key=lambda t: -t[2]))
    outputs = [term or (-1, 0, 1) for term in current]
    return Solution(problem.inputs, np.array(operations, np.int32).reshape(-1, 4), np.array(outputs, np.int32).reshape(-1, 3))


def _buffer(stage: SolvedStage, inputs: Sequence[PlacedWire | None], joined: Any) -> list[PlacedWire | None]:
    buffer: list[PlacedWire | None] = []
    for first, second, operation, shift, *_ in stage.ops:
        if operation == -1:
            source = inputs[first]
            buffer.append(source and (source[0], source[1] + int(stage.inp_shifts[first]), source[2]))
            continue
        x, y = buffer[first], buffer[second]
        if operation not in (0, 1) or x is None or y is None:
            raise UsageError(f"da4ml's solution holds operation {operation} on {x} and {y}, which is none of a constant matrix")
        buffer.append(joined(x, (y[0], y[1] + int(shift), -y[2] if operation == 1 else y[2])))
    return buffer


def _outputs(stage: SolvedStage, buffer: Sequence[PlacedWire | None]) -> list[PlacedWire | None]:
    out: list[PlacedWire | None] = []
    for index, shift, negated in zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True):
        term = buffer[index] if index >= 0 else None
        out.append(term and (term[0], term[1] + int(shift), -term[2] if negated else term[2]))
    return out
