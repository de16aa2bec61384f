"""What a report shows, as plain data: no run directory, no store, no tool is known here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PointRow:
    """One point of the front. None means "not measured"; accuracies are shares of the test rows.

    `lut_error` is the model's relative error, and not to be relied on where the design lies beyond what the model has seen, `lut_beyond`.
    """

    point: str
    epoch: int
    val_accuracy: float
    test_accuracy: float | None
    simulated_accuracy: float | None
    ebops: float
    lut: float | None
    lut_predicted: float | None
    lut_error: float | None
    lut_beyond: bool
    ff: float | None
    ff_predicted: float | None
    dsp: float | None
    latency_cycles: int | None
    latency_predicted: int | None
    slack_ns: float | None
    mismatches: int | None
    samples: int | None
    rows_told: str | None  # how many rows, and which evaluators saw fewer
    chosen: bool


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run with its points, cheapest first."""

    title: str
    dataset: str
    model: str
    board: str | None
    tool: str | None
    period_ns: float | None
    float_accuracy: float
    uniform8_ebops: float
    rows: tuple[PointRow, ...]
    cost_models: tuple[str, ...]
    warnings: tuple[str, ...] = ()  # what is left out, since it is not of the files that are there

    @property
    def beyond(self) -> bool:
        """Whether some design lies beyond what its cost model has seen."""
        return any(row.lut_beyond for row in self.rows)

    @property
    def chosen(self) -> PointRow | None:
        return next((row for row in self.rows if row.chosen), None)
