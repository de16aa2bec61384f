"""Timing: slacks by column, clocks and their frequencies, what is said and what follows, each damaged line by its number."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report
from hwq.reports.text import Source
from hwq.reports.timing import Clock, TimingSummary, read_summary, read_timing_paths, read_timing_summary
from hwq.reports.types import Timing
from hwq.reports.vivado_head import Header


def summary(text: str) -> Report:
    return read_timing_summary(Source(Path("t.rpt"), text))


def fails(text: str, words: str) -> str:
    """The line that the error names."""
    with pytest.raises(ReportError, match=words) as caught:
        (read_timing_paths if "Timing Report" in text else read_timing_summary)(Source(Path("t.rpt"), text))
    return text.split("\n")[(caught.value.line or 0) - 1]


@pytest.mark.parametrize(
    ("clocks", "slack", "period", "fmax"),
    [
        ((5.0,), 1.0, 5.0, 250.0),
        ((5.0,), -3.0, 5.0, 125.0),
        ((5.0,), 5.0, 5.0, None),
        ((5.0,), None, 5.0, None),
        ((5.0, 4.0), 1.0, None, None),
    ],
)
def test_fmax_is_that_of_the_only_clock(
    clocks: tuple[float, ...], slack: float | None, period: float | None, fmax: float | None
) -> None:
    named = tuple(Clock(f"c{n}", p) for n, p in enumerate(clocks))
    found = TimingSummary(Header("2023.1", "", "", ""), slack, None, None, True, named)
    assert found.timing == Timing(period, slack, fmax, True)


@pytest.mark.parametrize(
    ("wns", "whs", "reason"),
    [
        ("-2.212", "0.000", "worst slack: setup -2.212 ns"),
        ("0.000", "-0.500", "worst slack: hold -0.5 ns"),
        ("-0.500", "-0.030", "worst slack: setup -0.5 ns, hold -0.03 ns"),
        ("0.300", "0.010", "the report says so"),
    ],
)
def test_what_is_late_is_named(wns: str, whs: str, reason: str) -> None:
    assert summary(samples.timing(wns, samples.MISSED, whs=whs)).reason == reason


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ((3, 1), "no delay is set at 3 inputs and 1 output: the logic there is not timed"),
        ((0, 2), "no delay is set at 2 outputs: the logic there is not timed"),
        ((0, 0), None),
    ],
)
def test_ports_that_are_not_timed(checks: tuple[int, int], reason: str | None) -> None:
    lines = "".join(
        f"{k}. checking no_{kind}_delay ({n})\n" for k, (kind, n) in enumerate(zip(("input", "output"), checks, strict=True), 7)
    )
    assert summary(f"{samples.timing()}\n{lines}").reason == reason


def test_slacks_are_cut_where_their_rules_are() -> None:
    found = read_summary(Source(Path("t.rpt"), samples.timing("-100.000", samples.MISSED, whs="-0.030")))
    assert (found.wns_ns, found.whs_ns, found.wpws_ns, found.met) == (-100.0, -0.03, 1.0, False)
    wide = samples.timing("-100.000", samples.MISSED).split("\n")
    at = next(i for i, line in enumerate(wide) if line.startswith("clk ") and "-100.000" in line)
    wide[at] = wide[at].replace("  -100.000", "-12100.000")
    with pytest.raises(ReportError, match=r"WNS is -100\.0, but the worst of the clocks is -12100\.0"):
        summary("\n".join(wide))


@pytest.mark.parametrize(("was", "then"), [("     0.000 ", "     0.000x"), ("clk              0.110", "clk 999999990.11000")])
def test_a_row_of_slacks_that_does_not_fit(was: str, then: str) -> None:
    text = samples.timing()
    at = text.index("Intra Clock Table\n", text.index("Intra Clock Table\n"))
    start = text.index("\nclk", at)
    row = text[start + 1 : text.index("\n", start + 1)]
    assert was in row
    assert fails(text.replace(row, row.replace(was, then, 1)), "does not fit its columns|is no number") == row.replace(was, then, 1)


def test_a_damaged_slack_is_named_by_its_line() -> None:
    text = samples.timing()
    row = next(line for line in text.split("\n") if line.startswith("clk") and "0.110" in line)
    assert fails(text.replace(row, row.replace("0.110", "0.1x0")), "WNS.ns.: '.*0.1x0' is no number") == row.replace(
        "0.110", "0.1x0"
    )


@pytest.mark.parametrize(
    ("period", "mhz", "fine"),
    [
        ("3.906", "256.000", True),
        ("5.001", "200.000", False),
        ("4.999", "200.000", False),
        ("1000.400", "1.000", True),  # 0.9996 MHz
        ("1000.600", "1.000", False),
        ("0.000", "200.000", False),
        ("5.000", "0.000", False),
    ],
)
def test_a_period_and_its_frequency(period: str, mhz: str, fine: bool) -> None:
    text = samples.timing(clocks=(("clk", "5.000", "200.000"), ("other", period, mhz)))
    if fine:
        found = read_summary(Source(Path("t.rpt"), text))
        assert found.clocks == (Clock("clk", 5.0), Clock("other", float(period)))
        return
    assert fails(text, f"clock other: {period} ns are not {mhz} MHz").startswith("other ")


def test_a_clock_summary_that_is_damaged() -> None:
    text = samples.timing()
    fails(text.replace("Waveform(ns)", "Waveform(xs)"), "its header is not there")
    assert fails(text.replace("{0.000 2.500}", "{0.000 2.500"), "row of the clock summary").startswith("clk ")


@pytest.mark.parametrize(
    ("wns", "said", "whs", "fine"),
    [
        ("0.000", samples.MET, "0.000", True),
        ("0.100", samples.MET, "-0.001", False),
        ("-0.001", samples.MET, "0.100", False),
        ("NA", samples.NONE, "0.010", False),
        ("0.100", samples.NONE, "NA", False),
        ("0.100", f"{samples.MET}\n{samples.MET}", "0.010", True),
        ("0.100", f"{samples.MET}\n{samples.MISSED}", "0.010", False),
        ("0.100", f"{samples.MISSED}\n{samples.MET}", "0.010", False),
    ],
)
def test_what_is_said_and_the_slacks(wns: str, said: str, whs: str, fine: bool) -> None:
    text = samples.timing(wns, said, whs=whs)
    if wns == "NA" or whs == "NA":
        text = text.replace("Slack (MET)", "Slack").replace("NAns", "NA")
    if fine:
        assert summary(text).timing_met is True
        return
    fails(text, "contradicts the slacks")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (samples.path("0.400", "MET").replace("Slack (MET):", "Slack (MET) "), "the slack of a path is damaged"),
        (samples.path("0.400", "MET").replace("0.400ns", "0.4x0ns"), "slack: '0.4x0' is no number"),
        (samples.path("0.400", "MET").replace("slack ", "slick "), "a path ends before its slack"),
        (samples.path("0.400", "MET").replace(" 0.400\n", " 0.401\n"), "begins with a slack of 0.4 and ends with 0.401"),
        (samples.path("0.400", "VIOLATED"), "a slack of 0.4 is called VIOLATED"),
        (samples.path("-0.400", "MET"), "a slack of -0.4 is called MET"),
        (samples.path("0.400", "MET", "Strange"), "a path of type 'Strange'"),
    ],
)
def test_a_damaged_path_is_named_by_its_first_line(path: str, words: str) -> None:
    text = samples.timing_paths(samples.path("1.616", "MET"), path)
    assert fails(text, words) == path.split("\n")[0]


@pytest.mark.parametrize(("slack", "met"), [("0.000", True), ("-0.001", False), ("0.001", True)])
def test_the_worst_path(slack: str, met: bool) -> None:
    verdict = "MET" if met else "VIOLATED"
    found = read_timing_paths(
        Source(Path("t.rpt"), samples.timing_paths(samples.path("1.616", "MET"), samples.path(slack, verdict)))
    )
    assert (found.wns_ns, found.timing_met) == (float(slack), met)
    assert found.reason == (None if met else "worst slack: setup -0.001 ns")
