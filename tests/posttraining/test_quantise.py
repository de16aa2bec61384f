"""Fewer bits without training: what comes out has those bits, and each method is better at what it minimises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwq.fixed import TypeArray
from hwq.ir import Graph, make_node, verify
from hwq.ir.ops import odd_form
from hwq.posttraining.multipoint import multipoint, points
from hwq.posttraining.quantize import Bits, coarse_rows, coarser, per_channel, quantized, quantizer_of, uniform
from hwq.posttraining.rebuild import exact, real
from hwq.posttraining.rounding import adaptive, descend
from hwq.posttraining.sensitivity import answers, by_divergence, by_roundoff, divergence, part_of
from hwq.posttraining.statistics import linear_nodes
from hwq.sim.reference import evaluate, evaluate_nodes


def fine_network(seed: int = 0, sizes: tuple[int, ...] = (10, 8, 4)) -> Graph:
    """Dense layers of random weights of many bits, 12-bit activations."""
    rng = np.random.default_rng(seed)
    nodes = [make_node("x", "input", type=TypeArray.of(1, np.full(sizes[0], 12), 10))]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        w = np.round(rng.normal(0, n**-0.5, (n, m)) * 4096) / 4096
        b = np.round(rng.normal(0, 0.1, m) * 4096) / 4096
        nodes.append(make_node(f"dense_{k}", "dense", [nodes[-1]], attrs={"kernel": exact(w), "bias": exact(b)}))
        if k < len(sizes) - 2:
            nodes.append(make_node(f"relu_{k}", "relu", [nodes[-1]]))
            nodes.append(make_node(f"q_{k}", "quantize", [nodes[-1]], type=TypeArray.of(0, np.full(m, 12), 10)))
    return verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(5).integers(-1024, 1024, (200, 10))


@pytest.mark.parametrize("bits", [2, 3, 4, 7])
def test_weights_have_the_bits_and_one_step_a_channel(bits: int) -> None:
    node = fine_network()["dense_0"]
    kernel = per_channel(node, bits)
    mantissas, frac = odd_form(exact(kernel))
    for j in range(kernel.shape[1]):
        used = mantissas[:, j] != 0
        whole = kernel[:, j] * 2.0 ** int(frac[used, j].max(initial=0))
        assert np.abs(whole).max(initial=0) <= 2 ** (bits - 1) - 1
    errors = [float(((per_channel(node, b) - real(node.constant("kernel"))) ** 2).sum()) for b in (bits, bits + 1)]
    assert errors[1] < errors[0]


def test_activations_lose_low_bits_and_keep_their_range(rows: np.ndarray) -> None:
    fine = fine_network()
    graph = verify(quantized(fine, uniform(fine, 6, 5), rows))
    assert int(graph["x"].type.width.max()) == 5 and int(graph["x"].type.frac.max()) == 3
    assert int(graph["q_0"].type.width.max()) <= 5
    assert coarser(fine["x"].type, 20) == fine["x"].type
    assert quantizer_of(graph, graph["dense_1"]) == "q_0"


def test_many_bits_answer_as_the_fine_network(rows: np.ndarray) -> None:
    fine = fine_network()
    loss = []
    for bits in (3, 5, 8):
        graph = verify(quantized(fine, uniform(fine, bits, bits + 2), rows))
        loss.append(divergence(answers(fine, rows), answers(graph, coarse_rows(fine, graph, rows))))
    assert loss[0] > loss[1] > loss[2] >= 0 and loss[2] < 1e-3


def test_adaptive_rounding_lowers_the_output_error(rows: np.ndarray) -> None:
    fine = fine_network()
    choice = uniform(fine, 3, 10)
    off = []
    for made in (quantized, adaptive):
        graph = verify(made(fine, choice, rows))
        y = answers(graph, coarse_rows(fine, graph, rows))
        off.append(divergence(answers(fine, rows), y))
    assert off[1] < off[0]


def test_descent_ends_where_no_single_change_helps() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    second, w = x.T @ x / 50, rng.normal(size=(6, 3))
    step, limit = np.full((6, 3), 0.5), np.full((6, 3), 1.5)
    start = np.clip(np.round(w / 0.5) * 0.5, -1.5, 1.5)
    q = descend(start, w, step, limit, second)

    def error(v: np.ndarray) -> np.ndarray:
        return np.einsum("nm,nk,km->m", v - w, second, v - w)

    assert (error(q) <= error(start) + 1e-12).all() and (np.abs(q) <= 1.5).all()
    for i in range(6):
        for way in (np.floor, np.ceil):
            other = q.copy()
            other[i] = np.clip(way(w[i] / 0.5) * 0.5, -1.5, 1.5)
            assert (error(other) >= error(q) - 1e-12).all()


def test_every_point_lowers_the_error() -> None:
    w = np.random.default_rng(0).normal(size=64)
    total, errors = points(w, 2, 4)
    ratios = np.array(errors[1:]) / np.array(errors[:-1])
    assert len(errors) == 5 and (ratios < 0.75).all()
    assert np.linalg.norm(w - total) / np.linalg.norm(w) == pytest.approx(errors[-1])
    assert len(points(w, 2, 4, limit=0.3)[1]) < 5
    assert points(np.zeros(4), 2, 3)[1] == [1.0]


def test_multipoint_is_a_network(rows: np.ndarray) -> None:
    fine = fine_network()
    loss = []
    for count in (1, 2, 3):
        graph, told = multipoint(fine, uniform(fine, 2, 10), rows, count=count)
        verify(graph)
        assert set(told) == {"dense_0", "dense_1"} and all(len(e) == count + 1 for many in told.values() for e in many)
        loss.append(divergence(answers(fine, rows), answers(graph, coarse_rows(fine, graph, rows))))
    assert loss[0] > loss[1] > loss[2]


def test_sensitivities_fall_with_bits(rows: np.ndarray) -> None:
    fine = fine_network()
    choices = [Bits(2, 10), Bits(4, 10), Bits(7, 10)]
    for table in (by_divergence(fine, ["dense_0", "dense_1"], choices, rows), by_roundoff(fine, ["dense_0", "dense_1"], choices)):
        assert table.shape == (2, 3) and (np.diff(table, axis=1) < 0).all() and (table >= 0).all()


def test_a_part_computes_what_the_whole_does(rows: np.ndarray) -> None:
    fine = fine_network(sizes=(10, 8, 6, 4))
    graph = verify(quantized(fine, uniform(fine, 4, 6), rows))
    values = evaluate_nodes(graph, coarse_rows(fine, graph, rows))
    ends = {"dense_0": "q_0", "dense_1": "q_1", "dense_2": "dense_2"}
    for node in linear_nodes(graph):
        part = verify(part_of(graph, node.name))
        source = node.inputs[0]
        assert part.outputs == (ends[node.name],)
        got = evaluate(part, values[source].reshape(len(rows), -1))
        assert (got == values[part.outputs[0]].reshape(len(rows), -1)).all()
