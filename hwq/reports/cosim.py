"""C/RTL co-simulation: <top>_cosim.rpt, and the files of single transactions that it is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwq.reports.numbers import whole
from hwq.reports.text import Source
from hwq.reports.types import Report, Status

_TRANSACTIONS = re.compile(r"\s*latency\s+interval\s*$")
_TRANSACTION = re.compile(r"transaction\s+(\d+):?\s+(\S+)\s+(\S+)\s*$")
_LAT = re.compile(r'\$(MAX|MIN|AVER)_(LATENCY|THROUGHPUT) = "([^"]*)"\s*$|\$TOTAL_EXECUTE_TIME = "[^"]*"\s*$')
_NOT_RUN = frozenset({"na", "n/a", "-", ""})


def is_report(text: str) -> bool:
    """<top>_cosim.rpt."""
    return re.search(r"^\+   RTL    \+|^Report time +: ", text, re.MULTILINE) is not None and "== " not in text


def is_transactions(text: str) -> bool:
    """The latency and interval of each transaction, whatever the file is called."""
    return _TRANSACTIONS.match(text.partition("\n")[0]) is not None


def is_lat(text: str) -> bool:
    """<top>.result.lat.rb."""
    return text.startswith("$") and "_LATENCY" in text


@dataclass(frozen=True, slots=True)
class _Row:
    """One language: status, then latency min, average, max and interval min, average, max."""

    language: str
    status: str
    values: tuple[int | None, ...]


def read_report(source: Source) -> Report:
    """<top>_cosim.rpt: the language that was simulated; where both were, their common range.

    Raises:
        ReportError: truncated or damaged.
    """
    lines = [line.rstrip() for line in source.lines]
    while lines and not lines[-1]:
        lines.pop()
    head = next((i for i, line in enumerate(lines) if line.startswith("+   RTL    +")), None)
    if head is None:
        raise source.error("truncated: no table of results", len(lines))
    border = lines[-1]
    if re.fullmatch(r"\+(-+\+)+", border) is None or lines[head + 2 : head + 3] != [border]:
        raise source.error("truncated: the table of results has no lower border", len(lines))
    names = [cell.strip() for cell in lines[head + 1].strip("|").split("|")]
    if names[2:8] != ["min", "avg", "max"] * 2:
        raise source.error(f"the columns of the table of results are {', '.join(n for n in names if n)}", head + 2)
    rows = [_row(source, lines[i], i + 1, len(border)) for i in range(head + 3, len(lines) - 1)]
    run = [row for row in rows if row.status.lower() not in _NOT_RUN]
    if not rows or {row.language for row in rows} - {"VHDL", "Verilog", "SystemC"}:
        raise source.error("the table of results has no row of VHDL or Verilog", head + 3)
    status, reason = Status.OK, None
    if not run:
        status, reason = Status.NO_REPORT, "no language was simulated"
    for row in run:
        if row.status.lower() != "pass":
            status, reason = Status.FAILED, f"{row.language}: {row.status}: the RTL does not do what the C++ does, or did not end"
    done = [row for row in run if row.status.lower() == "pass"] or run
    lows = [min((v for row in done if (v := row.values[i]) is not None), default=None) for i in (0, 3)]
    highs = [max((v for row in done if (v := row.values[i]) is not None), default=None) for i in (2, 5)]
    return Report(
        "cosim.rpt",
        tool="HLS cosim",
        lat_min=lows[0],
        lat_max=highs[0],
        ii_min=lows[1],
        ii_max=highs[1],
        status=status,
        reason=reason,
        state="; ".join(f"{row.language}:{row.status}" for row in run) or None,
    )


def _row(source: Source, line: str, number: int, width: int) -> _Row:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if not (line.startswith("|") and line.endswith("|")) or len(line) != width or len(cells) not in (8, 9):
        raise source.error("the row is cut or damaged", number)
    values = tuple(source.convert(f"{cells[0]}, cycles", cell, whole, number) for cell in cells[2:8])
    latency, interval = values[:3], values[3:]
    for part in (latency, interval):
        known = [value for value in part if value is not None]
        if known != sorted(known):
            raise source.error(f"{cells[0]}: minimum, average and maximum are not in order: the row is damaged", number)
        if known and None in part:
            raise source.error(f"{cells[0]}: only some of minimum, average and maximum are said: the row is damaged", number)
    longest = latency[-1]
    total = source.convert(f"{cells[0]}, total", cells[8], whole, number) if len(cells) == 9 else longest
    if longest is None or total is None:
        total = longest
    if None in interval and {*latency, total} != {longest}:  # one transaction has no interval
        raise source.error(f"{cells[0]}: one transaction with several latencies: the row is damaged", number)
    if total is not None and longest is not None and total < longest:
        raise source.error(f"{cells[0]}: the whole run took less than one transaction: the row is damaged", number)
    if cells[1].lower() not in (*_NOT_RUN, "pass", "fail"):
        raise source.error(f"{cells[0]}: status {cells[1]!r} is neither Pass nor Fail", number)
    return _Row(cells[0], cells[1], values)


def read_transactions(source: Source) -> Report:
    """One line a transaction. The interval of the last one, or of a single one, is not known (`x`, 0, -2147483648).

    Raises:
        ReportError: truncated or damaged.
    """
    numbered = re.search(r"^transaction +\d+:", source.text, re.MULTILINE) is not None
    latencies: list[int | None] = []
    first = next(i for i, line in enumerate(source.lines, 1) if line.strip())
    intervals: list[int | None] = []
    for number, line in enumerate(source.lines, 1):
        if number <= first or not line.strip():
            continue
        match = _TRANSACTION.match(line)
        if match is None or int(match[1]) != len(latencies):
            raise source.error("the line of a transaction is damaged or cut, or one is missing", number)
        latencies.append(source.convert("latency", match[2].replace("x", "-"), whole, number))
        intervals.append(source.convert("interval", match[3].replace("x", "-"), whole, number))
    if not latencies:
        raise source.error("truncated: no transaction", 1)
    if not numbered and intervals[-1] is not None:  # the first generations mark no end: what looks whole may be half of it
        return Report("cosim transaction data", tool="HLS cosim", reason="the format has no end mark, so no range is taken from it")
    if not (intervals[-1] is None or (len(intervals) == 1 and intervals[0] == 0)):
        raise source.error("truncated: the last transaction has an interval, so one more must follow", len(latencies) + 1)
    known, gaps = [v for v in latencies if v is not None], [v for v in intervals if v]
    return Report(
        "cosim transaction data",
        tool="HLS cosim",
        lat_min=min(known, default=None),
        lat_max=max(known, default=None),
        ii_min=min(gaps, default=None),
        ii_max=max(gaps, default=None),
    )


def read_lat(source: Source) -> Report:
    """<top>.result.lat.rb. A throughput of 0 says that there was one transaction only.

    Raises:
        ReportError: truncated or damaged.
    """
    values: dict[str, int | None] = {}
    for number, line in enumerate(source.lines, 1):
        if not line.strip():
            continue
        match = _LAT.match(line)
        if match is None:
            raise source.error("the line is cut or damaged", number)
        if match[1]:
            values[f"{match[1]}_{match[2]}"] = source.convert(f"{match[1]}_{match[2]}", match[3], whole, number)
    wanted = [f"{which}_{what}" for what in ("LATENCY", "THROUGHPUT") for which in ("MIN", "AVER", "MAX")]
    if missing := [name for name in wanted if name not in values]:
        raise source.error(f"truncated: no ${missing[0]}")
    for what in ("LATENCY", "THROUGHPUT"):
        known = [value for which in ("MIN", "AVER", "MAX") if (value := values[f"{which}_{what}"]) is not None]
        if known != sorted(known):
            raise source.error(f"minimum, average and maximum {what.lower()} are not in order: the file is damaged")
    if not values["MAX_THROUGHPUT"] and values["MIN_LATENCY"] != values["MAX_LATENCY"]:
        raise source.error("one transaction with several latencies: the file is damaged")
    return Report(
        "cosim transaction data",
        tool="HLS cosim",
        lat_min=values["MIN_LATENCY"],
        lat_max=values["MAX_LATENCY"],
        ii_min=values["MIN_THROUGHPUT"] or None,
        ii_max=values["MAX_THROUGHPUT"] or None,
    )
