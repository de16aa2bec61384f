"""Sums of sums, shared, shifted, subtracted and with constants: what `fuse` makes of them is worth the same, and costs what it did."""

from __future__ import annotations

import numpy as np

from hwq.ir import Circuit, CircuitBuilder, Opcode
from hwq.ir.circuit import SIGNS
from hwq.passes.adders.fuse import fuse
from hwq.passes.adders.row import row_of
from hwq.passes.pipeline import half_levels, operands_of

INPUTS = 5


def sums_of_sums(seed: int) -> tuple[Circuit, np.ndarray]:
    """A dozen sums of inputs, constants and each other, in several nodes, with ReLUs, maxima and shifts between; and values of the inputs."""
    rng = np.random.default_rng(seed)
    builder = CircuitBuilder()
    builder.enter("n")
    ends, wires = [], []
    for place in range(INPUTS):
        width = int(rng.integers(1, 6))
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
        elif kind < 5:
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


# half look-up tables, and half levels to all outputs together, of the first eighty; fewer are better
FIGURES = [
    (38, 15),
    (59, 32),
    (50, 14),
    (52, 16),
    (67, 20),
    (62, 10),
    (109, 28),
    (40, 14),
    (122, 29),
    (36, 20),
    (21, 13),
    (76, 28),
    (94, 23),
    (68, 27),
    (19, 7),
    (58, 13),
    (35, 6),
    (30, 14),
    (81, 32),
    (39, 20),
    (62, 28),
    (93, 27),
    (24, 5),
    (55, 16),
    (51, 16),
    (34, 7),
    (71, 23),
    (69, 11),
    (51, 14),
    (38, 8),
    (33, 19),
    (61, 10),
    (98, 80),
    (26, 7),
    (35, 18),
    (38, 15),
    (79, 13),
    (81, 33),
    (127, 42),
    (89, 33),
    (67, 25),
    (18, 16),
    (76, 23),
    (68, 22),
    (65, 23),
    (46, 12),
    (51, 46),
    (68, 17),
    (87, 31),
    (14, 8),
    (64, 24),
    (24, 13),
    (94, 31),
    (70, 26),
    (39, 12),
    (60, 26),
    (82, 16),
    (50, 12),
    (32, 10),
    (70, 42),
    (23, 8),
    (57, 32),
    (39, 12),
    (58, 19),
    (56, 11),
    (23, 6),
    (136, 34),
    (77, 38),
    (52, 17),
    (75, 12),
    (42, 17),
    (122, 20),
    (58, 17),
    (82, 25),
    (46, 12),
    (71, 18),
    (154, 35),
    (87, 46),
    (49, 21),
    (80, 37),
]


def test_sums_of_sums() -> None:
    found = []
    for seed in range(80):
        before, x = sums_of_sums(seed)
        after = fuse(before)
        assert (after.evaluate(x) == before.evaluate(x)).all(), seed
        assert max(depth(after)) <= max(depth(before)), seed
        found.append((cost(after), sum(depth(after))))
    assert found == FIGURES
