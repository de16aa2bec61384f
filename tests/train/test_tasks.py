"""Every task of `hwq train`, from rows to a report: losses, metrics and their direction, records that open again, answers that are bound."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwq.backend import keras, ops
from hwq.data.task import Task
from hwq.errors import RunError, UsageError
from hwq.files import write_json
from hwq.flow.refine import refine
from hwq.flow.report import gather
from hwq.flow.train import train
from hwq.run.directory import RunDir, best
from hwq.train.config import TrainConfig
from hwq.train.losses import loss_of
from hwq.train.trainer import logits_model
from hwq.views.html import page

CONFIG = TrainConfig(
    model="mlp:6",
    epochs=12,
    float_epochs=12,
    batch_size=64,
    learning_rate=0.02,
    random_rows=40,
    max_points=2,
    population=1,
    task="auto",
)


def arrays(task: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    if task == "regression":
        return {"x": x, "y": 1000 + 200 * x[:, 0] - 100 * x[:, 1]}
    if task == "binary":
        return {"x": x, "y": (x[:, 0] + x[:, 1] > 0.3).astype(int), "w": rng.uniform(0.5, 1.5, 500)}
    if task == "multilabel":
        return {"x": x, "y": np.stack([x[:, 0] > 0, x[:, 1] > x[:, 2]], axis=1).astype(int)}
    odd = rng.random(500) < 0.15
    line = x[:, :1] * [1.0, -1.0, 0.5] + 0.05 * x
    return {"x": np.where(odd[:, None], rng.normal(size=(500, 3)), line), "y": odd.astype(int)}


CASES = {
    "regression": {"metric": "rmse", "loss": "huber"},
    "reconstruction": {"task": "reconstruction"},
    "binary": {
        "task": "binary",
        "metric": "auc",
        "sample_weights": "w",
        "class_weights": "balanced",
        "loss": "binary_focal_crossentropy",
    },
    "multilabel": {},
}


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=() if task in ("regression", "binary") else pytest.mark.slow) for task in CASES]
)
def test_a_task_is_trained_and_reported(task: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **arrays(task))
    config = replace(CONFIG, **CASES[task])  # type: ignore[arg-type]
    run = tmp_path / "run"
    summary = train(str(tmp_path / "d.npz"), config, run)
    directory = RunDir(run)
    record = directory.record()
    assert record.task.name == task and summary.metric == record.task.metric and record.scores is not None
    points = directory.points()
    _, y = directory.vectors()
    told = json.loads((points[0].folder / "point.json").read_text())
    assert f"test_{record.task.metric}" in told and told["task"]["better"] == ("lower" if record.task.lower else "higher")
    for point in points:
        assert point.record.task == record.task
        assert point.accuracy_by_answers(y) == pytest.approx(point.test_accuracy)
        directory.require(point, y)
    chosen = best(points)
    assert all(chosen.record.score >= p.record.score for p in points)  # type: ignore[operator]
    # better than the best constant by far: what was learned is there
    chance = record.task.chance(y)
    assert record.task.score(chosen.test_accuracy or 0.0) > chance + 0.3 * abs(chance)
    report = gather(run)
    assert report.metric == record.task.metric and f"test {report.metric}" in page(report)
    assert ("lower is better" in page(report)) == record.task.lower
    assert train(str(tmp_path / "d.npz"), config, run).resumed
    with pytest.raises(RunError, match=f"is a run of {task}"):
        refine(run)
    _answers_are_bound(directory, chosen.id, y)


def _answers_are_bound(directory: RunDir, point: str, y: np.ndarray) -> None:
    """Another value than the answers have is found out."""
    old = directory.point(point)
    record = replace(old.record, test_accuracy=(old.test_accuracy or 0.0) * 0.9)
    write_json(old.folder / "point.json", record.to_json())
    with pytest.raises(RunError, match=f"have the {old.record.task.metric}"):
        directory.require(directory.point(point), y)


def test_losses_are_those_of_keras() -> None:
    rng = np.random.default_rng(1)
    answers = ops.convert_to_tensor(rng.normal(size=(20, 3)).astype(np.float32) * 4)
    labels, many = rng.integers(0, 3, 20), rng.integers(0, 2, (20, 3)).astype(np.float32)
    losses = keras.losses
    wanted = {
        ("classes", ""): losses.sparse_categorical_crossentropy(labels, answers, from_logits=True),
        ("classes", "categorical_focal_crossentropy"): losses.categorical_focal_crossentropy(
            np.eye(3)[labels], answers, from_logits=True
        ),
        ("multilabel", ""): losses.binary_crossentropy(many, answers, from_logits=True),
        ("multilabel", "binary_crossentropy"): losses.binary_crossentropy(many, answers, from_logits=True),
        ("regression", ""): losses.mean_squared_error(many, answers),
        ("regression", "huber"): losses.huber(many, answers),
        ("regression", "mean_absolute_error"): losses.mean_absolute_error(many, answers),
    }
    for (task, name), expected in wanted.items():
        y = ops.convert_to_tensor(labels if task == "classes" else many)
        found = loss_of(Task.named(task), name)(y, answers)
        assert np.allclose(np.asarray(found), np.asarray(expected), rtol=1e-4, atol=1e-5), (task, name)
    behind = ops.convert_to_tensor(np.concatenate([many, many[:, :1]], axis=1))
    found = loss_of(Task.named("reconstruction"))(behind, answers)
    assert np.allclose(np.asarray(found), np.asarray(losses.mean_squared_error(many, answers)), rtol=1e-5)
    with pytest.raises(UsageError, match="no loss 'guess'"):
        loss_of(Task(), "guess")
    with pytest.raises(UsageError, match="is of classes"):
        loss_of(Task.named("regression"), "binary_crossentropy")


def test_a_final_sigmoid_is_left_to_the_loss_of_labels_alone() -> None:
    def model() -> keras.Model:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="sigmoid")])

    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert np.asarray(logits_model(model(), Task.named("multilabel"))(x * 100)).min() < 0
    assert np.asarray(logits_model(model(), Task.named("regression"))(x * 100)).min() >= 0
