"""Circuit: the scalar operations of a design as columns of NumPy arrays, in topological order.

Every wire carries an integer (a mantissa); its value is that integer times 2^-frac. `low` and `high` bound it and so give its
width. There are twelve operations, all on integers:

    INPUT  the a-th input                     CONST  low (= high)
    ADD    a + (b << shift)                   SUB    a - (b << shift)       (shift < 0: (a << -shift) +- b)
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
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed.arithmetic import SAFE_BITS, IntArray
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


# which columns hold wires, for each operation
WIRES_A = frozenset(Opcode) - {Opcode.INPUT, Opcode.CONST}
WIRES_B = frozenset({Opcode.ADD, Opcode.SUB, Opcode.MUL, Opcode.MAX, Opcode.MIN})

ADDERS = (Opcode.ADD, Opcode.SUB, Opcode.NEG)


@dataclass(frozen=True, slots=True, eq=False)
class Circuit:
    """Columns of equal length, one row per wire; `outputs` are wire numbers, `output_frac` their fractional bits."""

    opcode: npt.NDArray[np.int8]
    a: IntColumn
    b: IntColumn
    shift: IntColumn
    low: ObjectColumn
    high: ObjectColumn
    frac: IntColumn
    node: IntColumn
    stage: IntColumn
    outputs: IntColumn
    names: tuple[str, ...]
    tables: tuple[tuple[int, ...], ...] = ()

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
        adds = np.flatnonzero(np.isin(self.opcode, (Opcode.ADD, Opcode.SUB)))
        for column, up in ((self.a, -self.shift), (self.b, self.shift)):
            need[adds] = np.maximum(need[adds], bits[column[adds]] + np.maximum(up[adds], 0) + 1)
        return need

    @property
    def latency(self) -> int:
        """Clock cycles from an input to its output: one register after each stage."""
        return int(self.stage.max(initial=0)) + 1

    def count(self, *opcodes: Opcode) -> int:
        return int(np.isin(self.opcode, opcodes).sum())

    def evaluate(self, inputs: IntArray) -> IntArray:
        """Outputs for `inputs` of shape (rows, inputs): (rows, outputs), integers."""
        wide = int(self.working_bits.max(initial=0)) > SAFE_BITS
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
        if op in (Opcode.ADD, Opcode.SUB):
            b = values[int(self.b[i])]
            a, b = (a, b << shift) if shift >= 0 else (a << -shift, b)
            return a + b if op is Opcode.ADD else a - b
        if op is Opcode.NEG:
            return -a
        if op is Opcode.SHIFT:
            return a >> shift if shift >= 0 else a << -shift
        if op is Opcode.WRAP:
            return ((a - low) & (high - low)) + low
        return np.minimum(np.maximum(a, low), high)


@dataclass(slots=True)
class CircuitBuilder:
    """Appends wires, folding constants and neutral operations, and never the same operation twice."""

    names: list[str] = field(default_factory=list)
    _rows: list[tuple[int, int, int, int, int, int, int, int]] = field(default_factory=list)
    _known: dict[tuple[int, int, int, int, int, int, int], int] = field(default_factory=dict)
    _tables: dict[tuple[int, ...], int] = field(default_factory=dict)
    _node: int = 0

    def enter(self, name: str) -> None:
        """Say which graph node the next wires belong to."""
        self.names.append(name)
        self._node = len(self.names) - 1

    def resume(self, node: int) -> None:
        """Say that the next wires belong to names[node]."""
        self._node = node

    def bounds(self, wire: int) -> tuple[int, int]:
        row = self._rows[wire]
        return row[4], row[5]

    def frac(self, wire: int) -> int:
        return self._rows[wire][6]

    def constant_value(self, wire: int) -> int | None:
        low, high = self.bounds(wire)
        return low if low == high else None

    def _append(self, op: Opcode, a: int, b: int, shift: int, low: int, high: int, frac: int) -> int:
        if low == high and op is not Opcode.INPUT:  # TABLE too: all its entries are equal
            op, a, b, shift = Opcode.CONST, -1, -1, 0
            if low == 0:
                frac = 0
        key = (int(op), a, b, shift, low, high, frac)
        if key in self._known:
            return self._known[key]
        self._rows.append((*key, self._node))
        self._known[key] = len(self._rows) - 1
        return len(self._rows) - 1

    def input(self, index: int, low: int, high: int, frac: int) -> int:
        if low == high == 0:
            return self.constant(0, 0)  # an absent input is no wire
        return self._append(Opcode.INPUT, index, -1, 0, low, high, frac)

    def constant(self, value: int, frac: int) -> int:
        return self._append(Opcode.CONST, -1, -1, 0, value, value, frac)

    def shift(self, wire: int, amount: int) -> int:
        """Floor division of the mantissa by 2^amount (a negative amount appends zeros); the value's step follows."""
        if amount == 0:
            return wire
        low, high = ((v >> amount) if amount > 0 else (v << -amount) for v in self.bounds(wire))
        return self._append(Opcode.SHIFT, wire, -1, amount, low, high, self.frac(wire) - amount)

    def scaled(self, wire: int, exponent: int) -> tuple[int, int]:
        """(wire, frac) of the value times 2^exponent: no operation, another reading of the same bits."""
        return wire, self.frac(wire) - exponent

    def add(self, a: int, b: int, *, exponent: int = 0, subtract: bool = False, bounds: tuple[int, int, int] | None = None) -> int:
        """value(a) +- value(b) * 2^exponent, exact.

        Args:
            bounds: (low, high, frac), the sum's between low * 2^-frac and high * 2^-frac, where more is known of it than the
                operands' own bounds say.
        """
        if self.constant_value(b) == 0:
            return a
        frac_a, frac_b = self.frac(a), self.frac(b) - exponent
        if self.constant_value(a) == 0 and not subtract and exponent == 0:
            return b
        if self.constant_value(a) == 0:
            frac_a = frac_b
        shift = frac_a - frac_b
        (al, ah), (bl, bh) = self.bounds(a), self.bounds(b)
        if shift >= 0:
            bl, bh = bl << shift, bh << shift
        else:
            al, ah = al << -shift, ah << -shift
        low, high = (al - bh, ah - bl) if subtract else (al + bl, ah + bh)
        if bounds is not None:
            least, most, finer = bounds[0], bounds[1], bounds[2] - max(frac_a, frac_b)
            low = max(low, -(-least >> finer) if finer >= 0 else least << -finer)
            high = min(high, most >> finer if finer >= 0 else most << -finer)
        if subtract and self.constant_value(a) == 0:
            return self._append(Opcode.NEG, b, -1, 0, low, high, frac_b)
        return self._append(Opcode.SUB if subtract else Opcode.ADD, a, b, shift, low, high, max(frac_a, frac_b))

    def multiply(self, a: int, b: int) -> int:
        """value(a) * value(b), exact; a wire times itself is a square, never negative."""
        a, b = min(a, b), max(a, b)
        (al, ah), (bl, bh) = self.bounds(a), self.bounds(b)
        corners = (al * bl, al * bh, ah * bl, ah * bh)
        low, high = min(corners), max(corners)
        if a == b and al < 0 < ah:
            low = 0
        elif a == b:
            low = min(al * al, ah * ah)
        return self._append(Opcode.MUL, a, b, 0, low, high, self.frac(a) + self.frac(b))

    def extreme(self, a: int, b: int, frac: int, *, least: bool = False) -> int:
        """The greater (or the lesser) of two mantissas that both have `frac` fractional bits."""
        (al, ah), (bl, bh) = self.bounds(a), self.bounds(b)
        if a == b or (ah <= bl if least else al >= bh):
            return a
        if bh <= al if least else bl >= ah:
            return b
        low, high = (min(al, bl), min(ah, bh)) if least else (max(al, bl), max(ah, bh))
        for wire, other in ((a, b), (b, a)):
            if self.constant_value(wire) is not None:
                return self.clamp(other, low, high)
        return self._append(Opcode.MIN if least else Opcode.MAX, min(a, b), max(a, b), 0, low, high, frac)

    def table(self, wire: int, entries: Sequence[int], frac: int) -> int:
        """entries[mantissa - low]: one entry for each mantissa that the wire's bounds allow, worth entry * 2^-frac."""
        low, high = self.bounds(wire)
        listed = tuple(int(v) for v in entries)
        if len(listed) != high - low + 1:
            raise GraphError(f"a table of {len(listed)} entries for a wire of {high - low + 1} values")
        number = self._tables.setdefault(listed, len(self._tables))
        return self._append(Opcode.TABLE, wire, number, 0, min(listed), max(listed), frac)

    def wrap(self, wire: int, low: int, high: int) -> int:
        """Modulo into [low, high], a power of two of values."""
        inside = low <= self.bounds(wire)[0] and self.bounds(wire)[1] <= high
        return wire if inside else self._append(Opcode.WRAP, wire, -1, 0, low, high, self.frac(wire))

    def clamp(self, wire: int, low: int, high: int) -> int:
        """The nearest value in [low, high]."""
        wire_low, wire_high = self.bounds(wire)
        if low <= wire_low and wire_high <= high:
            return wire
        new_low, new_high = min(max(wire_low, low), high), max(min(wire_high, high), low)
        return self._append(Opcode.CLAMP, wire, -1, 0, new_low, new_high, self.frac(wire))

    def joined(self, fields: Sequence[tuple[int, int]]) -> int:
        """One wire of several, the first in the lowest bits: their mantissas, none negative, side by side.

        Args:
            fields: wires and the bits that each takes.
        """
        total, start = self.constant(0, 0), 0
        for wire, width in fields:
            (low, high), (_, top) = self.bounds(total), self.bounds(wire)
            if start:
                total = self._append(Opcode.ADD, total, wire, start, low, high + (top << start), 0)
            else:
                total = wire
            start += width
        return total

    def copied(self, circuit: Circuit, wire: int, known: Sequence[int]) -> int:
        """The operation of another circuit, on the wires that stand for its operands here."""
        op = Opcode(int(circuit.opcode[wire]))
        a, b = int(circuit.a[wire]), int(circuit.b[wire])
        if op is Opcode.TABLE:
            low, high = (v - int(circuit.low[a]) for v in self.bounds(known[a]))  # may have become narrower
            return self.table(known[a], circuit.tables[b][low : high + 1], int(circuit.frac[wire]))
        a, b = known[a] if op in WIRES_A else a, known[b] if op in WIRES_B else b
        low, high = int(circuit.low[wire]), int(circuit.high[wire])
        return self._append(op, a, b, int(circuit.shift[wire]), low, high, int(circuit.frac[wire]))

    def build(self, outputs: list[int]) -> Circuit:
        """Freeze, keeping only the wires that an output needs (and every input row that is read)."""
        needed = np.zeros(len(self._rows), bool)
        needed[outputs] = True
        for i in range(len(self._rows) - 1, -1, -1):
            if needed[i]:
                op, a, b = self._rows[i][:3]
                if op in WIRES_A:
                    needed[a] = True
                if op in WIRES_B:
                    needed[b] = True
        number = np.cumsum(needed) - 1
        rows = [row for row, keep in zip(self._rows, needed, strict=True) if keep]

        used = {old: new for new, old in enumerate(sorted({row[2] for row in rows if row[0] == Opcode.TABLE}))}
        every = list(self._tables)

        def renumber(row: tuple[int, ...], column: int) -> int:
            value = row[column]
            if row[0] == Opcode.TABLE and column == 2:
                return used[value]
            return int(number[value]) if row[0] in (WIRES_A if column == 1 else WIRES_B) else value

        def column(values: list[int]) -> IntColumn:
            return np.array(values, np.int32)

        if any(row[7] >= len(self.names) for row in rows):
            raise GraphError("a circuit's wires belong to no node")
        return Circuit(
            opcode=np.array([row[0] for row in rows], np.int8),
            a=column([renumber(row, 1) for row in rows]),
            b=column([renumber(row, 2) for row in rows]),
            shift=column([row[3] for row in rows]),
            low=np.array([row[4] for row in rows] or [], object),
            high=np.array([row[5] for row in rows] or [], object),
            frac=column([row[6] for row in rows]),
            node=column([row[7] for row in rows]),
            stage=np.zeros(len(rows), np.int32),
            outputs=column([int(number[i]) for i in outputs]),
            names=tuple(self.names),
            tables=tuple(every[i] for i in used),
        )
