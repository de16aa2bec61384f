"""Random graphs with extreme types in every evaluator: a hundred here, two thousand in the slow sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import GROWN
from random_graphs import Batch, Tally, extreme_graph, native, prove

from hwq.ir import OPS, Graph

ROWS = 48


def graphs(seeds: range, widest: int = 63, spread: int = 100) -> list[Graph]:
    return [extreme_graph(seed, widest, spread) for seed in seeds]


def test_the_generator_reaches_every_op_and_the_ends_of_the_types() -> None:
    found = graphs(range(100))
    assert {node.op for graph in found for node in graph.nodes} == set(OPS) == {"input", *GROWN}
    types = [t for graph in found for node in graph.nodes for t in node.type]
    assert {0, 1, 2, 31, 32, 33, 63} <= {t.width for t in types} and max(t.width for t in types) > 128
    assert min(t.frac for t in types) < -80 and max(t.frac for t in types) > 80
    quantised = {(node.type.rounding, node.type.overflow) for graph in found for node in graph.nodes if node.op == "quantize"}
    assert len(quantised) == 9


def test_a_hundred_graphs_in_python(tmp_path: Path) -> None:
    tally = Tally()
    prove(Batch.of(graphs(range(100)), ROWS), tmp_path, tally, ("lowered", "circuit"))
    assert tally.cases == {"optimised": 100, "lowered": 100, "circuit": 100}, str(tally)


def test_graphs_in_compiled_evaluators(tmp_path: Path) -> None:
    """Those of the hundred with wires of up to 128 bits in the emulator, some in each of the others."""
    tally = Tally()
    found = graphs(range(100))
    prove(Batch.of(native(found), ROWS), tmp_path, tally, ("emulator",))
    prove(Batch.of(found[::20], ROWS), tmp_path / "a", tally, ("csim",))
    prove(Batch.of(found[3::16], ROWS), tmp_path / "b", tally, ("adders", "rtl"))
    prove(Batch.of(graphs(range(1000, 1005), 10, 6), ROWS), tmp_path / "c", tally, ("netlist", "csim"), terms=2)
    assert tally.cases["emulator"] > 50 and min(tally.cases.values()) >= 5, str(tally)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 2000, 100))
def test_two_thousand_graphs(start: int, tmp_path: Path) -> None:
    tally = Tally()
    found = graphs(range(10_000 + start, 10_100 + start))
    prove(Batch.of(found, 200), tmp_path, tally, ("lowered", "circuit"))
    prove(Batch.of(native(found), 1000), tmp_path, tally, ("emulator",))
    prove(Batch.of(found[::5], 200), tmp_path / "a", tally, ("csim",), terms=1 + start // 100 % 3)
    prove(Batch.of(found[1::4], 200), tmp_path / "b", tally, ("adders",))
    prove(Batch.of(found[2::4], 200), tmp_path / "c", tally, ("rtl",))
    prove(Batch.of(graphs(range(50_000 + start, 50_010 + start), 12, 20), 200), tmp_path / "d", tally, ("netlist",))
    print(tally)
