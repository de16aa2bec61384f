"""A Graph in Keras' operations: the same integers as the reference, and derivatives that a finite difference confirms."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_graph, random_network

from hwq.backend import ops
from hwq.conversion.graph_model import GraphModel
from hwq.errors import ModelError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node
from hwq.sim.reference import predict


@pytest.mark.parametrize("seed", range(24))
def test_every_operation_equals_the_reference(seed: int) -> None:
    graph = random_graph(seed, list(Rounding)[seed % 3], list(Overflow)[seed // 3 % 3])
    if len(graph.inputs) != 1:
        graph = random_network(seed, skip=True)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-40, 40, (40, graph.input_size)) * rng.choice([0.1, 1], (40, 1))
    assert (GraphModel.of(graph).logits(x) == predict(graph, x)).all()


def test_numbers_that_no_float_holds_are_refused() -> None:
    x = make_node("x", "input", type=TypeArray.of(1, np.full(2, 40), 0))
    kernel = Constant(np.full((2, 1), (1 << 14) - 1), TypeArray.of(1, np.full((2, 1), 16), 20))
    bias = Constant(np.zeros(1, np.int64), TypeArray.of(0, np.zeros(1), 0))
    y = make_node("y", "dense", [x], attrs={"kernel": kernel, "bias": bias})
    with pytest.raises(ModelError, match="numbers of"):
        GraphModel.of(Graph((x, y), ("x",), ("y",)))


def test_derivatives_are_those_of_the_cross_entropy() -> None:
    """Against finite differences of a network whose quantisers let everything through."""
    graph = random_network(2, (4, 3))
    model = GraphModel.of(graph)
    x, y = np.random.default_rng(0).uniform(-2, 2, (6, 4)), np.arange(6) % 3
    name = graph.outputs[0]
    gradient, curvature = model.derivatives(x, y)

    def loss(row: int, column: int, by: float) -> float:
        shift = np.zeros((6, 3))
        shift[row, column] = by
        told = ops.log_softmax(model.values(ops.convert_to_tensor(x), shifts={name: ops.convert_to_tensor(shift)})[name])
        return -float(ops.convert_to_numpy(told)[row, y[row]])

    for row in range(6):
        for column in range(3):
            slope = (loss(row, column, 1e-5) - loss(row, column, -1e-5)) / 2e-5
            assert gradient[name][row, column] == pytest.approx(slope, abs=1e-6)
    logits = predict(graph, x)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    # of a softmax the Gauss-Newton matrix is exact: its diagonal is p (1 - p)
    assert np.allclose(curvature[name], chances * (1 - chances))


def test_without_labels_the_gradient_is_zero() -> None:
    graph = random_network(4)
    gradient, curvature = GraphModel.of(graph).derivatives(np.random.default_rng(0).uniform(-2, 2, (5, 8)))
    assert not any(g.any() for g in gradient.values()) and any(c.any() for c in curvature.values())
