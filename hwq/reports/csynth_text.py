"""<function>_csynth.rpt: the C-synthesis report of one module, by Vivado HLS or Vitis HLS."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hwq.reports.numbers import count, nanoseconds, slack_of, whole
from hwq.reports.parts import is_part
from hwq.reports.text import Row, Source, TextTable, is_border, is_table_line, read_table
from hwq.reports.types import NO_CYCLES, CountName, Counts, CycleName, Cycles, Report, ReportedModule, Status
from hwq.reports.vivado_head import check_year

_TITLE = re.compile(r"== ((?:Vivado|Vitis|AMD|Vitis Unified) ?\S* ?HLS) Report for '(.+)'\s*$")
_FIELD = re.compile(r"\s*\* ([A-Z][A-Za-z ]*?):\s+(.*?)\s*$")
_VERSION = re.compile(r"(?P<version>\d{4}\.\d+(?:\.\d+)?)(?:_\w+)?(?:\s+\(build .*?(?P<year>\d{4})\))?", re.IGNORECASE)
_HEADING = re.compile(r"\s*[+*] ([^:]+?)\s*(?:\([^)]*\))?:\s*$")
_AREA: dict[CountName, tuple[str, ...]] = {
    "bram": ("bram_18k", "bram"),
    "dsp": ("dsp", "dsp48e", "dsp48", "dsp58"),
    "ff": ("ff",),
    "lut": ("lut",),
    "uram": ("uram",),
}
_CYCLES: dict[CycleName, tuple[str, ...]] = {
    "lat_min": ("latency (cycles) min", "latency min"),
    "lat_max": ("latency (cycles) max", "latency max"),
    "ii_min": ("interval min",),
    "ii_max": ("interval max",),
}


def is_module(text: str) -> bool:
    """A report of one module."""
    return "HLS Report for '" in text


@dataclass(frozen=True, slots=True)
class _Part:
    """One section: a == heading, with where it starts and ends."""

    start: int
    end: int


def read_module(source: Source) -> Report:
    """<function>_csynth.rpt, also as hls4ml prints it between the results of both simulations.

    Raises:
        ReportError: truncated, damaged, or numbers that contradict each other.
    """
    lines = source.lines
    begin, title = find_title(source, lines, _TITLE)
    parts = _parts(lines, begin)
    fields = head_fields(lines, begin)
    version = head_version(source, fields)
    for name in ("Performance Estimates", "Utilization Estimates"):
        if name not in parts:
            raise source.error(f"truncated: no section {name!r}", len(lines))
    printed = any(line.startswith("SYNTHESIS REPORT:") for line in lines[:begin])
    if "Interface" not in parts and not printed:
        raise source.error("truncated: no section 'Interface'", len(lines))
    if "Interface" in parts:
        at = next((i for i in range(parts["Interface"].start, len(lines)) if is_border(lines[i])), None)
        if at is None or not read_table(source, lines, at)[0].columns:
            raise source.error("truncated: the section 'Interface' has no rows", len(lines))
    whole_tables(source, lines, begin)
    performance, area = parts["Performance Estimates"], parts["Utilization Estimates"]
    target, estimate, uncertainty = _clock(source, lines, performance)
    cycles = _latency(source, lines, performance, target, estimate)
    resources, zero = _area(source, lines, area)
    status, reason = verdict(zero=zero, missed=is_late(target, uncertainty, estimate))
    return Report(
        "module_csynth.rpt",
        tool=title[1],
        version=version,
        device=fields.get("Target device"),
        top=title[2],
        bram_unit="18K",
        clk_target_ns=target,
        clk_est_ns=estimate,
        clk_uncert_ns=uncertainty,
        status=status,
        reason=reason,
        state="C synthesis",
        modules=_instances(source, lines, performance, area),
        **resources,
        **cycles,
    )


def is_late(target: float | None, uncertainty: float | None, estimate: float | None) -> bool:
    """Whether the estimated period is longer than the target less its uncertainty."""
    slack = slack_of(target, uncertainty, estimate)
    return slack is not None and slack < 0


def verdict(*, zero: bool, missed: bool) -> tuple[Status, str | None]:
    """Status and reason of an estimate."""
    if zero:
        return Status.TRIMMED, "everything is zero: the synthesis failed, or the design was trimmed to nothing"
    if missed:
        return Status.TIMING_MISSED, "the estimated clock period is longer than the target less its uncertainty"
    return Status.OK, None


def find_title(source: Source, lines: Sequence[str], pattern: re.Pattern[str]) -> tuple[int, re.Match[str]]:
    found = [(i, match) for i, line in enumerate(lines) if (match := pattern.match(line))]
    if not found:
        raise source.error("the heading of the report is damaged")
    if len(found) > 1:
        raise source.error("several reports in one file: which one is meant?", found[1][0] + 1, hint="give each its own file")
    (only,) = found
    return only


def _parts(lines: Sequence[str], begin: int) -> dict[str, _Part]:
    """Sections by name: a line '== Name' between two lines of ='s."""
    heads = [
        i
        for i, line in enumerate(lines[:-1])
        if i > begin and line.startswith("== ") and lines[i - 1].startswith("=====") and lines[i + 1].startswith("=====")
    ]
    found: dict[str, _Part] = {}
    for i, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        found.setdefault(lines[i].removeprefix("==").strip(), _Part(i, end))
    return found


def head_fields(lines: Sequence[str], begin: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines[begin:]:
        if match := _FIELD.match(line):
            fields.setdefault(match[1], match[2])
        elif fields and line.startswith("== "):
            break  # the first section below the head
    return fields


def head_version(source: Source, fields: dict[str, str]) -> str:
    match = _VERSION.fullmatch(fields.get("Version", ""))
    if match is None or not is_part(fields.get("Target device", "")):
        raise source.error("the head names no version or no device: it is damaged or truncated")
    check_year(source, match["version"], match["year"])
    return match["version"]


def whole_tables(source: Source, lines: Sequence[str], begin: int) -> None:
    """The last table of the file is whole; so is the last one of the report where other results follow it."""
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith("CO-SIMULATION RESULT:")), len(lines))
    tail = next(line.strip() for line in reversed(lines) if line.strip())
    if tail.startswith(("|", "+")) and not is_border(tail):
        raise source.error("the last table is cut off", len(lines))
    last = max(i for i in range(begin, end) if lines[i].strip())
    if is_table_line(lines[last]) or lines[last].lstrip().startswith("+"):
        first = next(i for i in range(last, begin, -1) if not is_table_line(lines[i - 1]))
        if not is_border(lines[first]):
            raise source.error("the last table is cut off", last + 1)
        read_table(source, lines, first)


def _after(source: Source, lines: Sequence[str], part: _Part, *headings: str) -> TextTable | None:
    """The table that follows the headings, each after the one before it; None where one is not there or says N/A."""
    at: int | None = part.start
    for heading in headings:
        below = range(part.end if at is None else at, part.end)
        at = next((i for i in below if (match := _HEADING.match(lines[i])) and match[1] == heading), None)
    if at is None:
        return None
    first = next((i for i in range(at + 1, part.end) if lines[i].strip()), None)
    return read_table(source, lines, first)[0] if first is not None and is_border(lines[first]) else None


def _clock(source: Source, lines: Sequence[str], part: _Part) -> tuple[float | None, ...]:
    """Target, estimate and uncertainty."""
    table = _after(source, lines, part, "Timing", "Summary")
    if table is None or not table.rows:
        raise source.error("no table of the clock estimate", part.start + 1)
    values: list[list[float | None]] = []
    for row in table.rows:
        cells = []
        for name in ("target", "estimated", "uncertainty"):
            at = table.index(name)
            if at is None:
                raise source.error(f"no column {name!r} in the table of the clock estimate", table.line)
            cells.append(source.convert(f"clock, {name}", row.cells[at], nanoseconds, row.line))
        values.append(cells)
    return tuple(min(values, key=_left))  # the slowest clock is the one that decides, where a design has several


def _left(clock: Iterable[float | None]) -> float:
    target, estimate, _ = clock
    slack = slack_of(target, None, estimate)
    return math.inf if slack is None else slack


def _latency(source: Source, lines: Sequence[str], part: _Part, target: float | None, estimate: float | None) -> Cycles:
    table = _after(source, lines, part, "Latency", "Summary")
    if table is None or len(table.rows) != 1:
        raise source.error("no table of the latency, or not one row in it", part.start + 1)
    (row,) = table.rows
    values = _cycles(source, table, row, required=True)
    for cycles, name in ((values["lat_min"], "latency (absolute) min"), (values["lat_max"], "latency (absolute) max")):
        at = table.index(name)
        if at is not None and target is not None and cycles is not None:
            check_time(source, cycles, (target, estimate), row.cells[at], row.line)
    return values


def check_time(source: Source, cycles: int, clocks_ns: Sequence[float | None], shown: str, line: int | None = None) -> None:
    """A latency as a time is its cycles by the target clock, or by the estimate where that is longer, with three digits after the point.

    Raises:
        ReportError: it is another time.
    """
    time = source.convert("latency as a time", shown, nanoseconds, line)
    if time is None or " " not in shown:
        return
    *_, name = shown.split()
    digit = nanoseconds(f"0.00051 {name}") or 0.0  # half of the last one
    known = [clock for clock in clocks_ns if clock]
    if all(abs(cycles * clock - time) > digit + 0.0051 * cycles for clock in known):
        raise source.error(f"a latency of {cycles} cycles of {known[0]:g} ns is not {shown}: the report is damaged", line)


def _cycles(source: Source, table: TextTable, row: Row, *, required: bool) -> Cycles:
    values = NO_CYCLES.copy()
    for key, names in _CYCLES.items():
        at = table.index(*names)
        if at is None and required:
            raise source.error(f"no column {names[0]!r} in the table of the latency", table.line)
        values[key] = None if at is None else source.convert(key, row.cells[at], whole, row.line)
    for low, a, b in (("lat", values["lat_min"], values["lat_max"]), ("ii", values["ii_min"], values["ii_max"])):
        if a is not None and b is not None and a > b:
            raise source.error(f"the smallest {low} is larger than the largest: the row is damaged", row.line)
    return values


def _area(source: Source, lines: Sequence[str], part: _Part) -> tuple[Counts, bool]:
    """The Total row, which is the sum of the rows above it; and whether all of it is zero."""
    table = _after(source, lines, part, "Summary")
    if table is None:
        raise source.error("no table of the resources", part.start + 1)
    total = next((row for row in table.rows if row.name.lower() == "total"), None)
    if total is None:
        raise source.error("no row 'Total' in the table of the resources", table.line)
    values: Counts = {}
    for key, names in _AREA.items():
        at = table.index(*names)
        if at is None:
            if key != "uram":
                raise source.error(f"no column {names[0]!r} in the table of the resources", table.line)
            continue
        values[key] = used = source.convert(key, total.cells[at], count, total.line)
        if used is None:
            raise source.error(f"the total of {names[0]!r} is not said", total.line)
        above = sum(source.convert(key, r.cells[at], count, r.line) or 0 for r in table.rows if r.line < total.line)
        if above != used:
            raise source.error(f"{names[0]}: the total is {used:g}, the rows make {above:g}: the table is damaged", total.line)
    for column in table.columns:
        if column not in ("name", *(n for names in _AREA.values() for n in names)):
            raise source.error(f"{column!r} is no column of the table of the resources that hwq knows", table.line)
    return values, not any(values.values())


def _instances(source: Source, lines: Sequence[str], performance: _Part, area: _Part) -> tuple[ReportedModule, ...]:
    """The instances below the top, with resources and, where they have one, latency."""
    table = _after(source, lines, area, "Detail", "Instance")
    timing = _after(source, lines, performance, "Latency", "Detail", "Instance")
    cycles: dict[str, Cycles] = {}
    if timing is not None:
        cycles = {row.name: _cycles(source, timing, row, required=False) for row in timing.rows}
    modules = []
    for row in table.rows if table else ():
        if table is None or row.name.lower() == "total":
            continue
        values: Counts = {}
        for key, names in _AREA.items():
            if (at := table.index(*names)) is not None:
                values[key] = source.convert(f"{row.name}, {key}", row.cells[at], count, row.line)
        modules.append(ReportedModule(row.name, row.cells[1], 1, **values, **cycles.get(row.name, NO_CYCLES)))
    return tuple(modules)
