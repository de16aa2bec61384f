"""Which parser reads a file, where the sign stands at the end of what is looked at; and power, which is told by one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, parse
from hwq.reports.text import Source, is_border, read_table, refuse_damage


def read(folder: Path, text: str) -> Report:
    path = folder / "some.txt"
    path.write_text(text)
    return parse(path)


def filled(sign: str, end: int, before: str = "") -> str:
    """Lines of no meaning, then a line whose sign ends before character `end`."""
    room = end - len(before) - len(sign) - 1
    return f"{before}{'x' * room}\n{sign}"


@pytest.mark.parametrize(
    ("line", "border"), [("+--+", True), (" +-=+-+ ", True), ("+=-+", False), ("+==+", False), ("+-", False), ("+-+|", False)]
)
def test_a_border_is_told_by_its_signs(line: str, border: bool) -> None:
    assert is_border(line) is border


def test_a_border_that_never_ends_is_told_at_once() -> None:
    """In time that grows with its length, not with its square: a million characters took hours."""
    assert not is_border("+-" * 500_000)


def test_a_sign_stands_in_the_first_4000_characters(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no table of results"):
        read(tmp_path, filled("Report time   : ", 4000) + "\n")
    with pytest.raises(ReportError, match="no report, and no log"):
        read(tmp_path, filled("Report time   : ", 4001) + "\n")


def test_a_run_starts_in_the_first_20000_characters(tmp_path: Path) -> None:
    """What was printed in a run is a log, whatever reports are in it."""
    with pytest.raises(ReportError, match="no report, and no log"):
        read(tmp_path, filled("Starting synth_design", 20000, "HLS Report for '\n"))
    with pytest.raises(ReportError, match="heading of the report is damaged"):
        read(tmp_path, filled("Starting synth_design", 20001, "HLS Report for '\n"))


def test_binary_data_shows_in_the_first_100000_characters(tmp_path: Path) -> None:
    for end, words in ((100_000, "binary data"), (100_001, "no report, and no log")):
        with pytest.raises(ReportError, match=words):
            read(tmp_path, filled("\0", end))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("| Tool Version : Vivado", "heading is damaged"),
        ("#=== Final", "heading is damaged"),
        ("C SIMULATION RESULT:", "no synthesis report follows"),
        ("SYNTHESIS REPORT:", "no synthesis report follows"),
    ],
)
def test_half_a_report_between_messages(line: str, words: str, tmp_path: Path) -> None:
    messages = "INFO: [Common 17-1] message\n"
    with pytest.raises(ReportError, match=words):
        read(tmp_path, f"{messages}{line}\n")
    assert read(tmp_path, f"{messages}INFO: [HLS 200-10] Running 'vitis_hls'\n{line}\n").kind == "log"


def test_the_option_of_a_hierarchy_stands_anywhere(tmp_path: Path) -> None:
    text = samples.hierarchy().replace("report_utilization -hierarchical", "report_utilization -file u.rpt -hierarchical -quiet")
    assert read(tmp_path, text).kind == "vivado_utilization_hier"


def test_sizes_of_a_design_that_are_whole_or_cut(tmp_path: Path) -> None:
    text = "== Design Size Report\nInstructions per Function\n+--+\n| a|\n+--+\n"
    assert read(tmp_path, text + "\n").kind == "csynth_design_size.rpt"
    for cut in (text.rsplit("+--+", 1)[0], text.replace("Instructions", "Instruction")):
        with pytest.raises(ReportError, match="its last table has no lower border"):
            read(tmp_path, cut)


def test_a_control_character_is_named_by_its_line() -> None:
    for text, line in (("\x01", 1), ("a\nb\x01\n", 2), ("\n\nc\x1f", 3)):
        with pytest.raises(ReportError, match="a control character") as caught:
            refuse_damage(Source(Path("r.rpt"), text))
        assert caught.value.line == line


def test_a_table_of_one_border_is_cut_off() -> None:
    for lines in (["+--+"], ["+--+", "| a|"], ["+--+", "| a|", "+--+", "| b|"]):
        with pytest.raises(ReportError, match="it has no lower border"):
            read_table(Source(Path("r.rpt"), ""), lines, 0)
    table, after = read_table(Source(Path("r.rpt"), ""), ["+--+", "+--+", "text"], 0)
    assert (table.columns, table.rows, after) == ((), (), 2)


@pytest.mark.parametrize(
    ("total", "dynamic", "static", "words"),
    [
        ("0", "0", "0", None),
        ("0.500", "0.250", "0.250", None),
        ("-0.500", "-0.250", "-0.250", "no total on-chip power"),
        ("?", "0.250", "0.250", "no total on-chip power"),
        ("24.099", "10.576", "13.525", None),
        ("24.099", "10.576", "13.526", "dynamic and static power make"),
        ("24.099", "10.5x6", "13.523", "dynamic .w.: '10.5x6' is no number"),
    ],
)
def test_watts_and_their_sum(total: str, dynamic: str, static: str, words: str | None, tmp_path: Path) -> None:
    text = samples.power(total, dynamic, static)
    if words is None:
        assert read(tmp_path, text).power_w == float(total)
        return
    with pytest.raises(ReportError, match=words):
        read(tmp_path, text)


def test_power_of_a_chip_that_is_too_hot(tmp_path: Path) -> None:
    assert read(tmp_path, samples.power("24.099 (Junction temp exceeded!)")).power_w == 24.099


def test_power_whose_last_section_is_cut(tmp_path: Path) -> None:
    whole = samples.power()
    more = whole.replace("3. By Hierarchy\n", "3. By Hierarchy\n4. Supply\n", 1)
    more += "4. Supply\n---------\n\n" + samples.table([["Source", "A"], ["Vccint", "1"]])
    assert read(tmp_path, more).power_w == 24.099
    with pytest.raises(ReportError, match="cut off"):
        read(tmp_path, more.rstrip().rsplit("\n", 1)[0])


def test_a_hierarchy_without_rows(tmp_path: Path) -> None:
    """A design that draws too little for any row; a file that is cut below the header has no empty line there."""
    text = samples.power()
    at = text.rindex("+", 0, text.rindex("| top "))
    empty = text[: text.rindex("\n", 0, at) + 1].rstrip("\n")
    border = empty.rsplit("\n", 2)[1] if not empty.endswith("+") else empty.rsplit("\n", 1)[1]
    empty = empty if empty.endswith("+") else f"{empty}\n{border}"
    assert read(tmp_path, empty + "\n\n").modules == ()
    for cut in ("", "\n"):
        with pytest.raises(ReportError, match="has no rows"):
            read(tmp_path, empty + cut)


def test_cells_are_cut_at_the_crosses_of_the_border() -> None:
    lines = ["text", "+--+--+", "|ab|cd|", "+--+--+", "|1 |23|", "| 4| 5|", "+--+--+"]
    source = Source(Path("r.rpt"), "")
    table, after = read_table(source, lines, 1)
    assert (table.line, table.columns, after) == (2, ("ab", "cd"), 7)
    assert [(row.line, row.cells, row.raw, row.name) for row in table.rows] == [
        (5, ("1", "23"), "1 ", "1"),
        (6, ("4", "5"), " 4", "4"),
    ]
    for row in ("|1 |23", "|1  23|", "|1 |2|3|", "|1 |23|x"):
        with pytest.raises(ReportError, match="the row is") as caught:
            read_table(source, [*lines[:4], row, *lines[5:]], 1)
        assert caught.value.line == 5
    for at, words in ((1, "upper and lower borders differ"), (3, "its borders differ"), (6, "upper and lower borders differ")):
        with pytest.raises(ReportError, match=words) as caught:
            read_table(source, [*lines[:at], "+---+-+", *lines[at + 1 :]], 1)
        assert caught.value.line == (4 if at == 3 else 2)


def test_a_heading_over_several_columns_belongs_to_each() -> None:
    lines = ["+----+----+----+", "|    Both |One |", "|  a |  b |  c |", "+----+----+----+", "|   1|   2|   3|", "+----+----+----+"]
    assert read_table(Source(Path("r.rpt"), ""), lines, 0)[0].columns == ("both a", "both b", "one c")
