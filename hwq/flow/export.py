"""`hwq export`: a point of a run for another package, proven on the run's own rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwq.errors import UsageError
from hwq.events import QUIET, Events
from hwq.exporters import ExportReport, export_graph
from hwq.exporters.registry import format_of
from hwq.ir import parse, verify
from hwq.run.directory import RunDir

FOLDER = "export"


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written of a point."""

    point: str
    report: ExportReport


def export_point(
    run: Path, to: str | None, *, out: Path | None = None, point: str = "best", events: Events = QUIET
) -> ExportSummary:
    """Write one point of a run, and prove what was written.

    Args:
        to: the format; None: as `out` ends.
        out: the file or folder; None: RUN/export/, named by point.

    Raises:
        RunError: no run, or no such point.
        UsageError, ModelError, UnsupportedLayerError, MismatchError: as `hwq.exporters.registry.export_graph`.
    """
    directory = RunDir.open(run)
    chosen = directory.select(point)
    if len(chosen) != 1:
        raise UsageError("one point is exported at a time", hint="--point best, or one of: " + ", ".join(p.id for p in chosen))
    if to is None and out is None:
        raise UsageError("say the format", hint="--to qonnx, or --out net.onnx")
    known = format_of(to, out or Path())
    target = out or run / FOLDER / f"{run.resolve().name}-{chosen[0].id}{known.suffix}"
    events.note(f"point {chosen[0].id}: writing {target}")
    rows, _ = directory.vectors()
    return ExportSummary(chosen[0].id, export_graph(verify(parse(chosen[0].graph_text())), target, known.name, rows))
