"""The summary csynth.rpt of Vitis HLS: modules and loops in one table, the worst case alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from hwq.reports.csynth_text import find_title, head_fields, head_version, verdict, whole_tables
from hwq.reports.numbers import count, number, whole
from hwq.reports.text import NEAR, Row, Source, TextTable, find_border, read_table
from hwq.reports.types import CountName, Cycles, Report, ReportedModule, counts_of

_TITLE = re.compile(r"== Synthesis Summary Report of '(.+)'\s*$")
_HEADING = re.compile(r"\s*[+*] Performance & Resource Estimates:\s*$")
_SHARE = re.compile(r"(\d+) \(~?(\d+)%\)")


def is_summary(text: str) -> bool:
    """The summary of all modules."""
    return "== Synthesis Summary Report of '" in text


_COUNTS: tuple[CountName, ...] = ("bram", "dsp", "ff", "lut", "uram")  # the names of their columns, too
_NEEDED = ("modules & loops", "issue type", "latency (cycles)", "interval", *_COUNTS)


def read_summary(source: Source) -> Report:
    """The summary csynth.rpt of Vitis HLS: modules and loops; it shows the worst case alone, and `-` for what is not used or not known.

    The slack has the wrong sign in 2020.2, so the status goes by the issue column.

    Raises:
        ReportError: truncated or damaged.
    """
    lines = source.lines
    begin, title = find_title(source, lines, _TITLE)
    fields = head_fields(lines, begin)
    version = head_version(source, fields)
    at = next((i for i in range(begin, len(lines)) if _HEADING.match(lines[i])), None)
    first = find_border(lines, at, at + NEAR) if at is not None else None
    if first is None:
        raise source.error("truncated: no table of modules and loops", len(lines))
    table, _ = read_table(source, lines, first)
    whole_tables(source, lines, begin)
    columns = {name: at for at, name in enumerate(table.columns)}
    if not columns.keys() >= {*_NEEDED} or not table.rows:
        raise source.error(f"columns are missing in the table of modules and loops: {', '.join(table.columns)}", table.line)
    modules = tuple(m for row in table.rows if (m := _summary_row(source, columns, row)) is not None)
    if not modules or modules[0].depth != 0 or not _same_name(modules[0].name, title[1]):
        raise source.error(f"the first row of the table is not {title[1]!r}: it is damaged", table.line)
    top = modules[0]
    for row in table.rows:
        issue = row.cells[columns["issue type"]].lower()
        if issue != "timing" and len(issue) == 6 and sum(a == b for a, b in zip(issue, "timing", strict=True)) > 3:
            raise source.error(f"{issue!r} is no kind of issue: the row is damaged", row.line)
    late = ["timing" in row.cells[columns["issue type"]].lower() for row in table.rows]
    if (
        not any(late) and version != "2020.2"
    ):  # what is late counts its time by its own, longer clock; 2020.2 does not name the issue
        _same_clock(source, columns, table)
    _same_device(source, columns, table)
    zero = not any((top.lut, top.ff, top.dsp, top.bram, top.uram))
    status, reason = verdict(zero=zero, missed=late[0])
    return Report(
        "summary_csynth.rpt",
        tool="Vitis HLS",
        version=version,
        device=fields.get("Target device"),
        top=title[1],
        bram_unit="18K",
        status=status,
        reason=reason,
        state="C synthesis",
        modules=modules[1:],
        **{key: getattr(top, key) for key in (*_COUNTS, "lat_min", "lat_max", "ii_min", "ii_max")},
    )


def _same_name(shown: str, name: str) -> bool:
    """A long name may be cut in the table."""
    return shown == name or (shown.endswith("...") and len(shown) > 8 and name.startswith(shown[:-3]))


def _same_clock(source: Source, columns: Mapping[str, int], table: TextTable) -> None:
    """Latency in ns by latency in cycles is the period of one clock, in every row that is in time: a damaged digit shows as another period."""
    low, high = 0.0, float("inf")
    for row in table.rows if "latency (ns)" in columns else ():
        spent, shown = (row.cells[columns[name]] for name in ("latency (cycles)", "latency (ns)"))
        if "~" in spent:
            continue
        cycles = source.convert("latency in cycles", spent, whole, row.line)
        time = source.convert("latency in ns", shown, number, row.line)
        if not cycles or time is None:
            continue
        mantissa, _, exponent = shown.lower().partition("e")
        step = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))  # the last digit shown
        low, high = max(low, (time - step) / cycles), min(high, (time + step) / cycles)
        if low > high:
            raise source.error(
                f"{row.name}: {cycles} cycles in {shown} ns are of another clock than the rows above: damaged", row.line
            )


def _same_device(source: Source, columns: Mapping[str, int], table: TextTable) -> None:
    """A count by its share is the size of one device, in every row: between used / (share + 1) and used / share hundreds."""
    for name in _COUNTS:
        low, high = 0.0, float("inf")
        for row in table.rows:
            shown = row.cells[columns[name]]
            match = _SHARE.fullmatch(shown)
            if match is None:
                continue
            used, share = int(match[1]), int(match[2])  # the share is rounded down, and ~0 below one per cent
            if share:
                high = min(high, used / share)
            low = max(low, used / (share + 1))
            if low > high:
                text = f"{row.name}: {shown} {name.upper()} is of another device than the rows above: damaged"
                raise source.error(text, row.line)


def _summary_row(source: Source, columns: Mapping[str, int], row: Row) -> ReportedModule | None:
    """A module; None for a loop, which has no resources of its own."""
    marker = row.raw.lstrip()
    if not marker.startswith(("+", "*")):
        if not marker.startswith("o "):
            raise source.error(f"{row.name!r} is neither module nor loop", row.line)
        return None

    def used(name: CountName) -> float | None:
        return source.convert(f"{row.name}, {name}", row.cells[columns[name]], count, row.line)

    def clocks(name: str) -> tuple[int | None, int | None]:
        low, _, high = row.cells[columns[name]].partition("~")
        longest = source.convert(f"{row.name}, {name}", high or low, whole, row.line)
        return source.convert(f"{row.name}, {name}", low, whole, row.line), longest

    values = counts_of(_COUNTS, used)
    (lat_min, lat_max), (ii_min, ii_max) = clocks("latency (cycles)"), clocks("interval")
    cycles: Cycles = {"lat_min": lat_min, "lat_max": lat_max, "ii_min": ii_min, "ii_max": ii_max}
    module = ReportedModule(marker.lstrip("+* ").rstrip(), None, len(row.raw) - len(marker), **values, **cycles)
    return replace(module, name=module.name.rstrip("* ")) if module.name.endswith("*") else module
