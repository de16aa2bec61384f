"""Sums whose terms cancel, which only the whole of them tells: differences of equals, read again with factors of any size."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_constant, random_rows

from hwq import boards
from hwq.fixed import TypeArray
from hwq.ir import Graph, make_node, verify
from hwq.passes import optimise
from hwq.passes.compiling import circuit_of
from hwq.sim.reference import evaluate

BOARD = boards.load("xcvu9p")  # sums of three


def cancelling(seed: int) -> Graph:
    """x - x and x + (x - x), each alone and together behind weights of 4 to 50 bits, many rows of one element each."""
    rng = np.random.default_rng(seed)
    x = make_node("x", "input", type=TypeArray.of([[0], [1], [0]], rng.integers(1, 9, (3, 1)), rng.integers(-1, 3, (3, 1))))
    zero = make_node("zero", "subtract", [x, x])
    same = make_node("same", "add", [zero, x])
    nodes, ends = [x, zero, same], []
    for number, sources in enumerate(([zero], [same], [zero, same])):
        for source in sources:
            bits = int(rng.choice([4, 20, 50]))
            attrs = {"kernel": random_constant(rng, (1, 2), bits, 0), "bias": random_constant(rng, (2,), 3, float(rng.integers(2)))}
            nodes.append(make_node(f"dense_{len(nodes)}", "dense", [source], attrs=attrs))
        if number == 2:
            nodes.append(make_node("both", "subtract", nodes[-2:]))
        ends.append(nodes[-1].name)
    return verify(Graph(tuple(nodes), ("x",), tuple(ends)))


@pytest.mark.parametrize("seed", range(12))
def test_what_cancels_is_zero(seed: int) -> None:
    graph = cancelling(seed)
    rows = random_rows(graph, 60)
    optimised = optimise(graph)
    found = circuit_of(optimised, BOARD, BOARD.default_clock).evaluate(rows)
    assert (found == evaluate(optimised, rows)).all() and (evaluate(optimised, rows) == evaluate(graph, rows)).all()
