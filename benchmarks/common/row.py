"""A row of a benchmark: what was measured, what a peer does, the bar, and whether it is met; tables of rows as text and as Markdown."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Sign = Literal["<=", ">=", "<", ">"]
HOLDS: dict[Sign, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
HEAD = ("group", "case", "figure", "hwq", "peer", "bar", "unit", "")


@dataclass(frozen=True, slots=True)
class Bar:
    """What a value must be; nan meets no bar."""

    sign: Sign
    limit: float

    def met_by(self, value: float) -> bool:
        return bool(HOLDS[self.sign](value, self.limit))  # numpy's own truth is no JSON

    def __str__(self) -> str:
        return f"{self.sign} {number(self.limit)}"


def at_most(limit: float | None) -> Bar | None:
    """A bar from above; None where there is no limit."""
    return None if limit is None else Bar("<=", limit)


def at_least(limit: float | None) -> Bar | None:
    """A bar from below; None where there is no limit."""
    return None if limit is None else Bar(">=", limit)


@dataclass(frozen=True, slots=True)
class Peer:
    """What another library, or another way, does in the same case. `version` is empty where it is part of hwq."""

    value: float
    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{number(self.value)} ({f'{self.name} {self.version}'.strip()})"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a case. A row without a bar is reported only; the driver fills in the command that makes it."""

    group: str
    case: str
    figure: str
    value: float
    unit: str
    peer: Peer | None = None
    bar: Bar | None = None
    command: str = ""

    @property
    def met(self) -> bool:
        return self.bar is None or self.bar.met_by(self.value)

    @property
    def name(self) -> str:
        return f"{self.group}: {self.case}: {self.figure}"

    def __str__(self) -> str:
        return f"{self.name}: {number(self.value)} {self.unit}".rstrip()

    def cells(self) -> tuple[str, ...]:
        """The texts under `HEAD`."""
        peer, bar = ("–" if one is None else str(one) for one in (self.peer, self.bar))
        return (self.group, self.case, self.figure, number(self.value), peer, bar, self.unit, "" if self.met else "SHORT")

    def record(self) -> dict[str, Any]:
        """The row as JSON, in which nan is null."""
        peer = None if self.peer is None else {"value": real(self.peer.value), "name": self.peer.name, "version": self.peer.version}
        bar = None if self.bar is None else {"sign": self.bar.sign, "limit": real(self.bar.limit)}
        texts = {"group": self.group, "case": self.case, "figure": self.figure}
        return texts | {
            "value": real(self.value),
            "unit": self.unit,
            "peer": peer,
            "bar": bar,
            "met": self.met,
            "command": self.command,
        }


def real(value: float) -> float | None:
    """A value that JSON has: numpy's numbers become Python's, nan and infinity None."""
    return float(value) if math.isfinite(value) else None


def number(value: float) -> str:
    """Three significant digits, or whole numbers where there are more."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text_table(rows: Sequence[Row]) -> str:
    """Rows in columns, for a terminal."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows as a table of a documentation page."""
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def failures(rows: Iterable[Row]) -> list[str]:
    """What to say of the rows that fall short."""
    return [f"{row}, the bar is {row.bar}" for row in rows if not row.met]
