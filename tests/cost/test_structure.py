"""Counting a circuit bit by bit: what Yosys 0.70 was seen to make of each small module; the trees of layers; prices from them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from networks import random_network

from hwq import boards
from hwq.codegen.build import build
from hwq.cost.bits import bit_view
from hwq.cost.experiment import GROUPS, trial, trials
from hwq.cost.features import VERSION, features
from hwq.cost.layer_bits import LayerBits, layer_bits, meetings, shared_bits, tree_bits
from hwq.cost.paths import paths
from hwq.cost.prices import linear_cost, prices_from, within
from hwq.cost.structure import structure
from hwq.cost.tables import lookup_tables, multiplexers, truth_tables
from hwq.ir import Circuit, CircuitBuilder
from hwq.passes.pipeline import register_bits

SIGNED, UNSIGNED = (-128, 127), (0, 255)


def circuit(a: tuple[int, int], b: tuple[int, int], *more: object, registered: bool = False) -> Circuit:
    """What the steps `more`, (method of the builder, arguments), make of two inputs; wires 0 and 1 are the inputs."""
    builder = CircuitBuilder()
    builder.enter("x")
    wires = [builder.input(0, *a, 0), builder.input(1, *b, 0)]
    for step in more:
        name, operands, options = step  # type: ignore[misc]
        wires.append(getattr(builder, name)(*(wires[o] if isinstance(o, int) else o[0] for o in operands), **options))
    made = builder.build([wires[-1]])
    return made


def add(a: int, b: int, exponent: int = 0, *, subtract: bool = False) -> tuple[object, ...]:
    return ("add", (a, b), {"exponent": exponent, "subtract": subtract})


def relu(wire: int) -> tuple[object, ...]:
    return ("clamp", (wire, [0], [1 << 20]), {})


@pytest.mark.parametrize(
    ("bounds", "step", "lut", "carry"),
    [
        ((SIGNED, SIGNED), add(0, 1), 8, 3),  # the sign extensions of both meet twice, and are one LUT
        ((SIGNED, SIGNED), add(0, 1, subtract=True), 9, 3),  # its lowest bit is apart from the chain
        ((SIGNED, SIGNED), add(0, 1, 2), 8, 3),  # two bits bypass
        ((SIGNED, (-4, 3)), add(0, 1), 8, 3),  # a narrow one goes on upwards with its sign
        ((UNSIGNED, (0, 7)), add(0, 1), 3, 3),  # without a sign it does not
        (((0, 31), (0, 31)), add(0, 1, 3), 2, 2),
        (((-2, 1), (-2, 1)), add(0, 1), 2, 1),
    ],
)
def test_adders_are_what_yosys_makes_of_them(
    bounds: tuple[tuple[int, int], tuple[int, int]], step: tuple[object, ...], lut: int, carry: int
) -> None:
    found = structure(circuit(*bounds, step))
    assert (found["pair_bits"] + found["short_bits"], found["carry4_cells"]) == (lut, carry)


def test_two_bits_are_no_chain() -> None:
    found = structure(circuit((0, 1), (0, 1), add(0, 1)))
    assert found["short_bits"] == 2 and found["pair_bits"] == found["carry4_cells"] == 0


def test_constants_and_negations_take_no_lut() -> None:
    builder = CircuitBuilder()
    builder.enter("x")
    x = builder.input(0, *SIGNED, 0)
    five = builder.add(x, builder.constant(5, 0))
    minus = builder.add(builder.constant(0, 0), x, subtract=True)
    found = structure(builder.build([five, minus]))
    assert found["pair_bits"] == found["short_bits"] == 0 and found["carry4_cells"] == 6


def test_a_relu_needs_gates_only_where_nothing_takes_it_in() -> None:
    alone = structure(circuit(SIGNED, SIGNED, relu(0)))
    assert alone["relu_bits"] == 7 and alone["relu_gates"] == 0  # the register of the output resets
    added = structure(circuit(SIGNED, UNSIGNED, relu(0), add(2, 1)))
    assert added["relu_gates"] == 7 and added["relu_subtracted"] == 0
    # what is subtracted is masked in the LUT of the subtraction
    taken = structure(circuit(SIGNED, UNSIGNED, relu(0), add(1, 2, subtract=True)))
    assert taken["relu_gates"] == 0 and taken["relu_subtracted"] == 7


def test_bits_that_nothing_reads_cost_nothing() -> None:
    """Rounding away three bits of a relu: an adder keeps them all; without it they go."""
    cut = structure(circuit(SIGNED, SIGNED, relu(0), ("shift", (2, [3]), {})))
    assert cut["relu_bits"] == 4 and cut["ff_bits"] == 4
    rounded = structure(circuit(SIGNED, SIGNED, relu(0), ("constant", ([4], [0]), {}), add(2, 3), ("shift", (4, [3]), {})))
    assert rounded["relu_bits"] == 7


def test_equal_bits_are_not_chosen() -> None:
    x, y = (0, 15), (0, 15)
    high = structure(circuit(x, y, ("shift", (0, [-2]), {}), ("shift", (1, [-2]), {}), ("extreme", (2, 3, [0]), {})))
    assert high["choice_bits"] == high["compare_bits"] == 4  # the zeros below are both operands'


@pytest.mark.parametrize("seed", range(4))
def test_registers_are_those_of_the_verilog_that_are_read(seed: int) -> None:
    made = build(random_network(seed, (8, 12, 10, 4)), boards.load("xcvu9p"))
    view = bit_view(made.circuit)
    assert len(view.bits) == len(made.circuit)
    assert [len(b) for b in view.bits] == made.circuit.widths.tolist()
    assert 0 < view.register_bits <= register_bits(made.circuit)
    found = features(made.graph, made.circuit)
    assert found["ff_bits"] == view.register_bits and found["counted"] == VERSION
    assert all(value >= 0 for value in found.values())


def test_tables_fall_apart_into_lookup_tables() -> None:
    index = np.arange(256)
    parity = truth_tables([int(v).bit_count() & 1 for v in index], 0, 8, 1)
    assert lookup_tables(parity, 6) == 1 and multiplexers(parity, 6) == 3  # a part and its complement
    assert lookup_tables(truth_tables(list(range(16)), 0, 4, 4), 6) == 0  # every bit is an input
    assert lookup_tables(truth_tables([0, 1, 1, 1], -2, 2, 1), 6) == 1
    signed = truth_tables([5, 6, 7, 4], -2, 2, 3)  # -2 and -1 are the codes 2 and 3
    assert [int(sum(signed[k, code] << k for k in range(3))) for code in (2, 3, 0, 1)] == [5, 6, 7, 4]


def layer(weights: list[list[int]], inputs: int = 8, *, signed: bool = False) -> LayerBits:
    w = np.array(weights, np.int64)
    n = w.shape[0]
    zeros = np.zeros(n, np.int64)
    return LayerBits("d", "d", w, np.zeros_like(w), np.full(n, inputs), zeros, np.full(n, signed))


def test_trees_of_columns() -> None:
    assert tree_bits(layer([[1]])) == 0
    assert tree_bits(layer([[1], [1]])) == 8
    assert tree_bits(layer([[1, 0], [1, 1]])) == 8  # the second column is a wire
    assert tree_bits(layer([[1], [1], [1]])) == 8 + 8
    assert tree_bits(replace(layer([[1], [1]]), positions=np.array([[3], [0]]))) == 5
    assert tree_bits(replace(layer([[1], [1]], signed=True), positions=np.array([[3], [0]]))) == 8  # goes on with its sign


def test_what_columns_share_is_taken_off() -> None:
    one, many = layer([[1]] * 8), layer([[1] * 8] * 8)
    assert meetings(many) > meetings(one)
    assert shared_bits(many) < 8 * shared_bits(one)


def test_prices_add_up_to_what_the_model_says() -> None:
    """The layer's adders cost as much as the model says, and each input its relu besides."""
    (found,) = layer_bits(random_network(5, (12, 6)))
    price = prices_from({"net_adder_bits": 0.9, "net_relu_bits": 0.25}, [found])[found.source]
    counts = {
        "ebops": float((found.weights * found.inputs[:, None] * found.present).sum()),
        "weight_bits": float((found.weights * found.present).sum()),
        "activation_bits": float(found.inputs.sum()),
    }
    relu = 0.25 * counts["activation_bits"]
    assert linear_cost({"d": price}, {"d": counts}) == pytest.approx(0.9 * shared_bits(found) + relu, rel=1e-9)
    lone = prices_from({"net_adder_bits": 0.9}, [layer([[1, 0], [0, 1]])])["d"]
    assert lone == {"ebops": 0.9, "weight_bits": 0.9, "activation_bits": 0.0}


def test_prices_move_within_their_trust_region() -> None:
    old = {"a": {"ebops": 1.0, "weight_bits": 0.0}}
    new = {"a": {"ebops": 9.0, "weight_bits": 2.0}, "b": {"ebops": 3.0}}
    assert within(old, new) == {"a": {"ebops": 1.5, "weight_bits": 2.0}, "b": {"ebops": 3.0}}
    assert within(None, new) == new
    assert within({"a": {"ebops": 1.0}}, {"a": {"ebops": 0.1}})["a"]["ebops"] == pytest.approx(1 / 1.5)


def test_clocked_ways_are_those_between_registers() -> None:
    """The clock that tools report is that from register to register: the longest way of all, in the first stage, does not count."""
    chain = [add(0, 1), add(2, 1), add(3, 1), ("clamp", (4, [-64], [63]), {}), add(0, 5)]
    made = circuit(SIGNED, SIGNED, *chain)

    def staged(*stages: int) -> dict[str, float]:
        found = paths(replace(made, stage=np.array(stages, np.int32)))
        return {name: found[name] for name in ("clocked_levels", "clocked_carries")}

    widths = made.widths
    assert staged(0, 0, 0, 0, 0, 0, 0) == {"clocked_levels": 0.0, "clocked_carries": 0.0}
    assert staged(0, 0, 0, 0, 0, 0, 1) == {"clocked_levels": 1.0, "clocked_carries": widths[6]}
    # two additions, or a saturation, which steers all its bits, and one
    assert staged(0, 0, 0, 1, 1, 2, 2) == {"clocked_levels": 3.0, "clocked_carries": widths[6]}
    assert staged(0, 0, 0, 1, 1, 1, 1) == {"clocked_levels": 5.0, "clocked_carries": widths[3] + widths[4] + widths[6]}


def test_the_experiment_is_the_same_for_everybody_and_spans_every_kind_early() -> None:
    first = list(itertools.islice(trials(20), 12))
    assert {t.group for t in first} == set(GROUPS)
    again = trial("matrix", 3)
    from hwq.ir import digest

    assert digest(again.graph) == digest(trial("matrix", 3).graph) != digest(trial("matrix", 4).graph)
