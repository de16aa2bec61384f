"""Random Keras models: the twin, its frozen form, the integer reference and every evaluator of the design answer alike, in every bit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from layer_harness import wide_rows
from random_graphs import Batch, Tally, prove
from random_models import random_model

import hwq
from hwq.boards import load
from hwq.conversion import freeze
from hwq.frontend.keras import from_keras
from hwq.ir import FLOAT64_BITS, Graph
from hwq.passes import optimise
from hwq.passes.compiling import circuit_of
from hwq.passes.lower import lower
from hwq.sim.emulator import emulator
from hwq.sim.reference import predict
from hwq.train.finish import FLOAT32_BITS

FAST, SLOW, PORTION = 6, 502, 8
BOARD = load("xcvu9p")


def check(seed: int, *, emulated: bool = True) -> Graph | None:
    """One model; its graph, or None where its numbers are too wide for Keras to compute them exactly.

    On the rows that its ranges come from, the twin answers as its design does wherever float32 holds the numbers.
    """
    made = random_model(seed)
    twin = hwq.quantize(made.model, made.config, data=made.rows)
    exact = freeze.freeze(twin, made.rows, 1.125, "float64")
    graph = from_keras(exact)[0]
    if graph.widest > FLOAT64_BITS:
        return None
    rows = wide_rows(made.rows)[:200]
    want = predict(graph, rows)
    got = freeze.outputs(exact, rows).reshape(want.shape)
    assert (got == want).all(), f"model {seed}: frozen Keras and graph differ in {(got != want).sum()} of {want.size} values"
    if graph.widest <= FLOAT32_BITS and not saturates(twin):
        own, wanted = freeze.outputs(freeze.without_softmax(twin), made.rows), predict(graph, made.rows)
        assert (own.reshape(wanted.shape) == wanted).all(), (
            f"model {seed}: the twin differs in {(own.reshape(wanted.shape) != wanted).sum()}"
        )
    if not emulated:
        return graph
    optimised = optimise(graph)
    hardware = emulator(optimised, circuit_of(optimised, BOARD, BOARD.default_clock)).predict(rows)
    assert (hardware == want).all(), f"model {seed}: emulator and graph differ in {(hardware != want).sum()} values"
    return graph


def smallest(graphs: Iterable[Graph | None], count: int) -> list[Graph]:
    """Those of fewest multiplications and additions, which compile in seconds."""
    return sorted((g for g in graphs if g is not None), key=lambda g: len(lower(optimise(g))))[:count]


def saturates(twin: Any) -> bool:
    """Whether the design cuts values off that the twin lets pass: differences that reach the softmax's table below -16."""
    return any(quantizer.most_integer is not None for quantizer in freeze.quantizers(twin))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))


@pytest.mark.filterwarnings("ignore")
def test_random_models_answer_alike(tmp_path: Path) -> None:
    # compiling the emulator takes as long as all the rest
    found = [check(seed, emulated=seed % 5 == 0) for seed in range(FAST)]
    tally = Tally({"keras": sum(graph is not None for graph in found)})
    prove(Batch.of(smallest(found, 2), 48), tmp_path, tally, ("circuit", "adders", "netlist"))
    assert tally.cases["keras"] > FAST // 2 and tally.cases["netlist"] == 2, str(tally)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", range(FAST, SLOW, PORTION))
def test_many_random_models_answer_alike(start: int, tmp_path: Path) -> None:
    found = [check(seed) for seed in range(start, start + PORTION)]
    tally = Tally({"keras": sum(graph is not None for graph in found)})
    prove(Batch.of(smallest(found, 2), 100), tmp_path, tally, ("circuit", "csim", "adders", "rtl", "netlist"))
    print(tally)
