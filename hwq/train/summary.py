"""What a finished training found; what it tells while it works is in `hwq.events`."""

from __future__ import annotations

from dataclasses import dataclass


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
