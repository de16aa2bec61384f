"""`hwq report --parse`: read report files one by one; a file that cannot be read never hides the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse

# The keys of one object, in the order in which they are shown.
COLUMNS = (
    "kind", "tool", "version", "device", "top", "lut", "ff", "dsp", "bram", "bram_unit", "uram", "lat_min", "lat_max", "ii_min", "ii_max",
    "clk_target_ns", "clk_est_ns", "clk_uncert_ns", "wns_ns", "timing_met", "power_w", "status",
)  # fmt: skip
BESIDES = ("reason", "state", "ramb18")


def parse_files(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """One object a file, in the order given: `file`, COLUMNS, BESIDES, `modules`, and for logs `error_lines` and `first_error`."""
    return [_object(path) for path in paths]


def _object(path: Path) -> dict[str, Any]:
    try:
        report = parse(path)
    except ReportError as error:
        where = f"line {error.line}: " if error.line is not None else ""
        report = Report("", status=Status.NO_REPORT, reason=f"{where}{error.reason}")
    found = {"file": str(path), **{key: getattr(report, key) for key in (*COLUMNS, *BESIDES)}}
    found["kind"] = report.kind or None
    found["status"] = str(report.status)
    if report.kind == "log":
        found |= {"error_lines": report.error_lines, "first_error": report.first_error}
    if report.states is not None:
        found["states"] = report.states
    found["modules"] = [dataclasses.asdict(module) for module in report.modules]
    return found


def unreadable(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that hold no report."""
    return [found for found in objects if found["status"] == str(Status.NO_REPORT)]
