"""A report as tables in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwq.views.model import PointRow, RunReport

UNKNOWN = "–"
BEYOND = "outside the range of the designs that the cost model comes from; hwq calibrate measures more"


def share(value: float | None) -> str:
    return UNKNOWN if value is None or value != value else f"{value:.2%}"


def count(value: float | None) -> str:
    return UNKNOWN if value is None or value != value else f"{value:,.0f}"


def predicted(value: float | None, error: float | None = None, beyond: bool = False) -> str:
    """A predicted number with the relative error that its model had in cross-validation; ±? beyond what the model has seen."""
    known = count(value)
    if known == UNKNOWN or error is None or error != error:
        return known
    return f"{known} ±?" if beyond else f"{known} ±{error:.0%}"


def render(report: RunReport, console: Console) -> None:
    """Print the front, then the chosen point."""
    console.print(Text(f"{report.title}: {report.dataset}; model {report.model}; {report.where}", style="bold"))
    console.print(_front(report))
    chosen = report.chosen
    if chosen is not None:
        console.print(_chosen(report, chosen))
    for line in report.warnings:
        console.print(Text(f"warning: {line}", style="yellow"))
    for line in report.cost_models:
        console.print(Text(f"cost model: {line}"))
    if report.beyond:
        console.print(Text(f"±?: {BEYOND}"))


def _front(report: RunReport) -> Table:
    better = f"; {report.metric}: {report.better} is better" if report.metric != "accuracy" else ""
    title = f"Pareto front (wrong: mismatches between the evaluators{better})"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("point", no_wrap=True)
    for title in (
        "valid.",
        "test",
        "EBOPs",
        "LUT pred.",
        "LUT",
        "FF pred.",
        "FF",
        "DSP",
        "cycles pred." if report.cycles_predicted else "cycles",
        "wrong",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for row in report.rows:
        table.add_row(
            f"{row.point}{' *' if row.chosen else ''}",
            report.told(row.val_accuracy),
            report.told(row.test_accuracy),
            count(row.ebops),
            predicted(row.lut_predicted, row.lut_error, row.lut_beyond),
            count(row.lut),
            predicted(row.ff_predicted, row.ff_error, row.ff_beyond),
            count(row.ff),
            count(row.dsp),
            count(row.latency_predicted if report.cycles_predicted else row.latency_cycles),
            count(row.mismatches),
        )
    return table


def _chosen(report: RunReport, row: PointRow) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=f"Point {row.point}, chosen by validation {report.metric}", title_justify="left")
    table.add_column("")
    table.add_column("predicted", justify="right")
    table.add_column("measured", justify="right")
    table.add_row(f"{report.metric}, float network", "", report.told(report.float_accuracy))
    table.add_row(f"{report.metric}, quantised (Keras)", "", report.told(row.test_accuracy))
    table.add_row(f"{report.metric}, simulated (RTL)", "", report.told(row.simulated_accuracy))
    table.add_row("LUT", predicted(row.lut_predicted, row.lut_error, row.lut_beyond), count(row.lut))
    table.add_row("FF", predicted(row.ff_predicted, row.ff_error, row.ff_beyond), count(row.ff))
    # shifts and adders only, by construction
    table.add_row("DSP", UNKNOWN if row.latency_predicted is None else "0", count(row.dsp))
    table.add_row("latency, clock cycles", count(row.latency_predicted), count(row.latency_cycles))
    uniform = report.uniform8_ebops
    ratio = f"{row.ebops / uniform:.1%} of uniform 8 bit" if uniform > 0 else ""  # false for NaN too
    table.add_row("EBOPs", ratio, count(row.ebops))
    table.add_row("mismatches" if row.rows_told is None else f"mismatches in {row.rows_told}", "", count(row.mismatches))
    return table
