"""A report as one self-contained HTML page: tables and inline SVG plots, no network. The page's shape is hls_templates/report/."""

from __future__ import annotations

import math

from hwq.templates import render
from hwq.views.model import PointRow, RunReport
from hwq.views.plot import Dot, Plot, accuracy_plot, agreement_plot
from hwq.views.terminal import BEYOND, count, predicted


def page(report: RunReport) -> str:
    """The whole page, UTF-8 text."""
    values = {"report": report, "plots": plots(report), "count": count, "predicted": predicted, "beyond": BEYOND}
    return render("report/page.html.j2", **values)


def plots(report: RunReport) -> list[Plot]:
    """The plots for which there is something to show; test accuracy where every point has it, else validation accuracy."""
    tested = all(known(row.test_accuracy) for row in report.rows)
    kind = f"{'test' if tested else 'validation'} {report.metric}"
    name = report.metric.capitalize() if report.metric == "accuracy" else report.metric

    def height(row: PointRow) -> float | None:
        return row.test_accuracy if tested else row.val_accuracy

    def dot(row: PointRow, x: float | None, y: float | None, text: str) -> list[Dot]:
        # a cost of 0 has no place on a logarithmic axis
        return (
            [Dot(x, y, f"point {row.point}: {text}", row.chosen)]
            if x is not None and y is not None and known(x, y) and x > 0
            else []
        )

    level = (report.float_accuracy, "float network") if tested and known(report.float_accuracy) else None
    ebops = [d for r in report.rows for d in dot(r, r.ebops, height(r), f"{count(r.ebops)} EBOPs, {report.told(height(r))}")]
    lut = [d for r in report.rows for d in dot(r, r.lut, height(r), f"{count(r.lut)} LUT, {report.told(height(r))}")]
    both = [
        d
        for r in report.rows
        if r.lut_predicted is None or r.lut_predicted > 0
        for d in dot(r, r.lut, r.lut_predicted, f"{count(r.lut)} LUT measured, {count(r.lut_predicted)} predicted")
    ]
    made = (
        accuracy_plot(f"{name} against EBOPs", "EBOPs", kind, ebops, level),
        accuracy_plot(f"{name} against LUTs", "LUT, measured", kind, lut, level),
        agreement_plot("Prediction against measurement", "LUT, measured", "LUT, predicted", both),
    )
    return [plot for plot in made if plot is not None]


def known(*values: float | None) -> bool:
    return all(v is not None and math.isfinite(v) for v in values)
