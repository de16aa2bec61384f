"""What a report shows in the terminal, as a page, and as CSV: every number once, what is not known as a dash, never as 0."""

from __future__ import annotations

import html.parser
import io
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hwq.views.frame import to_csv, to_frame
from hwq.views.html import page, plots
from hwq.views.model import PointRow, RunReport
from hwq.views.plot import Dot, Plot, accuracy_plot, agreement_plot
from hwq.views.terminal import count, predicted, render, share

UNMEASURED = dict.fromkeys(
    (
        "test_accuracy", "simulated_accuracy", "lut", "lut_predicted", "lut_error", "ff", "ff_predicted", "dsp",
        "latency_cycles", "latency_predicted", "slack_ns", "mismatches", "samples", "rows_told",
    )
)  # fmt: skip


def row(i: int, **changes: Any) -> PointRow:
    ebops = 400 * 1.5**i
    values: dict[str, Any] = {
        "point": f"{i:04d}", "epoch": 900 - i, "val_accuracy": 0.97 - 0.17 * 0.6**i, "test_accuracy": 0.96 - 0.17 * 0.6**i,
        "simulated_accuracy": 0.96 - 0.17 * 0.6**i, "ebops": ebops, "lut": round(ebops * 1.2) + 7, "lut_predicted": ebops * 1.2,
        "lut_error": 0.022, "lut_beyond": False, "ff": round(ebops * 0.4), "ff_predicted": ebops * 0.41, "dsp": 0, "latency_cycles": 3,
        "latency_predicted": 4, "slack_ns": None, "mismatches": 0, "samples": 10360, "rows_told": "10360 rows",
        "chosen": False,
    }  # fmt: skip
    return PointRow(**(values | changes))


def report(n: int, bare: bool = False, **changes: Any) -> RunReport:
    rows = tuple(row(i, chosen=i == n - 1, **(UNMEASURED if bare else {})) for i in range(n))
    made = RunReport(
        title="build/demo",
        dataset="digits: 1149 training, 288 validation, 360 test rows",
        model="mlp:64,32",
        board=None if bare else "xcvu9p",
        tool=None if bare else "yosys 0.70",
        period_ns=None if bare else 5.0,
        float_accuracy=0.9667,
        uniform8_ebops=200_000,
        rows=rows,
        cost_models=() if bare else ("lut = 0.771 adder_bits",),
    )
    return replace(made, **changes)


def terminal(content: RunReport, width: int = 120) -> str:
    out = io.StringIO()
    render(content, Console(file=out, width=width))
    return out.getvalue()


class Page(html.parser.HTMLParser):
    """The page's table cells, texts and tags; complains of tags that do not match."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (share(0.95123), "95.12%"),
        (share(0.0), "0.00%"),
        (share(None), "–"),
        (share(math.nan), "–"),
        (count(12345.4), "12,345"),
        (count(0), "0"),
        (count(None), "–"),
        (count(math.nan), "–"),
        (predicted(1234, 0.023), "1,234 ±2%"),
        (predicted(1234, 0.023, True), "1,234 ±?"),
        (predicted(1234), "1,234"),
        (predicted(1234, math.nan), "1,234"),
        (predicted(None, 0.1), "–"),
        (predicted(math.nan, 0.1), "–"),
    ],
)
def test_numbers_as_texts(shown: str, text: str) -> None:
    assert shown == text


class TestTerminal:
    def test_all_numbers_are_there(self) -> None:
        text = terminal(report(6))
        for r in report(6).rows:
            line = next(line for line in text.splitlines() if line.lstrip().startswith(r.point))
            cells = line.replace("*", " ").replace("±2%", " ").split()
            assert cells[1:] == [
                share(r.val_accuracy), share(r.test_accuracy), count(r.ebops), count(r.lut_predicted), count(r.lut),
                count(r.ff_predicted), count(r.ff), "0", "3", "0",
            ]  # fmt: skip
        assert "0005 *" in text
        assert "lut = 0.771 adder_bits" in text
        assert re.search(r"latency, clock cycles\s+4\s+3", text)
        assert re.search(r"EBOPs\s+1\.5% of uniform 8 bit\s+3,038", text)
        assert re.search(r"mismatches in 10360 rows\s+0", text)

    def test_what_is_not_known_is_a_dash(self) -> None:
        text = terminal(report(2, bare=True))
        assert "not synthesised yet" in text
        line = next(line for line in text.splitlines() if line.lstrip().startswith("0001"))
        assert line.split()[2:] == [share(row(1).val_accuracy), "–", "600", "–", "–", "–", "–", "–", "–", "–"]
        chosen = text.split("chosen by validation accuracy")[1]
        assert not re.search(r"(?<![\d.])0(?![\d.])", chosen)

    def test_a_prediction_beyond_what_was_measured_is_marked_and_explained(self) -> None:
        rows = (row(0), row(1, chosen=True, lut_beyond=True))
        for text in (terminal(report(2, rows=rows)), page(report(2, rows=rows))):
            assert "720 ±?" in text and "480 ±2%" in text and "outside the range" in text
        assert "±?" not in terminal(report(2))

    def test_a_network_without_a_uniform_reference(self) -> None:
        assert "nan" not in terminal(report(1, uniform8_ebops=math.nan, float_accuracy=math.nan)).lower()

    def test_mismatches_are_not_hidden(self) -> None:
        rows = (row(0, mismatches=3, chosen=True),)
        assert re.search(r"mismatches in 10360 rows\s+3", terminal(report(1, rows=rows)))

    def test_no_row_is_cut_at_80_columns_of_text(self) -> None:
        assert "…" not in terminal(report(12), width=100)


class TestPredicted:
    """Before a synthesis: predictions with their errors, called so."""

    def content(self) -> RunReport:
        guessed = {"lut_predicted": 812.0, "lut_error": 0.076, "ff_predicted": 301.0, "ff_error": 0.014, "latency_predicted": 7}
        rows = (row(0, chosen=True, **{**UNMEASURED, **guessed}), row(1, **{**UNMEASURED, **guessed, "lut_beyond": True}))
        return report(2, bare=True, rows=rows, predicted_for="xcvu9p at 5 ns")

    def test_in_the_terminal(self) -> None:
        told = terminal(self.content())
        assert "not synthesised yet; predicted for xcvu9p at 5 ns" in " ".join(told.split())
        assert "812 ±8%" in told and "812 ±?" in told and "301 ±1%" in told and "cycles pred." in told
        assert re.search(r"latency, clock cycles\s+7\s+–", told)

    def test_on_the_page(self) -> None:
        made = Page(page(self.content()))
        words = " ".join(made.words)
        assert "predicted for xcvu9p at 5 ns" in words and "LUT predicted, not measured" in words and "cycles, predicted" in words
        cells = next(cells for cells in made.rows if cells and cells[0].startswith("0000"))
        assert "812 ±8%" in cells and "301 ±1%" in cells and "7" in cells

    def test_measured_cycles_are_not_called_predicted(self) -> None:
        told = terminal(report(2, rows=(row(0), row(1, latency_cycles=None, chosen=True))))
        assert "cycles pred." not in told


class TestPage:
    @pytest.mark.parametrize("n", [1, 2, 6, 12])
    @pytest.mark.parametrize("bare", [False, True])
    def test_it_is_whole_and_self_contained(self, n: int, bare: bool) -> None:
        text = page(report(n, bare))
        parsed = Page(text)
        assert text.startswith("<!doctype html>")
        assert not re.search(r"https?:|//|@import|url\(", text.replace("<!doctype", ""))
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in parsed.tags}
        assert not re.search(r"\b(nan|none|inf|undefined)\b", " ".join(parsed.words).lower())
        assert len(parsed.all("figure")) == (1 if bare else 3)
        assert sum("ring" in (c.get("class") or "") for c in parsed.all("circle")) == len(parsed.all("figure"))

    def test_the_table_holds_all_numbers(self) -> None:
        content = report(3)
        cells = Page(page(content)).rows[-3:]
        for r, shown in zip(content.rows, cells, strict=True):
            assert shown == [
                r.point + (" · chosen" if r.chosen else ""), share(r.val_accuracy), share(r.test_accuracy), share(r.simulated_accuracy),
                count(r.ebops), predicted(r.lut_predicted, r.lut_error), count(r.lut), predicted(r.ff_predicted), count(r.ff), "0", "3", "0",
            ]  # fmt: skip

    def test_what_is_not_known_is_a_dash(self) -> None:
        parsed = Page(page(report(2, bare=True)))
        assert parsed.rows[-1][2:4] + parsed.rows[-1][5:] == ["–"] * 9
        assert "simulated RTL" not in parsed.words

    def test_names_are_escaped(self) -> None:
        text = page(report(1, title="<script>alert(1)</script>", model='a"b&c', dataset="x<y", cost_models=("a < b",)))
        parsed = Page(text)
        assert not parsed.all("script")
        assert "<script>alert(1)</script>" in parsed.words
        assert "x<y" in "".join(parsed.words)

    def test_it_is_the_same_each_time(self) -> None:
        assert page(report(6)) == page(report(6))

    def test_accessible(self) -> None:
        parsed = Page(page(report(6)))
        assert parsed.all("html") == [{"lang": "en"}]
        assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in parsed.all("svg"))
        assert all(th.get("scope") for th in parsed.all("th"))
        assert "prefers-color-scheme: dark" in page(report(1))

    def test_odd_values_do_not_break_the_plots(self) -> None:
        rows = (
            row(0, ebops=0.0, lut=0, lut_predicted=0.0, test_accuracy=0.0),
            row(1, ebops=math.nan, test_accuracy=1.0),
            row(2, chosen=True, lut_predicted=None),
        )
        Page(page(report(3, rows=rows)))
        Page(page(report(0)))
        Page(page(report(2, rows=(row(0), row(0, point="0001", chosen=True)))))


def inside(plot: Plot) -> Iterator[bool]:
    for mark in plot.marks:
        yield plot.left <= mark.x <= plot.right and plot.top <= mark.y <= plot.bottom
    for x, _ in plot.x_ticks:
        yield plot.left <= x <= plot.right
    for y, _ in plot.y_ticks:
        yield plot.top <= y <= plot.bottom


class TestPlots:
    @pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
    @pytest.mark.parametrize("xs", [[1.0], [1, 1], [1, 1.001], [1, 2, 3], [1, 30], [1, 3000], [1, 1e7]])
    @pytest.mark.parametrize("ys", [0.0, 0.5, 0.999, 1.0])
    def test_everything_stays_inside_and_axes_are_labelled(self, factor: float, xs: list[float], ys: float) -> None:
        dots = [Dot(x * factor, ys + (1 - ys) * 0.1 * i / len(xs), str(i)) for i, x in enumerate(xs)]
        for plot in (
            accuracy_plot("t", "x", "y", dots),
            agreement_plot("t", "x", "y", [Dot(d.x, d.x * 1.1, d.label) for d in dots]),
        ):
            assert plot is not None
            assert all(inside(plot))
            assert 1 <= len(plot.x_ticks) <= 12
            assert 2 <= len(plot.y_ticks) <= 12
            assert len({text for _, text in plot.y_ticks}) >= 2 or factor < 1

    def test_dots_are_where_the_axes_say(self) -> None:
        plot = accuracy_plot("t", "x", "y", [Dot(100, 0.5, "a"), Dot(1000, 0.75, "b"), Dot(10000, 1.0, "c", True)])
        assert plot is not None
        a, b, c = plot.marks
        assert b.x == pytest.approx((a.x + c.x) / 2, abs=0.2)  # a logarithmic axis
        assert b.y == pytest.approx((a.y + c.y) / 2, abs=0.2)
        ticks = {text: x for x, text in plot.x_ticks}
        assert ticks["1,000"] == b.x
        assert (a.chosen, c.chosen) == (False, True)
        assert plot.path == f"{a.x},{a.y} {b.x},{b.y} {c.x},{c.y}"

    def test_agreement_lies_on_the_diagonal(self) -> None:
        plot = agreement_plot("t", "x", "y", [Dot(100, 100, "a"), Dot(1000, 1000, "b")])
        assert plot is not None
        assert plot.diagonal is not None
        x1, y1, x2, y2 = plot.diagonal
        for m in plot.marks:
            assert (m.x - x1) / (x2 - x1) == pytest.approx((m.y - y1) / (y2 - y1), abs=1e-3)

    def test_nothing_to_plot(self) -> None:
        assert accuracy_plot("t", "x", "y", []) is None
        assert agreement_plot("t", "x", "y", []) is None
        assert plots(report(0)) == []

    def test_the_float_network_is_a_line_to_compare_with(self) -> None:
        first = plots(report(6))[0]
        assert first.level is not None
        assert first.level[1] == "float network"
        assert first.level[0] < min(m.y for m in first.marks)  # higher up
        assert plots(report(6, float_accuracy=math.nan))[0].level is None


class TestFrame:
    def test_missing_stays_missing(self) -> None:
        frame = to_frame(report(2, bare=True))
        assert frame["lut"].isna().all()
        assert frame["mismatches"].isna().all()
        assert frame["ebops"].tolist() == [400.0, 600.0]

    def test_csv_has_a_line_a_point_and_empty_cells(self) -> None:
        lines = to_csv(report(2, bare=True)).splitlines()
        assert len(lines) == 3
        assert lines[0].startswith("point,epoch,val_accuracy,test_accuracy,")
        cells = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
        assert (cells["point"], cells["lut"], cells["mismatches"]) == ("0000", "", "")
