"""Tasks: what labels look like, their metrics against scikit-learn's, and how tables and arrays become targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from hwq.data import load
from hwq.data.targets import task_of
from hwq.data.task import Asked, Task
from hwq.errors import DataError, UsageError

RNG = np.random.default_rng(0)
ANSWERS, NUMBERS = RNG.normal(size=(300, 3)), RNG.normal(size=(300, 3))


@pytest.mark.parametrize(
    ("y", "task"),
    [
        ([0, 1, 2, 1], "classes"),
        (["a", "b"], "classes"),
        ([0.0, 1.0], "classes"),
        ([0.5, 1.0], "regression"),
        ([[0, 1], [1, 0]], "classes"),
        ([[0, 1], [1, 1]], "multilabel"),
        ([[0.5, 1], [1, 1]], "regression"),
        ([[3], [4]], "classes"),
    ],
)
def test_a_task_is_known_by_its_labels(y: list[object], task: str) -> None:
    assert task_of(y) == task


def test_metrics_are_those_of_scikit_learn() -> None:
    regression = {
        "mae": metrics.mean_absolute_error,
        "mse": metrics.mean_squared_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
    }
    for name, function in regression.items():
        assert Task("regression", name).value(ANSWERS, NUMBERS) == pytest.approx(function(NUMBERS, ANSWERS)), name
    many = (NUMBERS > 0.3).astype(np.float32)
    assert Task("multilabel", "auc").value(ANSWERS, many) == pytest.approx(metrics.roc_auc_score(many, ANSWERS))
    assert Task("multilabel").value(ANSWERS, many) == pytest.approx(((ANSWERS > 0) == many).mean())
    one, tied = many[:, 0].astype(int), np.round(ANSWERS[:, :1])
    assert Task("binary", "auc").value(tied, one) == pytest.approx(metrics.roc_auc_score(one, tied))
    assert Task("binary").value(tied, one) == pytest.approx(((tied[:, 0] > 0) == one).mean())
    labels = RNG.integers(0, 3, 300)
    assert Task().value(ANSWERS, labels) == pytest.approx(metrics.accuracy_score(labels, ANSWERS.argmax(axis=1)))


def test_a_reconstruction_finds_what_it_cannot_say() -> None:
    odd = RNG.random(300) < 0.2
    targets = np.concatenate([NUMBERS, odd[:, None]], axis=1)
    error = np.square(ANSWERS - NUMBERS).mean(axis=1)
    assert Task("reconstruction", "auc").value(ANSWERS, targets) == pytest.approx(metrics.roc_auc_score(odd, error))
    assert Task("reconstruction", "mse").value(ANSWERS, targets) == pytest.approx(error.mean())


def test_units_are_the_users() -> None:
    assert Task("regression", "mae", (2.0, 3.0, 4.0)).value(ANSWERS, NUMBERS) == pytest.approx(
        np.abs((ANSWERS - NUMBERS) * [2, 3, 4]).mean()
    )


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "r2"])
def test_no_constant_is_better_than_chance(name: str) -> None:
    task, y = Task("regression", name, (2.0,)), RNG.exponential(size=(500, 1))
    for constant in np.linspace(-1, 3, 81):
        assert task.score(task.value(np.full((500, 1), constant), y)) <= task.chance(y) + 1e-9


def test_less_is_more_where_less_is_better() -> None:
    assert Task.named("regression").lower and Task.named("regression").score(3.0) == -3.0 and not Task("binary").lower
    assert Task.named("regression", "mean_absolute_error").metric == "mae"
    with pytest.raises(UsageError, match="regression has no metric 'accuracy'") as raised:
        Task.named("regression", "accuracy")
    assert "mae" in str(raised.value.hint)
    with pytest.raises(UsageError, match="task is 'guess'"):
        Task.named("guess")
    with pytest.raises(UsageError, match="no classes to balance"):
        Asked("regression", balanced=True)


def table(folder: Path) -> Path:
    x = RNG.normal(size=(200, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["price"], frame["size"] = 1000 + 50 * x[:, 0], 3.5 * x[:, 1]
    frame["sold"], frame["weight"] = np.where(x[:, 2] > 0, "yes", "no"), RNG.uniform(0.5, 2, 200)
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def test_columns_are_targets_and_weights(tmp_path: Path) -> None:
    path = str(table(tmp_path))
    frame = pd.read_csv(path).drop(columns=["sold"])
    frame.to_csv(tmp_path / "n.csv", index=False)
    data = load(str(tmp_path / "n.csv"), asked=Asked("auto", labels=("price", "size"), weights="weight"))
    assert data.task.name == "regression" and data.preprocess.features == ("a", "b", "c") and data.n_classes == 2
    assert np.abs(data.y_train.mean(axis=0)).max() < 1e-5 and data.task.unit == data.preprocess.target_deviation
    assert data.weights is not None and data.weights.mean() == pytest.approx(1) and len(data.weights) == len(data.x_train)
    again = data.y_train * np.array(data.preprocess.target_deviation) + np.array(data.preprocess.target_mean)
    assert sorted(again[:, 0].round(2))[0] >= frame["price"].min().round(2) - 0.01
    with pytest.raises(DataError, match="no column 'prize'") as raised:
        load(path, asked=Asked("regression", labels=("prize",)))
    assert "did you mean 'price'" in str(raised.value.hint)


def test_one_yes_or_no_has_names(tmp_path: Path) -> None:
    frame = pd.read_csv(table(tmp_path)).drop(columns=["price", "size", "weight"])
    frame.to_csv(tmp_path / "b.csv", index=False)
    data = load(str(tmp_path / "b.csv"), asked=Asked("binary", labels=("sold",), balanced=True))
    assert data.n_classes == 1 and data.preprocess.classes == ("no", "yes") and set(np.unique(data.y_train)) == {0, 1}
    assert data.weights is not None
    sums = np.bincount(data.y_train, data.weights)
    assert sums[0] == pytest.approx(sums[1])
    with pytest.raises(DataError, match="binary takes targets of 0 and 1, not 2"):
        np.savez(tmp_path / "three.npz", x=RNG.normal(size=(60, 2)), y=np.arange(60) % 3)
        load(str(tmp_path / "three.npz"), asked=Asked("binary"))


def test_a_reconstruction_is_trained_on_what_is_normal(tmp_path: Path) -> None:
    x, odd = RNG.normal(size=(300, 2, 2)), RNG.random(300) < 0.2
    np.savez(tmp_path / "labelled.npz", x=x, y=odd.astype(int))
    data = load(str(tmp_path / "labelled.npz"), asked=Asked("reconstruction"))
    assert data.task.metric == "auc" and data.n_classes == 4 and data.y_train.shape[1] == 5
    assert not data.y_train[:, -1].any() and data.y_test[:, -1].any()
    np.savez(tmp_path / "rows.npz", x=x)
    data = load(str(tmp_path / "rows.npz"), asked=Asked("reconstruction"))
    assert data.task.metric == "mse" and data.y_test.shape[1] == 4
    assert np.array_equal(data.y_test, data.x_test.reshape(len(data.x_test), -1))
    pd.DataFrame(x.reshape(300, 4), columns=list("abcd")).to_csv(tmp_path / "rows.csv", index=False)
    assert load(str(tmp_path / "rows.csv"), asked=Asked("reconstruction")).preprocess.features == ("a", "b", "c", "d")


def test_bad_targets_are_named(tmp_path: Path) -> None:
    x = RNG.normal(size=(60, 2))
    bad = {
        "NaN or infinity among the targets": ("regression", np.full(60, np.nan)),
        "targets of shape": ("regression", np.zeros((59, 1))),
        "multilabel takes targets of 0 and 1": ("multilabel", np.full((60, 2), 0.5)),
        "all 60 rows have the label 1": ("binary", np.ones(60)),
        "no row has label 0": ("reconstruction", np.ones(60)),
    }
    for words, (task, y) in bad.items():
        np.savez(tmp_path / "bad.npz", x=x, y=y)
        with pytest.raises(DataError, match=words):
            load(str(tmp_path / "bad.npz"), asked=Asked(task))
    np.savez(tmp_path / "w.npz", x=x, y=np.arange(60) % 2, w=-np.ones(60))
    with pytest.raises(DataError, match="weights must be one number a row"):
        load(str(tmp_path / "w.npz"), asked=Asked(weights="w"))
