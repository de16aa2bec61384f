"""Parsed tool reports as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwq.views.terminal import UNKNOWN


def render_parsed(objects: Sequence[dict[str, Any]], console: Console) -> None:
    """One row a file, under the folder it is in; below the table, why a file is not simply ok."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold", min_width=16)
    table.add_column("tool", min_width=6)
    for title in ("LUT", "FF", "DSP", "BRAM", "URAM", "cycles", "interval", "ns / target", "WNS ns", "W"):
        if title in ("LUT", "FF") or any(_cell(title, found) != UNKNOWN for found in objects):
            table.add_column(title, justify="right")
    table.add_column("status", no_wrap=True)
    titles = [str(column.header) for column in table.columns[2:-1]]
    for found in objects:
        tool = (
            " ".join(str(found[key]) for key in ("tool", "version") if found[key]).replace(" (HLS export)", "").replace("(TM)", "")
        )
        status = Text(found["status"], style="" if found["status"] == "ok" else "bold red")
        table.add_row(Text(Path(found["file"]).name), tool or UNKNOWN, *(_cell(title, found) for title in titles), status)
    console.print(table)
    for found in objects:
        if found["reason"]:
            console.print(Text(f"{found['file']}: {found['reason']}"), soft_wrap=True)


def _cell(title: str, found: dict[str, Any]) -> str:
    """The text of one column."""
    if title == "BRAM":
        return _bram(found)
    if title == "cycles":
        return _range(found["lat_min"], found["lat_max"])
    if title == "interval":
        return _range(found["ii_min"], found["ii_max"])
    if title == "ns / target":
        return _clock(found)
    return _number(found[{"WNS ns": "wns_ns", "W": "power_w"}.get(title, title.lower())])


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.12g}"


def _bram(found: dict[str, Any]) -> str:
    if found["bram"] is None:
        return UNKNOWN
    unit = {"36K tile": "36K", "18K": "18K"}.get(found["bram_unit"] or "", found["bram_unit"] or "")
    halves = f" + {found['ramb18']:g} RAMB18" if found["ramb18"] else ""
    return f"{found['bram']:g}×{unit}{halves}".strip()


def _range(low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return UNKNOWN
    return str(low) if low == high else f"{_number(low)} ~ {_number(high)}"


def _clock(found: dict[str, Any]) -> str:
    """Reached or estimated, of the target."""
    if found["clk_target_ns"] is None and found["clk_est_ns"] is None:
        return UNKNOWN
    return f"{_number(found['clk_est_ns'])} / {_number(found['clk_target_ns'])}"
