"""Whole small runs of each method: what their points promise, resuming, and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwq.backend import keras, ops
from hwq.conversion import convert, freeze
from hwq.conversion.config import QuantizeConfig
from hwq.data import Dataset, load
from hwq.errors import ModelError, UsageError
from hwq.events import Progress
from hwq.ir import Graph, parse
from hwq.ir.ops import odd_form
from hwq.passes.wires import csd
from hwq.run.directory import RunDir
from hwq.sim.reference import evaluate, predict, quantize_inputs
from hwq.train import models, trainer
from hwq.train.config import TrainConfig
from hwq.train.engine import Engine, batches, kernel_layers
from hwq.train.recipes import Prune, Shift

CONFIG = TrainConfig(model="mlp:12", epochs=24, float_epochs=6, beta_end=2e-3, random_rows=200, max_points=4, population=1)
SHIFT = replace(CONFIG, method="shift")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", seed=0)


@pytest.fixture(scope="module")
def shifted(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("shift") / "run"
    trainer.train(digits, SHIFT, run)
    return run


def graphs(run: Path) -> list[Graph]:
    """The points' graphs, each proven to be what Keras computes."""
    found = []
    with np.load(RunDir(run).vectors_path) as vectors:
        x = vectors["x"]
    for point in RunDir(run).points():
        graph = parse(point.graph_path.read_text())
        with np.load(point.keras_path) as stored:
            assert np.array_equal(stored["logits"], predict(graph, x))
        found.append(graph)
    assert found
    return found


def digits_of(graph: Graph) -> list[int]:
    """Signed digits of every kernel weight that is not zero."""
    kernels = [odd_form(node.constant("kernel"))[0] for node in graph.nodes if "kernel" in node.attrs]
    return [len(csd(int(v))) for mantissas in kernels for v in mantissas.ravel() if v]


def test_every_weight_is_a_power_of_two(shifted: Path) -> None:
    for graph in graphs(shifted):
        assert set(digits_of(graph)) == {1}
    hardening = RunDir(shifted).record().more["hardening"]
    assert set(hardening) == {"epoch", "soft_val_accuracy", "hard_val_accuracy"}
    assert hardening["epoch"] == SHIFT.warm_epochs - 1
    assert json.loads((shifted / "points" / "0000" / "point.json").read_text())["terms"] == 1


def test_or_the_sum_of_two(digits: Dataset, tmp_path: Path) -> None:
    trainer.train(digits, replace(SHIFT, terms=2, epochs=12, beta_end=1e-5), tmp_path / "run")
    assert {1, 2} == set(d for graph in graphs(tmp_path / "run") for d in digits_of(graph))


class KilledError(Exception):
    """Stands for the kill."""


@pytest.mark.slow
@pytest.mark.parametrize("when", [("bits", 3), ("bits", 9), ("settle", 2)])
def test_killed_and_resumed_equals_uninterrupted(
    when: tuple[str, int], digits: Dataset, shifted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)

    def kill(progress: Progress) -> None:
        if (progress.phase, progress.step) == when:
            raise KilledError

    with pytest.raises(KilledError):
        trainer.train(digits, SHIFT, tmp_path / "run", progress=kill)
    trainer.train(digits, SHIFT, tmp_path / "run")
    for path in sorted(shifted.glob("points/*/graph.hwq")):
        assert (tmp_path / "run" / path.relative_to(shifted)).read_bytes() == path.read_bytes()
    assert (tmp_path / "run" / "history.csv").read_bytes() == (shifted / "history.csv").read_bytes()


def test_the_slope_rises_and_then_the_quantiser_is_hard() -> None:
    recipe = Shift(replace(SHIFT, epochs=100, anneal=0.4))
    last = recipe.config.warm_epochs
    slopes = [recipe.slope(epoch) for epoch in range(100)]
    assert slopes[0] == 4.0 and slopes[last - 1] == pytest.approx(64.0) and not any(slopes[last:])
    assert np.allclose(np.diff(np.log(slopes[:last])), np.log(16) / (last - 1))
    prices = [recipe.l1(epoch) for epoch in range(100)]
    assert prices == sorted(prices) and prices[0] < 0.05 * recipe.config.l1 and prices[-1] == recipe.config.l1


@pytest.mark.slow  # which `test_given_widths` has in one of its layers
def test_one_width_for_all(digits: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer.train(digits, replace(CONFIG, method="uniform", bits=3), run)
    (graph,) = graphs(run)
    for node in graph.nodes:
        if "kernel" in node.attrs:
            constant = node.constant("kernel")
            whole = np.ldexp(np.abs(constant.mantissas).astype(float), int(constant.types.frac.max()) - constant.types.frac)
            steps = constant.types.frac.max(axis=0)  # an output channel shares its step
            assert whole.max() > 0 and (np.abs(constant.mantissas) <= 8).all() and steps.size
        if node.op in ("input", "quantize"):
            assert len(np.unique(node.type.frac[node.type.width > 0])) == 1 and node.type.width.max() <= 3 + 1


def test_given_widths(digits: Dataset, tmp_path: Path) -> None:
    """Each layer, and each channel of one, has the bits that it was given; what is not named has those of all."""
    run, each = tmp_path / "run", [1, 3] * 6
    config = replace(CONFIG, method="uniform", bits=4, epochs=6)
    trainer.train(digits, replace(config, widths={"dense_1": [each, 2]}), run)
    (graph,) = graphs(run)
    first, last = (node for node in graph.nodes if "kernel" in node.attrs)
    for node, widths, reads in ((first, each, 2), (last, [4] * 10, 4)):
        kernel = node.constant("kernel")
        low = kernel.types.frac.max(axis=0)
        whole = np.abs(np.ldexp(kernel.mantissas.astype(float), low - kernel.types.frac))
        assert (whole.max(axis=0) <= 2.0 ** np.array(widths)).all() and whole.max() > 2 ** (max(widths) - 1)
        read = graph[node.inputs[0]].type
        assert (read.width - read.signed).max() == reads
    for bad, said in (({"dense_9": [3, 3]}, "dense_9"), ({"dense_1": [[3, 3], 3]}, "12 channels")):
        with pytest.raises(UsageError, match=said):
            trainer.train(digits, replace(config, widths=bad), tmp_path / "bad")
    with pytest.raises(UsageError, match="not learned"):
        TrainConfig(widths={"dense_1": [3, 3]})


def test_a_narrower_network(digits: Dataset, tmp_path: Path) -> None:
    trainer.train(digits, replace(CONFIG, method="uniform", bits=4, width=0.5, epochs=6), tmp_path / "run")
    (graph,) = graphs(tmp_path / "run")
    shapes = [node.constant("kernel").shape for node in graph.nodes if "kernel" in node.attrs]
    assert shapes == [(64, 6), (6, 10)]
    with pytest.raises(UsageError, match="widths of its own"):
        models.build("net.keras", (64,), 10, 0.5)


def test_pruning_reaches_its_sparsity(digits: Dataset, tmp_path: Path) -> None:
    config = replace(CONFIG, method="prune", bits=4, sparsity=0.8)
    trainer.train(digits, config, tmp_path / "run")
    (graph,) = graphs(tmp_path / "run")
    kernels = [node.constant("kernel").mantissas for node in graph.nodes if "kernel" in node.attrs]
    zero = sum((k == 0).sum() for k in kernels) / sum(k.size for k in kernels)
    assert 0.8 <= zero < 0.92
    recipe = Prune(config.resolved(1000))
    schedule = [recipe.sparsity(epoch) for epoch in range(24)]
    assert schedule == sorted(schedule) and schedule[0] == 0 and schedule[recipe.config.warm_epochs - 1] == 0.8


def test_activations_of_powers_of_two(digits: Dataset, tmp_path: Path) -> None:
    trainer.train(digits, replace(SHIFT, activations="pow2", epochs=10, max_points=1), tmp_path / "run")
    (graph,) = graphs(tmp_path / "run")
    table = next(node for node in graph.nodes if node.op == "table")
    part = Graph(tuple(graph.nodes[: graph.nodes.index(table) + 1]), graph.inputs, (table.name,))
    values = np.unique(np.abs(evaluate(part, quantize_inputs(graph, digits.x_test[:100]))))
    assert len(values) > 2 and all(v & (v - 1) == 0 for v in values.tolist())


def small_twin(**options: Any) -> Any:
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dense(3)])
    twin, _ = convert.convert(model, QuantizeConfig(weight_terms=1, **options))
    freeze.initialise(twin, np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32))
    return twin


def test_blending_leads_weights_to_their_powers() -> None:
    x = np.random.default_rng(3).normal(size=(96, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    distances = []
    for blend in (0.0, 0.05):
        twin = small_twin()
        config = replace(SHIFT, learning_rate=1e-9, bits_learning_rate=1e-9, blend=blend)
        engine = Engine(twin, config, x, y, quantized=True)
        state, _ = engine.epoch(engine.start(), np.concatenate([batches(96, 32, 0, i) for i in range(20)]), [0.0])
        engine.assign(state)
        layers = kernel_layers(twin)
        distances.append([float(ops.sum(ops.abs(layer.kernel - layer.projected_kernel()))) for layer in layers])
    for far, near in zip(*distances, strict=True):
        assert near == pytest.approx(far * 0.95**60, rel=0.02)


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "magic"},
        {"terms": 4},
        {"levels": 0},
        {"blend": 1.0},
        {"anneal": 1.0},
        {"slope_start": 0.0},
        {"width": 0.0},
        {"sparsity": 1.0},
        {"activations": "pow2"},
        {"method": "uniform", "budget": {"ebops": 5.0}},
    ],
)
def test_impossible_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TrainConfig(**bad)


def test_a_missing_model_is_said(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model file"):
        trainer.train(digits, replace(SHIFT, model="nowhere.keras"), tmp_path / "run")
