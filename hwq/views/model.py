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
    val_accuracy: float | None
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
    ff_error: float | None = None  # as lut_error
    ff_beyond: bool = False


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run with its points, cheapest first. What is called accuracy is of the task's `metric`.

    `predicted_for` is the board and clock of the predictions where nothing is measured; empty where there are none.
    """

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
    metric: str = "accuracy"
    better: str = "higher"  # or "lower": of the metric
    warnings: tuple[str, ...] = ()  # what is left out, since it is not of the files that are there
    predicted_for: str = ""

    def told(self, value: float | None) -> str:
        """A value of the metric for people: shares in per cent."""
        if value is None or value != value:
            return "–"
        return f"{value:.2%}" if self.metric in ("accuracy", "auc") else f"{value:.4g}"

    @property
    def where(self) -> str:
        """The board, tool and clock of what is shown."""
        if self.board and self.period_ns:
            return f"{self.board}, {self.tool}, {self.period_ns:g} ns"
        return "not synthesised yet" + (f"; predicted for {self.predicted_for}" if self.predicted_for else "")

    @property
    def cycles_predicted(self) -> bool:
        """Whether the cycles that are known are all predictions."""
        return all(row.latency_cycles is None for row in self.rows) and any(row.latency_predicted is not None for row in self.rows)

    @property
    def beyond(self) -> bool:
        """Whether some design lies beyond what its cost model has seen."""
        return any(row.lut_beyond or row.ff_beyond for row in self.rows)

    @property
    def chosen(self) -> PointRow | None:
        return next((row for row in self.rows if row.chosen), None)
