"""Circuit: the scalar operations of a design as columns of NumPy arrays, in topological order.

Every wire carries an integer (a mantissa); its value is that integer times 2^-frac. `low` and `high` bound it and so give its
width. There are fifteen operations, all on integers:

    INPUT  the a-th input                     CONST  low (= high)
    ADD    a + (b << shift)                   SUB    a - (b << shift)       (shift < 0: (a << -shift) +- b)
    ADD3, ADD_SUB, SUB3   a + b + c, a + b - c, a - b - c, with b << shift and c << shift_c; where a shift is below 0, all three
           are shifted up by as much (`ups`)
    NEG    -a                                 SHIFT  a >> shift, floor      (shift < 0: a << -shift)
    WRAP   a modulo 2^n into [low, high], where high - low + 1 = 2^n
    CLAMP  min(max(a, low), high)
    MUL    a * b                                 MAX, MIN  the greater, the lesser of a and b
    TABLE  entry a - low(a) of table number b, `tables`

`stage` is the pipeline stage that computes a wire (0 until `hwq.passes.pipeline` has run); `node` is the index of the graph
node that asked for it, in `names`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from hwq.fixed.arithmetic import SAFE_BITS, IntArray, greatest
from hwq.fixed.types import bits_for_each

IntColumn = npt.NDArray[np.int32]
ObjectColumn = npt.NDArray[np.object_]


class Opcode(IntEnum):
    INPUT = 0
    CONST = 1
    ADD = 2
    SUB = 3
    NEG = 4
    SHIFT = 5
    WRAP = 6
    CLAMP = 7
    MUL = 8
    MAX = 9
    MIN = 10
    TABLE = 11
    ADD3 = 12
    ADD_SUB = 13
    SUB3 = 14


# which columns hold wires, for each operation
WIRES_A = frozenset(Opcode) - {Opcode.INPUT, Opcode.CONST}
WIRES_C = frozenset({Opcode.ADD3, Opcode.ADD_SUB, Opcode.SUB3})
WIRES_B = frozenset({Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.MAX, Opcode.MIN}) | WIRES_C

# the sign of each operand of a sum
SIGNS: dict[Opcode, tuple[int, ...]] = {
    Opcode.ADD: (1, 1),
    Opcode.SUB: (1, -1),
    Opcode.ADD3: (1, 1, 1),
    Opcode.ADD_SUB: (1, 1, -1),
    Opcode.SUB3: (1, -1, -1),
}
ROWS = tuple(SIGNS)  # what takes a row of look-up tables on a carry chain
ADDERS = (*ROWS, Opcode.NEG)


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """Columns of equal length, one row per wire; `outputs` are wire numbers.

    `fused` circuits have sums of three operands, and rows of look-up tables are written for their sums where a tool infers none.
    """

    opcode: npt.NDArray[np.int8]
    a: IntColumn
    b: IntColumn
    c: IntColumn
    shift: IntColumn
    shift_c: IntColumn
    low: ObjectColumn
    high: ObjectColumn
    frac: IntColumn
    node: IntColumn
    stage: IntColumn
    outputs: IntColumn
    names: tuple[str, ...]
    tables: tuple[tuple[int, ...], ...] = ()
    fused: bool = False

    def __repr__(self) -> str:
        return f"<Circuit: {len(self)} wires, {len(self.outputs)} outputs, {len(self.tables)} tables>"

    def __len__(self) -> int:
        return len(self.opcode)

    @property
    def widths(self) -> IntColumn:
        """Bits of each wire; 0 for a wire that is always zero."""
        return bits_for_each(self.low, self.high).astype(np.int32)

    @property
    def signed(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.low < 0, bool)

    @property
    def working_bits(self) -> npt.NDArray[np.int64]:
        """Bits of each wire, its sign and what its operands take once they are aligned: what an evaluator of bounded integers needs."""
        bits = self.widths.astype(np.int64)
        need = bits + 1
        base = np.maximum(-np.minimum(self.shift, self.shift_c), 0)
        for column, up, ops in ((self.a, base, ROWS), (self.b, base + self.shift, ROWS), (self.c, base + self.shift_c, WIRES_C)):
            rows = np.flatnonzero(np.isin(self.opcode, list(ops)))
            need[rows] = np.maximum(need[rows], bits[column[rows]] + up[rows] + 1 + np.isin(self.opcode[rows], list(WIRES_C)))
        return need

    @property
    def reads(self) -> tuple[tuple[IntColumn, frozenset[Opcode]], ...]:
        """The columns that hold wires, each with the operations for which it does."""
        return (self.a, WIRES_A), (self.b, WIRES_B), (self.c, WIRES_C)

    def ups(self, i: int) -> tuple[int, ...]:
        """By how much each operand of the sum `i` is shifted up."""
        shifts = (0, int(self.shift[i]), int(self.shift_c[i]))[: len(SIGNS[Opcode(int(self.opcode[i]))])]
        return tuple(shift - min(shifts) for shift in shifts)

    @property
    def latency(self) -> int:
        """Clock cycles from an input to its output: one register after each stage."""
        return greatest(self.stage) + 1

    def count(self, *opcodes: Opcode) -> int:
        return int(np.isin(self.opcode, opcodes).sum())

    def evaluate(self, inputs: IntArray) -> IntArray:
        """Outputs for `inputs` of shape (rows, inputs): (rows, outputs), integers."""
        wide = greatest(self.working_bits) > SAFE_BITS
        x = inputs.astype(object) if wide else inputs.astype(np.int64)
        values: list[IntArray] = []
        for i in range(len(self)):
            values.append(self._evaluate_row(i, x, values))
        if not len(self.outputs):
            return x[:, :0]
        return np.stack([values[i] for i in self.outputs], axis=1)

    def _evaluate_row(self, i: int, x: IntArray, values: list[IntArray]) -> IntArray:
        if self.opcode[i] == Opcode.INPUT:
            return x[:, int(self.a[i])]
        if self.opcode[i] == Opcode.CONST:
            return np.full(len(x), int(self.low[i]), x.dtype)
        return self.apply(i, values)

    def apply(self, i: int, values: Sequence[IntArray] | Mapping[int, IntArray]) -> IntArray:
        """Operation i, neither an input nor a constant, on the values of the wires that it reads."""
        op, shift = Opcode(int(self.opcode[i])), int(self.shift[i])
        low, high = int(self.low[i]), int(self.high[i])
        a = values[int(self.a[i])]
        if op is Opcode.TABLE:
            entries = np.array(self.tables[int(self.b[i])], a.dtype)
            return entries[(a - int(self.low[self.a[i]])).astype(np.int64)]
        if op in (Opcode.MUL, Opcode.MAX, Opcode.MIN):
            function = {Opcode.MUL: np.multiply, Opcode.MAX: np.maximum, Opcode.MIN: np.minimum}[op]
            return np.asarray(function(a, values[int(self.b[i])]))
        if op in SIGNS:
            ups, signs = self.ups(i), SIGNS[op]
            total = a << ups[0]
            for column, up, sign in zip((self.b, self.c), ups[1:], signs[1:], strict=False):
                term = values[int(column[i])] << up
                total = total + term if sign == 1 else total - term
            return total
        if op is Opcode.NEG:
            return -a
        if op is Opcode.SHIFT:
            return a >> shift if shift >= 0 else a << -shift
        if op is Opcode.WRAP:
            return ((a - low) & (high - low)) + low
        return np.minimum(np.maximum(a, low), high)
