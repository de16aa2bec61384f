"""Parsed tool reports: as objects for JSON, and as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwq.reports.types import Report, Status
from hwq.views.terminal import UNKNOWN

# The keys of one object, in the order in which they are shown.
COLUMNS = (
    "kind", "tool", "version", "device", "top", "lut", "ff", "dsp", "bram", "bram_unit", "uram", "lat_min", "lat_max", "ii_min", "ii_max",
    "clk_target_ns", "clk_est_ns", "clk_uncert_ns", "wns_ns", "timing_met", "power_w", "status",
)  # fmt: skip
BESIDES = ("reason", "state", "ramb18")


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """One file and what it says; a file that cannot be read has a report with the reason."""

    path: Path
    report: Report

    def to_json(self) -> dict[str, object]:
        """`file`, COLUMNS, BESIDES, for logs `error_lines` and `first_error`, `states` where they are known, and `modules`."""
        report = self.report
        told: dict[str, object] = {"file": str(self.path), **{key: getattr(report, key) for key in (*COLUMNS, *BESIDES)}}
        told |= {"kind": report.kind or None, "status": str(report.status)}
        if report.kind == "log":
            told |= {"error_lines": report.error_lines, "first_error": report.first_error}
        if report.states is not None:
            told["states"] = report.states
        return {**told, "modules": [asdict(module) for module in report.modules]}


def render_parsed(files: Sequence[ParsedFile], console: Console) -> None:
    """One row a file, under the folder it is in; below the table, why a file is not simply ok."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold", min_width=16)
    table.add_column("tool", min_width=6)
    for title in ("LUT", "FF", "DSP", "BRAM", "URAM", "cycles", "interval", "ns / target", "WNS ns", "W"):
        if title in ("LUT", "FF") or any(_cell(title, found.report) != UNKNOWN for found in files):
            table.add_column(title, justify="right")
    table.add_column("status", no_wrap=True)
    titles = [str(column.header) for column in table.columns[2:-1]]
    for found in files:
        report = found.report
        tool = " ".join(part for part in (report.tool, report.version) if part).replace(" (HLS export)", "").replace("(TM)", "")
        status = Text(str(report.status), style="" if report.status == Status.OK else "bold red")
        table.add_row(Text(found.path.name), tool or UNKNOWN, *(_cell(title, report) for title in titles), status)
    console.print(table)
    for found in files:
        if found.report.reason:
            console.print(Text(f"{found.path}: {found.report.reason}"), soft_wrap=True)


def _cell(title: str, found: Report) -> str:
    """The text of one column."""
    if title == "BRAM":
        return _bram(found)
    if title == "cycles":
        return _range(found.lat_min, found.lat_max)
    if title == "interval":
        return _range(found.ii_min, found.ii_max)
    if title == "ns / target":
        return _clock(found)
    return _number(getattr(found, {"WNS ns": "wns_ns", "W": "power_w"}.get(title, title.lower())))


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.12g}"


def _bram(found: Report) -> str:
    if found.bram is None:
        return UNKNOWN
    unit = {"36K tile": "36K", "18K": "18K"}.get(found.bram_unit or "", found.bram_unit or "")
    halves = f" + {found.ramb18:g} RAMB18" if found.ramb18 else ""
    return f"{found.bram:g}×{unit}{halves}".strip()


def _range(low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return UNKNOWN
    return str(low) if low == high else f"{_number(low)} ~ {_number(high)}"


def _clock(found: Report) -> str:
    """Reached or estimated, of the target."""
    if found.clk_target_ns is None and found.clk_est_ns is None:
        return UNKNOWN
    return f"{_number(found.clk_est_ns)} / {_number(found.clk_target_ns)}"
