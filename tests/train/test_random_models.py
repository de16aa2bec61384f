"""Random Keras models: the twin frozen by Keras, the integer reference and the emulator answer alike, in every bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from layer_harness import wide_rows
from random_models import random_model

import hwq
from hwq.boards import load
from hwq.codegen.build import circuit_of
from hwq.frontend.keras import from_keras
from hwq.ir import FLOAT64_BITS
from hwq.passes import optimise
from hwq.sim.emulator import emulator
from hwq.sim.reference import predict
from hwq.train import freeze
from hwq.train.finish import FLOAT32_BITS

FAST, SLOW, PORTION = 12, 500, 6
BOARD = load("xcvu9p")


def check(seed: int, *, emulated: bool = True) -> None:
    """One model. On the rows that its ranges come from, the twin answers as its design does wherever float32 holds the numbers."""
    made = random_model(seed)
    twin, _ = hwq.quantize(made.model, made.config, data=made.rows)
    exact = freeze.freeze(twin, made.rows, 1.125, "float64")
    graph = from_keras(exact)[0]
    if graph.widest > FLOAT64_BITS:
        return
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
        return
    optimised = optimise(graph)
    hardware = emulator(optimised, circuit_of(optimised, BOARD, BOARD.default_clock)).predict(rows)
    assert (hardware == want).all(), f"model {seed}: emulator and graph differ in {(hardware != want).sum()} values"


def saturates(twin: Any) -> bool:
    """Whether the design cuts values off that the twin lets pass: differences that reach the softmax's table below -16."""
    return any(quantizer.most_integer is not None for quantizer in freeze.quantizers(twin))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", range(0, FAST, PORTION))
def test_random_models_answer_alike(start: int) -> None:
    for seed in range(start, start + PORTION):
        check(seed, emulated=seed % 5 == 0)  # compiling the emulator takes as long as all the rest


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", range(FAST, SLOW, PORTION))
def test_many_random_models_answer_alike(start: int) -> None:
    for seed in range(start, start + PORTION):
        check(seed)
