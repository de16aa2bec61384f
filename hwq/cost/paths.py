"""The longest way between two registers: how many operations follow one another in a stage, and through how many carries."""

from __future__ import annotations

import numpy as np

from hwq.ir import Circuit, Opcode
from hwq.passes.pipeline import operands_of, side_by_side

CARRIES_A_LEVEL = 24  # bits of carry that take as long as one table and the wire to it
_LEVELS = {Opcode.MAX: 2.0, Opcode.MIN: 2.0, Opcode.CLAMP: 1.0, Opcode.MUL: 3.0, Opcode.TABLE: 1.0}
_CARRIES = (Opcode.ADD, Opcode.SUB, Opcode.NEG, Opcode.MAX, Opcode.MIN, Opcode.MUL)


def paths(circuit: Circuit) -> dict[str, float]:
    """path_levels, path_carries: of the longest way in any stage; path_ends: how many wires end a way within a tenth of it;
    fan_out: the most readers of one wire; wires: operations that are more than a name.
    """
    count = len(circuit)
    levels, carries, length = np.zeros(count), np.zeros(count), np.zeros(count)
    readers = np.zeros(count, np.int64)
    widths, stage, opcode = circuit.widths, circuit.stage, circuit.opcode
    named = set(side_by_side(circuit).tolist())
    for wire in range(count):
        op = Opcode(int(opcode[wire]))
        sources = operands_of(circuit, wire)
        for source in sources:
            readers[source] += 1
        same = [source for source in sources if stage[source] == stage[wire]]
        if same:
            longest = max(same, key=lambda w: length[w])
            levels[wire], carries[wire] = levels[longest], carries[longest]
        if wire in named:
            length[wire] = levels[wire] + carries[wire] / CARRIES_A_LEVEL
            continue
        if op in _CARRIES:
            carries[wire] += int(widths[wire])
        if op in _CARRIES or op in _LEVELS:
            levels[wire] += _LEVELS.get(op, 1.0)
        length[wire] = levels[wire] + carries[wire] / CARRIES_A_LEVEL
    if not count:
        return dict.fromkeys(("path_levels", "path_carries", "path_ends", "fan_out", "wires"), 0.0)
    last = int(length.argmax())
    real = ~np.isin(opcode, (Opcode.CONST, Opcode.SHIFT, Opcode.WRAP))
    return {
        "path_levels": float(levels[last]),
        "path_carries": float(carries[last]),
        "path_ends": float((length >= 0.9 * length[last]).sum()),
        "fan_out": float(readers[opcode != Opcode.CONST].max(initial=0)),
        "wires": float(real.sum()),
    }
