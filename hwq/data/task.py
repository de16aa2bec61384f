"""What a network is trained to do, and the number that says how well it does: its metric, from answers and targets alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwq.errors import UsageError
from hwq.fields import Fields
from hwq.tensors import Numbers

TASKS = ("classes", "binary", "multilabel", "regression", "reconstruction")


@dataclass(frozen=True, slots=True)
class Metric:
    """A number for answers (rows, outputs) and targets.

    Attributes:
        of: the function; its third argument is what a step of each output is in the user's units.
        lower: whether less is better.
        tasks: which have it, the first metric of a task being its own.
    """

    of: Callable[[Numbers, Numbers, Numbers], float]
    tasks: tuple[str, ...]
    lower: bool = False


def _right(answers: Numbers, y: Numbers, unit: Numbers) -> float:
    """Share of the rows whose highest answer is at the label; of one output, or of many labels, share of right signs."""
    if y.ndim == 1 and answers.shape[1] > 1:
        return float((answers.argmax(axis=1) == y).mean())
    return float(((answers > 0) == (y.reshape(len(y), -1) > 0.5)).mean())


def _area(scores: Numbers, positive: Numbers) -> float:
    """Area under the receiver operating characteristic: the share of pairs in the right order, ties counted half."""
    low, high = np.sort(scores[~positive]), scores[positive]
    if not len(low) or not len(high):
        return float("nan")
    below, upto = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + upto).sum() / (2 * len(low) * len(high)))


def _auc(answers: Numbers, y: Numbers, unit: Numbers) -> float:
    """The area under the curve: the mean over outputs; for a reconstruction that of its error, where the label stands behind the targets."""
    if y.ndim > 1 and y.shape[1] == answers.shape[1] + 1:
        return _area(np.square(answers - y[:, :-1]).mean(axis=1), y[:, -1] > 0.5)
    wanted = y.reshape(len(y), -1) > 0.5
    return float(np.nanmean([_area(answers[:, k], wanted[:, k]) for k in range(wanted.shape[1])]))


def _errors(answers: Numbers, y: Numbers, unit: Numbers) -> Numbers:
    """Differences in the user's units, (rows, outputs)."""
    return np.asarray((answers - y.reshape(len(y), -1)[:, : answers.shape[1]]) * unit, np.float64)


def _r2(answers: Numbers, y: Numbers, unit: Numbers) -> float:
    """1 - squared error / variance, the mean of all outputs."""
    targets = y.reshape(len(y), -1)[:, : answers.shape[1]].astype(np.float64)
    spread = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    wrong = np.square(answers - targets).sum(axis=0)
    return float((1 - wrong / np.maximum(spread, 1e-30)).mean())


NUMBERS = ("regression", "reconstruction")
METRICS = {
    "accuracy": Metric(_right, ("classes", "binary", "multilabel")),
    "mae": Metric(lambda a, y, unit: float(np.abs(_errors(a, y, unit)).mean()), ("regression", "reconstruction"), lower=True),
    "mse": Metric(lambda a, y, unit: float(np.square(_errors(a, y, unit)).mean()), ("reconstruction", "regression"), lower=True),
    "rmse": Metric(lambda a, y, unit: float(np.sqrt(np.square(_errors(a, y, unit)).mean(axis=0)).mean()), NUMBERS, lower=True),
    "r2": Metric(_r2, ("regression",)),
    "auc": Metric(_auc, ("binary", "multilabel", "reconstruction")),
}
OWN = {"classes": "accuracy", "binary": "accuracy", "multilabel": "accuracy", "regression": "mae", "reconstruction": "mse"}
ALIASES = {  # as Keras calls them
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
    "binary_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
}
SHARES = ("accuracy", "auc")  # from 0 to 1


@dataclass(frozen=True, slots=True)
class Task:
    """One of `TASKS` with its metric.

    Attributes:
        metric: a name of `METRICS`.
        unit: regression: what a step of each output is in the user's units, since targets are standardised; empty: 1.
    """

    name: str = "classes"
    metric: str = "accuracy"
    unit: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in TASKS:
            raise UsageError(f"task is {self.name!r}, expected one of {', '.join(TASKS)}")
        known = [name for name, metric in METRICS.items() if self.name in metric.tasks]
        if self.metric not in known:
            raise UsageError(f"{self.name} has no metric {self.metric!r}", hint=f"one of {', '.join(known)}")

    @classmethod
    def named(cls, name: str, metric: str = "", unit: tuple[float, ...] = ()) -> Task:
        """The task with a metric by hwq's or Keras' name; empty: its own.

        Raises:
            UsageError: no such task, or a metric that it has not.
        """
        wanted = ALIASES.get(metric.lower(), metric.lower()) or OWN.get(name, "")
        return cls(name, wanted, unit)

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return METRICS[self.metric].lower

    @property
    def plain(self) -> bool:
        """Whether it is the classification by accuracy that runs say nothing of."""
        return self == Task()

    def value(self, answers: Numbers, y: Numbers) -> float:
        """The metric of answers (rows, ...) and targets."""
        unit = np.asarray(self.unit or (1.0,))
        return METRICS[self.metric].of(answers.reshape(len(answers), -1), np.asarray(y), unit)

    def score(self, value: float) -> float:
        """A value of the metric as a number of which more is better."""
        return -value if self.lower else value

    def chance(self, y: Numbers) -> float:
        """The score of the best constant answer to these targets."""
        if self.metric == "auc":
            return 0.5
        if self.metric == "r2":
            return 0.0
        if self.name == "classes":
            return float(np.bincount(y).max() / len(y))
        if self.metric == "accuracy":
            share = y.reshape(len(y), -1).mean(axis=0)
            return float(np.maximum(share, 1 - share).mean())
        middle = np.median if self.metric == "mae" else np.mean
        outputs = len(self.unit) or y.reshape(len(y), -1).shape[1]
        constant = middle(y.reshape(len(y), -1)[:, :outputs], axis=0)
        return self.score(self.value(np.broadcast_to(constant, (len(y), outputs)), y))

    def margin(self, chance: float) -> float:
        """How far a score must be above chance to be more than that."""
        return 0.01 if self.metric in SHARES else 0.01 * abs(chance)

    def told(self, value: float | None) -> str:
        """A value for people: shares in per cent."""
        if value is None or value != value:
            return "–"
        return f"{value:.2%}" if self.metric in SHARES else f"{value:.4g}"

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {"name": self.name, "metric": self.metric, "better": "lower" if self.lower else "higher"}
        return told | ({"unit": list(self.unit)} if self.unit else {})

    @classmethod
    def of(cls, told: Fields) -> Task:
        """The inverse of `to_json`.

        Raises:
            RunError: a member is missing, or of another kind.
            UsageError: a task or metric that this version does not know.
        """
        return cls(told.text("name"), told.text("metric"), told.numbers("unit") if told.has("unit") else ())


CLASSES = Task()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says of data that is read.

    Attributes:
        task: one of `TASKS`, or "auto": by what the labels are.
        metric: empty: the task's own.
        labels: columns of a table that are the targets; empty: by name, else the last one.
        weights: the column of a table with the weight of each row; empty: none.
        balanced: whether each class has the same weight in the loss.
    """

    task: str = "classes"
    metric: str = ""
    labels: tuple[str, ...] = ()
    weights: str = ""
    balanced: bool = False

    def __post_init__(self) -> None:
        if self.task not in ("auto", *TASKS):
            raise UsageError(f"task is {self.task!r}, expected one of auto, {', '.join(TASKS)}")
        if self.balanced and self.task in NUMBERS:
            raise UsageError(f"{self.task} has no classes to balance", hint="leave --class-weights out, or take --sample-weights")
