"""Parsed tool reports as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwq.report.terminal import UNKNOWN

_NUMBERS = ("lut", "ff", "dsp", "bram", "uram")


def render_parsed(objects: Sequence[dict[str, Any]], console: Console) -> None:
    """One row a file; below the table, why a file is not simply ok."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold")
    table.add_column("kind")
    table.add_column("tool")
    for title in ("LUT", "FF", "DSP", "BRAM", "URAM", "cycles", "interval", "clock ns", "WNS ns", "W"):
        table.add_column(title, justify="right")
    table.add_column("status")
    for found in objects:
        tool = " ".join(str(found[key]) for key in ("tool", "version") if found[key])
        table.add_row(
            Text(found["file"]),
            found["kind"] or UNKNOWN,
            tool or UNKNOWN,
            *(_bram(found) if key == "bram" else _number(found[key]) for key in _NUMBERS),
            _range(found["lat_min"], found["lat_max"]),
            _range(found["ii_min"], found["ii_max"]),
            _clock(found),
            _number(found["wns_ns"]),
            _number(found["power_w"]),
            Text(found["status"], style="" if found["status"] == "ok" else "bold red"),
        )
    console.print(table)
    for found in objects:
        if found["reason"]:
            console.print(Text(f"{found['file']}: {found['reason']}"), soft_wrap=True)


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.12g}"


def _bram(found: dict[str, Any]) -> str:
    if found["bram"] is None:
        return UNKNOWN
    unit = {"36K tile": "36K", "18K": "18K"}.get(found["bram_unit"] or "", found["bram_unit"] or "")
    halves = f" + {found['ramb18']:g} RAMB18" if found["ramb18"] else ""
    return f"{found['bram']:g} {unit}{halves}".strip()


def _range(low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return UNKNOWN
    return str(low) if low == high else f"{_number(low)} ~ {_number(high)}"


def _clock(found: dict[str, Any]) -> str:
    """Reached or estimated, of the target."""
    if found["clk_target_ns"] is None and found["clk_est_ns"] is None:
        return UNKNOWN
    return f"{_number(found['clk_est_ns'])} of {_number(found['clk_target_ns'])}"
