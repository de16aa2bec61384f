"""Ways in which a real report could fool its parser: same names, moved columns, odd numbers, several clocks, other defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse
from hwq.reports.numbers import count, nanoseconds, number, whole, whole_range
from hwq.reports.vivado import read_utilization


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def from_text(text: str) -> Report:
        path = tmp_path / "some.txt"
        path.write_text(text)
        return parse(path)

    return from_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,058,330", 1058330),
        ("22080 [  2.53%]", 22080),
        ("126 (~0%)", 126),
        ("19879(37.37%)", 19879),
        ("<0.001", 0.001),
        ("13.523**", 13.523),
        ("4.578e+10", 4.578e10),
        ("-0.68", -0.68),
        ("100.00%", 100),
        ("  7 ", 7),
        ("N/A", None),
        ("-inf", None),
        ("undef", None),
        ("---", None),
    ],
)
def test_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["5,00", "1,05,330", "12x4", "1.2.3", "0x1f", "12 34", "5 ns", "10 ~ 20", "٣", "1e", "--5", "yes", "(12)"]
)
def test_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        number(text)


def test_counts_ranges_and_times() -> None:
    assert whole_range("6 ~ 69850") == (6, 69850) and whole_range("17") == (17, 17) and whole_range("?") == (None, None)
    assert whole_range("1 ~ ?") == (1, None)
    assert (
        nanoseconds("10.00 ns") == 10
        and nanoseconds("2.5 us") == 2500
        and nanoseconds("45.904 sec") == 45.904e9
        and nanoseconds("?") is None
    )
    assert count("60.5") == 60.5 and isinstance(count("60"), int)
    for convert, text in ((whole, "1.5"), (whole, "-3"), (count, "-1"), (nanoseconds, "-1 ns"), (whole_range, "9 ~ 3")):
        with pytest.raises(ValueError):
            convert(text)


def test_rows_are_found_by_name_wherever_they_stand(read: Any) -> None:
    """Before 2020.3 there is no column `Prohibited`; before 2014 the column `Fixed` has another name; sections move."""
    flat = samples.utilisation()
    older = re.sub(r"^(\|[^|]*\|[^|]*)\|[^|]*\|[^|]*(\|[^|]*\|[^|]*\|)$", r"\1\2", flat, flags=re.MULTILINE)
    older = re.sub(r"^(\+-+\+-+)\+-+\+-+(\+-+\+-+\+)$", r"\1\2", older, flags=re.MULTILINE)
    assert "Prohibited" in flat and "Prohibited" not in older
    first, second = read(flat), read(older)
    assert (first.lut, first.ff, first.bram, first.dsp, first.uram) == (second.lut, second.ff, second.bram, second.dsp, second.uram)
    seven = (
        flat.replace("CLB LUTs ", "Slice LUTs*").replace("CLB Registers ", "Slice Registers").replace("CLB Logic", "Slice Logic")
    )
    assert read(re.sub(r"(Slice (?:LUTs\*|Registers)) ?( *\|)", r"\1\2", _realign(seven))).lut == 5123


def _realign(text: str) -> str:
    """Names of another length leave the bars where they were."""
    lines = []
    for line in text.split("\n"):
        match = re.match(r"(\| Slice (?:LUTs\*|Registers))( *)(\|.*)", line)
        lines.append(match[1] + " " * (26 - len(match[1])) + match[3] if match else line)
    return "\n".join(lines)


def test_the_file_name_in_the_command_means_nothing(read: Any) -> None:
    text = samples.utilisation().replace("-file u.rpt", "-file top-hier.rpt -name hierarchical")
    assert read(text).kind == "vivado_utilization"
    with pytest.raises(ReportError, match="another kind"):
        read(samples.utilisation().replace("-file u.rpt", "-hierarchical"))


def test_the_design_is_the_first_row_and_not_its_namesake(read: Any) -> None:
    report = read(samples.hierarchy())
    assert [m.name for m in report.modules if "top" in m.name] == ["top", "(top)", "top", "(top)"] and report.lut == 90
    with pytest.raises(ReportError, match="its first row"):
        read(samples.hierarchy().replace("| Design       : top", "| Design       : tap"))


def test_depth_of_a_hierarchy_that_was_cut_by_an_option(read: Any) -> None:
    row = ["top", "(top)", "90", "80", "4", "6", "120", "2", "5", "1", "3"]
    assert len(read(samples.hierarchy([row])).modules) == 1


def test_timing_of_several_groups(read: Any) -> None:
    """The worst slack may be between two clocks, and then no clock of its own shows it."""
    text = samples.timing("0.300", samples.MISSED, other="-0.900", whs="0.010")
    with pytest.raises(ReportError, match=r"worst of the clocks is -0\.9"):
        read(text)
    start = text.index("Design Timing Summary")
    report = read(text[:start] + text[start:].replace("0.300", "-0.900", 1).replace(" -0.900", "-0.900", 1))
    assert (report.wns_ns, report.timing_met, report.status) == (-0.9, False, Status.TIMING_MISSED)


def test_timing_that_is_missed_without_a_negative_slack(read: Any) -> None:
    """A bus skew, or a slack that rounds to zero: what the report states counts."""
    for wns in ("0.300", "-0.000"):
        report = read(samples.timing(wns, samples.MISSED).replace("(VIOLATED)", "(VIOLATED)"))
        assert report.timing_met is False and report.status is Status.TIMING_MISSED
    with pytest.raises(ReportError, match="contradicts"):
        read(samples.timing("-0.300", samples.MET))


def test_timing_without_constraints(read: Any) -> None:
    text = samples.timing("NA", samples.NONE, clocks=(), whs="NA").replace("1.000", "   NA")
    report = read(text.replace("Slack (MET)", "Slack"))
    assert (report.wns_ns, report.timing_met, report.clk_target_ns, report.status) == (None, None, None, Status.OK)
    assert report.reason is not None and "no path is constrained" in report.reason
    with pytest.raises(ReportError, match="contradicts"):
        read(samples.timing("0.300", samples.NONE))


def test_inf_slack_is_unknown(read: Any) -> None:
    text = samples.timing("inf", samples.MET)
    assert read(text).wns_ns is None
    assert read(samples.timing_paths(samples.path("inf", None, "Max"))).wns_ns is None
    with pytest.raises(ReportError, match="a path of type"):
        read(samples.timing_paths(samples.path("0.1", "MET", "Sideways")))


def test_hold_paths_say_nothing_of_setup(read: Any) -> None:
    assert read(samples.timing_paths(samples.path("-0.200", "VIOLATED", "Hold"))).wns_ns is None


def test_a_clock_that_is_not_met_in_xml_of_other_units(read: Any) -> None:
    text = samples.csynth_xml().replace("<unit>ns</unit>", "<unit>ps</unit>")
    assert read(text.replace(">5.00<", ">5000<").replace(">0.62<", ">620<").replace(">4.10<", ">4100<")).clk_target_ns == 5.0


def test_an_element_that_is_there_twice(read: Any) -> None:
    text = samples.csynth_xml()
    with pytest.raises(ReportError, match="DSP48E and DSP"):
        read(text.replace("<FF>100</FF>", "<DSP>9</DSP><FF>100</FF>"))
    with pytest.raises(ReportError, match="2 times"):
        read(text.replace("<ClockUncertainty>", "<TargetClockPeriod>6.00</TargetClockPeriod><ClockUncertainty>"))


def test_available_rows_and_regions_are_not_used_ones(read: Any) -> None:
    """Devices of several regions have two more rows, and two tables may be called Instance."""
    text = samples.module_csynth()
    row = next(line for line in text.split("\n") if line.startswith("| Available "))
    region = row.replace("| Available      ", "| Available SLR  ").replace("1182240", " 394080")
    assert read(text.replace(row, f"{region}\n{row}")).lut == 1258
    with pytest.raises(ReportError, match="no column"):
        read(text.replace("| BRAM_18K |", "| BRAM_36K |"))


def test_the_slowest_of_several_clocks_counts(read: Any) -> None:
    text = samples.module_csynth()
    row = next(line for line in text.split("\n") if "| ap_clk |" in line and "4.366" in line)
    other = row.replace("ap_clk", "aclk_2").replace("4.366", "4.990")
    report = read(text.replace(row, f"{row}\n{other}"))
    assert (report.clk_est_ns, report.status) == (4.99, Status.TIMING_MISSED)


def test_a_dataflow_mark_is_no_part_of_a_name(read: Any) -> None:
    assert read(samples.summary_csynth().replace("|+ net      |", "|+ net*     |")).top == "net"
    with pytest.raises(ReportError, match="is not 'net'"):
        read(samples.summary_csynth().replace("|+ net      |", "|+ nut      |"))


def test_a_range_of_intervals(read: Any) -> None:
    report = read(
        samples.summary_csynth().replace("|        4|     -|       yes|     -|", "|   4 ~ 9 |     -|       yes|     -|", 1)
    )
    assert (report.ii_min, report.ii_max) == (4, 9)


def test_power_past_the_junction_limit(read: Any) -> None:
    report = read(samples.power("24.099 (Junction temp exceeded!)", again="24.099"))
    assert report.power_w == 24.099


def test_a_half_row_of_a_table_is_refused_with_its_line(read: Any) -> None:
    lines = samples.utilisation().split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("| CLB Registers"))
    lines[at] = lines[at][:30]
    with pytest.raises(ReportError, match=rf"some\.txt:{at + 1}: "):
        read("\n".join(lines))


def test_a_wrapped_table_is_refused(read: Any) -> None:
    with pytest.raises(ReportError):
        read(
            "\n".join(
                line[:40] + "\n" + line[40:] if line.startswith("| CLB") else line for line in samples.utilisation().split("\n")
            )
        )


def test_a_log_that_prints_a_report_is_a_log(read: Any) -> None:
    assert read(samples.log(*samples.module_csynth().split("\n"))).kind == "log"


def test_json_of_wrong_types(read: Any) -> None:
    for text in (
        '{"design": {"num_cells_by_type": {"LUT2": true}}}',
        '{"design": {"num_cells_by_type": {"LUT2": 2.5}}}',
        '{"design": {"num_cells": 9, "num_cells_by_type": {"LUT2": 2}}}',
        '{"utilization": {"TRELLIS_COMB": {"used": -1}}, "fmax": {}}',
        '{"utilization": {"TRELLIS_COMB": {"used": 1}}, "fmax": {"c": {"achieved": 0, "constraint": 1}}}',
        '{"utilization": {"OTHER": {"used": 1}}, "fmax": {}}',
        '{"design": ' + "[" * 100_000,
    ):
        with pytest.raises(ReportError):
            read(text)


def test_a_count_against_its_share_of_the_device(read: Any) -> None:
    """DSPs have no parts that would tell."""
    text = samples.utilisation()
    row = next(line for line in text.split("\n") if line.startswith("| DSPs "))
    assert "| 12   |" in row and "| 0.69  |" in row
    with pytest.raises(ReportError, match=r"72 of 1728 are not 0\.69 %"):
        read(text.replace(row, row.replace("| 12   |", "| 72   |")))


def test_a_control_character_tells_of_damage(read: Any) -> None:
    for text in (samples.utilisation(), samples.module_csynth(), samples.cosim(), samples.export()):
        with pytest.raises(ReportError, match="control character"):
            read(text.replace("0", "\x10", 1))


def test_lat_rb_without_its_last_line(read: Any) -> None:
    lines = [f'${which}_{what} = "7"\n' for what in ("LATENCY", "THROUGHPUT") for which in ("MAX", "MIN", "AVER")]
    assert read("".join(lines)).lat_max == 7
    with pytest.raises(ReportError, match=r"truncated: no \$AVER_THROUGHPUT"):
        read("".join(lines[:-1]))


def test_a_table_without_its_lower_border(read: Any) -> None:
    """Also where the next thing is a table of the same width."""
    text = samples.utilisation()
    lines = text.split("\n")
    borders = [i for i, line in enumerate(lines) if line.startswith("+--")]
    del lines[borders[2]]
    with pytest.raises(ReportError, match="no lower border"):
        read("\n".join(lines))


def test_black_boxes_are_named(read: Any, tmp_path: Path) -> None:
    """Modules that were not there when the report was made: the counts of the others are no measurement of the design."""
    report = read(samples.utilisation(boxes=("dense_0", "relu_0")))
    assert report.lut == 5123 and report.reason == "2 black boxes are not in the counts (dense_0, relu_0)"
    with pytest.raises(ReportError, match="black boxes"):
        read_utilization(tmp_path / "some.txt")
    assert read(samples.utilisation()).reason is None
