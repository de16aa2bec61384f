"""Cut a Circuit into pipeline stages: which stage computes each wire, so that no stage chains more than a given delay.

Delays are counted in half adder levels: an adder or a two-sided clamp is one level, a ReLU half a level, wires nothing; a maximum
is a comparison and a choice; a product is a tree of adders; a table half a level for up to six bits, which one LUT a bit holds.
What is slower than a whole stage gets a stage of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import WIRES_A, WIRES_B

_DELAY = {Opcode.ADD: 2, Opcode.SUB: 2, Opcode.NEG: 2, Opcode.CLAMP: 2, Opcode.MAX: 3, Opcode.MIN: 3}


def pipeline(circuit: Circuit, levels_per_stage: int) -> Circuit:
    """The same circuit with `stage` filled in, as early as possible.

    Args:
        levels_per_stage: how many adders may follow one another between two registers, at least 1.
    """
    limit = 2 * max(1, levels_per_stage)
    widths = circuit.widths
    stage = np.zeros(len(circuit), np.int32)
    arrival = np.zeros(len(circuit), np.int32)
    for i in range(len(circuit)):
        op = Opcode(int(circuit.opcode[i]))
        operands = [int(w) for w in operands_of(circuit, i) if circuit.opcode[w] != Opcode.CONST]
        if not operands:
            continue
        stage[i] = max(stage[w] for w in operands)
        start = max(arrival[w] if stage[w] == stage[i] else 0 for w in operands)
        delay = _DELAY.get(op, 0)
        if op is Opcode.CLAMP and int(circuit.high[operands[0]]) == int(circuit.high[i]):
            delay = 1
        elif op is Opcode.MUL:
            delay = 2 + 2 * (int(min(widths[w] for w in operands)) - 1).bit_length()
        elif op is Opcode.TABLE:
            delay = 1 + max(0, int(widths[operands[0]]) - 6)
        if start + delay > limit:
            stage[i], start = stage[i] + 1, 0
        arrival[i] = start + delay
    return replace(circuit, stage=stage)


def operands_of(circuit: Circuit, wire: int) -> tuple[int, ...]:
    """The wires that `wire` reads."""
    op = int(circuit.opcode[wire])
    if op in WIRES_B:
        return int(circuit.a[wire]), int(circuit.b[wire])
    return (int(circuit.a[wire]),) if op in WIRES_A else ()


def levels_for(period_ns: float, adder_level_ns: float, overhead_ns: float) -> int:
    """How many adder levels fit a clock period on a board (its [timing] table), at least one."""
    return max(1, int((period_ns - overhead_ns) / adder_level_ns))


def register_bits(circuit: Circuit) -> int:
    """Flip-flops that the emitted module holds: each wire's width times the stages it is kept for."""
    last = np.zeros(len(circuit), np.int64)
    for wire in range(len(circuit)):
        for operand in operands_of(circuit, wire):
            last[operand] = max(last[operand], int(circuit.stage[wire]) - int(circuit.stage[operand]))
    for wire in circuit.outputs:
        last[wire] = max(last[wire], circuit.latency - int(circuit.stage[wire]))
    return int((last * circuit.widths * (circuit.opcode != Opcode.CONST)).sum())
