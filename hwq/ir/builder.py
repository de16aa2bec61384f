"""CircuitBuilder: appends wires to a circuit that is being made, folding constants and neutral operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hwq.errors import GraphError
from hwq.ir.circuit import SIGNS, WIRES_A, WIRES_B, WIRES_C, Circuit, IntColumn, Opcode

Summand = tuple[int, int, int]  # of a sum: a wire, how far it is shifted up, its sign


class _Entry(NamedTuple):
    """A wire while the circuit is built: its columns."""

    op: Opcode
    a: int = -1
    b: int = -1
    c: int = -1
    shift: int = 0
    shift_c: int = 0
    low: int = 0
    high: int = 0
    frac: int = 0
    node: int = 0


@dataclass(slots=True)
class CircuitBuilder:
    """Appends wires, folding constants and neutral operations, and never the same operation twice."""

    names: list[str] = field(default_factory=list)
    _rows: list[_Entry] = field(default_factory=list)
    _known: dict[_Entry, int] = field(default_factory=dict)  # by what a wire is, the node that asked for it left out
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
        return row.low, row.high

    def frac(self, wire: int) -> int:
        return self._rows[wire].frac

    def constant_value(self, wire: int) -> int | None:
        low, high = self.bounds(wire)
        return low if low == high else None

    def _append(self, row: _Entry) -> int:
        if row.low == row.high and row.op is not Opcode.INPUT:  # TABLE too: all its entries are equal
            row = _Entry(Opcode.CONST, low=row.low, high=row.high, frac=row.frac if row.low else 0)
        if row in self._known:
            return self._known[row]
        self._known[row] = len(self._rows)
        self._rows.append(row._replace(node=self._node))
        return len(self._rows) - 1

    def input(self, index: int, low: int, high: int, frac: int) -> int:
        if low == high == 0:
            return self.constant(0, 0)  # an absent input is no wire
        return self._append(_Entry(Opcode.INPUT, a=index, low=low, high=high, frac=frac))

    def constant(self, value: int, frac: int) -> int:
        return self._append(_Entry(Opcode.CONST, low=value, high=value, frac=frac))

    def shift(self, wire: int, amount: int) -> int:
        """Floor division of the mantissa by 2^amount (a negative amount appends zeros); the value's step follows."""
        if amount == 0:
            return wire
        if amount > 0 and (row := self._rows[wire]).op is Opcode.CLAMP:
            # the low bits go first: the clamp is narrower, and what reads it is an adder or a register, which may take a ReLU in
            return self.clamp(self.shift(row.a, amount), row.low >> amount, row.high >> amount)
        low, high = ((v >> amount) if amount > 0 else (v << -amount) for v in self.bounds(wire))
        return self._append(_Entry(Opcode.SHIFT, a=wire, shift=amount, low=low, high=high, frac=self.frac(wire) - amount))

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
            return self._append(_Entry(Opcode.NEG, a=b, low=low, high=high, frac=frac_b))
        return self._append(
            _Entry(Opcode.SUB if subtract else Opcode.ADD, a=a, b=b, shift=shift, low=low, high=high, frac=max(frac_a, frac_b))
        )

    def sum_of(self, terms: Sequence[Summand], low: int, high: int, frac: int) -> int:
        """The sum of one to three terms as one row of look-up tables.

        Args:
            terms: one of them positive, unless it is the only one; the least shift is 0. Zero may stand where none else is positive.
            low, high: bounds of the sum, exact or wider.
        """
        # positive ones first, as the operations have them; of equals the first wire, so that the same sum is found again
        ordered = sorted(terms, key=lambda term: (-term[2], term[0], term[1]))
        if len(ordered) == 1:
            ((source, up, sign),) = ordered
            wire = self.shift(source, -up)
            return self._append(_Entry(Opcode.NEG, a=wire, low=low, high=high, frac=frac)) if sign == -1 else wire
        wires, ups, signs = zip(*ordered, strict=True)
        op = next((op for op, known in SIGNS.items() if known == signs), None)
        if op is None or min(ups):
            raise GraphError(f"no operation adds up terms of the signs {signs}, shifted by {ups}")
        third = {} if len(terms) == 2 else {"c": wires[2], "shift_c": ups[2] - ups[0]}
        return self._append(_Entry(op, a=wires[0], b=wires[1], shift=ups[1] - ups[0], low=low, high=high, frac=frac, **third))

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
        return self._append(_Entry(Opcode.MUL, a=a, b=b, low=low, high=high, frac=self.frac(a) + self.frac(b)))

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
        return self._append(_Entry(Opcode.MIN if least else Opcode.MAX, a=min(a, b), b=max(a, b), low=low, high=high, frac=frac))

    def table(self, wire: int, entries: Sequence[int], frac: int) -> int:
        """entries[mantissa - low]: one entry for each mantissa that the wire's bounds allow, worth entry * 2^-frac."""
        low, high = self.bounds(wire)
        listed = tuple(int(v) for v in entries)
        if len(listed) != high - low + 1:
            raise GraphError(f"a table of {len(listed)} entries for a wire of {high - low + 1} values")
        number = self._tables.setdefault(listed, len(self._tables))
        return self._append(_Entry(Opcode.TABLE, a=wire, b=number, low=min(listed), high=max(listed), frac=frac))

    def wrap(self, wire: int, low: int, high: int) -> int:
        """Modulo into [low, high], a power of two of values."""
        inside = low <= self.bounds(wire)[0] and self.bounds(wire)[1] <= high
        return wire if inside else self._append(_Entry(Opcode.WRAP, a=wire, low=low, high=high, frac=self.frac(wire)))

    def clamp(self, wire: int, low: int, high: int) -> int:
        """The nearest value in [low, high]."""
        wire_low, wire_high = self.bounds(wire)
        if low <= wire_low and wire_high <= high:
            return wire
        new_low, new_high = min(max(wire_low, low), high), max(min(wire_high, high), low)
        if self._rows[wire].op is Opcode.CLAMP:
            wire = self._rows[wire].a  # its bounds are those of the inner clamp: the outer one's are within or beyond them
        return self._append(_Entry(Opcode.CLAMP, a=wire, low=new_low, high=new_high, frac=self.frac(wire)))

    def joined(self, fields: Sequence[tuple[int, int]]) -> int:
        """One wire of several, the first in the lowest bits: their mantissas, none negative, side by side.

        Args:
            fields: wires and the bits that each takes.
        """
        total, start = self.constant(0, 0), 0
        for wire, width in fields:
            (low, high), (_, top) = self.bounds(total), self.bounds(wire)
            if start:
                total = self._append(_Entry(Opcode.ADD, a=total, b=wire, shift=start, low=low, high=high + (top << start), frac=0))
            else:
                total = wire
            start += width
        return total

    def copied(self, circuit: Circuit, wire: int, known: Sequence[int]) -> int:
        """The operation of another circuit, on the wires that stand for its operands here."""
        op = Opcode(int(circuit.opcode[wire]))
        a, b, c = int(circuit.a[wire]), int(circuit.b[wire]), int(circuit.c[wire])
        if op is Opcode.TABLE:
            low, high = (v - int(circuit.low[a]) for v in self.bounds(known[a]))  # may have become narrower
            return self.table(known[a], circuit.tables[b][low : high + 1], int(circuit.frac[wire]))
        a, b, c = (known[w] if op in readers else w for w, readers in ((a, WIRES_A), (b, WIRES_B), (c, WIRES_C)))
        shift, shift_c, frac = int(circuit.shift[wire]), int(circuit.shift_c[wire]), int(circuit.frac[wire])
        return self._append(_Entry(op, a, b, c, shift, shift_c, int(circuit.low[wire]), int(circuit.high[wire]), frac))

    def build(self, outputs: list[int]) -> Circuit:
        """Freeze, keeping only the wires that an output needs (and every input row that is read)."""
        needed = np.zeros(len(self._rows), bool)
        needed[outputs] = True
        for i in reversed(range(len(self._rows))):
            if needed[i]:
                row = self._rows[i]
                for wire, readers in ((row.a, WIRES_A), (row.b, WIRES_B), (row.c, WIRES_C)):
                    if row.op in readers:
                        needed[wire] = True
        number = np.cumsum(needed) - 1
        rows = [row for row, keep in zip(self._rows, needed, strict=True) if keep]

        used = {old: new for new, old in enumerate(sorted({row.b for row in rows if row.op is Opcode.TABLE}))}
        every = list(self._tables)
        if any(row.node >= len(self.names) for row in rows):
            raise GraphError("a circuit's wires belong to no node")

        def column(values: Iterable[int]) -> IntColumn:
            return np.array(list(values), np.int32)

        def wires(values: Iterable[int], readers: frozenset[Opcode]) -> IntColumn:
            return column(int(number[v]) if row.op in readers else v for v, row in zip(values, rows, strict=True))

        b = wires((row.b for row in rows), WIRES_B)
        for i, row in enumerate(rows):
            if row.op is Opcode.TABLE:
                b[i] = used[row.b]
        return Circuit(
            opcode=np.array([row.op for row in rows], np.int8),
            a=wires((row.a for row in rows), WIRES_A),
            b=b,
            c=wires((row.c for row in rows), WIRES_C),
            shift=column(row.shift for row in rows),
            shift_c=column(row.shift_c for row in rows),
            low=np.array([row.low for row in rows] or [], object),
            high=np.array([row.high for row in rows] or [], object),
            frac=column(row.frac for row in rows),
            node=column(row.node for row in rows),
            stage=np.zeros(len(rows), np.int32),
            outputs=column(int(number[i]) for i in outputs),
            names=tuple(self.names),
            tables=tuple(every[i] for i in used),
        )
