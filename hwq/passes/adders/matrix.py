"""A constant matrix times wires of a circuit: the problem is stated in integers, solved, and its adders appended.

Every product of a network with constants comes through `multiply`: a dense layer's rows, a convolution's windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwq.ir import CircuitBuilder
from hwq.passes.adders.problem import REVERSE, SUBTRACT, Problem
from hwq.passes.adders.solve import AdderOptions, Solved, finished, solve

ScaledWire = tuple[int, int]  # a wire and an exponent: its value times 2^exponent
WholeMatrix = npt.NDArray[np.object_] | npt.NDArray[np.int64]


@dataclass(slots=True)
class Multiplier:
    """Appends matrix products to a circuit; the same matrix at the same steps is solved once.

    Attributes:
        depth: adders in a row before each wire; those of new wires are entered.
    """

    builder: CircuitBuilder
    depth: dict[int, int]
    options: AdderOptions = field(default_factory=AdderOptions)
    _solved: dict[bytes, Solved] = field(default_factory=dict)

    def multiply(
        self,
        x: Sequence[ScaledWire],
        kernel: WholeMatrix,
        kernel_frac: WholeMatrix,
        bias: WholeMatrix | None = None,
        bias_frac: WholeMatrix | None = None,
    ) -> list[ScaledWire]:
        """x @ kernel + bias, exact.

        Args:
            x: n values.
            kernel, kernel_frac: (n, m) integers: the constants are kernel * 2^-kernel_frac.
            bias, bias_frac: (m,) integers, likewise.

        Returns:
            m values.
        """
        values, rows = self._inputs(x, kernel, bias, bias_frac)
        problem, base = self._problem(values, rows, kernel, kernel_frac)
        return self._emit(values, self._solution(problem), base)

    def _inputs(
        self, x: Sequence[ScaledWire], kernel: WholeMatrix, bias: WholeMatrix | None, bias_frac: WholeMatrix | None
    ) -> tuple[list[ScaledWire], list[int]]:
        """The values that take part, and for each the row of the kernel or, for a bias, -1 - its column."""
        zero = [self.builder.constant_value(wire) == 0 for wire, _ in x]
        used = (kernel != 0).any(axis=1)
        rows = [i for i in range(len(x)) if used[i] and not zero[i]]
        values = [x[i] for i in rows]
        if bias is not None and bias_frac is not None:
            for j in np.flatnonzero(bias):
                values.append((self.builder.constant(int(bias[j]), int(bias_frac[j])), 0))
                rows.append(-1 - int(j))
        return values, rows

    def _problem(
        self, values: list[ScaledWire], rows: list[int], kernel: WholeMatrix, kernel_frac: WholeMatrix
    ) -> tuple[Problem, int]:
        """The problem, and the exponent of its integers."""
        frac = [self.builder.frac(wire) - exponent for wire, exponent in values]
        inner = np.array([row for row in rows if row >= 0], np.int64)
        wire, column, position, sign = digits_of(kernel[inner])
        position = position - kernel_frac[inner][wire, column].astype(np.int64) - np.array(frac, np.int64)[wire]
        extra = [number for number, row in enumerate(rows) if row < 0]
        wire = np.concatenate([wire, np.array(extra, np.int64)])
        column = np.concatenate([column, np.array([-1 - rows[number] for number in extra], np.int64)])
        position = np.concatenate([position, -np.array([frac[number] for number in extra], np.int64)])
        sign = np.concatenate([sign, np.ones(len(extra), np.int64)])
        base = min(position.tolist(), default=0)
        order = np.lexsort((position, wire, column))
        bounds = [self.builder.bounds(w) for w, _ in values]
        depth = np.array([self._depth_of(w) for w, _ in values], np.int32)
        constant = np.array([low == high for low, high in bounds], bool)
        if not constant.all():
            # only differences matter, and a constant is there from the start
            depth = np.maximum(depth - depth[~constant].min(), 0)
        columns, wires, positions, signs = (a[order].astype(np.int32) for a in (column, wire, position - base, sign))
        problem = Problem(
            low=tuple(low for low, _ in bounds),
            high=tuple(high for _, high in bounds),
            depth=depth,
            block=np.array([0 if row >= 0 else -1 for row in rows], np.int32),
            column=columns,
            wire=wires,
            position=positions,
            sign=signs,
            columns=kernel.shape[1],
        )
        return problem, base

    def _depth_of(self, wire: int) -> int:
        return self.depth.get(wire, 0)

    def _solution(self, problem: Problem) -> Solved:
        # the bounds are no part of the key: rows of one layer share a solution, each with bounds of its own
        parts = [problem.column, problem.wire, problem.position, problem.sign, problem.block]
        if self.options.extra_depth is not None:
            parts.append(problem.depth)
        key = b"".join(part.tobytes() + b"|" for part in parts) + repr(problem.columns).encode()
        known = self._solved.get(key)
        if known is None:
            known = self._solved[key] = solve(problem, self.options)
            return known
        return finished(problem, known.solution)

    def _emit(self, values: list[ScaledWire], solved: Solved, base: int) -> list[ScaledWire]:
        builder = self.builder
        # of each wire of the solution: the circuit's wire, and the exponent that makes its value the solution's integer
        made = [(wire, builder.frac(wire)) for wire, _ in values]
        for (a, b, shift, kind), (low, high) in zip(solved.solution.operations.tolist(), solved.bounds, strict=True):
            (wire_a, exponent_a), (wire_b, exponent_b) = made[a], made[b]
            exponent_b += shift
            if kind == REVERSE:
                wire_a, exponent_a, wire_b, exponent_b = wire_b, exponent_b, wire_a, exponent_a
            subtract = kind in (SUBTRACT, REVERSE)
            wire = builder.add(wire_a, wire_b, exponent=exponent_b - exponent_a, subtract=subtract, bounds=(low, high, exponent_a))
            self.depth.setdefault(wire, max(self._depth_of(wire_a), self._depth_of(wire_b)) + 1)
            made.append((wire, exponent_a))
        out = []
        for number, position, sign in solved.solution.outputs.tolist():
            if number < 0:
                out.append((builder.constant(0, 0), 0))
                continue
            wire, exponent = made[number]
            if sign == -1:
                positive, wire = wire, builder.add(builder.constant(0, 0), wire, subtract=True)
                self.depth.setdefault(wire, self._depth_of(positive) + 1)
            out.append((wire, exponent + position + base))
        return out


def digits_of(matrix: WholeMatrix) -> tuple[npt.NDArray[np.int64], ...]:
    """(row, column, position, sign) of the signed digits of an integer matrix: as few as there can be, and narrow.

    Canonical digits with every 4 - 1 written as 2 + 1: as many digits, which span fewer bits and differ less in sign, so
    that more pairs are alike.
    """
    planes = _planes(matrix)
    for position in reversed(range(len(planes) - 2)):
        low, middle, high = planes[position : position + 3]
        turn = (high != 0) & (middle == 0) & (low == -high)
        low[turn] = middle[turn] = high[turn]
        high[turn] = 0
    parts = [(*np.nonzero(plane), np.full(np.count_nonzero(plane), p), plane[plane != 0]) for p, plane in enumerate(planes)]
    if not parts:
        return tuple(np.zeros(0, np.int64) for _ in range(4))
    return tuple(np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True))


def _planes(matrix: WholeMatrix) -> list[npt.NDArray[np.int8]]:
    """The canonical signed digits of every entry: one array of -1, 0, +1 a position, lowest first."""
    wide = matrix.size and max(abs(int(v)) for v in (matrix.max(), matrix.min())).bit_length() >= 62
    rest = matrix.astype(object if wide else np.int64)
    planes = []
    while (rest != 0).any():
        digit = np.where(rest % 2 != 0, 2 - rest % 4, 0)
        planes.append(digit.astype(np.int8))
        rest = (rest - digit) >> 1
    return planes
