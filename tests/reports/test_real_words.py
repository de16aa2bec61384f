"""What real tools write and small fixtures did not have: states, parts, counters that were never set, other families, wide slacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse
from hwq.reports.states import State, is_placed, state_of

CIV = "xcvu440_CIV-flgb2377-1-i"


def read(tmp_path: Path, text: str, name: str = "r.rpt") -> Report:
    (tmp_path / name).write_text(text)
    return parse(tmp_path / name)


@pytest.mark.parametrize(
    ("words", "state", "placed"),
    [
        ("Synthesized", State.SYNTHESISED, False),
        ("Optimized", State.OPTIMISED, False),
        ("Fully Placed", State.PLACED, True),
        ("Physopt postPlace", State.PLACED, True),
        ("routed", State.ROUTED, True),
        ("Physopt postRoute", State.ROUTED, True),
        ("Partially Routed", None, False),
    ],
)
def test_states(words: str, state: State | None, placed: bool, tmp_path: Path) -> None:
    assert (state_of(words), is_placed(words)) == (state, placed)
    report = read(tmp_path, samples.utilisation(3, 0, 0, "0", None, state=words))
    assert report.state == words and (report.status is Status.TRIMMED) == placed


@pytest.mark.parametrize(
    "text",
    [
        samples.csynth_xml().replace("xcvu9p-flgb2104-2-i", CIV).replace("xczu7ev-ffvc1156-2-e", CIV),
        samples.module_csynth().replace("xcvu9p-flgb2104-2-i", CIV),
        samples.export().replace("xcvu9p-flgb2104-2-i", CIV),
        samples.export_text().replace("xczu3eg-sbva484-1-e", CIV),
        samples.utilisation().replace("xczu7ev-ffvc1156-2-e", CIV),
    ],
)
def test_a_part_may_have_an_underscore(text: str, tmp_path: Path) -> None:
    if CIV not in text:
        text = text.replace(text[text.index("<Part>") + 6 : text.index("</Part>")], CIV)
    assert read(tmp_path, text).device == CIV
    with pytest.raises(ReportError):
        read(tmp_path, text.replace(CIV, "xcvu440 CIV-"))


def test_a_row_that_is_not_counted_may_leave_its_share_out(tmp_path: Path) -> None:
    row = samples.site("  ISERDES", "32")
    text = samples.utilisation()
    table = samples.table([samples.COLUMNS, samples.site("ILOGIC", "36", 285), [*row[:4], "285", ""]])
    report = read(tmp_path, text + table)
    assert report.lut == 5123
    line = next(line for line in text.splitlines() if "CLB Registers" in line)
    with pytest.raises(ReportError, match="only one of available and utilisation"):
        read(tmp_path, text.replace(line, line.replace("0.43", "    ")))


def test_a_design_may_draw_too_little_for_a_row(tmp_path: Path) -> None:
    text = samples.power()
    start = text.index("| Name")
    end = text.index("\n", text.index("+--", text.index("+--", start) + 40)) + 1
    rows = text[start:end].splitlines(keepends=True)
    empty = text[:start] + rows[0] + rows[1] + "\n\n"
    report = read(tmp_path, empty)
    assert report.power_w == parse_power(tmp_path) and report.modules == ()
    with pytest.raises(ReportError):  # as it is when the file is cut behind the header
        read(tmp_path, empty[:-2])


def parse_power(tmp_path: Path) -> float | None:
    return read(tmp_path, samples.power(), "whole.rpt").power_w


@pytest.mark.parametrize("unset", ["-2147483648", "2147483647", "4294967295", "18446744073709551615", "x"])
def test_a_counter_that_was_never_set_is_unknown(unset: str, tmp_path: Path) -> None:
    text = f"                latency   interval\ntransaction   0   3   2\ntransaction   1   4   {unset}\n"
    report = read(tmp_path, text)
    assert (report.lat_min, report.lat_max, report.ii_min, report.ii_max) == (3, 4, 2, 2)
    with pytest.raises(ReportError, match="less than zero"):
        read(tmp_path, text.replace(unset, "-7"))


OVERFLOW = (
    "ERROR: '2201251806' is an invalid argument. Please specify an integer value.",
    '"rdi::set_property core_revision 2312311200 {component component_1}"',
)


@pytest.mark.parametrize("line", OVERFLOW)
def test_the_overflow_of_2022_is_named(line: str, tmp_path: Path) -> None:
    report = read(tmp_path, samples.log(line, "ERROR: [IMPL 213-28] Failed to generate IP."), "r.log")
    assert report.status is Status.DATE_OVERFLOW and "76960" in (report.reason or "") and "-version" in (report.reason or "")
    # the same name of an earlier year fits in 32 bits, and is no cause
    earlier = line.replace("2201251806", "2101251806").replace("2312311200", "2112311200")
    assert read(tmp_path, samples.log(earlier, "ERROR: [IMPL 213-28] Failed."), "r.log").status is Status.FAILED


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: [COSIM 212-361] C TB simulation failed, nonzero return value",
        "ERROR: [COSIM 212-359] Aborting co-simulation: C TB simulation failed, nonzero return value '1'.",
        "ERROR: [SIM 211-100] 'csim_design' failed: nonzero return value.",
    ],
)
def test_a_bench_that_fails_is_no_compile_error(line: str, tmp_path: Path) -> None:
    end = "ERROR: [COSIM 212-4] *** C/RTL co-simulation finished: FAIL ***"
    assert read(tmp_path, samples.log(line, end), "r.log").status is Status.TEST_BENCH_FAILED
    assert read(tmp_path, samples.log("ERROR: [COSIM 212-317] C++ compile error.", end), "r.log").status is Status.COMPILE_ERROR


def test_vitis_run_names_its_version(tmp_path: Path) -> None:
    text = "\n****** vitis-run v2024.2 (64-bit)\n  **** SW Build 1\n" + samples.log().split("\n\n", 1)[1]
    report = read(tmp_path, text, "r.log")
    assert (report.tool, report.version) == ("vitis-run", "2024.2")


@pytest.mark.parametrize("slack", ["-100.123", "-1234.567", "-99999.999"])
def test_a_slack_may_be_wider_than_its_column(slack: str, tmp_path: Path) -> None:
    # Vivado's columns are as wide as their names, right-aligned: a wide value begins left of its rule
    text = samples.timing("-00.100", samples.MISSED)
    for line in {line for line in text.splitlines() if "-00.100" in line}:
        at = line.index("-00.100") + len("-00.100")
        name = line[: at - 7].rstrip()
        text = text.replace(line, name + slack.rjust(max(at - len(name), len(slack) + (2 if name else 0))) + line[at:])
    report = read(tmp_path, text)
    assert report.wns_ns == float(slack) and report.status is Status.TIMING_MISSED and report.timing_met is False


def nextpnr(**used: int) -> str:
    cells = {name: {"used": n, "available": 9999} for name, n in used.items()}
    return json.dumps({"fmax": {"clk": {"achieved": 80.0, "constraint": 50.0}}, "utilization": cells})


@pytest.mark.parametrize(
    ("used", "lut", "ff", "bram", "unit"),
    [
        ({"TRELLIS_COMB": 9, "TRELLIS_RAMW": 1, "TRELLIS_FF": 4, "DP16KD": 1}, 11, 4, 1, "18K"),
        ({"ICESTORM_LC": 7, "ICESTORM_RAM": 2, "SB_IO": 3}, 7, None, 2, "4K"),
        ({"OXIDE_COMB": 5, "OXIDE_FF": 6, "OXIDE_EBR": 1}, 5, 6, 1, "18K"),
        ({"LUT4": 459, "ALU": 500, "MUX2_LUT5": 19, "DFF": 387, "BSRAM": 0, "ALU54D": 0}, 959, 387, 0, "18K"),
        ({"LUT4": 1, "RAM16SDP4": 2, "DFF": 0}, 9, 0, None, None),
    ],
)
def test_nextpnr_on_every_family(
    used: dict[str, int], lut: int, ff: int | None, bram: float | None, unit: str | None, tmp_path: Path
) -> None:
    report = read(tmp_path, nextpnr(**used), "r.json")
    assert (report.lut, report.ff, report.bram, report.bram_unit) == (lut, ff, bram, unit)
    assert report.resources.bram36 == (None if bram is None else bram / {"18K": 2, "4K": 9, None: 1}[unit])


def test_a_logic_cell_that_is_not_known_is_not_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, nextpnr(LUT4=1, DFF=1, CARRY_NEW=0), "r.json").lut == 1
    with pytest.raises(ReportError, match="CARRY_NEW"):
        read(tmp_path, nextpnr(LUT4=1, DFF=1, CARRY_NEW=3), "r.json")


@pytest.mark.parametrize("text", [samples.STAT_OLD, samples.STAT_NEW], ids=["0.23", "0.70"])
def test_stat_as_text(text: str, tmp_path: Path) -> None:
    report = read(tmp_path, text, "stat.txt")
    assert (report.kind, report.lut, report.ff, report.status) == ("yosys_stat", 5, 16, Status.OK)
    assert [(m.name, m.lut, m.ff) for m in report.modules] == [("sub", 2, 8), ("top", 1, 0)]
    one = read(tmp_path, text[: text.index("=== top")], "stat.txt")
    assert (one.top, one.lut, one.ff) == ("sub", 2, 8)
    for damaged in (text.replace("16", "17"), text[: text.rindex("LUT2")], text[: text.index("=== design")]):
        with pytest.raises(ReportError):
            read(tmp_path, damaged, "stat.txt")


@pytest.mark.parametrize(
    ("cells", "lut", "ff"),
    [
        ({"SB_LUT4": 3, "SB_CARRY": 2, "SB_DFFESR": 4, "SB_DFF": 1}, 3, 5),
        ({"LUT1": 1, "LUT4": 3, "ALU": 5, "DFFR": 2, "DFF": 1, "MUX2_LUT5": 2}, 9, 3),
        ({"LUT4": 3, "CCU2C": 2, "TRELLIS_FF": 1}, 7, 1),
        ({"LUT4": 3, "CCU2D": 2, "FD1P3IX": 1, "WIDEFN9": 1}, 9, 1),
    ],
)
def test_yosys_on_every_family(cells: dict[str, int], lut: int, ff: int, tmp_path: Path) -> None:
    counts = {"num_cells_by_type": cells}
    report = read(tmp_path, json.dumps({"modules": {"\\top": counts}, "design": counts}), "s.json")
    assert (report.lut, report.ff) == (lut, ff)


def test_a_wrapper_of_black_boxes_is_not_called_trimmed(tmp_path: Path) -> None:
    report = read(tmp_path, samples.utilisation(0, 0, 0, "0", None, boxes=("core_0",)))
    assert report.status is Status.OK and report.black_boxes == ("core_0",) and "not in the counts" in (report.reason or "")
    assert read(tmp_path, samples.utilisation(0, 0, 0, "0", None)).status is Status.TRIMMED
