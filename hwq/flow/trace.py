"""`hwq sim --trace`: every layer of a point on the run's rows, in floats, quantised and as integers: where accuracy is lost.

RUN/trace/0007.json   what the table shows and more: worst values, overflows by element, histograms of weights and activations
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError
from hwq.files import write_json
from hwq.ir import Graph, parse, verify
from hwq.run.directory import Point, RunDir
from hwq.sim.floats import evaluate_floats
from hwq.sim.reference import flat_rows, predict
from hwq.sim.trace import NetworkTrace, trace

FOLDER, ROWS = "trace", 500


@dataclass(frozen=True, slots=True)
class TracedPoint:
    """The layers of one point.

    Attributes:
        metric: of the run's task.
        floats, integers: the metric of the traced rows without quantisers, and of the design; None where the rows have no labels.
        file: with all that is known.
    """

    point: str
    trace: NetworkTrace
    metric: str
    floats: float | None
    integers: float | None
    file: Path

    def __str__(self) -> str:
        lines = [f"point {self.point}, {self.trace.rows} rows", str(self.trace)]
        if self.floats is not None and self.integers is not None:
            lines.append(f"{self.metric} of these rows: {self.floats:.4f} in floats, {self.integers:.4f} in integers")
        return "\n".join([*lines, f"worst values, overflows by element, histograms: {self.file}"])

    def to_json(self) -> dict[str, object]:
        return {
            "point": self.point,
            "metric": self.metric,
            "floats": self.floats,
            "integers": self.integers,
            **self.trace.to_json(),
        }


def trace_points(run: Path, *, point: str = "best", rows: int = ROWS) -> list[TracedPoint]:
    """Trace points of a run on its test rows, or on its first rows where none has a label; write RUN/trace/POINT.json.

    Args:
        rows: how many, at most.

    Raises:
        RunError: no run, no such point, or files that were changed.
        DataError: no row is asked for.
    """
    if rows < 1:
        raise DataError("a trace needs at least one row", hint="--rows 500")
    directory = RunDir.open(run)
    x, y = directory.vectors()
    count = min(rows, len(y) or len(x))
    return [_traced(directory, one, x[:count], y[:count]) for one in directory.select(point)]


def _traced(run: RunDir, point: Point, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> TracedPoint:
    graph = verify(parse(point.graph_text()))
    task = point.record.task
    floats, integers = (task.value(answers, y) if len(y) else None for answers in (_answers(graph, x), predict(graph, x)))
    file = run.path / FOLDER / f"{point.id}.json"
    found = TracedPoint(point.id, trace(graph, x), task.metric, floats, integers, file)
    write_json(file, found.to_json())
    return found


def _answers(graph: Graph, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Answers of the network in floats (rows, outputs)."""
    values = evaluate_floats(graph, flat_rows(graph, x).astype(np.float64))
    return np.concatenate([values[name].reshape(len(x), -1) for name in graph.outputs], axis=1)
