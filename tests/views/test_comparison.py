"""The figures of a comparison, from points made up: chosen by validation, compared in pairs, honest where something is missing."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest
from rich.console import Console

from hwq.views.comparison import Entry, MethodComparison, csv_text, render, svg


def entry(method: str, seed: int, val: float, lut: float | None, test: float = 0.5, cpu: float = 10.0) -> Entry:
    return Entry(method, seed, "run", f"{lut}", val, test, 100.0, lut, 10.0, 0.0, 4.0, 0, cpu, "yosys 0.70")


FRONTS = [
    entry("hgq", 0, 0.90, 1000, 0.88),
    entry("hgq", 0, 0.95, 2000, 0.93),
    entry("hgq", 1, 0.94, 1600, 0.90),
    entry("hgq", 1, 0.97, 4000, 0.96),
    entry("shift", 0, 0.91, 600, 0.89),
    entry("shift", 0, 0.96, 1800, 0.94),
    entry("shift", 1, 0.95, 1200, 0.92, cpu=20.0),
    entry("weak", 0, 0.60, 300, 0.58),
]


def comparison(*entries: Entry) -> MethodComparison:
    return MethodComparison("digits", "mlp:8", "xcvu9p", ("hgq", "shift", "weak"), (0, 1), entries)


def test_points_are_chosen_on_validation_rows_and_compared_in_pairs() -> None:
    found = comparison(*FRONTS)
    assert found.level("shift", 0) == 0.95 and found.level("shift", 1) == 0.95
    hgq, shift, weak = found.summaries()
    assert shift.best_test is not None and shift.best_test.mean == pytest.approx(0.93)
    assert shift.best_lut is not None and shift.best_lut.mean == 1500
    # seed 0: 1800 against 2000 at 0.95; seed 1: 1200 against 4000, HGQ's cheapest at 0.95
    assert shift.ratio is not None and shift.ratio.mean == pytest.approx((0.9 + 0.3) / 2) and shift.ratio.count == 2
    assert shift.gain is not None and shift.gain.mean == pytest.approx((0.01 - 0.04) / 2)
    assert shift.cpu_s is not None and (shift.cpu_s.mean, shift.cpu_s.count) == (15.0, 2)
    assert hgq.ratio is not None and hgq.ratio.mean == 1.0 and hgq.ratio.deviation == 0.0
    # a method that reaches less is compared where it is, with the reference's cheapest point
    assert weak.seeds == 1 and weak.ratio is not None and weak.ratio.mean == 0.3 and weak.ratio.deviation is None


def test_what_is_not_measured_is_not_made_up() -> None:
    found = comparison(entry("shift", 0, 0.9, None), entry("hgq", 0, 0.9, 500))
    hgq, shift, _ = found.summaries()
    assert shift.seeds == 0 and shift.best_lut is None and shift.ratio is None and hgq.best_lut is not None
    stream = io.StringIO()
    render(found, Console(file=stream, width=140))
    assert "–" in stream.getvalue()
    assert svg(comparison()).count("<circle") == 0


def test_table_file_and_plot_have_all_methods_and_points() -> None:
    found = comparison(*FRONTS)
    stream = io.StringIO()
    render(found, Console(file=stream, width=140))
    line = next(line for line in stream.getvalue().splitlines() if line.strip().startswith("shift"))
    assert "93.00% ± 1.41%" in line and "0.60 ± 0.42" in line and "-1.50 ± 3.54" in line
    rows = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert len(rows) == len(FRONTS) and rows[4]["method"] == "shift" and float(rows[4]["lut"]) == 600
    root = ElementTree.fromstring(svg(found))
    circles = root.findall(".//{*}circle")
    assert len(circles) == len(FRONTS) + 2 * 3  # every point, and for each method its centre and its key
    assert json.loads(json.dumps(found.to_json()))["summaries"][1]["method"] == "shift"
