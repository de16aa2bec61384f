"""A comparison of methods: what was measured, and how it is summed up in one table and one plot.

Two summaries, both of points chosen on validation rows alone. `best`: the point of highest validation accuracy of each method and
seed. `equal`: on each seed, the cheapest point of a method and that of the first method, the reference, that reach a validation
accuracy which both of them reach, the highest such: the two have comparable LUTs, whose ratio is taken seed by seed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwq.templates import render as render_template
from hwq.views.plot import Dot, Scatter, scatter_plot

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Entry:
    """One measured point.

    Attributes:
        run, point: where it is, below the folder of its method and seed.
        val_accuracy, test_accuracy: 0 .. 1.
        lut, ff, dsp: measured; latency_cycles: clock cycles; None: not reported.
        mismatches: between the evaluators of the design; 0 for what is measured at all.
        training_cpu_s: of all runs of this method and seed, the float network included.
    """

    method: str
    seed: int
    run: str
    point: str
    val_accuracy: float
    test_accuracy: float
    ebops: float
    lut: float | None
    ff: float | None
    dsp: float | None
    latency_cycles: float | None
    mismatches: int
    training_cpu_s: float
    tool: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation over seeds; `deviation` is None for a single one."""

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        known = [v for v in values if math.isfinite(v)]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None, len(known))


@dataclass(frozen=True, slots=True)
class MethodSummary:
    """A method over all seeds.

    Attributes:
        best_test, best_lut: of the best point by validation accuracy.
        equal_test, equal_lut: of the cheapest point at the validation accuracy that it and the first method both reach.
        ratio, gain: its LUTs over those of the first method's such point, and its test accuracy less that one's, seed by seed.
        cpu_s: CPU seconds of training, the whole front.
        seeds: how many are measured.
    """

    method: str
    seeds: int
    best_test: Spread | None
    best_lut: Spread | None
    equal_test: Spread | None
    equal_lut: Spread | None
    ratio: Spread | None
    gain: Spread | None
    cpu_s: Spread | None


@dataclass(frozen=True, slots=True)
class MethodComparison:
    """All measured points, with what was asked."""

    data: str
    model: str
    board: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]

    def of(self, method: str, seed: int) -> list[Entry]:
        """The points of one method and seed that have LUTs, cheapest first."""
        found = [e for e in self.entries if e.method == method and e.seed == seed and e.lut is not None]
        return sorted(found, key=lambda e: (e.lut or 0.0, e.run, e.point))

    def level(self, method: str, seed: int) -> float | None:
        """The highest validation accuracy that both a method and the first one reach on a seed; None where one has no point there."""
        tops = [max((e.val_accuracy for e in self.of(name, seed)), default=math.nan) for name in (method, self.methods[0])]
        return None if any(map(math.isnan, tops)) else min(tops)

    def best(self, method: str, seed: int) -> Entry | None:
        """The point of highest validation accuracy, the cheapest of equals."""
        return max(self.of(method, seed), key=lambda e: (e.val_accuracy, -(e.lut or 0.0)), default=None)

    def equal(self, method: str, seed: int) -> tuple[Entry, Entry] | None:
        """The cheapest points of a method and of the first one that reach `level`."""
        level = self.level(method, seed)
        if level is None:
            return None
        mine, reference = (next(e for e in self.of(name, seed) if e.val_accuracy >= level) for name in (method, self.methods[0]))
        return mine, reference

    def summaries(self) -> list[MethodSummary]:
        """One a method, in the order asked."""
        return [self._summary(method) for method in self.methods]

    def _summary(self, method: str) -> MethodSummary:
        seeds = [seed for seed in self.seeds if self.of(method, seed)]
        best = [e for seed in seeds if (e := self.best(method, seed))]
        equal = [pair for seed in seeds if (pair := self.equal(method, seed))]
        chosen = [mine for mine, _ in equal]
        ratios = [(mine.lut or 0.0) / (reference.lut or math.nan) for mine, reference in equal]
        gains = [mine.test_accuracy - reference.test_accuracy for mine, reference in equal]

        def spread(found: Sequence[Entry], figure: Callable[[Entry], float | None]) -> Spread | None:
            return Spread.of([math.nan if (v := figure(e)) is None else v for e in found])

        return MethodSummary(
            method,
            len(seeds),
            spread(best, lambda e: e.test_accuracy),
            spread(best, lambda e: e.lut),
            spread(chosen, lambda e: e.test_accuracy),
            spread(chosen, lambda e: e.lut),
            Spread.of(ratios),
            Spread.of(gains),
            spread(best, lambda e: e.training_cpu_s),
        )

    def to_json(self) -> dict[str, object]:
        """The points and the table; what is not known is null."""
        whole = asdict(self) | {"summaries": [asdict(s) for s in self.summaries()]}
        return {name: _plain(value) for name, value in whole.items()}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_text(comparison: MethodComparison) -> str:
    """Every measured point, a line each."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(Entry.__slots__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(e) for e in comparison.entries)
    return stream.getvalue()


def svg(comparison: MethodComparison) -> str:
    """Test accuracy against measured LUTs: small dots for all points, large ones with bars (a standard deviation) for `best`."""
    series = []
    for summary in comparison.summaries():
        name = summary.method
        dots = [
            Dot(e.lut, e.test_accuracy, f"{name}, seed {e.seed}, {e.run} {e.point}: {e.lut:,.0f} LUT, {e.test_accuracy:.2%}")
            for e in comparison.entries
            if e.method == name and e.lut and math.isfinite(e.test_accuracy)
        ]
        lut, test = summary.best_lut, summary.best_test
        centre = Dot(lut.mean, test.mean, f"{name}: {_count(lut)} LUT, {_share(test)}") if lut and test and lut.mean > 0 else None
        series.append(
            Scatter(name, tuple(dots), centre, (lut.deviation or 0.0 if lut else 0.0, test.deviation or 0.0 if test else 0.0))
        )
    title = f"{comparison.data}, {comparison.model}, {comparison.board}: {len(comparison.seeds)} splits"
    plot = scatter_plot(title, "LUT, measured", "test accuracy", series)
    return render_template("report/comparison.svg.j2", plot=plot)


def render(comparison: MethodComparison, console: Console) -> None:
    """Print the table."""
    tools = sorted({e.tool for e in comparison.entries})
    head = f"{comparison.data}, model {comparison.model}, {comparison.board}, {', '.join(tools) or 'nothing measured yet'}"
    console.print(Text(f"{head}; seeds {', '.join(map(str, comparison.seeds))}", style="bold"))
    first = comparison.methods[0]
    table = Table(box=box.SIMPLE_HEAD, title="mean ± standard deviation over seeds, each a split of its own", title_justify="left")
    table.add_column("method", no_wrap=True)
    equally = f"as {first} in validation"
    for column in ("seeds", "best: test", "LUT", f"{equally}: LUT", f"LUT / {first}", "test, points", "training CPU s"):
        table.add_column(column, justify="right")
    for s in comparison.summaries():
        equal = (_count(s.equal_lut), _ratio(s.ratio), _points(s.gain))
        table.add_row(s.method, str(s.seeds), _share(s.best_test), _count(s.best_lut), *equal, _count(s.cpu_s))
    console.print(table)


def _share(s: Spread | None) -> str:
    return UNKNOWN if s is None else f"{s.mean:.2%}" + (f" ± {s.deviation:.2%}" if s.deviation is not None else "")


def _count(s: Spread | None) -> str:
    return UNKNOWN if s is None else f"{s.mean:,.0f}" + (f" ± {s.deviation:,.0f}" if s.deviation is not None else "")


def _ratio(s: Spread | None) -> str:
    return UNKNOWN if s is None else f"{s.mean:.2f}" + (f" ± {s.deviation:.2f}" if s.deviation is not None else "")


def _points(s: Spread | None) -> str:
    """A difference of accuracies, in percentage points."""
    spread = "" if s is None or s.deviation is None else f" ± {100 * s.deviation:.2f}"
    return UNKNOWN if s is None else f"{100 * s.mean:+.2f}{spread}"
