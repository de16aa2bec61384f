"""Wires that are computed later than they could be: fewer registers, the same latency, and no stage that takes longer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_network

from hwq.ir import Circuit, CircuitBuilder, Opcode
from hwq.passes.adders.fuse import fuse
from hwq.passes.lower import lower
from hwq.passes.pipeline import _GATE, _placed, _Wires, cut_cost, half_levels, operands_of, register_bits
from hwq.passes.postpone import Postponing, _Work


def early(circuit: Circuit, limit: int) -> Circuit:
    return replace(circuit, stage=_placed(_Wires.of(circuit), [limit]))


def late(circuit: Circuit, limit: int) -> Circuit:
    return Postponing(circuit, half_levels(circuit).tolist(), limit, _GATE).of(circuit)


def longest(circuit: Circuit) -> list[int]:
    """Of each stage: half levels that follow one another in it; every operand is there in time."""
    delay, arrival = half_levels(circuit).tolist(), [0] * len(circuit)
    found = [0] * circuit.latency
    for wire in range(len(circuit)):
        operands = [o for o in operands_of(circuit, wire) if circuit.opcode[o] != Opcode.CONST]
        assert all(circuit.stage[o] <= circuit.stage[wire] for o in operands)
        start = max((arrival[o] for o in operands if circuit.stage[o] == circuit.stage[wire]), default=0)
        arrival[wire] = start + delay[wire] if operands else 0
        found[circuit.stage[wire]] = max(found[circuit.stage[wire]], arrival[wire])
    return found


def test_a_sum_waits_for_its_reader_where_its_operands_are_kept_anyway() -> None:
    builder = CircuitBuilder()
    builder.enter("x")
    a, b = (builder.input(i, 0, 7, 0) for i in range(2))
    both, rest = builder.add(a, b), builder.add(a, b, exponent=2)
    end = builder.add(rest, builder.add(a, b, subtract=True))
    circuit = builder.build([builder.add(end, both)])
    stage = np.array([0, 0, 0, 0, 1, 1, 1], np.int32)
    assert [Opcode(op) for op in circuit.opcode[2:]] == [Opcode.ADD, Opcode.ADD, Opcode.SUB, Opcode.ADD, Opcode.ADD]
    staged = replace(circuit, stage=stage)
    found = late(staged, 6)
    # both of the sums of a and b: with them stand a and b alone before the register
    assert found.stage.tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert register_bits(staged) - register_bits(found) == 4 + 6
    # three levels follow one another then; where a stage takes two, only the last of them may wait
    assert late(staged, 4).stage.tolist() == [0, 0, 1, 0, 1, 1, 1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_stages_stay_within_the_clock(seed: int, levels: int) -> None:
    circuit = lower(random_network(seed, (12, 10, 8, 6)))
    for one in (circuit, fuse(circuit)):
        staged = early(one, 2 * levels)
        found = late(staged, 2 * levels)
        assert found.latency == staged.latency
        assert max(longest(found)) <= max(2 * levels, max(longest(staged)))
        assert cut_cost(found) <= cut_cost(staged)


def test_what_is_counted_wire_by_wire_is_the_cost_of_the_whole() -> None:
    """No single wire of what comes out may go to another of its stages and cost less: the counts of all moves add up."""
    circuit = fuse(lower(random_network(3, (12, 10, 8, 6))))
    found = late(early(circuit, 8), 8)
    least, moved = cut_cost(found), 0
    for wire in np.flatnonzero(found.opcode != Opcode.INPUT).tolist():
        for stage in range(found.stage[wire] + 1, found.latency):
            stages = found.stage.copy()
            stages[wire] = stage
            one = replace(found, stage=stages)
            try:
                fits = max(longest(one)) <= 8
            except AssertionError:
                continue  # a reader comes before it
            moved += fits
            assert not fits or cut_cost(one) >= least
    assert moved > 10


@pytest.mark.parametrize("seed", range(3))
def test_a_round_tells_whether_a_wire_has_moved(seed: int) -> None:
    """The last round of any is the one in which none has."""
    circuit = early(lower(random_network(seed, (12, 10, 8, 6))), 2)
    work = _Work(Postponing(circuit, half_levels(circuit).tolist(), 2, _GATE), circuit.stage.tolist(), circuit.latency)
    told = []
    while not told or (told[-1] and len(told) < 10):
        before = list(work.stage)
        told.append(work.round())
        assert told[-1] is (work.stage != before)
    assert told[0] and not told[-1]
