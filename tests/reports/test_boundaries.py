"""The last value that is taken and the first that is refused, where a change by one would go unnoticed otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwq.errors import ReportError
from hwq.reports import Report, parse
from hwq.reports.cosim import read_lat
from hwq.reports.csynth_summary import _same_name
from hwq.reports.text import Source
from hwq.reports.vivado_head import read_header

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
