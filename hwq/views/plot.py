"""Scatter plots laid out in pixels for a template to draw; nothing here knows SVG or a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 290
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 46
LOG_FROM = 4.0  # ratio of the largest to the smallest value from which a logarithmic axis reads better


@dataclass(frozen=True, slots=True)
class Dot:
    """One point to plot, in the units of the data."""

    x: float
    y: float
    label: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot in pixels."""

    x: float
    y: float
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """What a template needs to draw one scatter plot; pixels from the upper left corner.

    Attributes:
        x_ticks, y_ticks: (pixel, text).
        path: the dots in order of x as "x,y x,y ...", for a line through them; "" for none.
        diagonal: x1, y1, x2, y2 of the line y = x.
        level: (pixel, text) of a horizontal line to compare with.
    """

    title: str
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    path: str = ""
    diagonal: tuple[float, float, float, float] | None = None
    level: tuple[float, str] | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Axis:
    """Data units to pixels: [low, high] to [start, end], by logarithm where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def pixel(self, value: float) -> float:
        low, high, v = (math.log10(t) for t in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return round(self.start + (v - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self, text: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
        values = _decades(self.low, self.high) if self.log else _steps(self.low, self.high)
        return tuple((self.pixel(v), text(v)) for v in values)


def accuracy_plot(
    title: str, x_label: str, y_label: str, dots: Sequence[Dot], level: tuple[float, str] | None = None
) -> Plot | None:
    """Accuracy (0 .. 1), or another metric, against a cost greater than 0, with a line through the dots; None where there are none."""
    if not dots:
        return None
    heights = [d.y for d in dots] + ([level[0]] if level else [])
    low, high = _padded(min(heights), max(heights))
    x = _cost_axis([d.x for d in dots], LEFT, WIDTH - RIGHT)
    shares = y_label.endswith(("accuracy", "auc"))
    y = Axis(max(low, 0.0), min(high, 1.004), HEIGHT - BOTTOM, TOP) if shares else Axis(low, high, HEIGHT - BOTTOM, TOP)
    marks = tuple(Mark(x.pixel(d.x), y.pixel(d.y), d.label, d.chosen) for d in dots)
    path = " ".join(f"{m.x},{m.y}" for m in sorted(marks, key=lambda m: m.x)) if len(marks) > 1 else ""
    digits = 0 if y.high - y.low > 0.05 else 1
    return Plot(
        title,
        x_label + (", logarithmic" if x.log else ""),
        y_label,
        marks,
        x.ticks(_number),
        y.ticks((lambda v: f"{v:.{digits}%}") if shares else (lambda v: f"{v:.3g}")),
        path=path,
        level=(y.pixel(level[0]), level[1]) if level else None,
    )


def agreement_plot(title: str, x_label: str, y_label: str, dots: Sequence[Dot]) -> Plot | None:
    """Two costs against each other on equal axes, with the diagonal; None where there are no dots."""
    if not dots:
        return None
    both = [v for d in dots for v in (d.x, d.y)]
    x, y = _cost_axis(both, LEFT, WIDTH - RIGHT), _cost_axis(both, HEIGHT - BOTTOM, TOP)
    marks = tuple(Mark(x.pixel(d.x), y.pixel(d.y), d.label, d.chosen) for d in dots)
    diagonal = (x.pixel(x.low), y.pixel(y.low), x.pixel(x.high), y.pixel(y.high))
    kind = ", logarithmic" if x.log else ""
    return Plot(title, x_label + kind, y_label + kind, marks, x.ticks(_number), y.ticks(_number), diagonal=diagonal)


def _cost_axis(values: Sequence[float], start: float, end: float) -> Axis:
    low, high = min(values), max(values)
    if high > LOG_FROM * low:
        return Axis(low / 1.15, high * 1.15, start, end, log=True)
    low, high = _padded(low, high)
    return Axis(max(low, 0.0), high, start, end)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = max((high - low) * 0.08, abs(high) * 0.02) or 1.0
    return low - room, high + room


def _steps(low: float, high: float) -> list[float]:
    """Some three to seven round values inside [low, high]."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Round values inside [low, high], denser the fewer decades it spans."""
    span = math.log10(high / low)
    factors = (1, 2, 3, 5, 7) if span < 1 else (1, 2, 5) if span < 2.3 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Scatter:
    """The dots of one series, in the units of the data, and their centre with a spread to each side (x, y)."""

    name: str
    dots: tuple[Dot, ...]
    centre: Dot | None = None
    spread: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Series:
    """A series in pixels: its marks, its centre, and the two bars through that, each x1, y1, x2, y2."""

    name: str
    colour: str
    marks: tuple[Mark, ...]
    centre: Mark | None
    bars: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class SeriesPlot:
    """Several series on one pair of axes; as `Plot`."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: int = 720
    height: int = 440
    left: int = LEFT
    right: int = 720 - 170
    top: int = 34
    bottom: int = 440 - BOTTOM


COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#000000",
    "#999999",
)  # Okabe and Ito: told apart by all


def scatter_plot(title: str, x_label: str, y_label: str, series: Sequence[Scatter]) -> SeriesPlot:
    """Accuracy (0 .. 1), or another metric, against a cost above 0, a colour for each series; empty axes where there are no dots."""
    empty = SeriesPlot(title, x_label, y_label, (), (), ())
    dots = [d for s in series for d in (*s.dots, *([s.centre] if s.centre else []))]
    if not dots:
        return empty
    low, high = _padded(min(d.y for d in dots), max(d.y for d in dots))
    x = _cost_axis([d.x for d in dots], empty.left, empty.right)
    y = Axis(max(low, 0.0), min(high, 1.004), empty.bottom, empty.top)

    def clipped(axis: Axis, value: float) -> float:
        return axis.pixel(min(max(value, axis.low), axis.high))

    def mark(d: Dot) -> Mark:
        return Mark(x.pixel(d.x), y.pixel(d.y), d.label, d.chosen)

    def bars(s: Scatter) -> tuple[tuple[float, float, float, float], ...]:
        c = s.centre
        if c is None:
            return ()
        (dx, dy), here = s.spread, mark(c)
        across = (clipped(x, c.x - dx), here.y, clipped(x, c.x + dx), here.y)
        return across, (here.x, clipped(y, c.y - dy), here.x, clipped(y, c.y + dy))

    drawn = tuple(
        Series(s.name, COLOURS[i % len(COLOURS)], tuple(map(mark, s.dots)), mark(s.centre) if s.centre else None, bars(s))
        for i, s in enumerate(series)
    )
    digits = 0 if y.high - y.low > 0.05 else 1
    kind = x_label + (", logarithmic" if x.log else "")
    return SeriesPlot(title, kind, y_label, drawn, x.ticks(_number), y.ticks(lambda v: f"{v:.{digits}%}"))
