"""Digit removal: the predicted change is the real one, the graph that comes out is what was asked for, and nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_graph, random_network, random_rows

from hwq.fixed import Overflow, Rounding, TypeArray, to_float
from hwq.ir import Constant, Graph, make_node, verify
from hwq.posttraining.digits import Removal, digits_of
from hwq.posttraining.ranges import retraced
from hwq.posttraining.rebuild import exact, real
from hwq.posttraining.refine import Portions, portions
from hwq.posttraining.statistics import linear_nodes, seen
from hwq.sim.reference import evaluate, evaluate_nodes, quantize_inputs


def network(seed: int = 3) -> Graph:
    return random_network(seed, (8, 6, 5))


@pytest.mark.parametrize("weight", [0.0, 1.0, -0.375, 7.0, 11.5, -100.0])
def test_digits_add_up(weight: float) -> None:
    digits = digits_of(weight)
    assert sum(digits) == weight
    assert all(abs(d).as_integer_ratio()[0].bit_count() == 1 for d in digits)


def test_values_survive_a_change_of_form() -> None:
    values = np.random.default_rng(0).integers(-200, 200, (5, 4)) / 64.0
    assert (real(exact(values)) == values).all()


def test_nothing_removed_is_the_same_network() -> None:
    graph = network()
    inputs = random_rows(graph, 64)
    again = verify(Removal.begin(graph, graph, evaluate_nodes(graph, inputs)).result())
    assert (evaluate(again, inputs) == evaluate(graph, inputs)).all()


def test_the_predicted_error_is_the_measured_one() -> None:
    """e' M e must be the mean squared error of the channel's output with its mean made up for."""
    graph = network()
    inputs = random_rows(graph, 500)
    values = evaluate_nodes(graph, inputs)
    removal = Removal.begin(graph, graph, values)
    node = linear_nodes(graph)[0]
    x = to_float(values[node.inputs[0]], graph[node.inputs[0]].type.frac)
    for channel in removal.channels[node.name]:
        for _ in range(3):
            found = channel.cheapest()
            if found is None:
                break
            before, change = channel.squared_error, channel.changes()[found[1]]
            channel.remove(found[1])
            assert channel.squared_error == pytest.approx(before + change, rel=1e-9, abs=1e-12)
        off = x[:, channel.inputs] @ channel.error
        assert channel.squared_error * channel.unit == pytest.approx(off.var(), rel=1e-9, abs=1e-12)


def test_the_cheapest_digit_goes_first() -> None:
    graph = network()
    removal = Removal.begin(graph, graph, evaluate_nodes(graph, random_rows(graph, 200)))
    every = [c for many in removal.channels.values() for c in many]
    least = min(float((c.changes() / c.bits).min()) for c in every if len(c.value))
    before, digits = removal.bits, removal.digits
    freed = removal.remove(1e-9)
    assert removal.digits == digits - 1 and removal.bits == pytest.approx(before - freed)
    gone = [c for c in every if np.any(c.error)]
    assert len(gone) == 1 and gone[0].squared_error / freed == pytest.approx(least, rel=1e-9)


def test_a_limit_on_the_change_is_kept() -> None:
    graph = network()
    values = evaluate_nodes(graph, random_rows(graph, 200))
    removal = Removal.begin(graph, graph, values)
    assert removal.remove(np.inf, most=-1.0) == 0  # no removal gains anything: the network is its own target
    assert removal.remove(np.inf) > 0 and removal.digits == 0


def test_the_bias_makes_up_for_the_mean() -> None:
    """A constant input: removing its digit changes nothing once the bias has taken its part, rounded to its own step."""
    x = make_node("x", "input", type=TypeArray.of(0, np.full(2, 4), 2))
    kernel = Constant(np.array([[3], [1]]), TypeArray.of(1, np.full((2, 1), 4), 2))
    bias = Constant(np.array([1]), TypeArray.of(1, np.array([8]), 6))
    y = make_node("y", "dense", [x], attrs={"kernel": kernel, "bias": bias})
    graph = verify(Graph((x, y), ("x",), ("y",)))
    inputs = np.stack([np.full(50, 5), np.random.default_rng(0).integers(0, 16, 50)], axis=1)
    removal = Removal.begin(graph, graph, evaluate_nodes(graph, inputs))
    removal.remove(1e-9)
    removal.remove(1e-9)
    after = verify(removal.result())
    assert real(after["y"].constant("kernel"))[0, 0] == 0 and real(after["y"].constant("kernel"))[1, 0] == 0.25
    before, now = (to_float(evaluate(g, inputs), g["y"].type.frac) for g in (graph, after))
    assert (before == now).all()


def test_gradients_order_the_removal_and_repair_lowers_the_loss() -> None:
    graph = network(5)
    values = evaluate_nodes(graph, random_rows(graph, 300))
    rng = np.random.default_rng(1)
    shapes = {n.name: values[n.name].shape for n in linear_nodes(graph)}
    curvature = {name: rng.random(shape) + 0.1 for name, shape in shapes.items()}
    gradient = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    removal = Removal.begin(graph, graph, values, curvature, gradient)

    def loss() -> float:
        """linear' e + e' M e / 2, from the moments alone."""
        every = [c for many in removal.channels.values() for c in many]
        return sum(float(c.moments.linear @ c.error + c.error @ c.moments.second @ c.error / 2) for c in every)

    assert loss() == 0
    moved = removal.repair(10)
    assert moved > 0 and loss() < 0
    verify(removal.result())


def test_a_way_ends_where_moves_run_away() -> None:
    """A gradient that always asks for more of the same doubles the same digits at every portion; no number may pass what floats compute."""
    graph = network(5)

    def derivatives(now: Graph, rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        values = evaluate_nodes(now, quantize_inputs(now, x[rows]))
        real_values = {n.name: to_float(values[n.name], n.type.frac) for n in linear_nodes(now)}
        return {name: -1e6 * value for name, value in real_values.items()}, {
            name: np.full(v.shape, 1e-9) for name, v in real_values.items()
        }

    x = np.random.default_rng(0).uniform(-4, 4, (100, 8)).astype(np.float32)
    settings = Portions(portion=0.001, trust=1.0, moves=5.0, rows=100)
    widths = [
        max(int(n.type.width.max()) for n in now.nodes)
        for now, _ in zip(portions(graph, x, derivatives, settings, np.random.default_rng(0)), range(200), strict=False)
    ]
    assert len(widths) < 200 and max(widths) > 30 and max(widths) <= 52


@pytest.mark.parametrize("seed", range(8))
def test_any_graph_can_lose_digits(seed: int) -> None:
    """Convolutions with groups, einsums with a bias for every place, padding: whatever has weights."""
    graph = random_graph(seed, ops=10)
    inputs = random_rows(graph, 40)
    removal = Removal.begin(graph, graph, evaluate_nodes(graph, inputs))
    total = removal.bits
    freed = removal.remove(total / 2)
    after = verify(removal.result())
    assert freed >= total / 2
    again = Removal.begin(after, after, evaluate_nodes(after, inputs))
    assert again.digits <= removal.digits


def test_what_is_seen_is_the_input_of_every_place() -> None:
    """A convolution's result from `seen` alone equals the reference."""
    graph = next(g for g in (random_graph(s, ops=10) for s in range(100)) if any(n.op == "conv2d" for n in g.nodes))
    node = next(n for n in graph.nodes if n.op == "conv2d")
    values = evaluate_nodes(graph, random_rows(graph, 12))
    wanted = to_float(values[node.name], node.type.frac).reshape(12, -1)
    kernel, bias = (real(node.constant(name)).ravel() for name in ("kernel", "bias"))
    for matrix in seen(graph, node, values):
        block = matrix.block
        y = (matrix.x @ kernel[block.weights]).reshape(len(block.windows), 12, -1) + bias[block.biases][:, None]
        assert (wanted[:, block.outputs].transpose(1, 0, 2) == y).all()


def clipped(overflow: Overflow) -> Graph:
    x = make_node("x", "input", type=TypeArray.of(1, np.full(3, 8), 2))
    kernel = Constant(np.array([[1, 4, 0]] * 3), TypeArray.of(1, np.full((3, 3), 5), 0))
    bias = Constant(np.zeros(3, np.int64), TypeArray.of(0, np.zeros(3), 0))
    dense = make_node("d", "dense", [x], attrs={"kernel": kernel, "bias": bias})
    q = make_node("q", "quantize", [dense], type=TypeArray.of(1, np.array([9, 3, 0]), np.array([1, 0, 0]), overflow=overflow))
    return verify(Graph((x, dense, q), ("x",), ("q",)))


@pytest.mark.parametrize("ends", [(-20, 20), (0, 20), (-20, 1)])
@pytest.mark.parametrize("overflow", list(Overflow))
def test_ranges_grow_only_where_rows_overflow(overflow: Overflow, ends: tuple[int, int]) -> None:
    graph = clipped(overflow)
    inputs = np.random.default_rng(0).integers(*ends, (100, 3))
    after = verify(retraced(graph, inputs))
    before, now = graph["q"].type, after["q"].type
    assert now[0] == before[0] and now[2] == before[2] and now.width[1] > before.width[1] and now.frac[1] == before.frac[1]
    wide = inputs.sum(axis=1)
    assert (evaluate(after, inputs)[:, 1] == wide).all()


def test_ranges_shrink_when_asked() -> None:
    inputs = np.random.default_rng(0).integers(-2, 3, (100, 3))
    after = verify(retraced(clipped(Overflow.WRAP), inputs, narrower=True))
    assert after["q"].type.width[0] < 9
    assert (evaluate(after, inputs)[:, 0] == np.floor(inputs.sum(axis=1) / 2)).all()


def test_a_margin_does_not_widen_what_it_does_not_reach() -> None:
    """Values up to 1 in steps of 1 need one bit, with a margin of 1/8 too: 1.125 rounds to 1."""
    graph = clipped(Overflow.WRAP)
    inputs = np.array([[0, 0, 0], [1, 1, 0], [2, 0, 0]])  # sums of 0 to 2 in steps of 2
    after = verify(retraced(graph, inputs, narrower=True))
    assert after["q"].type.width[0] == 1


def test_a_margin_does_not_wake_what_rounds_to_zero() -> None:
    """15/32 of a step is zero; 9/8 of it would be a step."""
    graph = clipped(Overflow.WRAP)
    q = graph["q"].with_(type=TypeArray.of(1, np.array([9, 3, 0]), np.array([-3, 0, 0]), rounding=Rounding.RND))
    inputs = np.array([[0, 0, 0], [15, 0, 0]])
    after = verify(retraced(graph.with_nodes([*graph.nodes[:-1], q]), inputs, narrower=True))
    assert after["q"].type.width[0] == 0
