"""The last value that is taken and the first that is refused, where a change by one would go unnoticed otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse
from hwq.reports.cosim import _row, read_lat
from hwq.reports.csynth import _before_vitis, _first
from hwq.reports.csynth_summary import _same_clock, _same_device, _same_name
from hwq.reports.csynth_text import _parts
from hwq.reports.export import _first_table, _verdict
from hwq.reports.logs import read_log
from hwq.reports.numbers import count, nanoseconds, whole, whole_range
from hwq.reports.text import Row, Source, TextTable, depth, read_table, tables
from hwq.reports.vivado_head import check_year, read_header, read_sections
from hwq.reports.yosys import read_stat_text

HEAD = [
    "-" * 40,
    "| Tool Version : Vivado v.2020.1 (lin64) Build 2902540 Wed May 27 19:54:35 MDT 2020",
    "| Design       : hwq_top",
    "| Device       : xcvu9pflga2104-2",
]


def header(*lines: str) -> tuple[str, int]:
    """Title of a report of these lines below its fields, and where it goes on."""
    every = [*HEAD, *lines]
    _, title, at = read_header(Source(Path("u.rpt"), "\n".join(every)), every)
    return title, at


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "ends within the header"),
        (("-----",), "ends within the header"),
        (("no border", "", "Title", "more"), "ends within the header"),
        (("-----", ""), "ends after the header"),
        (("-----", "Title"), "ends after the header"),
        (("-----", "", "", "Title"), "ends after the header"),
    ],
)
def test_a_head_that_is_cut(lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(ReportError, match=words):
        header(*lines)


def test_a_head_with_the_least_below_it() -> None:
    assert header("-----", "Title", "") == ("Title", 6)
    assert header("-----", "", "", " Title ", "---") == ("Title", 8)


def lat(**values: str) -> Report:
    known = {f"{which}_{what}": "5" for which in ("MAX", "MIN", "AVER") for what in ("LATENCY", "THROUGHPUT")} | values
    return read_lat(Source(Path("top.result.lat.rb"), "".join(f'${name} = "{value}"\n' for name, value in known.items())))


def test_transactions_in_order() -> None:
    found = lat(MIN_LATENCY="4", MAX_LATENCY="6")
    assert (found.lat_min, found.lat_max, found.ii_min, found.ii_max) == (4, 6, 5, 5)
    one = dict.fromkeys(("MIN_THROUGHPUT", "AVER_THROUGHPUT", "MAX_THROUGHPUT"), "0")
    single = lat(**one)
    assert (single.lat_min, single.ii_max) == (5, None)
    with pytest.raises(ReportError, match="several latencies"):
        lat(**one, MIN_LATENCY="4", AVER_LATENCY="5")
    for wrong in (
        {"MIN_LATENCY": "0", "AVER_LATENCY": "1", "MAX_LATENCY": "0"},
        {"MIN_LATENCY": "6"},
        {"MAX_LATENCY": "4"},
        {"AVER_THROUGHPUT": "0"},
        {"AVER_LATENCY": "0"},
    ):
        with pytest.raises(ReportError, match="not in order"):
            lat(**wrong)
    zero = dict.fromkeys(("MIN_LATENCY", "AVER_LATENCY", "MAX_LATENCY"), "0")
    assert lat(**zero).lat_max == 0


@pytest.mark.parametrize(
    ("shown", "name", "same"),
    [
        ("hwq_top", "hwq_top", True),
        ("hwq_top", "hwq_topology", False),
        ("hwq_top...", "hwq_topology", True),
        ("hwq_to...", "hwq_topology", True),  # nine characters are the fewest
        ("hwq_t...", "hwq_topology", False),
        ("other_t...", "hwq_topology", False),
        ("hwq_tip...", "hwq_tiny_one", False),
    ],
)
def test_a_name_that_is_cut_in_the_table(shown: str, name: str, same: bool) -> None:
    assert _same_name(shown, name) is same


FAILFAST = """# -----
# Copyright with report_failfast
# Design Summary
#  +----------+--------+
#  | xcvu9p-flga2104-2-e |
#  +----------+--------+
#  | LUT      | 70% |
#  +----------+--------+
"""


def test_guidelines_that_are_whole_or_cut(tmp_path: Path) -> None:
    path = tmp_path / "failfast.rpt"
    path.write_text(FAILFAST)
    found = parse(path)
    assert found.kind == "other" and found.device == "xcvu9p-flga2104-2-e" and "guidelines" in (found.reason or "")
    for broken in (FAILFAST.rsplit("#", 1)[0], FAILFAST.replace("Design Summary", "Design")):
        path.write_text(broken)
        with pytest.raises(ReportError, match="truncated: its table has no lower border"):
            parse(path)


@pytest.mark.parametrize(
    ("version", "year", "fine"),
    [
        ("2019.2", "2020", True),
        ("2020.1", "2020", True),
        ("2018.3", "2020", False),
        ("2021.1", "2020", False),
        ("2012.4", None, True),
        ("2049.2", None, True),
        ("2011.4", None, False),
        ("2050.1", None, False),
    ],
)
def test_versions_are_named_after_their_year(version: str, year: str | None, fine: bool) -> None:
    source = Source(Path("u.rpt"), "")
    if fine:
        check_year(source, version, year)
        return
    with pytest.raises(ReportError, match="head of the report is damaged"):
        check_year(source, version, year)


def test_a_table_of_two_borders_has_no_heading() -> None:
    lines = ["+---+----+", "| a | 1  |", "| b | 2  |", "+---+----+", "after"]
    table, after = read_table(Source(Path("t.rpt"), "\n".join(lines)), lines, 0)
    assert table.columns == () and [row.cells for row in table.rows] == [("a", "1"), ("b", "2")] and after == 4
    lines[1:1] = ["| x | y  |", "+---+----+"]
    table, after = read_table(Source(Path("t.rpt"), "\n".join(lines)), lines, 0)
    assert table.columns == ("x", "y") and len(table.rows) == 2 and after == 6
    with pytest.raises(ReportError, match="no lower border"):
        read_table(Source(Path("t.rpt"), ""), lines[:5], 0)


@pytest.mark.parametrize(
    ("rights", "fine"),
    [
        ("Copyright 1986-2020 Xilinx, Inc. All Rights Reserved.", True),
        ("Copyright 1986-2018 Xilinx, Inc. All Rights Reserved.", False),
        ("Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2024 Advanced Micro Devices, Inc.", False),
        ("Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.", True),  # Xilinx' own copyright ends there
    ],
)
def test_the_copyright_tells_a_damaged_version(rights: str, fine: bool) -> None:
    lines = [rights, *HEAD, "-----", "Title", ""]
    source = Source(Path("u.rpt"), "\n".join(lines))
    if fine:
        assert read_header(source, lines)[1] == "Title"
        return
    with pytest.raises(ReportError, match=r"version 2020.1 of a build of 20(18|24)"):
        read_header(source, lines)


@pytest.mark.parametrize("value", [-(2**31), 2**31 - 1, 2**32 - 1, -(2**63), 2**63 - 1, 2**64 - 1])
def test_counters_that_were_never_set_are_not_reported(value: int) -> None:
    assert whole(str(value)) is None
    assert whole(str(abs(value) // 4)) == abs(value) // 4 or abs(value) > 2**53  # beyond it goes by way of a float


def cosim(*cells: str) -> object:
    line = f"|{'|'.join(cells)}|"
    return _row(Source(Path("cosim.rpt"), line), line, 1, len(line))


def test_cycles_of_a_cosimulation_are_in_order() -> None:
    assert cosim("Verilog", "Pass", *"000000")
    assert cosim("Verilog", "Pass", *"123123")
    for wrong in ("010000", "100000", "121000", "000010", "000100"):
        with pytest.raises(ReportError, match="not in order"):
            cosim("Verilog", "Pass", *wrong)
    with pytest.raises(ReportError, match="only some"):
        cosim("Verilog", "Pass", "1", "NA", "3", "1", "1", "1")
    assert cosim("Verilog", "Pass", "4", "4", "4", "NA", "NA", "NA")
    with pytest.raises(ReportError, match="several latencies"):
        cosim("Verilog", "Pass", "4", "4", "5", "NA", "NA", "NA")
    with pytest.raises(ReportError, match="cut or damaged"):
        cosim("Verilog", "Pass", *"00000")


@pytest.mark.parametrize(
    ("counts", "trimmed"),
    [
        ({"lut": 0}, True),
        ({"lut": 1}, False),
        ({"ff": 1}, False),
        ({"dsp": 1}, False),
        ({"bram": 1}, False),
        ({"uram": 1}, False),
    ],
)
def test_a_synthesised_design_with_any_cell_is_not_trimmed(counts: dict[str, int], trimmed: bool) -> None:
    found = _verdict({"lut": 0, "ff": 0, "dsp": 0, "bram": 0, **counts}, None, placed=False)
    assert (found[0] is Status.TRIMMED) is trimmed


def test_the_first_of_a_range_of_intervals() -> None:
    assert _first("3 ~ 5") == 3 and _first("4") == 4 and _first(None) is None


def test_vivado_hls_ended_before_2020_2() -> None:
    assert [_before_vitis(v) for v in ("2019.2", "2020.1", "2020.1.1", "2020.2", "2020.2.1", "2021.1")] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(("achieved", "met"), [(100.0, True), (99.99, False), (100.01, True)])
def test_a_clock_that_is_just_reached_is_met(achieved: float, met: bool, tmp_path: Path) -> None:
    path = tmp_path / "nextpnr.json"
    cells = {"OXIDE_COMB": {"used": 10, "available": 100}, "RAMW": {"used": 3, "available": 100}}
    path.write_text(json.dumps({"fmax": {"clk": {"achieved": achieved, "constraint": 100.0}}, "utilization": cells}))
    found = parse(path)
    assert found.timing_met is met and found.lut == 16  # the write port of a LUT RAM takes two LUTs


@pytest.mark.parametrize(("blank", "fine"), [(7, True), (8, False)])
def test_a_table_stands_within_eight_lines(blank: int, fine: bool) -> None:
    lines = [""] * blank + ["+---+", "| a |", "+---+", "| 1 |", "+---+"]
    source = Source(Path("t.rpt"), "\n".join(lines))
    if fine:
        assert _first_table(source, lines, 0).columns == ("a",)
        return
    with pytest.raises(ReportError, match="a section without its table"):
        _first_table(source, lines, 0)


def test_sections_lie_below_the_heading_and_between_lines() -> None:
    rule = "=" * 20
    lines = [rule, "== Heading", rule, rule, "== Latency", rule, "text", rule, "== Cut"]
    assert list(_parts(lines, 1)) == ["Latency"]


@pytest.mark.parametrize(
    ("cells", "counts"),
    [
        ({"ICESTORM_LC": 7, "ICESTORM_DSP": 2, "ICESTORM_RAM": 3}, (7, None, 2, 3, "4K")),
        ({"OXIDE_COMB": 10, "RAMW": 3, "OXIDE_FF": 5, "MULT9_CORE": 2, "MULT18_CORE": 1, "OXIDE_EBR": 4}, (16, 5, 3, 4, "18K")),
        (
            {"TRELLIS_COMB": 10, "TRELLIS_RAMW": 3, "TRELLIS_FF": 5, "MULT18X18D": 2, "DP16KD": 3, "DP8KC": 1},
            (16, 5, 2, 3.5, "18K"),
        ),
        ({"LUT4": 10, "ALU": 3, "RAM16SDP4": 2, "DFF": 6, "MULT9X9": 1, "MULT36X36": 2, "BSRAM": 5}, (21, 6, 3, 5, "18K")),
    ],
)
def test_cells_of_each_family(cells: dict[str, int], counts: tuple[object, ...], tmp_path: Path) -> None:
    path = tmp_path / "nextpnr.json"
    path.write_text(json.dumps({"fmax": {}, "utilization": {name: {"used": n} for name, n in cells.items()}}))
    found = parse(path)
    assert (found.lut, found.ff, found.dsp, found.bram, found.bram_unit) == counts
    assert (found.timing_met, found.clk_est_ns, found.wns_ns, found.status) == (None, None, None, Status.OK)


def nextpnr(tmp_path: Path, **clocks: object) -> Report:
    path = tmp_path / "nextpnr.json"
    path.write_text(json.dumps({"fmax": clocks, "utilization": {"LUT4": {"used": 1}}}))
    return parse(path)


def test_the_clock_that_is_nearest_to_failing(tmp_path: Path) -> None:
    def pair(achieved: object, wanted: object) -> dict[str, object]:
        return {"achieved": achieved, "constraint": wanted}

    found = nextpnr(tmp_path, a=pair(70, 90), b=pair(50, 60))
    assert (found.clk_est_ns, found.clk_target_ns, found.wns_ns) == (14.285714, 11.111111, -3.174603)
    assert found.reason == "70.00 MHz of 90.00 MHz" and found.timing_met is False
    assert nextpnr(tmp_path, a=pair(50, 60), b=pair(70, 90)).reason == found.reason
    assert nextpnr(tmp_path, a=pair(50, 100), b=pair(100, 200)).reason == "50.00 MHz of 100.00 MHz"
    assert nextpnr(tmp_path, a=pair(0.5, 0.25)).clk_est_ns == 2000 and nextpnr(tmp_path, a=pair(0.5, 0.25)).reason is None
    for wrong in (pair(0, 90), pair(70, 0), pair(-70, 90), pair("70", 90), pair(None, 90), {"achieved": 70}, 70):
        with pytest.raises(ReportError, match=r"fmax\.a is .* not an achieved and a wanted frequency"):
            nextpnr(tmp_path, a=wrong)


@pytest.mark.parametrize(
    "content", [{"fmax": {}}, {"utilization": {}}, {"fmax": {}, "utilization": 1}, {"fmax": 1, "utilization": {}}]
)
def test_half_a_report_of_nextpnr(content: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps(content))
    with pytest.raises(ReportError, match="no utilization or no fmax"):
        parse(tmp_path / "n.json")


def test_numbers_next_to_zero() -> None:
    for text in ("-1", "-0.5"):
        with pytest.raises(ValueError, match=r"less than zero|no whole number"):
            whole(text)
        with pytest.raises(ValueError, match="less than zero"):
            count(text)
        with pytest.raises(ValueError, match="less than zero"):
            nanoseconds(text)
    assert whole("0") == 0 and count("0") == 0 and nanoseconds("0 ns") == 0 and whole_range("5 ~ 5") == (5, 5)


@pytest.mark.parametrize(("blank", "fine"), [(0, True), (19, True), (20, False)])
def test_contents_stand_within_twenty_lines(blank: int, fine: bool) -> None:
    lines = ["Title", *[""] * blank, "Table of Contents", "---", "1. Summary", "", "1. Summary", "----------", "text"]
    source = Source(Path("u.rpt"), "\n".join(lines))
    if fine:
        found = read_sections(source, lines, 1)["summary"]
        assert (found.title, lines[found.start : found.end]) == ("1. Summary", ["text"])
        assert read_sections(source, lines[:-1], 1)["summary"].start == len(lines) - 1
        return
    with pytest.raises(ReportError, match="no table of contents"):
        read_sections(source, lines, 1)


def test_cells_that_do_not_add_up_are_told_at_their_heading() -> None:
    text = "\n=== top ===\n   Number of cells:                  3\n     LUT4                            2\n"
    assert read_stat_text(Source(Path("stat.txt"), text.replace("3", "2"))).lut == 2
    with pytest.raises(ReportError, match="3 cells, but the types make 2") as caught:
        read_stat_text(Source(Path("stat.txt"), text))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("raw", "unit", "deep"), [("a", 2, 0), (" a", 2, 0), ("  a", 2, 0), ("   a", 2, 1), ("     a", 2, 2), ("    a", 1, 3)]
)
def test_how_deep_a_cell_is_indented(raw: str, unit: int, deep: int) -> None:
    assert depth(Row(1, (raw.strip(),), raw), unit) == deep


def same(check: Callable[..., None], *cells: tuple[str, ...], **columns: int) -> bool:
    """Whether a check across the rows of a table takes them."""
    table = TextTable(1, (), tuple(Row(i, row, "") for i, row in enumerate(cells)))
    try:
        check(Source(Path("s.rpt"), ""), columns, table)
    except ReportError as error:
        assert error.line is not None and "than the rows above: damaged" in str(error)
        return False
    return True


def test_rows_of_one_clock() -> None:
    """Ten cycles in 50 ns, the last digit one off: 4.9 to 5.1 ns."""

    def clock(*cells: tuple[str, str]) -> bool:
        return same(_same_clock, *cells, **{"latency (cycles)": 0, "latency (ns)": 1})

    for shown, fine in (("52", True), ("53", False), ("48", True), ("47", False), ("0", False), ("5.2e1", True), ("5.20e1", False)):
        assert clock(("10", "50"), ("10", shown)) is fine
    assert clock(("10", "5.0e+01"), ("1000", "5.1E+03")) and not clock(("10", "5.0e+01"), ("1000", "5.3e+03"))
    assert clock(("10~20", "900"), ("0", "0"), ("10", "50"), ("-", "-"), ("1", "5"))
    assert same(_same_clock, ("10", "50"), ("10", "90"), **{"latency (cycles)": 0})


def test_rows_of_one_device() -> None:
    """A share is rounded down: 100 of less than one per cent are of at least 100 hundreds."""

    def device(*cells: str) -> bool:
        return same(_same_device, *(("-", "-", cell, "-", "-") for cell in cells), lut=2, ff=0, dsp=1, bram=3, uram=4)

    for shown, fine in (("300 (3%)", True), ("299 (3%)", False), ("1 (~0%)", True), ("99 (~0%)", True)):
        assert device("100 (~0%)", shown) is fine and device(shown, "100 (~0%)") is fine
    assert (
        device("400 (3%)", "200 (2%)")
        and device("401 (3%)", "201 (2%)")
        and not device("403 (3%)", "201 (2%)", "201 (2%)", "200 (2%)")
    )


def test_a_table_on_the_first_line() -> None:
    lines = ["+---+", "| a |", "+---+", "| 1 |", "+---+", "", "+---+", "| b |", "+---+", "| 2 |", "+---+"]
    assert [t.columns for t in tables(Source(Path("t.rpt"), ""), lines)] == [("a",), ("b",)]


def test_half_a_block_ram() -> None:
    """In blocks of 18 kilobits, two to one of 36."""
    text = "=== top ===\n\n   Number of cells:       6\n     RAMB18E2             1\n     RAMB36E2             5\n"
    assert read_stat_text(Source(Path("stat.txt"), text)).bram == 11


@pytest.mark.parametrize("word", ["2023.1", "2022.2.1"])
def test_a_log_without_a_banner_says_its_version_by_its_path(word: str) -> None:
    log = Source(
        Path("v.log"), f"Running '/tools/Xilinx/Vivado/{word}/bin/unwrapped/vivado'\nERROR: [Common 17-69] Command failed\n"
    )
    assert (read_log(log).version, read_log(log).tool) == (word, None)
