"""The comparison with a peer counts what differs, and a value that is no integer at its step differs."""

from __future__ import annotations

import numpy as np

from benchmarks.experiments.imports import compared
from hwq.fixed import TypeArray
from hwq.ir import Graph, make_node


def test_every_value_that_differs_is_counted() -> None:
    graph = Graph((make_node("x", "input", type=TypeArray.of(1, [8, 8], 2)),), ("x",), ("x",))
    rows = np.array([[0.25, 1.0], [0.5, -1.0], [2.0, 3.0]], np.float32)
    assert compared(graph, rows, rows.astype(float)).mismatches == 0
    wrong = rows.astype(float)
    wrong[1, 0], wrong[2, 1] = 0.75, 3.0001
    assert compared(graph, rows, wrong).mismatches == 2
