"""The trace of layers: its floats are the network without quantisers, its integers the reference's, and it counts what overflows."""

from __future__ import annotations

import numpy as np
import pytest
from every_op import MODES, ops_of_one_input, ops_of_two_inputs
from networks import random_network

import hwq
from hwq.errors import DataError
from hwq.fixed import Overflow, Rounding, TypeArray, to_float
from hwq.ir import Graph, make_node, verify
from hwq.sim.floats import evaluate_floats
from hwq.sim.reference import evaluate_nodes
from hwq.sim.trace import trace


@pytest.mark.parametrize("mode", MODES[::4])
def test_floats_that_round_everywhere_are_the_reference(mode: tuple[Rounding, Overflow]) -> None:
    """Every op in floats means what it means in integers, once all quantisers are on."""
    for graph, rows in (ops_of_one_input(mode), ops_of_two_inputs(mode)):
        rows = rows[:: max(1, len(rows) // 300)]
        frac = np.concatenate([graph[name].type.frac.ravel() for name in graph.inputs])
        wanted = evaluate_nodes(graph, rows)
        found = evaluate_floats(graph, to_float(rows, frac), {node.name for node in graph.nodes})
        for node in graph.nodes:
            assert (found[node.name] == to_float(wanted[node.name], node.type.frac)).all(), node.name


def small(rounding: Rounding = Rounding.RND, overflow: Overflow = Overflow.SAT) -> Graph:
    x = make_node("x", "input", type=TypeArray.of(1, [8, 8], 4, Rounding.RND, Overflow.SAT))
    q = make_node("q", "quantize", [x], type=TypeArray.of([1, 0], [4, 0], [2, 0], rounding, overflow), source="first")
    s = make_node("s", "add", [q, x], source="second")
    return verify(Graph((x, q, s), ("x",), ("s",)))


@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
def test_overflows_are_counted_by_element(overflow: Overflow) -> None:
    """Of s4.2, from -2 to 1.75: 1.9 rounds to 2; an element of no bits is meant to be zero; the input holds -8 to 7.9375."""
    found = trace(small(overflow=overflow), [[1.9, 5.0], [1.8, 0.0], [-2.1, 9.0], [-9.0, -20.0]])
    assert found["q"].overflows is not None and found["q"].overflows.tolist() == [2, 0]  # 1.9 and -8
    assert found["x"].overflows is not None and found["x"].overflows.tolist() == [1, 2]
    assert found["q"].overflowed == 2 and found["s"].overflows is None


def test_values_stand_side_by_side() -> None:
    found = trace(small(), [[0.3, 0.0], [1.0, 0.0], [-3.0, 0.5]])
    worst = found["q"].worst()
    assert [(v.row, v.element) for v in worst] == [(2, 0), (0, 0), (1, 0)]
    assert (worst[0].exact, worst[0].quantized, worst[0].integer) == (-3.0, -2.0, -8)
    assert found["q"].integers.tolist() == [[1, 0], [4, 0], [-8, 0]] and found["first"] is found["q"]
    assert found["q"].rms == pytest.approx(np.sqrt((0.05**2 + 1 + 0.5**2) / 6))
    assert found["x"].own == pytest.approx(np.sqrt(0.0125**2 / 6)) and found["s"].own is None
    floats, quantized = found["q"].histograms()
    assert floats.edges == quantized.edges and sum(floats.counts) == sum(quantized.counts) == 6
    with pytest.raises(KeyError, match="nodes: x, q, s"):
        found["none"]


def test_alone_counts_the_answers_that_one_quantiser_changes() -> None:
    """Both outputs are close together, and only the coarse one of the two quantisers moves them over each other."""
    x = make_node("x", "input", type=TypeArray.of(1, [12, 12], 8, Rounding.RND, Overflow.SAT))
    q = make_node("q", "quantize", [x], type=TypeArray.of(1, [4, 12], [0, 8], Rounding.TRN, Overflow.SAT))
    found = trace(verify(Graph((x, q), ("x",), ("q",))), [[1.75, 1.5], [3.0, 0.5], [0.25, 0.5], [2.9, 2.5]])
    assert found["q"].alone == 2 and found["x"].alone == 0 and found.changed == 2
    assert "2 of 4 rows have another greatest output" in str(found)


def test_a_network_without_loss_is_exact() -> None:
    graph = small(Rounding.TRN)
    found = trace(graph, [[0.25, 0.0], [-1.5, 0.0]])
    assert found["q"].decibels == np.inf and found["q"].to_json()["error"] == {"rms": 0.0, "max": 0.0, "db": None}
    assert " exact " in str(found).splitlines()[2]


def test_weights_are_told_by_their_bits() -> None:
    graph = random_network(1, (5, 4, 3))
    weights = trace(graph, np.zeros((2, 5)))["dense_0"].weights
    kernel = graph["dense_0"].constant("kernel")
    assert weights is not None and weights.count == 20 and weights.zeros == 20 - kernel.nonzero
    assert sum(weights.bits.values()) == kernel.nonzero == sum(weights.histogram.counts)


def test_no_rows_are_an_error() -> None:
    with pytest.raises(DataError) as caught:
        trace(small(), np.zeros((0, 2)))
    assert caught.value.hint


def test_a_design_is_laid_beside_its_float_model() -> None:
    import keras

    x = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="relu", name="hidden"), keras.layers.Dense(2)])
    twin = hwq.quantize(model, data=x)
    design = hwq.compile(twin, data=x)
    found = design.trace(x, model)
    hidden, wanted = found["hidden"], np.maximum(x @ model.layers[0].get_weights()[0] + model.layers[0].get_weights()[1], 0)
    told = next(one for one in found.layers if one.op == "relu")
    assert told.original is not None and np.allclose(told.original, wanted, atol=1e-5) and hidden.original is None
    assert told.original_decibels is not None and 10 < told.original_decibels < told.decibels + 60
    last = found.layers[-1]
    assert last.original is not None and (last.quantized == design.predict(x)).all()
    assert design.trace(x).layers[-1].original is None
