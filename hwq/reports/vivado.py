"""Vivado's text reports: utilisation and timing summary. Rows and columns are found by their names, never by position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import ReportError
from hwq.reports.numbers import number
from hwq.reports.types import Resources, Timing

_NAMES = {
    "lut": ("clb luts", "slice luts", "luts"),
    "ff": ("clb registers", "slice registers", "registers"),
    "dsp": ("dsps", "dsp slices", "dsp48e1", "dsp48e2"),
    "bram36": ("block ram tile",),
    "uram": ("uram", "urams"),
    "carry": ("carry8", "carry4", "lookahead8"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a Vivado report."""

    version: str
    device: str
    top: str
    state: str


def read_utilization(path: Path) -> tuple[Header, Resources]:
    """The `report_utilization` of a whole design.

    Raises:
        ReportError: missing, another report, truncated before the logic table, or a number that cannot be read.
    """
    lines = _lines(path)
    header = _header(lines)
    found: dict[str, float] = {}
    columns: list[str] | None = None
    for line_number, line in enumerate(lines, 1):
        cells = _cells(line)
        if cells is None:
            columns = columns if line.startswith("+") else None
            continue
        if ("used" in (c.lower() for c in cells) and cells[0].lower() == "site type") or cells[0].lower() == "ref name":
            columns = [c.lower() for c in cells]
            continue
        if columns and "used" in columns and len(cells) == len(columns):
            _take(path, line_number, found, columns[0], cells[0], cells[columns.index("used")])
    if "lut" not in found or "ff" not in found:
        raise ReportError(path, "no LUT and register rows: no complete utilisation report")
    return header, Resources(**found)


def _take(path: Path, line: int, found: dict[str, float], kind: str, name: str, used: str) -> None:
    cleaned = name.strip().rstrip("*").strip().lower()
    for key, names in _NAMES.items():
        if cleaned in names and key not in found and (kind == "site type" or key == "carry"):
            try:
                value = number(used)
            except ValueError as error:
                raise ReportError(path, f"{name.strip()}: {error}", line=line) from error
            if value is not None:
                found[key] = value


def read_timing(path: Path) -> tuple[Header, Timing]:
    """The `report_timing_summary` of a design: WNS and whether timing is met; `NA` and `inf` are None.

    Raises:
        ReportError: missing, or without a design timing summary.
    """
    lines = _lines(path)
    start = next((i for i, line in enumerate(lines) if "Design Timing Summary" in line), None)
    if start is None:
        raise ReportError(path, "no design timing summary in it")
    for i in range(start, min(start + 20, len(lines) - 2)):
        if lines[i].split()[:1] == ["WNS(ns)"]:
            values = lines[i + 2].split()
            if not values:
                break
            try:
                slack = number(values[0])
            except ValueError as error:
                raise ReportError(path, f"WNS: {error}", line=i + 3) from error
            period = _period(lines)
            fmax = 1e3 / (period - slack) if period is not None and slack is not None and period > slack else None
            met = None if slack is None else slack >= 0
            return _header(lines), Timing(period, slack, fmax, met)
    raise ReportError(path, "the design timing summary has no WNS row")


def _period(lines: list[str]) -> float | None:
    """The period of the only clock; None where there are several."""
    start = next((i for i, line in enumerate(lines) if re.match(r"Clock\s+Waveform\(ns\)\s+Period\(ns\)", line)), None)
    if start is None:
        return None
    periods = []
    for line in lines[start + 2 :]:
        match = re.match(r"\s*\S+\s+\{[^}]*\}\s+([\d.]+)", line)
        if match is None:
            break
        periods.append(float(match[1]))
    return periods[0] if len(periods) == 1 else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise ReportError(path, error.strerror or str(error)) from error


def _header(lines: list[str]) -> Header:
    fields: dict[str, str] = {}
    for line in lines[:40]:
        match = re.match(r"\|\s*([A-Za-z ]+?)\s*:\s*(.*?)\s*$", line)
        if match:
            fields.setdefault(match[1].strip().lower(), match[2].rstrip("| ").strip())
    version = re.search(r"v\.?(\d{4}\.\d(?:\.\d)?)", fields.get("tool version", ""))
    return Header(version[1] if version else "", fields.get("device", ""), fields.get("design", ""), fields.get("design state", ""))


def _cells(line: str) -> list[str] | None:
    stripped = line.strip()
    if not (stripped.startswith("|") and stripped.endswith("|")) or stripped.count("|") < 3:
        return None
    return [cell.strip() for cell in stripped[1:-1].split("|")]
