"""Whole training runs, small: the archive, resuming, refusals, and no trace of the test rows before the end."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwq.cost.features import graph_features
from hwq.data import Dataset, load
from hwq.errors import RunError, TrainingError, UsageError
from hwq.events import Progress
from hwq.ir import Graph, parse, verify
from hwq.run.directory import RunDir
from hwq.sim.reference import predict
from hwq.train import pareto, trainer
from hwq.train.config import TrainConfig
from hwq.train.pareto import Candidate

CONFIG = TrainConfig(model="mlp:12", epochs=24, float_epochs=6, beta_end=2e-3, random_rows=200, max_points=4, population=2)
ALONE = replace(CONFIG, population=1)  # one network compiles once, a population when it branches off as well


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", seed=0)


@pytest.fixture(scope="module")
def finished(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("train") / "run"
    trainer.train(digits, CONFIG, run)
    return run


def contents(run: Path) -> dict[str, bytes]:
    files = [run / "history.csv", *sorted(run.glob("points/*/*"))]
    return {str(p.relative_to(run)): p.read_bytes() for p in files if p.suffix != ".npz"}


def test_points_hold_what_they_say(finished: Path) -> None:
    run = RunDir(finished)
    record = run.record()
    assert record.trained and record.uniform8 is not None and record.uniform8["declared"] == 64 * (64 * 12 + 12 * 10)
    with np.load(run.vectors_path) as vectors:
        x = vectors["x"]
    assert len(x) == 360 + 200
    points = run.points()
    assert points
    for a, b in itertools.pairwise(points):
        assert a.ebops < b.ebops and a.val_accuracy < b.val_accuracy
    for point in points:
        graph = verify(parse(point.graph_path.read_text()))
        with np.load(point.keras_path) as stored:
            assert np.array_equal(stored["logits"], predict(graph, x))


class KilledError(Exception):
    """Stands for the kill."""


@pytest.mark.slow  # the command is killed twice in tests/flow/test_flow.py
def test_killed_and_resumed_equals_uninterrupted(
    digits: Dataset, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run, killed in each phase, and resumed each time."""
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    run, phases = tmp_path / "run", [("float", 2), ("bits", 7), ("settle", 3), ("finish", 1)]
    for when in phases:

        def kill(progress: Progress, when: tuple[str, int] = when) -> None:
            if (progress.phase, progress.step) == when:
                raise KilledError

        with pytest.raises(KilledError):
            trainer.train(digits, CONFIG, run, progress=kill)
    summary = trainer.train(digits, CONFIG, run)
    assert summary.resumed
    assert contents(run) == contents(finished)


@pytest.mark.parametrize(("method", "some"), [("hgq", True), pytest.param("uniform", False, marks=pytest.mark.slow)])
def test_averages_of_a_network_are_candidates_too(
    method: str, some: bool, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where widths are given: then an average is no network of the method."""
    seen, insert = set(), pareto.insert

    def noted(archive: list[Candidate], new: Candidate) -> list[Candidate]:
        seen.add(new.member)
        return insert(archive, new)

    monkeypatch.setattr(pareto, "insert", noted)
    trainer.train(digits, replace(ALONE, method=method, epochs=8), tmp_path / "run")
    assert seen == ({0, 1} if some else {0})


def test_the_history_has_a_line_for_every_network_and_epoch(finished: Path) -> None:
    lines = [line.split(",") for line in (finished / "history.csv").read_text().splitlines()]
    assert lines[0][:3] == ["epoch", "phase", "member"] and lines[0][-3:] == ["ebops", "weight_bits", "activation_bits"]
    seen = [(int(line[0]), line[1], int(line[2])) for line in lines[1:]]
    trunk, settle = CONFIG.trunk_epochs, CONFIG.settle_epochs
    assert seen == [(e, "bits", 0) for e in range(trunk)] + [(trunk + e, "settle", m) for e in range(settle) for m in range(2)]


def test_a_budget_is_met_by_every_point(digits: Dataset, tmp_path: Path) -> None:
    config = replace(ALONE, epochs=60, budget={"ebops": 4000.0}, bits_learning_rate=0.02)
    trainer.train(digits, config, tmp_path / "run")
    run = RunDir(tmp_path / "run")
    costs = [point.ebops for point in run.points()]
    assert run.record().budget_met and max(costs) <= 4000 and max(costs) > 2500


def test_a_budget_of_luts_is_held_against_compiled_graphs(digits: Dataset, tmp_path: Path) -> None:
    """The prices of bits say half of what the graphs do: steering and the choice of points go by the graphs."""

    def lut(graph: Graph) -> float:
        return 0.5 * graph_features(graph)["ebops"]

    prices = {"ebops": 0.25, "weight_bits": 0.0, "activation_bits": 0.0}
    config = replace(ALONE, epochs=60, budget={"lut": 2000.0}, prices=prices, bits_learning_rate=0.02)
    assert trainer.train(digits, config, tmp_path / "run", lut=lut).budget_met
    costs = [lut(parse(point.graph_path.read_text())) for point in RunDir(tmp_path / "run").points()]
    assert 1250 < max(costs) <= 2000


def test_a_budget_out_of_reach_is_said(digits: Dataset, tmp_path: Path) -> None:
    summary = trainer.train(digits, replace(ALONE, epochs=8, budget={"ebops": 5.0}), tmp_path / "run")
    assert summary.budget_met is False and RunDir(tmp_path / "run").points()


def test_another_configuration_is_refused(digits: Dataset, finished: Path) -> None:
    with pytest.raises(RunError, match="another l1"):
        trainer.train(digits, replace(CONFIG, l1=0.5), finished)


def test_a_folder_of_something_else_is_left_alone(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="no run of hwq"):
        trainer.train(digits, CONFIG, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_nan_stops_and_keeps_what_was_saved(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a number"):
        trainer.train(digits, replace(CONFIG, learning_rate=1e30), tmp_path / "run")
    assert (tmp_path / "run" / "run.json").is_file()


def test_prices_steer_the_training(digits: Dataset, tmp_path: Path) -> None:
    config = replace(ALONE, epochs=8, costs="measured", prices={"ebops": 0.0, "weight_bits": 3.0, "activation_bits": 1.0})
    trainer.train(digits, config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["prices"]["weight_bits"] == 3.0
    with pytest.raises(TrainingError, match="all zero"):
        trainer.train(digits, replace(config, prices={}), tmp_path / "zero")


def test_archive_has_no_dominated_and_no_tied_points() -> None:
    rng = np.random.default_rng(0)
    archive: list[Candidate] = []
    for epoch in range(500):
        archive = pareto.insert(archive, Candidate(epoch, round(rng.uniform(), 2), float(rng.integers(10, 5000)), 0.0))
    assert len(archive) > 3
    for a, b in itertools.pairwise(archive):
        assert a.ebops < b.ebops and a.val_accuracy < b.val_accuracy
    thin = pareto.thin(archive, 4, chance=0.1)
    assert len(thin) == 4 and archive[-1] in thin


def test_points_that_know_little_take_no_place() -> None:
    archive = [Candidate(n, 0.1 + 0.8 * n / 20, 100.0 * 2 ** (n / 2), 0.0) for n in range(1, 21)]
    thin = pareto.thin(archive, 5, chance=0.1)
    assert len(thin) == 5 and thin[-1] == archive[-1]
    assert min(c.val_accuracy for c in thin) == pytest.approx(0.1 + 0.7 * 0.8)
    assert pareto.thin(archive[-1:], 5, chance=0.95) == archive[-1:]


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"initial_bits": 31}, {"l1": -1.0}, {"beta_end": 1e-9}, {"overflow": "CLIP"}, {"range_margin": 0.5}]
)
def test_impossible_settings(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TrainConfig(**bad)  # type: ignore[arg-type]
