"""A report as one self-contained HTML page: tables and inline SVG plots, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwq.codegen.templates import render
from hwq.report.model import PointRow, RunReport
from hwq.report.terminal import count, predicted, share

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 460, 280, 62, 44, 14, 16


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot of a plot, in pixels, with what it says when pointed at."""

    x: float
    y: float
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """A scatter plot, laid out."""

    title: str
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    line: tuple[float, float, float, float] | None
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def page(report: RunReport) -> str:
    """The whole page."""
    plots = [
        _plot(
            "Accuracy against EBOPs", "EBOPs", "test accuracy", [(r.ebops, r.test_accuracy, r) for r in report.rows], percent=True
        ),
        _plot(
            "Accuracy against LUTs",
            "LUT, measured",
            "test accuracy",
            [(r.lut, r.test_accuracy, r) for r in report.rows],
            percent=True,
        ),
        _plot(
            "Prediction against measurement",
            "LUT, measured",
            "LUT, predicted",
            [(r.lut, r.lut_predicted, r) for r in report.rows],
            diagonal=True,
        ),
    ]
    values = {"report": report, "plots": [p for p in plots if p], "share": share, "count": count, "predicted": predicted}
    return render("report/page.html.j2", **values)


def _plot(
    title: str,
    x_label: str,
    y_label: str,
    data: Sequence[tuple[float | None, float | None, PointRow]],
    *,
    percent: bool = False,
    diagonal: bool = False,
) -> Plot | None:
    """None where nothing has both coordinates."""
    points = [(x, y, row) for x, y, row in data if x is not None and y is not None and x > 0]
    if not points:
        return None
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    if diagonal:
        xs = ys = [*xs, *ys]
    x_low, x_high = _padded(min(xs), max(xs))
    y_low, y_high = _padded(min(ys), max(ys))
    if percent:
        y_high = min(y_high, 1.0) if max(ys) < 1.0 else 1.005

    def px(x: float) -> float:
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP)

    marks = tuple(
        Mark(round(px(x), 1), round(py(y), 1), f"point {row.point}: {x:,.0f}, {share(y) if percent else count(y)}", row.chosen)
        for x, y, row in points
    )
    x_ticks = tuple((round(px(t), 1), f"{t:,.0f}") for t in _ticks(x_low, x_high))
    y_ticks = tuple((round(py(t), 1), f"{t:.1%}" if percent else f"{t:,.0f}") for t in _ticks(y_low, y_high))
    line = (px(x_low), py(x_low), px(x_high), py(x_high)) if diagonal else None
    return Plot(title, x_label, y_label, marks, x_ticks, y_ticks, line)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return max(low - room, 0.0), high + room


def _ticks(low: float, high: float) -> list[float]:
    """Four to six round values inside [low, high]."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]
