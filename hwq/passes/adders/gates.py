"""ReLUs that a row of look-up tables takes in: which sums make one operand zero by the sign of the sum that it comes from.

A ReLU before a register is that register's reset. One that is read in its own clock would be a gate a bit; but a table of a sum of three
has one input left, and a table of a sum of two has more. So where all that read a ReLU at once are sums with that input free, each of them
reads the value before the ReLU, and its sign. Where the operand would pass a sum as a wire, that bit costs a table: a ReLU is taken in
where that is less than its gates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import ROWS, SIGNS
from hwq.passes.adders.row import row_of

_WIRING = (Opcode.WRAP,)


@dataclass(frozen=True, slots=True)
class Gated:
    """What the rows of a circuit take in.

    Attributes:
        operands: sum -> (which of its operands are made zero, the clamp that is not built for it).
        unread: wires that nothing reads any more.
    """

    operands: Mapping[int, tuple[tuple[int, ...], int]] = field(default_factory=dict)
    unread: frozenset[int] = frozenset()


def gated(circuit: Circuit) -> Gated:
    """For a circuit of sums of three that has its stages. ReLUs with the most bits a reader come first."""
    if not circuit.fused:
        return Gated()
    relus = [w for w in np.flatnonzero(circuit.opcode == Opcode.CLAMP).tolist() if _is_relu(circuit, w)]
    readers = _readers(circuit)
    outputs = frozenset(circuit.outputs.tolist())
    found: dict[int, tuple[tuple[int, ...], int]] = {}
    unread: set[int] = set()
    wanted = []
    for relu in relus:
        ways = _ways(circuit, relu, readers, outputs)
        sums = _sums(circuit, [way for way in ways if way.at_once])
        if sums:
            wanted.append((len(sums) / int(circuit.widths[relu]), relu, ways, sums))
    for _, relu, ways, sums in sorted(wanted, key=lambda each: each[:2]):
        bits = max(way.width for way in ways if way.at_once)
        alone = sum(row_of(circuit, reader, gate).alone.bit_count() for reader, gate in sums.items())
        if alone >= bits or any(reader in found for reader in sums):
            continue
        found |= {reader: (gate, relu) for reader, gate in sums.items()}
        later = {wire for way in ways if not way.at_once for wire in (relu, *way.through)}
        unread |= {wire for way in ways for wire in (relu, *way.through)} - later
    return Gated(found, frozenset(unread))


def _sums(circuit: Circuit, ways: Sequence[_Way]) -> dict[int, tuple[int, ...]]:
    """Which operands of which sums are a ReLU's; none where something else reads it, or a table has no input for the gate."""
    found: dict[int, tuple[int, ...]] = {}
    for way in ways:
        if way.operand is None:
            return {}
        found[way.reader] = (*found.get(way.reader, ()), way.operand)
    for reader, gate in found.items():
        row = row_of(circuit, reader)
        # below its lowest place, a subtracted operand's input stands for a zero by being one, which a gate would undo
        if len(gate) > 1 and any(row.operands[number].sign == -1 and row.operands[number].up > row.start for number in gate):
            return {}
    return found


@dataclass(frozen=True, slots=True)
class _Way:
    """From a ReLU to one that reads it: through which wires, how many bits are left, and as which operand of a sum."""

    reader: int
    width: int
    through: tuple[int, ...]
    at_once: bool
    operand: int | None


def _is_relu(circuit: Circuit, wire: int) -> bool:
    source = circuit.a[wire]
    return bool(circuit.low[wire] == 0 and circuit.low[source] < 0 and circuit.high[wire] == circuit.high[source])


def _readers(circuit: Circuit) -> Mapping[int, list[tuple[int, int]]]:
    """wire -> (what reads it, as which operand)."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for position, (column, opcodes) in enumerate(circuit.reads):
        for reader in np.flatnonzero(np.isin(circuit.opcode, list(opcodes))).tolist():
            found[int(column[reader])].append((reader, position))
    return found


def _ways(
    circuit: Circuit,
    wire: int,
    readers: Mapping[int, list[tuple[int, int]]],
    outputs: frozenset[int],
    through: tuple[int, ...] = (),
) -> list[_Way]:
    """All that read a wire, looking through those that only drop its high bits."""
    width, stage = int(circuit.widths[wire]), int(circuit.stage[wire])
    ways = [_Way(-1, width, through, stage == circuit.latency, None)] if wire in outputs else []
    for reader, position in readers.get(wire, ()):
        op, at_once = Opcode(int(circuit.opcode[reader])), int(circuit.stage[reader]) == stage
        if op in _WIRING and at_once:
            ways += _ways(circuit, reader, readers, outputs, (*through, reader))
        else:
            operand = position if op in ROWS and len(SIGNS[op]) > position and circuit.low[wire] >= 0 else None
            ways.append(_Way(reader, width, through, at_once, operand))
    return ways
