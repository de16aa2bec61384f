"""Reports of exported designs: what is trimmed, late or damaged, one step before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, ReportedModule, Status
from hwq.reports.export import _same_top, _verdict, read_export, read_export_text, read_export_xml
from hwq.reports.text import Source


def export(text: str) -> Report:
    return read_export(Source(Path("net_export.rpt"), text))


def xml(text: str) -> Report:
    return read_export_xml(Source(Path("export_impl.xml"), text))


def text(content: str) -> Report:
    return read_export_text(Source(Path("export_impl.rpt"), content))


def line_of(error: ReportError, content: str) -> str:
    return content.split("\n")[(error.line or 0) - 1]


@pytest.mark.parametrize(("lut", "placed", "trimmed"), [(8, True, True), (9, True, False), (0, True, True), (1, False, False)])
def test_a_placed_design_of_few_cells_is_trimmed(lut: int, placed: bool, trimmed: bool) -> None:
    found, _ = _verdict({"lut": lut, "ff": 0, "dsp": 0, "bram": 0}, None, placed=placed)
    assert (found is Status.TRIMMED) is trimmed


def test_the_stage_of_an_xml_decides_what_is_trimmed() -> None:
    few = {"3019": "0", "<BRAM>2": "<BRAM>0", "<DSP>3": "<DSP>0", 'BRAM="2" DSP="3"': 'BRAM="0" DSP="0"'}

    def small(run: str) -> Report:
        content = samples.export_xml(run, lut="5")
        for was, then in few.items():
            content = content.replace(was, then)
        return xml(content)

    assert (small("impl").status, small("impl").state) == (Status.TRIMMED, "Routed")
    assert (small("synth").status, small("synth").state) == (Status.OK, "Synthesized")


@pytest.mark.parametrize(
    ("achieved", "said", "status"),
    [
        ("5.000", "Timing met", Status.OK),
        ("4.999", "Timing met", Status.OK),
        ("5.001", "Timing not met", Status.TIMING_MISSED),
        ("5.000", "Timing not met", None),
        ("5.001", "Timing met", None),
        ("0.900", "Timing met", Status.OK),
    ],
)
def test_two_periods_say_whether_timing_is_met(achieved: str, said: str, status: Status | None) -> None:
    if status is not None:
        assert export(samples.export(achieved, said)).status is status
        return
    with pytest.raises(ReportError, match="is not what it says of timing"):
        export(samples.export(achieved, said))


@pytest.mark.parametrize(("achieved", "said"), [("NA", ""), ("NA", "Timing met"), ("4.9", "No Sequential Path"), ("4.9", "")])
def test_what_is_said_of_timing_and_what_is_not(achieved: str, said: str) -> None:
    with pytest.raises(ReportError, match="does not say whether timing was met"):
        export(samples.export(achieved, said))


@pytest.mark.parametrize(
    ("was", "then", "words"),
    [
        ("DSP:           2952", "DSPS:          2952", "is no row of the resources"),
        ("DSP:           2952", "DSP           2952", "is no row of the resources"),
        ("DSP:           2952", "DSP:           29x2", "DSP: '29x2' is no number"),
        ("CP required:    5.000", "CP required:    5.0x0", "CP required"),
        ("CP required:    5.000", "CP requires:    5.000", "a clock period is damaged"),
    ],
)
def test_a_damaged_row_is_named_with_its_line(was: str, then: str, words: str) -> None:
    content = samples.export().replace(was, then)
    with pytest.raises(ReportError, match=words) as caught:
        export(content)
    assert line_of(caught.value, content) == then


@pytest.mark.parametrize(("slack", "fine"), [("7.155", True), ("7.156", True), ("7.154", True), ("7.157", False), ("7.153", False)])
def test_slack_is_what_is_left_of_the_target(slack: str, fine: bool) -> None:
    if fine:
        assert xml(samples.export_xml(slack=slack)).wns_ns == float(slack)
        return
    with pytest.raises(ReportError, match="is not the slack"):
        xml(samples.export_xml(slack=slack))


@pytest.mark.parametrize(
    ("version", "fine"), [("2025.1 (Build 1)", True), ("2025.1", True), ("2025.2 (Build 1)", False), ("2024.1", False)]
)
def test_a_version_that_stands_twice(version: str, fine: bool) -> None:
    content = samples.export_xml().replace("</GeneralInfo>", f'<item NAME="Version" VALUE="{version}"/></GeneralInfo>')
    if fine:
        assert xml(content).version == "2025.1.1"
        return
    with pytest.raises(ReportError, match="the general information says"):
        xml(content)


@pytest.mark.parametrize(
    ("depth", "lut", "ff", "dsp", "fine"),
    [
        (0, 1004, 100, 3, True),
        (0, 996, 100, 3, True),
        (0, 1005, 100, 3, False),
        (0, 995, 100, 3, False),
        (0, 1000, 102, 3, True),
        (0, 1000, 103, 3, False),
        (0, 1000, 100, 4, False),
        (0, 1000, 100, None, False),
        (0, None, 1, 1, True),
        (1, 1, 1, 1, True),
    ],
)
def test_a_design_is_its_top_module(depth: int, lut: int | None, ff: int, dsp: int | None, fine: bool) -> None:
    source, below = Source(Path("e.xml"), ""), ReportedModule("inst/a", "a", 1, lut=5)
    values = {"lut": 1000, "ff": 100, "dsp": 3, "bram": None}
    modules = (ReportedModule("inst", "net", depth, lut=lut, ff=ff, dsp=dsp), below)
    _same_top(source, (), values)
    if fine:
        _same_top(source, modules, values)
        return
    with pytest.raises(ReportError, match="its top module"):
        _same_top(source, modules, values)


@pytest.mark.parametrize(
    ("was", "then", "words"),
    [
        ("DSP:              3\n", "DSP:              3x\n", "DSP: '3x' is no number"),
        ("DSP:              3\n", "DSQ:              3\n", "is no row of the resources"),
        ("DSP:              3\n", "DSP               3\n", "is no row of the resources"),
    ],
)
def test_a_damaged_summary_is_named_with_its_line(was: str, then: str, words: str) -> None:
    content = samples.export_text().replace(was, then)
    with pytest.raises(ReportError, match=words) as caught:
        text(content)
    assert line_of(caught.value, content) == then.rstrip()


@pytest.mark.parametrize(
    ("said", "post", "met"),
    [("Timing was met", "10.000", True), ("Timing was not met", "10.500", False), ("TIMING NOT MET", "10.001", False)],
)
def test_what_a_text_says_of_timing(said: str, post: str, met: bool) -> None:
    found = text(samples.export_text(said, post))
    assert (found.timing_met, found.clk_est_ns, found.clk_target_ns) == (met, float(post), 10.0)


def test_a_text_that_says_nothing_of_timing() -> None:
    with pytest.raises(ReportError, match="does not say whether timing was met"):
        text(samples.export_text("Timing", "NA"))
    nothing = text(samples.export_text("Timing", "NA").replace(" 2.779 ", " NA    "))
    assert (nothing.timing_met, nothing.clk_est_ns, nothing.status) == (None, None, Status.OK)


def test_a_text_of_another_year_is_damaged() -> None:
    with pytest.raises(ReportError, match=r"version 2025.1 of a build of 2028"):
        text(samples.export_text().replace("Sep 11 2025", "Sep 11 2028"))
