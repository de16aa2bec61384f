"""Random small Keras models: the twin, its integer graph, the design and all evaluators of the design give the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_graphs import Batch, Tally, prove
from random_models import Models, options

import hwq
from hwq.fixed import to_float
from hwq.ir import Graph
from hwq.sim.compare import mantissas_of, output_types
from hwq.sim.reference import evaluate, quantize_inputs


def design(seed: int) -> tuple[Graph, np.ndarray]:
    """(the integer graph of a random model, mantissas of its rows); Keras, the graph and the compiled design agree on the rows."""
    model = Models(seed).model()
    rows = (np.random.default_rng(seed).normal(size=(48, *model.input_shape[1:])) * 2).astype("float32")
    twin, _ = hwq.quantize(model, hwq.QuantizeConfig(**options(seed)), data=rows)
    made = hwq.compile(twin, "xcvu9p", data=rows)
    inputs = quantize_inputs(made.graph, rows)
    want = evaluate(made.graph, inputs)
    keras = np.asarray(twin(rows), np.float64)
    assert (mantissas_of(keras, made.graph) == want).all(), f"Keras differs from the graph of seed {seed}"
    predicted = made.predict(rows).reshape(want.shape)
    assert (predicted == to_float(want, output_types(made.graph).frac)).all(), f"the design differs from the graph of seed {seed}"
    return made.graph, inputs


def proven(seeds: range, folder: Path, *stages: tuple[str, ...]) -> Tally:
    """All models through Keras and Python's evaluators, and together through the compiled ones: they have inputs of their own."""
    graphs, rows = zip(*(design(seed) for seed in seeds), strict=True)
    tally = Tally({"keras": len(graphs)})
    batch = Batch.of(graphs, 48)
    own = np.concatenate(rows, axis=1)
    prove(Batch(graphs, batch.whole, own, evaluate(batch.whole, own)), folder, tally, ("circuit",))
    for number, names in enumerate(stages):
        prove(batch, folder / str(number), tally, names)
    return tally


def test_random_models(tmp_path: Path) -> None:
    tally = proven(range(3), tmp_path, ("lowered", "emulator", "adders"))
    assert tally.cases["keras"] == tally.cases["emulator"] == 3, str(tally)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 300, 10))
def test_more_random_models(start: int, tmp_path: Path) -> None:
    print(proven(range(start, start + 10), tmp_path, ("lowered", "emulator"), ("csim", "adders", "rtl")))
