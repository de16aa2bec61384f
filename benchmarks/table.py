"""Rows of a benchmark: what was measured, what a peer does, the bar, and whether it is met."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `limit` is the most that `value` may be; None: reported only."""

    group: str
    case: str
    figure: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None

    @property
    def met(self) -> bool:
        return self.limit is None or bool(self.value <= self.limit)  # numpy's own truth is no JSON

    @property
    def name(self) -> str:
        return f"{self.group}: {self.case}: {self.figure}"


def number(value: float | None) -> str:
    """Three significant digits, or whole numbers where there are more."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def shown(rows: Sequence[Row]) -> str:
    """The table as text."""
    head = ("group", "case", "figure", "hwq", "peer", "bar", "unit", "")
    body = [
        (r.group, r.case, r.figure, number(r.value), number(r.peer), number(r.limit), r.unit, "" if r.met else "SHORT")
        for r in rows
    ]
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in (head, *body))


def failures(rows: Iterable[Row]) -> list[str]:
    """The names of the rows that fall short."""
    return [f"{row.name}: {number(row.value)} {row.unit}, the bar is {number(row.limit)}" for row in rows if not row.met]


def write(rows: Sequence[Row], path: Path) -> None:
    """All rows as JSON."""
    path.write_text(json.dumps([{**asdict(row), "met": row.met} for row in rows], indent=1) + "\n")


def conclude(rows: Sequence[Row], *, check: bool, path: Path | None = None) -> int:
    """Show the table, write it to `path`, and name the rows that fall short; the exit code: 1 where there are some and `check` asks."""
    print(shown(rows))
    if path is not None:
        write(rows, path)
    short = failures(rows)
    if short:
        print("short of the bar:", *short, sep="\n  ", file=sys.stderr)
    return int(bool(short) and check)
