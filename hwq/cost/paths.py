"""The longest way between two registers: through how many levels of logic it goes, and through how many carries.

What a tool reports as the clock that is reached is that of ways from register to register. A design's inputs and outputs are no
registers of its own, so that its first stage does not count.
"""

from __future__ import annotations

import numpy as np

from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import ADDERS
from hwq.passes.pipeline import half_levels, operands_of

CARRIES_A_LEVEL = 24  # bits of carry that take as long as one level, a table and the wire to it
# levels where they are others than the pipeline plans with: what steers many bits at once has a wire of much fan-out behind it
_CHOICE = 2.5
_TWO_SIDED = 2.0
_CARRIES = (*ADDERS, Opcode.MAX, Opcode.MIN, Opcode.MUL)


def paths(circuit: Circuit) -> dict[str, float]:
    """clocked_levels, clocked_carries: of the longest way between two registers, 0 where there is none; fan_out: the most readers
    of one wire; wires: operations that are more than a name.
    """
    count = len(circuit)
    delay, levels, carries = _levels(circuit), np.zeros(count), np.zeros(count)
    readers = np.zeros(count, np.int64)
    widths, stage, opcode = circuit.widths, circuit.stage, circuit.opcode
    bits = np.where(np.isin(opcode, _CARRIES) & (delay > 0), widths, 0)
    for wire in range(count):
        sources = operands_of(circuit, wire)
        for source in sources:
            readers[source] += 1
        if stage[wire] == 0:
            continue
        same = [source for source in sources if stage[source] == stage[wire]]
        if same:
            longest = max(same, key=lambda w: levels[w] + carries[w] / CARRIES_A_LEVEL)
            levels[wire], carries[wire] = levels[longest], carries[longest]
        levels[wire] += delay[wire]
        carries[wire] += bits[wire]
    last = int((levels + carries / CARRIES_A_LEVEL).argmax()) if count else 0
    real = ~np.isin(opcode, (Opcode.CONST, Opcode.SHIFT, Opcode.WRAP))
    return {
        "clocked_levels": float(levels[last]) if count else 0.0,
        "clocked_carries": float(carries[last]) if count else 0.0,
        "fan_out": float(readers[opcode != Opcode.CONST].max(initial=0)),
        "wires": float(real.sum()),
    }


def _levels(circuit: Circuit) -> np.ndarray:
    """Levels of logic of each wire."""
    planned = half_levels(circuit) / 2
    two_sided = (circuit.opcode == Opcode.CLAMP) & (planned == 1)
    choices = np.isin(circuit.opcode, (Opcode.MAX, Opcode.MIN))
    return np.asarray(np.where(two_sided, _TWO_SIDED, np.where(choices, _CHOICE, planned)))
