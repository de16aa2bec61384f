"""Small fan-in functions as tables: what depends on a few bits alone is read from look-up tables instead of being computed.

    w3 = w1 + w2          becomes  w3 = table[w2 . w1]     where w1 and w2 have at most six bits together,
    w4 = clamp(w3 + 1)             and w4 = table'[w2 . w1]  and the table needs fewer look-up tables than the operations it replaces

A look-up table of the fabric holds any function of its inputs, however many additions, comparisons and choices lead to it; carry
chains and comparisons are not merged into such functions by synthesis. The operations behind a table count as saved only where
nothing else reads them. Several wires make one address by additions of fields that do not overlap, which cost nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.fixed.arithmetic import SAFE_BITS, IntArray
from hwq.ir import Circuit, CircuitBuilder, Opcode
from hwq.passes.pipeline import operands_of

LEAVES = 4  # wires that one address is made of, at most
CUTS = 6  # ways kept of how a wire depends on others
ConeCut = tuple[int, ...]
Codes = npt.NDArray[np.int64]

ENTRY_BITS = 62  # of a table's entries, at most: evaluators keep them in 64-bit integers

SHORT = 3  # the shortest carry chain that synthesis makes
# look-up tables for: a bit of an addition too short for a carry chain; a bit of a saturation's result, and of what it cuts off; a bit
# of a maximum's result, and of its comparison; a bit of a product's partial sums; a function read from a table. Rounded from the
# model of compiled designs (`cost_models/xcup-yosys-synth.toml`), but the first and the last: what is chosen with these was measured
# smaller than with the model's 0.55 and 1.1, since functions of one address share look-up tables
_WEIGHTS = {
    "short": 1.0,
    "saturated": 0.3,
    "excess": 1.35,
    "choice": 0.55,
    "compared": 0.3,
    "product": 1.1,
    "table": 0.9,
}
_FREE = (Opcode.SHIFT, Opcode.WRAP, Opcode.CONST)


def tabulate(circuit: Circuit, inputs: int = 6) -> Circuit:
    """The same outputs with tables in the place of operations where they are smaller; before pipelining.

    Args:
        inputs: of a look-up table of the fabric: so many bits an address may have.
    """
    cones = _Cones(circuit, inputs)
    chosen = cones.choose()
    return _rewritten(cones, chosen) if chosen else circuit


@dataclass(frozen=True, slots=True)
class _Choice:
    """A wire read from a table: the wires of the address, lowest bits first, and the entry of each address code."""

    leaves: ConeCut
    entries: tuple[int, ...]


class _Cones:
    """The circuit's columns as lists, with the cuts of each wire: sets of wires that decide its value, few bits together."""

    def __init__(self, circuit: Circuit, inputs: int) -> None:
        self.circuit, self.inputs = circuit, inputs
        self.opcode = [Opcode(op) for op in circuit.opcode.tolist()]
        self.low, self.high = ([int(v) for v in column] for column in (circuit.low, circuit.high))
        self.widths: list[int] = circuit.widths.tolist()
        self.working_bits: list[int] = circuit.working_bits.tolist()
        self.widest = max(self.working_bits, default=0)
        self.operands = [operands_of(circuit, wire) for wire in range(len(circuit))]
        self.operands = [
            () if op is Opcode.CONST else tuple(o for o in operands if self.opcode[o] is not Opcode.CONST)
            for op, operands in zip(self.opcode, self.operands, strict=True)
        ]
        self.readers = [0] * len(circuit)
        for operands in self.operands:
            for operand in operands:
                self.readers[operand] += 1
        for wire in circuit.outputs.tolist():
            self.readers[wire] += 1
        self.cuts: list[tuple[ConeCut, ...]] = []
        for wire in range(len(circuit)):
            self.cuts.append(self._cuts(wire))

    def _cuts(self, wire: int) -> tuple[ConeCut, ...]:
        """The wire itself first, then what its operands' cuts make together, the narrowest first."""
        own: tuple[ConeCut, ...] = ((wire,),) if self.widths[wire] <= self.inputs else ()
        operands = self.operands[wire]
        if not operands or any(not self.cuts[o] for o in operands):
            return own
        found = set(self.cuts[operands[0]])
        for other in operands[1:]:
            found = {tuple(sorted({*x, *y})) for x in found for y in self.cuts[other]}
        bits = {cut: sum(self.widths[leaf] for leaf in cut) for cut in found if len(cut) <= LEAVES}
        small = sorted((cut for cut in bits if bits[cut] <= self.inputs), key=lambda cut: (bits[cut], cut))
        return (*own, *small[:CUTS])

    def cone(self, wire: int, cut: ConeCut) -> list[int]:
        """The wires between the cut and `wire`, itself included, in order; constants are none."""
        found, todo = {wire}, [wire]
        while todo:
            for operand in self.operands[todo.pop()]:
                if operand not in cut and operand not in found:
                    found.add(operand)
                    todo.append(operand)
        return sorted(found)

    def values(self, wire: int, cut: ConeCut, cone: list[int]) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The wire's value for every address code, and which codes can occur: raw bits of the cut's wires, the first in the lowest.

        A function of few bits can pass through numbers of many: those of Python are used where 62 bits are not enough.
        """
        bits = [self.widths[leaf] for leaf in cut]
        codes = np.arange(1 << sum(bits))
        kind = np.dtype(np.int64 if self._most_bits(cut, cone) <= SAFE_BITS else object)
        known: dict[int, IntArray] = {}
        occurs, start = np.ones(len(codes), bool), 0
        for leaf, width in zip(cut, bits, strict=True):
            raw = codes >> start & ((1 << width) - 1)
            known[leaf] = np.where((raw >> (width - 1) != 0) & (self.low[leaf] < 0), raw - (1 << width), raw) if width else raw
            occurs &= (known[leaf] >= self.low[leaf]) & (known[leaf] <= self.high[leaf])
            known[leaf] = np.clip(known[leaf], self.low[leaf], self.high[leaf]).astype(kind)
            start += width
        for i in cone:
            for operand in operands_of(self.circuit, i):
                if operand not in known:
                    known[operand] = np.full(len(codes), self.low[operand], kind)
            known[i] = np.asarray(self.circuit.apply(i, known), kind)
        return known[wire], occurs

    def _most_bits(self, cut: ConeCut, cone: list[int]) -> int:
        """Bits of the widest number between the cut and the end of the cone, constants included, or of the whole circuit."""
        if self.widest <= SAFE_BITS:
            return self.widest
        read = {operand for i in cone for operand in operands_of(self.circuit, i)}
        return max(self.working_bits[i] for i in {*cut, *cone, *read})

    def cost(self, wire: int) -> float:
        """Look-up tables of an operation, about (`_WEIGHTS`)."""
        op, width = self.opcode[wire], self.widths[wire]
        if op in _FREE or op is Opcode.INPUT:
            return 0.0
        a, b = int(self.circuit.a[wire]), int(self.circuit.b[wire])
        if op in (Opcode.ADD, Opcode.SUB):
            length, pairs = self._chain(wire)
            return length * _WEIGHTS["short"] if length < SHORT else float(pairs)
        if op is Opcode.NEG:
            return 0.0
        if op is Opcode.CLAMP:
            if self.low[wire] == 0 and self.high[a] <= self.high[wire]:
                return 0.0  # a register's reset or the table behind it does it
            return width * _WEIGHTS["saturated"] + max(self.widths[a] - width, 0) * _WEIGHTS["excess"]
        if op is Opcode.TABLE:
            return _WEIGHTS["table"] * functions(np.array(self.circuit.tables[b]), width)
        if op is Opcode.MUL:
            return self.widths[a] * self.widths[b] * _WEIGHTS["product"]
        return width * _WEIGHTS["choice"] + max(self.widths[a], self.widths[b]) * _WEIGHTS["compared"]

    def _chain(self, wire: int) -> tuple[int, int]:
        """Bits of an addition's carry chain, and the places at which two bits meet: the others need no look-up table."""
        c, width = self.circuit, self.widths[wire]
        up = max(-int(c.shift[wire]), 0), max(int(c.shift[wire]), 0)
        bits = [[self._bit(int(column[wire]), place - by) for place in range(width)] for column, by in ((c.a, up[0]), (c.b, up[1]))]
        start = 0
        while start < width and (bits[1][start] is None or (bits[0][start] is None and c.opcode[wire] == Opcode.ADD)):
            start += 1
        pairs = {
            (x, y) for x, y in zip(bits[0][start:], bits[1][start:], strict=True) if x is not None and y is not None and x != y
        }
        return width - start, len(pairs)

    def _bit(self, wire: int, place: int) -> tuple[int, int] | None:
        """A bit of a wire, its sign standing for all above; None where it is always the same."""
        if place < 0 or self.opcode[wire] is Opcode.CONST or (place >= self.widths[wire] and self.low[wire] >= 0):
            return None
        return wire, min(place, self.widths[wire] - 1)

    def choose(self) -> dict[int, _Choice]:
        """From the outputs towards the inputs, for every wire that is still read: the table that saves most, if any does."""
        chosen: dict[int, _Choice] = {}
        for wire in reversed(range(len(self.circuit))):
            if not self.readers[wire] or not self.operands[wire]:
                continue
            best: tuple[float, _Choice, list[int]] | None = None
            for cut in self.cuts[wire]:
                if cut != (wire,):
                    found = self._table(wire, cut)
                    if found is not None and (best is None or found[0] > best[0]):
                        best = found
            if best is not None:
                _, chosen[wire], cone = best
                self._replace(wire, chosen[wire].leaves, cone)
        return chosen

    def _table(self, wire: int, cut: ConeCut) -> tuple[float, _Choice, list[int]] | None:
        """(look-up tables saved, table, wires that go); None where it does not pay."""
        cone = self.cone(wire, cut)
        gone = self._gone(wire, cone)
        saved = sum(self.cost(i) for i in gone)
        if saved <= 1 or self.opcode[wire] in _FREE or self.widths[wire] > ENTRY_BITS:
            return None
        values, occurs = self.values(wire, cut, cone)
        rest = Counter(values[occurs].tolist()).most_common(1)[0][0]
        values = np.where(occurs, values, rest)
        gain = saved - _WEIGHTS["table"] * functions(values, self.widths[wire])
        return (gain, _Choice(cut, tuple(values.tolist())), gone) if gain > 0 else None

    def _gone(self, wire: int, cone: list[int]) -> list[int]:
        """The wires of the cone that only `wire` needs, itself included."""
        left = {i: self.readers[i] for i in cone}
        gone = []
        for i in reversed(cone):
            if i == wire or left[i] == 0:
                gone.append(i)
                for operand in self.operands[i]:
                    if operand in left:
                        left[operand] -= 1
        return gone

    def _replace(self, wire: int, leaves: ConeCut, gone: list[int]) -> None:
        for i in gone:
            for operand in self.operands[i]:
                self.readers[operand] -= 1
        for leaf in leaves:
            self.readers[leaf] += 1
        self.operands[wire] = leaves


def functions(values: IntArray, width: int) -> int:
    """Look-up tables for `width` bits of the values: different functions, a constant or a bit of the address is none."""
    codes = np.arange(len(values))
    free = [codes >> i & 1 for i in range(len(values).bit_length() - 1)]
    seen = {bytes(v.astype(np.uint8)) for bit in free for v in (bit, 1 - bit)} | {bytes(len(values)), bytes([1] * len(values))}
    found = 0
    for i in range(width):
        bit = values >> i & 1
        if bytes(bit.astype(np.uint8)) not in seen:
            seen |= {bytes(v.astype(np.uint8)) for v in (bit, 1 - bit)}
            found += 1
    return found


def _rewritten(cones: _Cones, chosen: dict[int, _Choice]) -> Circuit:
    circuit = cones.circuit
    builder = CircuitBuilder(names=list(circuit.names))
    new: list[int] = []
    for wire in range(len(circuit)):
        builder.resume(int(circuit.node[wire]))
        if wire in chosen:
            new.append(_looked_up(builder, cones, wire, chosen[wire], new))
        else:
            new.append(builder.copied(circuit, wire, new))
    return builder.build([new[wire] for wire in circuit.outputs.tolist()])


def _looked_up(builder: CircuitBuilder, cones: _Cones, wire: int, choice: _Choice, new: list[int]) -> int:
    frac = int(cones.circuit.frac[wire])
    if len(choice.leaves) == 1:
        leaf = choice.leaves[0]
        low, high = builder.bounds(new[leaf])
        mask = (1 << cones.widths[leaf]) - 1
        return builder.table(new[leaf], [choice.entries[v & mask] for v in range(low, high + 1)], frac)
    fields = []
    for leaf in choice.leaves:
        fields.append((builder.wrap(new[leaf], 0, (1 << cones.widths[leaf]) - 1), cones.widths[leaf]))
    address = builder.joined(fields)
    low, high = builder.bounds(address)
    return builder.table(address, choice.entries[low : high + 1], frac)
