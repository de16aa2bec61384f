"""A candidate of the Pareto archive, and what a finished training found; what it tells while it works is in `hwq.events`."""

from __future__ import annotations

from dataclasses import dataclass

from hwq.events import Progress as Progress
from hwq.fields import Fields


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network seen while training, `member` of the population of that epoch: its weights are in the checkpoint folder under its key."""

    epoch: int
    val_accuracy: float
    ebops: float
    beta: float
    member: int = 0

    # val_accuracy is a score: accuracy, or another metric as a number of which more is better (`hwq.data.task.Task.score`)
    @classmethod
    def of(cls, told: Fields) -> Candidate:
        """Raises RunError: it is no candidate as a file has it."""
        numbers = (told.number("val_accuracy"), told.number("ebops", least=0.0), told.number("beta"))
        return cls(told.whole("epoch"), *numbers, told.whole("member", 0))

    @property
    def key(self) -> str:
        return f"{self.epoch}-{self.member}"


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What a finished training run found."""

    float_val_accuracy: float
    float_test_accuracy: float
    points: int
    best: str
    resumed: bool
    seconds: float
    budget_met: bool | None = None  # None: there was no budget
    metric: str = "accuracy"  # of the accuracies above

    @property
    def told(self) -> str:
        """What to say of the metric, where it is not accuracy."""
        return "" if self.metric == "accuracy" else f" ({self.metric})"
