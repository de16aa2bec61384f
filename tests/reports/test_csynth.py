"""Estimates of C synthesis: the last value that is taken, and what rows of one report say against each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse
from hwq.reports.csynth import read_csynth, read_csynth_xml
from hwq.reports.csynth_summary import read_summary
from hwq.reports.csynth_text import _after, _Part, _parts, read_module
from hwq.reports.text import Source


def xml(text: str) -> Report:
    return read_csynth_xml(Source(Path("csynth.xml"), text))


def module(text: str) -> Report:
    return read_module(Source(Path("net_csynth.rpt"), text))


def summary(text: str) -> Report:
    return read_summary(Source(Path("csynth.rpt"), text))


@pytest.mark.parametrize(("estimate", "slack", "met"), [("4.38", 0.0, True), ("4.381", -0.001, False), ("4.379", 0.001, True)])
def test_a_clock_is_missed_from_its_last_digit_on(estimate: str, slack: float, met: bool, tmp_path: Path) -> None:
    """5.00 - 0.62 - 4.38 is less than zero in floating point."""
    path = tmp_path / "csynth.xml"
    path.write_text(samples.csynth_xml(estimate=estimate))
    found = read_csynth(path)
    assert (found.timing.slack_ns, found.timing.met) == (slack, met)
    late = Status.OK if met else Status.TIMING_MISSED
    assert parse(path).status is module(samples.module_csynth(estimate=estimate)).status is late


def test_a_clock_without_uncertainty_or_estimate(tmp_path: Path) -> None:
    path = tmp_path / "csynth.xml"
    for estimate, met in (("5.00", True), ("5.001", False)):
        path.write_text(samples.csynth_xml(estimate=estimate).replace("<ClockUncertainty>0.62</ClockUncertainty>", ""))
        assert read_csynth(path).timing.met is met
    path.write_text(samples.csynth_xml(estimate=""))
    assert (read_csynth(path).timing.met, read_csynth(path).timing.slack_ns) == (None, None)


def test_how_far_the_top_may_be_from_itself() -> None:
    for lut, fine in (("1000", True), ("1060", True), ("940", True), ("1061", False), ("939", False)):
        text = samples.csynth_xml("2023.2", lut="1000", top_lut=lut)
        if fine:
            assert xml(text).lut == 1000
            continue
        with pytest.raises(ReportError, match="of its top module"):
            xml(text)


def test_a_latency_in_time_that_is_not_its_cycles() -> None:
    shown = "<Best-caseRealTimeLatency>35.0 ns</Best-caseRealTimeLatency>"
    text = samples.csynth_xml().replace("<PipelineInit", f"{shown}<PipelineInit")
    assert xml(text).lat_min == 7
    assert xml(samples.csynth_xml(latency="undef").replace("<PipelineInit", f"{shown}<PipelineInit")).lat_min is None
    with pytest.raises(ReportError, match="a latency of 7 cycles"):
        xml(text.replace("35.0", "36.0"))


RULE = "=" * 20


def test_a_section_has_a_line_above_and_one_below() -> None:
    lines = ["== Title", RULE, "== Title", RULE, "a", "== only below", RULE, "a", RULE, "== only above", "b", RULE, "== Last", RULE]
    assert _parts(lines, 2) == {"Last": _Part(12, len(lines))}
    assert list(_parts(lines, 1)) == ["Title", "Last"]
    assert _parts([*lines, RULE, "== Next", RULE, "c"], 2) == {"Last": _Part(12, 15), "Next": _Part(15, 18)}


def test_a_table_stands_below_its_headings() -> None:
    table = ["+---+", "| A |", "+---+", "| 1 |", "+---+"]

    def columns(lines: list[str], *headings: str) -> tuple[str, ...] | None:
        found = _after(Source(Path("r.rpt"), ""), lines, _Part(0, len(lines)), *headings)
        return found.columns if found else None

    lines = ["* Summary: ", "", *table, "+ Detail: ", "* Instance: ", *table]
    assert columns(lines, "Summary") == columns(lines, "Detail", "Instance") == ("a",)
    assert columns(lines, "Instance", "Detail") is None and columns(lines, "Loop") is None
    assert columns([*lines, "* Loop: ", "N/A", *table], "Loop") is None
    assert columns([*lines, "* Loop: "], "Loop") is None and columns([*lines, "* Loop: ", ""], "Loop") is None


def test_a_cut_table_before_other_results() -> None:
    """hls4ml prints one report behind the other."""
    body = samples.module_csynth().rstrip().split("\n")
    after = ["", "CO-SIMULATION RESULT:", "text"]
    assert module("\n".join([*body, *after])).lut == 1258
    for cut in (body[:-1], [*body[:-1], body[-1][:9]], [*body[:-5], *body[-4:]]):
        with pytest.raises(ReportError, match=r"cut off|has no rows"):
            module("\n".join([*cut, *after]))
    with pytest.raises(ReportError, match="the last table is cut off"):
        module("\n".join([*body, *after, "+---+", "| a |"]))


def test_the_slowest_of_several_clocks_decides() -> None:
    """It is the one with the least left of its own period."""
    row = next(line for line in samples.module_csynth().split("\n") if "|ap_clk" in line.replace(" ", ""))
    fast = row.replace("ap_clk", "ap_ck2").replace("5.00", "9.00").replace("4.366", "5.000")
    for rows in (f"{row}\n{fast}", f"{fast}\n{row}"):
        found = module(samples.module_csynth().replace(row, rows))
        assert (found.clk_target_ns, found.clk_est_ns, found.clk_uncert_ns) == (5.0, 4.366, 0.62)


@pytest.mark.parametrize("column", ["Modules ", "Issue ", "(cycles)", "Interval", "BRAM", "  FF ", " LUT "])
def test_a_summary_needs_its_columns(column: str) -> None:
    head, body = samples.summary_csynth().split("|+ net")
    with pytest.raises(ReportError, match="columns are missing"):
        summary(f"{head.replace(column, 'x' * len(column))}|+ net{body}")


@pytest.mark.parametrize(
    ("issue", "fine"),
    [("Timing", True), ("Tining", False), ("xxming", False), ("xxxing", True), ("II", True), ("Memory", True), ("Times", True)],
)
def test_an_issue_that_is_nearly_timing_is_damaged(issue: str, fine: bool) -> None:
    if fine:
        assert summary(samples.summary_csynth(issue=issue)).status is (Status.TIMING_MISSED if issue == "Timing" else Status.OK)
        return
    with pytest.raises(ReportError, match="is no kind of issue"):
        summary(samples.summary_csynth(issue=issue))


def rows_of(*pairs: tuple[str, str], issue: str = "-") -> str:
    """A summary whose rows have these latencies, in cycles and in ns."""
    text = samples.summary_csynth(issue=issue)
    for (cycles, time), (was, then) in zip(pairs, ((28, "140.000"), (6, "30.000"), (20, "100.000")), strict=False):
        text = text.replace(f"|{was:>9d}|{then:>9s}|", f"|{cycles:>9s}|{time:>9s}|")
    return text


@pytest.mark.parametrize(
    ("pairs", "fine"),
    [
        ((("28", "140.000"), ("6", "30.001")), True),
        ((("28", "140.000"), ("6", "30.002")), False),
        ((("28", "140.000"), ("6", "29.998")), False),
        ((("28000", "1.400e+05"), ("6", "30.000")), True),
        ((("28000", "1.402e+05"), ("6", "30.000")), False),
        ((("1", "3"), ("1", "5"), ("1", "4")), True),  # 3 and 5 are both 4, if only just
        ((("1", "3"), ("1", "6"), ("1", "4")), False),
        ((("0", "0"), ("6", "30.000")), True),
        ((("28", "-"), ("6", "30.000")), True),
        ((("20 ~ 28", "999 ~ 1"), ("6", "30.000")), True),  # of a range no clock follows
    ],
)
def test_rows_of_one_clock(pairs: tuple[tuple[str, str], ...], fine: bool) -> None:
    text = rows_of(*pairs)
    if fine:
        assert summary(text).top == "net"
        return
    with pytest.raises(ReportError, match="of another clock"):
        summary(text)


def test_a_late_row_counts_by_a_clock_of_its_own() -> None:
    assert summary(rows_of(("28", "199.000"), issue="Timing")).lat_max == 28
    old = rows_of(("28", "199.000")).replace("2023", "2020")
    assert summary(old).version == "2020.2"


def test_a_summary_without_times() -> None:
    text = samples.summary_csynth(issue="-").replace("(ns)", "(xx)")
    assert summary(text).lat_max == 28


@pytest.mark.parametrize(
    ("top", "row", "fine"),
    [
        ("34 (28%)", "12 (10%)", True),
        ("34 (28%)", "12 (11%)", False),  # 117 to 121, and 100 to 109
        ("34 (28%)", "14 (10%)", False),
        ("6 (2%)", "12 (3%)", True),  # to 300, and from 300 on
        ("6 (2%)", "13 (3%)", False),
        ("60 (10%)", "7 (~0%)", False),
        ("60 (10%)", "6 (~0%)", True),
    ],
)
def test_rows_of_one_device(top: str, row: str, fine: bool) -> None:
    text = samples.summary_csynth(issue="-", dsp=top).replace(f"{'12 (10%)':>10s}", f"{row:>10s}")
    if fine:
        assert summary(text).dsp == int(top.split()[0])
        return
    with pytest.raises(ReportError, match="of another device"):
        summary(text)


def test_least_and_most_may_be_the_same() -> None:
    found = module(samples.module_csynth(latency=("640", "640", "20", "20")))
    assert (found.lat_min, found.lat_max, found.ii_min, found.ii_max) == (640, 640, 20, 20)
    with pytest.raises(ReportError, match="the smallest lat"):
        module(samples.module_csynth(latency=("641", "640", "20", "20")))


@pytest.mark.parametrize(
    ("was", "damaged", "words"), [("638|", "6x8|", "lat_min"), ("1258 ", "12x8 ", "lut"), ("4.366", "4.3x6", "clock, est")]
)
def test_a_damaged_cell_is_named_with_its_line(was: str, damaged: str, words: str) -> None:
    text = samples.module_csynth()
    text = text.replace(was, damaged, 1)
    with pytest.raises(ReportError, match=f"{words}.*is no number") as caught:
        module(text)
    assert damaged in text.split("\n")[(caught.value.line or 0) - 1]


def test_latencies_of_instances_are_found_by_their_names() -> None:
    table = samples.table(
        [
            ["Instance", "Module", "Latency min", "Latency max", "Interval min", "Interval max"],
            ["relu_U0", "relu", "3", "4", "1", "2"],
            ["other_U0", "dense_U0", "7", "8", "5", "6"],
        ]
    )
    text = samples.module_csynth().replace("        N/A\n", table, 1)
    assert [(m.name, m.module, m.lat_min, m.lat_max, m.ii_min, m.ii_max) for m in module(text).modules] == [
        ("dense_U0", "dense", None, None, None, None),
        ("relu_U0", "relu", 3, 4, 1, 2),
    ]
