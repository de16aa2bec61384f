"""Sums of many terms as trees of rows that add up two or three (`hwq.passes.adders.trees`), on a whole circuit.

    w3 = w1 + w2          w4 = w3 - (w0 << 2), w3 read by nothing else          becomes          w4 = w1 + w2 - (w0 << 2)

A sum that only another sum reads is taken apart; one with more readers, a shared term, stays. What is left is a sum of terms that arrive at
different times: it is built anew, in no more levels than the arrivals allow, and the circuit as a whole gets no deeper than it can be.
Bounds of the sums in between are exact, from what they are worth in the circuit's other wires.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hwq.ir import Circuit, CircuitBuilder, Opcode
from hwq.ir.builder import Summand
from hwq.ir.circuit import ADDERS, SIGNS
from hwq.passes.adders.duplicate import Duplication, Sum
from hwq.passes.adders.trees import Term, levels, tree
from hwq.passes.pipeline import half_levels, operands_of, side_by_side

ROW = 2  # half levels that a row takes
ONE = -1  # in the place of a wire: the constant one
LinearForm = dict[int, int]  # wires that are no sums, or ONE -> factors


def fuse(circuit: Circuit) -> Circuit:
    """The same outputs from rows of two and three operands; before pipelining. The result is marked `fused`."""
    return _Fusing(circuit).circuit()


class _Fusing:
    """The circuit's columns as lists, which sums are taken apart, and when each wire arrives."""

    def __init__(self, circuit: Circuit) -> None:
        self.old = circuit
        self.opcode = [Opcode(op) for op in circuit.opcode.tolist()]
        self.low, self.high = ([int(v) for v in column] for column in (circuit.low, circuit.high))
        self.node: list[int] = circuit.node.tolist()
        self.delay: list[int] = half_levels(circuit).tolist()
        self.operands = [operands_of(circuit, wire) for wire in range(len(circuit))]
        apart = set(side_by_side(circuit).tolist())
        self.is_sum = [op in ADDERS and wire not in apart for wire, op in enumerate(self.opcode)]
        self.base = self._bases()
        self.inner = self._inner()
        self.sums = {w: self._taken_apart(w) for w, is_sum in enumerate(self.is_sum) if is_sum and not self.inner[w]}
        self.arrival = [0] * len(circuit)  # in half levels
        self._arrive()
        Duplication(self.sums, self._early, self._ready, self._read_by_others()).run()
        self.latest = self._latest()
        self.forms: dict[int, LinearForm] = {}

    def _bases(self) -> list[tuple[int, int]]:
        """For each wire the one whose bits it is, and how far it is shifted up."""
        base: list[tuple[int, int]] = []
        for wire, op in enumerate(self.opcode):
            by = int(self.old.shift[wire])
            if op is Opcode.SHIFT and by < 0:
                source, up = base[self.operands[wire][0]]
                base.append((source, up - by))
            else:
                base.append((wire, 0))
        return base

    def _is_wiring(self, wire: int) -> bool:
        return self.base[wire][0] != wire

    def _inner(self) -> list[bool]:
        """Whether a wire is a sum that nothing but one other sum reads."""
        readers, others = [0] * len(self.opcode), set(self._read_by_others())
        for wire, operands in enumerate(self.operands):
            if self.is_sum[wire]:
                for operand in operands:
                    readers[self.base[operand][0]] += 1
        return [s and readers[wire] == 1 and wire not in others for wire, s in enumerate(self.is_sum)]

    def _read_by_others(self) -> Iterator[int]:
        """The wires that are read by something other than a sum, or are outputs."""
        for wire, operands in enumerate(self.operands):
            if not self._is_wiring(wire) and not self.is_sum[wire]:
                yield from (self.base[operand][0] for operand in operands)
        yield from (self.base[wire][0] for wire in self.old.outputs.tolist())

    def _taken_apart(self, root: int) -> Sum:
        parts: list[Summand] = []
        constant, todo = 0, [(root, 0, 1)]
        while todo:
            wire, up, sign = todo.pop()
            op = self.opcode[wire]
            ups, signs = ((0,), (-1,)) if op is Opcode.NEG else (self.old.ups(wire), SIGNS[op])
            for operand, more, turned in zip(self.operands[wire], ups, signs, strict=True):
                source, by = self.base[operand]
                place = up + more + by
                if self.opcode[source] is Opcode.CONST:
                    constant += sign * turned * (self.low[source] << place)
                elif self.inner[source]:
                    todo.append((source, place, sign * turned))
                else:
                    parts.append((source, place, sign * turned))
        return Sum(tuple(sorted(parts)), constant)

    # ---- when wires arrive, and may

    def _depths(self, found: Sum) -> tuple[list[int], int]:
        """Rows before each term, a constant last, and the half level that they are counted from.

        Of the two phases, even and odd half levels, the one in which the sum is ready first: no tree of pairs is ready before it.
        """
        at = [self.arrival[wire] for wire, _, _ in found.parts]
        first = min(at, default=0)
        phases = [([-(-(a - base) // ROW) for a in at] + [0] * found.constants, base) for base in range(first, first - ROW, -1)]
        return min(phases, key=lambda phase: phase[1] + ROW * levels(phase[0]))

    def _ready(self, found: Sum) -> int:
        """The half level at which a sum can be there."""
        depths, base = self._depths(found)
        return base + ROW * levels(depths)

    def _earliest(self, wire: int) -> int:
        if wire in self.sums:
            return self._ready(self.sums[wire])
        return max((self.arrival[o] for o in self.operands[wire]), default=0) + self.delay[wire]

    def _arrive(self) -> None:
        """Every wire as early as it can be."""
        for wire in range(len(self.opcode)):
            if wire in self.sums or not self.is_sum[wire]:
                self.arrival[wire] = self.arrival[self.base[wire][0]] if self._is_wiring(wire) else self._earliest(wire)

    def _early(self, found: Sum) -> list[Term]:
        """The terms of a sum as early as they can be, the constant last."""
        depths, _ = self._depths(found)
        ends = [(self.low[wire], self.high[wire], up, sign) for wire, up, sign in found.parts]
        if found.constants:
            ends.append((found.constant, found.constant, 0, 1))
        return [Term(low << up, high << up, up, sign, depth) for (low, high, up, sign), depth in zip(ends, depths, strict=True)]

    def _latest(self) -> list[int]:
        """When each wire may arrive without making the circuit deeper, nor its graph node later."""
        self._arrive()
        earliest = list(self.arrival)
        latest = [max((earliest[w] for w in self.old.outputs.tolist()), default=0)] * len(self.opcode)
        shared = [False] * len(self.opcode)  # read by a sum of the same node
        for wire in reversed(range(len(self.opcode))):
            if wire in self.sums:
                spare = latest[wire] - earliest[wire]
                for term, _, _ in self.sums[wire].parts:
                    latest[term] = min(latest[term], earliest[term] + spare)
                    shared[term] = shared[term] or self.node[term] == self.node[wire]
            elif not self.is_sum[wire]:
                for operand in self.operands[wire]:
                    latest[operand] = min(latest[operand], latest[wire] - self.delay[wire])
        ends: dict[int, int] = {}
        for wire in self.sums:
            if not shared[wire]:
                ends[self.node[wire]] = max(ends.get(self.node[wire], 0), earliest[wire])
        return [
            earliest[w] if shared[w] else min(latest[w], max(ends.get(self.node[w], 0), earliest[w]))
            for w in range(len(self.opcode))
        ]

    # ---- the new circuit

    def circuit(self) -> Circuit:
        builder = CircuitBuilder(names=list(self.old.names))
        new = [-1] * len(self.opcode)
        read = {term for found in self.sums.values() for term, _, _ in found.parts}
        for wire in range(len(self.opcode)):
            builder.resume(self.node[wire])
            if wire in self.sums:
                new[wire] = self._built(builder, wire, new, keep=wire in read)
            elif not self._gone(self.base[wire][0]):
                new[wire] = builder.copied(self.old, wire, new)
                self.arrival[wire] = max((self.arrival[o] for o in self.operands[wire]), default=0) + self.delay[wire]
        return replace(builder.build([new[wire] for wire in self.old.outputs.tolist()]), fused=True)

    def _gone(self, wire: int) -> bool:
        """Whether a wire is a sum that was taken apart."""
        return self.is_sum[wire] and wire not in self.sums

    def _built(self, builder: CircuitBuilder, root: int, new: Sequence[int], *, keep: bool) -> int:
        """The rows of a sum; its form is kept where another sum reads it."""
        found, frac = self.sums[root], int(self.old.frac[root])
        depths, base = self._depths(found)
        limit = max((self.latest[root] - base) // ROW, levels(depths))
        wires = [new[wire] for wire, _, _ in found.parts]
        terms = [
            Term(self.low[wire] << up, self.high[wire] << up, up, sign, depth)
            for (wire, up, sign), depth in zip(found.parts, depths, strict=False)
        ]
        forms = [{w: f << up for w, f in self._form(wire).items()} for wire, up, _ in found.parts]
        if found.constants:
            up = (
                (found.constant & -found.constant).bit_length() - 1
                if found.constant
                else min((up for _, up, _ in found.parts), default=0)
            )
            wires.append(builder.constant(found.constant >> up, frac - up))
            terms.append(Term(found.constant, found.constant, up, 1, 0))
            forms.append({ONE: found.constant})
        rows = tree(terms, limit).rows if len(terms) > 1 else ()
        for number, row in enumerate(rows):
            last = number == len(rows) - 1
            out, form = self._row([terms[i] for i in row], [forms[i] for i in row])
            if last:
                out = replace(out, low=self.low[root], high=self.high[root])
            members = [
                (wires[i], terms[i].up - out.up, terms[i].sign * out.sign)
                for i in row
                if len(row) > 2 or terms[i].high or terms[i].low
            ]
            zero = not members  # a sum of differences of equals, which only their forms together tell
            wires.append(
                builder.constant(0, frac - out.up)
                if zero
                else builder.sum_of(members, out.low >> out.up, out.high >> out.up, frac - out.up)
            )
            terms.append(out)
            forms.append(form)
        self.arrival[root] = base + ROW * terms[-1].depth
        if keep:
            self.forms[root] = forms[-1]
        return builder.shift(wires[-1], -terms[-1].up)

    def _form(self, wire: int) -> LinearForm:
        return self.forms[wire] if wire in self.sums else {wire: 1}

    def _row(self, terms: Sequence[Term], forms: Sequence[LinearForm]) -> tuple[Term, LinearForm]:
        """The sum of a row's terms, with exact bounds, and its form: that of its value without the sign."""
        sign = 1 if any(t.sign == 1 for t in terms) else -1
        total: LinearForm = {}
        low = high = 0
        for term, form in zip(terms, forms, strict=True):
            for wire, factor in form.items():
                total[wire] = total.get(wire, 0) + term.sign * sign * factor
        for wire, factor in total.items():
            ends = (1, 1) if wire == ONE else (self.low[wire], self.high[wire])
            least, most = ends if factor > 0 else ends[::-1]
            low, high = low + factor * least, high + factor * most
        depth = max(t.depth for t in terms) + 1
        return Term(low, high, min(t.up for t in terms), sign, depth), total
