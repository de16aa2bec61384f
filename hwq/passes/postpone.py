"""Wires of a pipelined circuit that are computed later than they could be, where that saves registers or gates. No stage gets longer.

A pipeline computes everything as early as possible. A sum whose readers all come later, and whose operands are kept for later stages
anyway, is then stored for nothing: computed where it is read, it takes no register. So each wire, the last first, goes to the stage, of
those up to its first reader's, in which flip-flops and the gates of ReLUs cost least together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwq.ir import Circuit, Opcode

WIRING = frozenset({Opcode.SHIFT, Opcode.WRAP})  # what takes no time, and passes a register's reset on
_ROUNDS = 4


def relus(circuit: Circuit) -> np.ndarray:
    """The clamps that make what is negative zero: with a register behind them they are its reset."""
    clamps = np.flatnonzero(circuit.opcode == Opcode.CLAMP)
    return np.asarray(clamps[circuit.signed[circuit.a[clamps]] & ~circuit.signed[clamps]], np.int64)


@dataclass(frozen=True, slots=True)
class Postponing:
    """What is the same however a circuit is cut.

    Args:
        delay: (wires,): how long each takes.
        limit: what may follow one another in a stage.
        gate: flip-flops that a bit of a ReLU is worth that is read in its own stage.
    """

    circuit: Circuit
    delay: Sequence[int]
    limit: int
    gate: int
    wiring: list[bool] = field(init=False)
    width: list[int] = field(init=False)  # 0 of constants, which no register holds
    operands: list[list[int]] = field(init=False)
    readers: list[list[int]] = field(init=False)
    relus: list[int] = field(init=False)
    movable: list[int] = field(init=False)  # the last first

    def __post_init__(self) -> None:
        circuit, count = self.circuit, len(self.circuit)
        operands: list[list[int]] = [[] for _ in range(count)]
        readers: list[list[int]] = [[] for _ in range(count)]
        constant = circuit.opcode == Opcode.CONST
        for column, opcodes in circuit.reads:
            for wire in np.flatnonzero(np.isin(circuit.opcode, list(opcodes))).tolist():
                operand = int(column[wire])
                if not constant[operand] and operand not in operands[wire]:
                    operands[wire].append(operand)
                    readers[operand].append(wire)
        set_once = object.__setattr__
        set_once(self, "wiring", np.isin(circuit.opcode, list(WIRING)).tolist())
        set_once(self, "width", np.where(constant, 0, circuit.widths).tolist())
        set_once(self, "operands", operands)
        set_once(self, "readers", readers)
        set_once(self, "relus", relus(circuit).tolist())
        set_once(self, "movable", [wire for wire in range(count - 1, -1, -1) if operands[wire]])

    def of(self, early: Circuit) -> Circuit:
        """The circuit with the stages of `early`, or later ones: the same latency, and no higher a cost (`hwq.passes.pipeline.cut_cost`).

        No stage takes longer than the limit, but those of one slow wire.
        """
        work = _Work(self, early.stage.tolist(), early.latency)
        for _ in range(_ROUNDS):
            if not work.round():
                break
        return replace(self.circuit, stage=np.array(work.stage, early.stage.dtype))


class _Work:
    """The stage of each wire, and those of its readers, an output's reader being the end of the pipeline."""

    def __init__(self, given: Postponing, stage: list[int], latency: int) -> None:
        self.given, self.stage = given, stage
        self.delay, self.operands, self.readers = given.delay, given.operands, given.readers
        self.is_relu = [False] * len(stage)
        for wire in given.relus:
            self.is_relu[wire] = True
        self.outputs = set(given.circuit.outputs.tolist())
        self.latency = latency
        self.read_in: list[dict[int, int]] = [{} for _ in stage]  # of each wire: stage -> readers
        for wire, operands in enumerate(self.operands):
            for operand in operands:
                counts = self.read_in[operand]
                counts[stage[wire]] = counts.get(stage[wire], 0) + 1
        for wire in self.outputs:
            self.read_in[wire][latency] = 1

    def round(self) -> bool:
        """Each wire once, the last first; whether any moved. Those before it have not moved yet, so that their arrivals stand."""
        arrival, tail = [0] * len(self.stage), [0] * len(self.stage)
        for wire in reversed(self.given.movable):
            arrival[wire] = self._start(wire, self.stage[wire], arrival) + self.delay[wire]
        moved = False
        for wire in range(len(self.stage) - 1, -1, -1):
            if self.operands[wire]:
                moved |= self._place(wire, arrival, tail)
            tail[wire] = self._tail(wire, self.stage[wire], tail)
        return moved

    def _start(self, wire: int, stage: int, arrival: Sequence[int]) -> int:
        """When its operands are there."""
        return max((arrival[o] for o in self.operands[wire] if self.stage[o] == stage), default=0)

    def _tail(self, wire: int, stage: int, tail: Sequence[int]) -> int:
        """How long what follows a wire takes to the end of its stage."""
        return max((self.delay[r] + tail[r] for r in self.readers[wire] if self.stage[r] == stage), default=0)

    def _place(self, wire: int, arrival: Sequence[int], tail: Sequence[int]) -> bool:
        now, limit = self.stage[wire], self.given.limit
        read_in = self.read_in[wire]
        last = min(read_in, default=now)
        last -= last == self.latency  # an output is read behind the last stage
        if last <= now:
            return False
        best, least = now, self._cost(wire)
        for stage in range(now + 1, last + 1):
            taken, rest = self._start(wire, stage, arrival) + self.delay[wire], self._tail(wire, stage, tail)
            if taken + rest > limit and (rest or taken > self.delay[wire]):
                continue
            self._move(wire, stage)
            if (cost := self._cost(wire)) < least:
                best, least = stage, cost
        self._move(wire, best)
        return best != now

    def _move(self, wire: int, stage: int) -> None:
        before = self.stage[wire]
        if stage == before:
            return
        for operand in self.operands[wire]:
            counts = self.read_in[operand]
            counts[before] -= 1
            if not counts[before]:
                del counts[before]
            counts[stage] = counts.get(stage, 0) + 1
        self.stage[wire] = stage

    def _cost(self, wire: int) -> int:
        """The part of `hwq.passes.pipeline.cut_cost` that the stage of a wire changes."""
        width, total = self.given.width, 0
        for one in (wire, *self.operands[wire]):
            if counts := self.read_in[one]:
                total += width[one] * (max(counts) - self.stage[one])
        return total + self.given.gate * sum(width[one] for one in self._gates(wire))

    def _gates(self, wire: int) -> set[int]:
        """The ReLUs among a wire and those that it reads, wiring looked through, that are gates."""
        found, todo = set(), [wire, *self.operands[wire]]
        while todo:
            one = todo.pop()
            if self.is_relu[one] and self._at_once(one):
                found.add(one)
            if self.given.wiring[one]:
                todo += self.operands[one]
        return found

    def _at_once(self, wire: int) -> bool:
        stage, wiring = self.stage[wire], self.given.wiring
        return stage in self.read_in[wire] and any(
            self.stage[r] == stage and (not wiring[r] or self._at_once(r)) for r in self.readers[wire]
        )
