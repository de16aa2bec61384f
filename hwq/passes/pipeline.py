"""Cut a Circuit into pipeline stages: which stage computes each wire, so that no stage chains more than a given delay.

Delays are counted in half adder levels: an adder, of two operands or of three, or a two-sided clamp is one level, a ReLU half a level,
wires nothing; a maximum is a comparison and a choice; a product is a tree of adders; a table half a level for up to six bits, which one
LUT a bit holds.
What is slower than a whole stage gets a stage of its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import ROWS
from hwq.passes.postpone import WIRING, Postponing, relus

_DELAY = {**dict.fromkeys(ROWS, 2), Opcode.NEG: 2, Opcode.CLAMP: 2, Opcode.MAX: 3, Opcode.MIN: 3}
_PLACED, _TRIALS = 4_000_000, 400  # wires placed over all trials of where to cut, a few seconds; trials at most
_POSTPONING = 16  # what it takes, in placings
_GATE = 4  # flip-flops that a gate is worth: parts have twice as many as LUTs, and run out of them last


def pipeline(circuit: Circuit, levels_per_stage: int) -> Circuit:
    """The same circuit with `stage` filled in: as few stages as can be, and among those the cuts that cost least (`cut_cost`).

    Every wire is computed as early as possible, and then postponed where that saves registers. Where the last stage is not full there is
    a choice: some stages may do less than they could, which moves all cuts behind them towards the inputs. All ways to do so are tried,
    fewest changes first, or, where they are many, the first of them.

    Args:
        levels_per_stage: how many adders may follow one another between two registers, at least 1.
    """
    limit = 2 * max(1, levels_per_stage)
    wires = _Wires.of(circuit)
    late = Postponing(circuit, wires.delay, limit, _GATE)
    best = replace(circuit, stage=_placed(wires, [limit]))
    waiting = deque([([limit] * best.latency, 0)])
    best = late.of(best)
    least, trials, placed = cut_cost(best), _TRIALS, _PLACED
    while waiting:
        limits, first = waiting.popleft()  # fewest changes first
        for number in range(first, len(limits) - 1):
            for shorter in range(limit - 1, 0, -1):
                trials, placed = trials - 1, placed - len(circuit)
                if trials < 0 or placed < 0:
                    return best
                tried = [*limits[:number], shorter, *limits[number + 1 :]]
                found = replace(circuit, stage=_placed(wires, tried))
                if found.latency > best.latency:
                    break
                waiting.append((tried, number + 1))
                found, placed = late.of(found), placed - _POSTPONING * len(circuit)
                if (cost := cut_cost(found)) < least:
                    best, least = found, cost
    return best


def register_inputs(circuit: Circuit) -> Circuit:
    """The pipelined circuit with a stage more, which only stores the inputs: a path from a port to the first register is no path of a clock.

    Tools that time a design by itself between registers alone (nextpnr) see all of its logic then. The registers are counted as any other.
    """
    return replace(circuit, stage=np.where(circuit.opcode == Opcode.INPUT, 0, circuit.stage + 1).astype(circuit.stage.dtype))


def cut_cost(circuit: Circuit) -> int:
    """Flip-flops, and the gates of ReLUs in flip-flops: a register is a ReLU by its reset, what reads one before it takes gates."""
    clamps = relus(circuit)
    read_at_once = np.zeros(len(circuit), np.bool_)
    for column, readers in circuit.reads:
        reads = np.flatnonzero(np.isin(circuit.opcode, list(readers - WIRING)))
        operands = column[reads]
        read_at_once[operands[circuit.stage[reads] == circuit.stage[operands]]] = True
    for wire in np.flatnonzero(np.isin(circuit.opcode, list(WIRING)))[::-1].tolist():
        source = circuit.a[wire]
        read_at_once[source] |= read_at_once[wire] and circuit.stage[wire] == circuit.stage[source]
    return register_bits(circuit) + _GATE * int(circuit.widths[clamps[read_at_once[clamps]]].sum())


@dataclass(frozen=True, slots=True)
class _Wires:
    """What placing asks of each wire: its operands other than constants (-1: none), the first of them first, and its delay in half levels."""

    a: list[int]
    b: list[int]
    c: list[int]
    delay: list[int]

    @classmethod
    def of(cls, circuit: Circuit) -> _Wires:
        constant = circuit.opcode == Opcode.CONST
        operands = []
        for column, readers in circuit.reads:
            wires = np.where(np.isin(circuit.opcode, list(readers)), column, -1).astype(np.int64)
            operands.append(np.where((wires >= 0) & constant[wires], -1, wires))
        a, b, c = operands
        b, c = np.where(b < 0, c, b), np.where(b < 0, -1, c)
        a, b, c = np.where(a < 0, b, a), np.where(a < 0, c, b), np.where(a < 0, -1, c)
        return cls(a.tolist(), b.tolist(), c.tolist(), _delays(circuit, a, b).tolist())


def half_levels(circuit: Circuit) -> npt.NDArray[np.int64]:
    """(wires,): how long each takes, in halves of an adder's level, as the pipeline is planned with."""
    return np.array(_Wires.of(circuit).delay, np.int64)


def _delays(circuit: Circuit, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`half_levels`, of wires with the operands `a` and `b` other than constants (-1: none)."""
    opcode, widths = circuit.opcode, circuit.widths
    delay = np.zeros(len(circuit), np.int64)
    for op, halves in _DELAY.items():
        delay[opcode == op] = halves
    delay[side_by_side(circuit)] = 0
    one_sided = np.flatnonzero((opcode == Opcode.CLAMP) & (a >= 0))
    delay[one_sided[circuit.high[a[one_sided]] == circuit.high[one_sided]]] = 1
    for wire in np.flatnonzero((opcode == Opcode.MUL) & (a >= 0)).tolist():
        narrowest = min(int(widths[w]) for w in (a[wire], b[wire]) if w >= 0)
        delay[wire] = 2 + 2 * (narrowest - 1).bit_length()
    tables = np.flatnonzero((opcode == Opcode.TABLE) & (a >= 0))
    delay[tables] = 1 + np.maximum(widths[a[tables]] - 6, 0)
    return delay


def side_by_side(circuit: Circuit) -> npt.NDArray[np.int64]:
    """The additions whose operands have no bit in common, which are wires: the finer one, never negative, ends where the other begins."""
    adds = np.flatnonzero(circuit.opcode == Opcode.ADD)
    shift = circuit.shift[adds]
    fine = np.where(shift > 0, circuit.a[adds], circuit.b[adds])
    apart = (circuit.widths[fine] <= np.abs(shift)) & ~circuit.signed[fine] & (shift != 0)
    return np.asarray(adds[apart], np.int64)


def _placed(wires: _Wires, limits: list[int]) -> npt.NDArray[np.int32]:
    """The stage of each wire, as early as possible, where stage k chains `limits[k]` half levels (the last limit goes on)."""
    stage, arrival = [0] * len(wires.a), [0] * len(wires.a)
    last = len(limits) - 1
    for wire, (a, b, c, delay) in enumerate(zip(wires.a, wires.b, wires.c, wires.delay, strict=True)):
        if a < 0:
            continue
        now, start = stage[a], arrival[a]
        if b >= 0:
            other = stage[b]
            if other > now:
                now, start = other, arrival[b]
            elif other == now and arrival[b] > start:
                start = arrival[b]
            if c >= 0:
                other = stage[c]
                if other > now:
                    now, start = other, arrival[c]
                elif other == now and arrival[c] > start:
                    start = arrival[c]
        if start + delay > limits[now if now < last else last]:
            now, start = now + 1, 0
        stage[wire], arrival[wire] = now, start + delay
    return np.array(stage, np.int32)


def operands_of(circuit: Circuit, wire: int) -> tuple[int, ...]:
    """The wires that `wire` reads."""
    op = int(circuit.opcode[wire])
    return tuple(int(column[wire]) for column, readers in circuit.reads if op in readers)


def levels_for(period_ns: float, adder_level_ns: float, overhead_ns: float) -> int:
    """How many adder levels fit a clock period on a board (its [timing] table), at least one."""
    return max(1, int((period_ns - overhead_ns) / adder_level_ns))


def register_bits(circuit: Circuit) -> int:
    """Flip-flops that the emitted module holds: each wire's width times the stages it is kept for."""
    stage = circuit.stage.astype(np.int64)
    last = np.zeros(len(circuit), np.int64)
    for column, readers in circuit.reads:
        reads = np.isin(circuit.opcode, list(readers))
        operands = column[reads]
        np.maximum.at(last, operands, stage[reads] - stage[operands])
    np.maximum.at(last, circuit.outputs, circuit.latency - stage[circuit.outputs])
    return int((last * circuit.widths * (circuit.opcode != Opcode.CONST)).sum())
