"""Where a pipeline is cut: no more stages than the longest chain asks for, and few registers among the cuts that leave as many."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from networks import random_network

from hwq.ir import Circuit, CircuitBuilder
from hwq.passes.lower import lower
from hwq.passes.pipeline import _GATE, _placed, _Wires, cut_cost, half_levels, pipeline, register_bits
from hwq.passes.postpone import Postponing


def funnel(levels: int) -> Circuit:
    """Two narrow inputs, widened by `levels` doublings in a row of their sum: the cheapest place to cut is at the inputs."""
    builder = CircuitBuilder()
    builder.enter("x")
    a, b = builder.input(0, 0, 1, 0), builder.input(1, 0, 1, 0)
    wire = builder.add(a, b)
    for _ in range(levels - 1):
        wire = builder.add(wire, builder.add(wire, a, exponent=3, subtract=True))
    return builder.build([wire])


def test_a_cut_moves_to_where_few_bits_cross() -> None:
    circuit = funnel(3)  # five adders in a row
    assert [_placed(_Wires.of(circuit), [8]).max(), pipeline(circuit, 4).stage.max()] == [1, 1]
    early = replace(circuit, stage=_placed(_Wires.of(circuit), [8]))
    cut = pipeline(circuit, 4)
    # the last of five adders stands behind the first cut; behind the best one stand four, fed by two narrow wires
    assert register_bits(cut) < register_bits(early)
    assert (cut.stage > 0).sum() == 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_cheaper_and_no_more_stages(seed: int, levels: int) -> None:
    circuit = lower(random_network(seed, (12, 10, 8, 6)))
    early = replace(circuit, stage=_placed(_Wires.of(circuit), [2 * levels]))
    cut = pipeline(circuit, levels)
    assert cut.latency == early.latency
    assert cut_cost(cut) <= cut_cost(early)


@pytest.mark.parametrize("seed", [1, 13])
def test_no_other_cut_is_cheaper(seed: int) -> None:
    """By exhaustion, on networks of which several stages must be shorter than they could."""
    circuit = lower(random_network(seed, (12, 10, 8, 6)))
    cut, wires = pipeline(circuit, 3), _Wires.of(circuit)
    every = itertools.product(range(1, 7), repeat=cut.latency - 1)
    early = (replace(circuit, stage=_placed(wires, [*limits, 6])) for limits in every)
    late = Postponing(circuit, wires.delay, 6, _GATE)
    tried = (late.of(one) for one in early)
    assert cut_cost(cut) == min(cut_cost(one) for one in tried if one.latency == cut.latency)


def test_registers_are_counted_as_kept() -> None:
    """A wire of 3 bits kept for two stages and read at both, one of 5 bits at the output register."""
    builder = CircuitBuilder()
    builder.enter("x")
    x = builder.input(0, 0, 7, 0)
    y = builder.add(x, builder.add(x, x))
    circuit = replace(builder.build([y]), stage=np.array([0, 1, 2], np.int32))
    assert register_bits(circuit) == 2 * 3 + 4 + 5


def test_half_levels_of_every_operation() -> None:
    """As the module's docstring has them."""
    builder = CircuitBuilder()
    builder.enter("n")
    a, b, wide = builder.input(0, -8, 7, 0), builder.input(1, 0, 7, 0), builder.input(2, 0, 127, 0)
    made = {
        builder.add(a, b): 2,
        builder.add(b, b, exponent=3): 0,  # no bit in common
        builder.sum_of([(a, 0, 1), (b, 0, 1), (wide, 1, -1)], -300, 300, 0): 2,
        builder.sum_of([(b, 0, -1)], -7, 0, 0): 2,
        builder.clamp(a, -2, 3): 2,
        builder.clamp(a, 0, 7): 1,
        builder.clamp(a, 0, 5): 2,
        builder.extreme(a, b, 0): 3,
        builder.extreme(a, b, 0, least=True): 3,
        builder.multiply(a, b): 6,  # three bits: a tree of two levels of adders, and one
        builder.multiply(wide, a): 6,
        builder.multiply(wide, wide): 8,
        builder.table(b, range(8), 0): 1,
        builder.table(builder.wrap(wide, 0, 63), range(64), 0): 1,
        builder.table(wide, range(128), 0): 2,
        builder.shift(a, 1): 0,
        builder.wrap(a, 0, 3): 0,
        a: 0,
    }
    circuit = builder.build(list(made))
    found = half_levels(circuit)
    assert [int(found[wire]) for wire in circuit.outputs] == list(made.values())
