"""Sums of sums, shared, shifted, subtracted, with constants and what else a circuit has: passes keep their values, at a cost that they had.

Figures that change are to be looked at, as in test_choices.py; these circuits are smaller, more, and less like networks.
"""

from __future__ import annotations

import numpy as np
from random_sums import random_sums

from hwq.ir import Circuit, CircuitBuilder, Opcode
from hwq.ir.circuit import SIGNS
from hwq.passes.adders.fuse import fuse
from hwq.passes.adders.gates import gated
from hwq.passes.adders.row import row_of
from hwq.passes.cones import tabulate
from hwq.passes.pipeline import cut_cost, half_levels, operands_of, pipeline

INPUTS = 5


def sums_of_sums(seed: int) -> tuple[Circuit, np.ndarray]:
    """A dozen sums of inputs, constants and each other, in several nodes, with other operations between; and values of the inputs."""
    rng = np.random.default_rng(seed)
    builder = CircuitBuilder()
    builder.enter("n")
    ends, wires = [], []
    for place in range(INPUTS):
        width = int(rng.integers(1, 6 - 3 * (seed % 2)))  # narrow ones have small tables
        ends.append((-(1 << width) if rng.random() < 0.5 else 0, (1 << width) - 1))
        wires.append(builder.input(place, *ends[-1], int(rng.integers(0, 2))))
    read: set[int] = set()
    for number in range(int(rng.integers(6, 14))):
        if number and rng.random() < 0.2:
            builder.enter(f"n{number}")
        a = builder.constant(0, 0) if rng.random() < 0.15 else wires[int(rng.integers(len(wires)))]
        b = builder.constant(int(rng.integers(-9, 10)), 0) if rng.random() < 0.15 else wires[-int(rng.integers(1, 5))]
        wire = builder.add(a, b, exponent=int(rng.choice([0, 0, 1, 2, -1])), subtract=bool(rng.random() < 0.5))
        kind = int(rng.integers(12))
        if kind == 0:
            wire = builder.clamp(wire, 0, max(builder.bounds(wire)[1], 0))
        elif kind == 1:
            wire = builder.extreme(wire, builder.constant(3, builder.frac(wire)), builder.frac(wire), least=False)
        elif kind == 2 and seed % 2:
            wire = builder.multiply(wire, wires[int(rng.integers(len(wires)))])
        elif kind == 3 and seed % 2:
            wire = builder.wrap(wire, -4, 3)
        elif kind < 6:
            wire = builder.shift(builder.shift(wire, -int(rng.integers(1, 3))), int(rng.integers(-1, 3)))
        read |= {a, b}
        wires.append(wire)
    low, high = np.array(ends).T
    circuit = builder.build([wire for wire in wires[INPUTS:] if wire not in read or rng.random() < 0.15])
    return circuit, rng.integers(low, high, (40, INPUTS), endpoint=True)


def cost(circuit: Circuit) -> int:
    """Half look-up tables of all sums."""
    return sum(row_of(circuit, w).cost for w in range(len(circuit)) if Opcode(circuit.opcode[w]) in SIGNS)


def depth(circuit: Circuit) -> list[int]:
    """Half levels on the longest way to each output."""
    delay, arrival = half_levels(circuit).tolist(), [0] * len(circuit)
    for wire in range(len(circuit)):
        arrival[wire] = max((arrival[o] for o in operands_of(circuit, wire)), default=0) + delay[wire]
    return [arrival[w] for w in circuit.outputs.tolist()]


def figures(circuit: Circuit, x: np.ndarray) -> tuple[int, ...]:
    """Of rows of three: half look-up tables, half levels to all outputs; stages of one level: registers, the stages of all wires.

    Of tables of five inputs: wires, tables, entries; stages of two levels: registers.
    """
    rows, tables = fuse(circuit), tabulate(circuit, 5)
    one, two = pipeline(rows, 1), pipeline(tables, 2)
    want = circuit.evaluate(x)
    for found in (rows, tables, one, two):
        assert (found.evaluate(x) == want).all()
    assert max(depth(rows)) <= max(depth(circuit))
    entries = sum(len(table) for table in tables.tables)
    return (
        cost(rows),
        sum(depth(rows)),
        cut_cost(one),
        int(one.stage.sum()),
        len(tables),
        len(tables.tables),
        entries,
        cut_cost(two),
    )


def rows_of(circuit: Circuit) -> tuple[int, ...]:
    """Sums that take in a ReLU, which operands of theirs, wires not built; of all rows with these: costs, start, carries, cells."""
    found = gated(circuit)
    rows = [
        row_of(circuit, w, found.operands.get(w, ((), 0))[0]) for w in range(len(circuit)) if Opcode(circuit.opcode[w]) in SIGNS
    ]
    gates = sum(1 << number for gate, _ in found.operands.values() for number in gate)
    starts, early = sum(row.start for row in rows), sum(row.early for row in rows)
    cells = sum((row.both ^ row.ternary ^ row.alone ^ row.own).bit_count() for row in rows)
    return len(found.operands), gates, len(found.unread), sum(row.cost for row in rows), starts, early, cells


def test_figures_of_small_circuits() -> None:
    assert [figures(*sums_of_sums(seed)) for seed in range(len(FIGURES))] == FIGURES


def test_figures_of_rows() -> None:
    assert [rows_of(random_sums(seed, 30, relus=0.5)[0]) for seed in range(len(ROWS))] == ROWS


ROWS = [
    (12, 34, 12, 489, 28, 44, 66),
    (19, 51, 25, 577, 35, 52, 94),
    (16, 45, 21, 624, 15, 48, 91),
    (17, 56, 23, 557, 27, 40, 91),
    (16, 43, 21, 495, 25, 42, 66),
    (19, 52, 25, 515, 22, 47, 83),
    (19, 58, 24, 567, 28, 44, 83),
    (24, 68, 30, 697, 10, 54, 108),
    (20, 51, 26, 557, 23, 45, 92),
    (21, 52, 24, 577, 30, 51, 94),
    (15, 53, 18, 562, 34, 46, 84),
    (19, 50, 27, 555, 31, 47, 76),
    (4, 6, 5, 381, 29, 33, 65),
    (22, 62, 31, 645, 22, 54, 94),
    (11, 33, 17, 430, 20, 42, 55),
    (20, 42, 25, 554, 19, 46, 71),
    (17, 56, 21, 592, 8, 49, 87),
    (24, 63, 30, 627, 12, 50, 97),
    (11, 27, 15, 507, 23, 42, 73),
    (15, 38, 17, 545, 23, 44, 89),
]
FIGURES = [
    (45, 15, 81, 11, 19, 0, 0, 64),
    (64, 43, 134, 75, 24, 5, 84, 37),
    (79, 37, 130, 44, 17, 4, 128, 45),
    (67, 44, 138, 54, 22, 1, 8, 98),
    (67, 20, 121, 23, 16, 0, 0, 104),
    (48, 15, 44, 9, 14, 1, 32, 25),
    (101, 30, 143, 31, 22, 0, 0, 73),
    (66, 34, 96, 26, 24, 0, 0, 95),
    (127, 25, 127, 36, 29, 0, 0, 121),
    (28, 14, 52, 12, 14, 2, 64, 37),
    (32, 15, 74, 13, 17, 0, 0, 79),
    (63, 54, 147, 69, 25, 0, 0, 77),
    (115, 57, 249, 64, 30, 1, 18, 165),
    (47, 29, 142, 48, 21, 2, 40, 33),
    (41, 21, 51, 14, 17, 4, 44, 26),
    (40, 22, 73, 18, 16, 2, 48, 15),
    (53, 15, 91, 11, 13, 0, 0, 75),
    (29, 16, 62, 13, 18, 2, 32, 23),
    (112, 36, 189, 30, 27, 0, 0, 149),
    (21, 9, 39, 5, 13, 1, 16, 20),
    (40, 18, 87, 16, 17, 0, 0, 34),
    (55, 39, 151, 58, 33, 5, 104, 68),
    (24, 5, 43, 2, 12, 0, 0, 39),
    (42, 12, 41, 6, 17, 2, 34, 34),
    (51, 16, 103, 29, 17, 0, 0, 68),
    (23, 7, 37, 3, 12, 0, 0, 69),
    (71, 23, 64, 9, 21, 0, 0, 63),
    (18, 18, 31, 16, 13, 4, 44, 11),
    (49, 10, 54, 2, 15, 0, 0, 47),
    (26, 8, 53, 12, 14, 0, 0, 45),
    (31, 20, 40, 8, 20, 1, 16, 26),
    (53, 10, 42, 9, 20, 0, 0, 26),
    (98, 80, 377, 100, 25, 0, 0, 226),
    (14, 14, 44, 11, 15, 2, 24, 33),
    (35, 18, 58, 33, 11, 2, 10, 25),
    (38, 27, 62, 22, 24, 3, 48, 44),
    (79, 13, 81, 18, 20, 1, 16, 83),
    (96, 67, 247, 57, 24, 1, 32, 228),
    (123, 47, 258, 50, 25, 0, 0, 157),
    (67, 82, 122, 24, 20, 1, 32, 120),
    (56, 22, 117, 30, 26, 0, 0, 152),
    (9, 8, 48, 5, 16, 1, 8, 30),
    (69, 40, 172, 53, 20, 0, 0, 173),
    (28, 11, 38, 12, 14, 1, 16, 14),
    (65, 23, 121, 27, 24, 0, 0, 69),
    (38, 12, 57, 10, 16, 2, 16, 27),
    (51, 46, 163, 58, 20, 1, 32, 53),
    (18, 11, 31, 4, 16, 1, 32, 19),
    (55, 13, 73, 8, 25, 0, 0, 71),
    (8, 13, 35, 14, 18, 1, 16, 28),
    (109, 31, 186, 40, 28, 0, 0, 149),
    (33, 14, 39, 7, 21, 3, 72, 23),
    (82, 21, 159, 37, 26, 0, 0, 85),
    (35, 15, 51, 10, 28, 0, 0, 53),
    (39, 12, 55, 10, 14, 0, 0, 34),
    (23, 10, 35, 4, 21, 1, 16, 20),
    (88, 13, 116, 26, 19, 1, 32, 103),
    (21, 14, 31, 8, 16, 1, 16, 19),
    (81, 20, 105, 16, 24, 0, 0, 78),
    (27, 17, 66, 24, 16, 2, 20, 32),
]
