"""Bounds are the least and the greatest value that occurs, on every code of the inputs: wider ones would cost bits everywhere behind them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from every_op import MODES, ops_of_one_input, ops_of_two_inputs

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Circuit, CircuitBuilder, Graph, make_node
from hwq.ir.intervals import Interval
from hwq.passes.lower import lower
from hwq.passes.narrow import intervals
from hwq.sim.reference import evaluate_nodes

Graphs = Callable[[tuple[Rounding, Overflow]], tuple[Graph, np.ndarray]]


def values_of(circuit: Circuit, x: np.ndarray) -> list[np.ndarray]:
    values: list[np.ndarray] = []
    for wire in range(len(circuit)):
        values.append(circuit._evaluate_row(wire, x, values))
    return values


def ends(bounds: Interval, found: np.ndarray, frac: np.ndarray) -> tuple[np.ndarray, ...]:
    """(least, greatest) that the bounds say, and that was found, (elements,) each, at the finer step of the two."""
    fine = np.maximum(bounds.frac.ravel(), frac.ravel())
    told, seen = ((1 << (fine - step.ravel().astype(np.int64))).astype(object) for step in (bounds.frac, frac))
    exact = found.reshape(len(found), -1).astype(object) * seen
    return bounds.low.ravel() * told, bounds.high.ravel() * told, exact.min(0), exact.max(0)


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        pytest.param(make, mode, id=f"{make.__name__}-{mode[0].value}-{mode[1].value}")
        for make, modes in ((ops_of_one_input, MODES[::4]), (ops_of_two_inputs, MODES))
        for mode in modes
    ],
)
def test_bounds_of_every_op(make: Graphs, mode: tuple[Rounding, Overflow]) -> None:
    graph, x = make(mode)
    bounds, found = intervals(graph), evaluate_nodes(graph, x)
    for node in graph.nodes:
        low, high, least, greatest = ends(bounds[node.name], found[node.name], node.type.frac.astype(np.int64))
        assert (low <= least).all() and (greatest <= high).all()
        if mode[1] is not Overflow.WRAP or node.op != "quantize":  # what leaves a type that wraps can be anything
            assert (low == least).all() and (greatest == high).all(), node.name


@pytest.mark.parametrize("make", [ops_of_one_input, ops_of_two_inputs])
@pytest.mark.parametrize("rounding", [Rounding.TRN, Rounding.RND])
def test_bounds_of_every_wire(make: Graphs, rounding: Rounding) -> None:
    graph, x = make((rounding, Overflow.SAT))
    circuit = lower(graph)
    found = values_of(circuit, x)
    assert [int(v.min()) for v in found] == [int(v) for v in circuit.low]
    assert [int(v.max()) for v in found] == [int(v) for v in circuit.high]


@pytest.mark.parametrize(("low", "frac"), [(-1, 2), (0, 0)])
def test_a_leaky_relu_of_what_is_never_negative_has_no_finer_step(low: int, frac: int) -> None:
    x = make_node("x", "input", type=TypeArray.of([int(low < 0)], 3, 0))
    assert make_node("y", "leaky_relu", [x], attrs={"shift": 2}).type.frac.tolist() == [frac]


def test_a_circuit_without_outputs() -> None:
    builder = CircuitBuilder()
    builder.enter("n")
    builder.input(0, 0, 3, 0)
    assert builder.build([]).evaluate(np.zeros((5, 2), np.int64)).shape == (5, 0)


@pytest.mark.parametrize("spread", [10, 30, 50])
def test_a_maximum_of_steps_far_apart(spread: int) -> None:
    """Forty bits brought to the step of the other, by which 64 bits do not hold them any more."""
    x = make_node("x", "input", type=TypeArray.of(1, [[[40], [40]]], [[[0], [spread]]]))
    node = make_node("y", "max_pool2d", [x], attrs={"size": (1, 2), "strides": (1, 2), "pads": (0, 0, 0, 0)})
    rows = np.array([[3 << 37, 5], [-5, -7], [-(1 << 39), (1 << 39) - 1]])
    found = evaluate_nodes(Graph((x, node), ("x",), ("y",)), rows)["y"].ravel().tolist()
    assert found == [max(a << spread, b) for a, b in rows.tolist()]


@pytest.mark.parametrize(("low", "high"), [(-1, 3), (-4, -2), (2, 5)])
def test_a_table_is_read_from_the_least_value_on(low: int, high: int) -> None:
    """Also where the least value is not half of the codes, as a two's complement number has it."""
    builder = CircuitBuilder()
    builder.enter("n")
    entries = list(range(10, 11 + high - low))
    circuit = builder.build([builder.table(builder.input(0, low, high, 0), entries, 0)])
    assert circuit.evaluate(np.arange(low, high + 1)[:, None]).ravel().tolist() == entries
