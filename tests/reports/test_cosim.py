"""Co-simulation: each cell in its own place, and what one line says against another."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse
from hwq.reports.cosim import read_lat, read_report, read_transactions
from hwq.reports.text import Source


def told(text: str) -> Report:
    return read_report(Source(Path("cosim.rpt"), text))


def with_total(total: str, *cells: str) -> str:
    """A report with the ninth column of later versions."""
    lines = samples.cosim(cells).split("\n")
    extra = {"+": "-" * 12 + "+", "V": f"{total:>12s}|"}
    for i, line in enumerate(lines):
        if line.startswith(("+", "|")):
            kind = "V" if "V" in line else "+" if line.startswith("+---") else ""
            lines[i] = line + extra.get(kind, f"{'Total':>12s}|")
    return "\n".join(lines)


def test_every_cell_has_its_place() -> None:
    found = told(samples.cosim(("Pass", "13", "14", "16", "5", "6", "8")))
    assert (found.lat_min, found.lat_max, found.ii_min, found.ii_max) == (13, 16, 5, 8)
    both = told(samples.cosim(("Pass", "13", "14", "16", "5", "6", "8"), vhdl=("Pass", "12", "12", "15", "4", "7", "9")))
    assert (both.lat_min, both.lat_max, both.ii_min, both.ii_max) == (12, 16, 4, 9)
    total = told(with_total("99", "Pass", "13", "14", "16", "5", "6", "8"))
    assert (total.lat_min, total.lat_max, total.ii_min, total.ii_max) == (13, 16, 5, 8)
    none = told(samples.cosim(("NA",) * 7))
    assert (none.lat_min, none.ii_max, none.status, none.state) == (None, None, Status.NO_REPORT, None)


@pytest.mark.parametrize(
    ("total", "cells", "words"),
    [
        ("16", ("13", "14", "16", "5", "6", "8"), None),
        ("NA", ("13", "14", "16", "5", "6", "8"), None),
        ("15", ("13", "14", "16", "5", "6", "8"), "less than one transaction"),
        ("13", ("13", "14", "16", "5", "6", "8"), "less than one transaction"),
        ("14", ("14", "14", "14", "NA", "NA", "NA"), None),
        ("NA", ("14", "14", "14", "NA", "NA", "NA"), None),
        ("15", ("14", "14", "14", "NA", "NA", "NA"), "several latencies"),
        ("14", ("NA", "NA", "NA", "NA", "NA", "NA"), None),
        ("x4", ("14", "14", "14", "NA", "NA", "NA"), "total: 'x4' is no number"),
        ("14", ("14", "NA", "NA", "NA", "NA", "NA"), "only some"),
        ("20", ("13", "14", "16", "NA", "6", "NA"), "only some"),
    ],
)
def test_the_whole_run_against_its_transactions(total: str, cells: tuple[str, ...], words: str | None) -> None:
    text = with_total(total, "Pass", *cells)
    if words is None:
        assert told(text).status is Status.OK
        return
    with pytest.raises(ReportError, match=words) as caught:
        told(text)
    line = text.split("\n")[(caught.value.line or 0) - 1]
    assert line.startswith("|") and ("VHDL" in line if "VHDL" in str(caught.value) else "Verilog" in line)


def test_a_damaged_cell_is_named_by_its_line() -> None:
    text = samples.cosim().replace(" 14|", " 1x|")
    with pytest.raises(ReportError, match="Verilog, cycles") as caught:
        told(text)
    assert "1x" in text.split("\n")[(caught.value.line or 0) - 1]


def test_a_table_that_breaks_off() -> None:
    lines = samples.cosim().rstrip("\n").split("\n")
    with pytest.raises(ReportError, match="no table of results"):
        told("\n".join(lines[:5]))
    for end in range(7, len(lines)):
        with pytest.raises(ReportError, match=r"truncated|no row of VHDL"):
            told("\n".join(lines[:end]))
    del lines[-4]  # the border between the heading and the rows
    with pytest.raises(ReportError, match="no lower border"):
        told("\n".join(lines))


HEAD = "            latency        interval\n"


def transactions(*rows: tuple[int, str, str], colon: str = ":", end: str = "\n") -> Report:
    lines = "\n".join(f"transaction  {n}{colon}  {latency}  {interval}" for n, latency, interval in rows)
    return read_transactions(Source(Path("net.performance.result.transaction.rpt"), HEAD + lines + end))


def test_transactions_and_their_intervals() -> None:
    found = transactions((0, "28", "6"), (1, "30", "4"), (2, "29", "x"), end="")
    assert (found.lat_min, found.lat_max, found.ii_min, found.ii_max) == (28, 30, 4, 6)
    for last in ("x", "0", "-2147483648"):
        assert (transactions((0, "28", last)).lat_max, transactions((0, "28", last)).ii_max) == (28, None)
    for last in ("0", "4"):
        with pytest.raises(ReportError, match="one more must follow"):
            transactions((0, "28", "6"), (1, "30", last))
    with pytest.raises(ReportError, match="one more must follow"):
        transactions((0, "28", "6"))


def test_the_first_generations_mark_no_end() -> None:
    whole = transactions((0, "28", "6"), (1, "30", "x"), colon="")
    assert (whole.lat_min, whole.lat_max, whole.ii_max) == (28, 30, 6)
    half = transactions((0, "28", "x"), (1, "30", "6"), colon="")
    assert half.lat_max is None and "no end mark" in str(half.reason)


def test_transactions_that_are_missing_or_damaged() -> None:
    for rows in (((0, "28", "6"), (2, "30", "x")), ((1, "30", "x"),)):
        with pytest.raises(ReportError, match="or one is missing"):
            transactions(*rows)
    with pytest.raises(ReportError, match="damaged or cut") as caught:
        read_transactions(Source(Path("t.rpt"), HEAD + "transaction 0: 28 6\ntransaction 1: 3"))
    assert caught.value.line == 3
    with pytest.raises(ReportError, match="interval") as caught:
        transactions((0, "28", "6"), (1, "30", "4y"))
    assert caught.value.line == 3


def test_the_line_of_what_is_damaged_in_a_file_of_ruby() -> None:
    lines = [f'${which}_{what} = "5"' for which in ("MAX", "MIN", "AVER") for what in ("LATENCY", "THROUGHPUT")]
    for wrong, words in (("$MIN_LATENCY", "cut or damaged"), ('$MIN_LATENCY = "5y"', "MIN_LATENCY")):
        text = "\n".join([*lines[:2], wrong, *lines[3:]])
        with pytest.raises(ReportError, match=words) as caught:
            read_lat(Source(Path("net.result.lat.rb"), text))
        assert caught.value.line == 3


def test_zero_cycles_are_in_order_before_others(tmp_path: Path) -> None:
    values = {"LATENCY": ("0", "1", "2"), "THROUGHPUT": ("1", "1", "1")}
    path = tmp_path / "net.result.lat.rb"
    path.write_text(
        "".join(f'${w}_{what} = "{v}"\n' for what, vs in values.items() for w, v in zip(("MIN", "AVER", "MAX"), vs, strict=True))
    )
    assert (parse(path).lat_min, parse(path).lat_max) == (0, 2)
