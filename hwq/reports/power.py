"""Vivado's `report_power`: watts on the chip. An estimate; how good it is stands in `reason` where Vivado calls it low."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwq.reports.numbers import number
from hwq.reports.text import Source, TextTable, depth, find_border, read_table
from hwq.reports.types import Report, ReportedModule
from hwq.reports.utilization import report_of
from hwq.reports.vivado_head import ReportSection, read_header, read_sections, require_end


def read_power(source: Source) -> Report:
    """Total on-chip power, and the power of each level of the hierarchy.

    Raises:
        ReportError: truncated, damaged, or a total that is not the sum of its parts.
    """
    lines = source.lines
    header, _, start = read_header(source, lines)
    sections = read_sections(source, lines, start)
    require_end(source, lines, max(sections.values(), key=lambda s: s.start))
    if "summary" not in sections:
        raise source.error("no section 'Summary'", len(lines))
    summary = _table(source, lines, sections["summary"], headless=True)
    values: dict[str, float | None] = {}
    confidence = ""
    for row in summary.rows:
        name = row.name.lower()
        if name in ("total on-chip power (w)", "dynamic (w)", "device static (w)"):
            values[name] = source.convert(name, _watts(row.cells[1]), number, row.line)
        elif name == "confidence level":
            confidence = row.cells[1]
    total = values.get("total on-chip power (w)")
    dynamic, static = values.get("dynamic (w)"), values.get("device static (w)")
    if total is None or total < 0:
        raise source.error("no total on-chip power: the report is damaged", summary.line)
    if dynamic is not None and static is not None and abs(dynamic + static - total) > 0.0025:
        raise source.error(f"{total:g} W, but dynamic and static power make {dynamic + static:g} W: it is damaged", summary.line)
    if "on-chip components" in sections:
        components = _table(source, lines, sections["on-chip components"])
        at = components.index("power (w)")
        for row in components.rows:
            if at is not None and row.name.lower() == "total":
                again = source.convert("total", _watts(row.cells[at]), number, row.line)
                if again is not None and abs(again - total) > 0.0015:
                    raise source.error(f"{again:g} W here, {total:g} W in the summary: the report is damaged", row.line)
    low = f"Vivado's confidence in it is {confidence.lower()}" if confidence and confidence.lower() != "high" else None
    report = report_of(header, "power", power_w=total, reason=low)
    return replace(report, modules=_hierarchy(source, lines, sections.get("by hierarchy")))


def _watts(text: str) -> str:
    """A junction limit makes Vivado write `12.3 (Junction temp exceeded!)`."""
    return text.partition("(")[0].strip() if "exceeded" in text else text


def _table(source: Source, lines: Sequence[str], section: ReportSection, *, headless: bool = False) -> TextTable:
    at = find_border(lines, section.start, section.end)
    if at is None:
        raise source.error(f"section {section.title!r} has no table", section.end)
    table, _ = read_table(source, lines, at)
    if headless and {len(row.cells) for row in table.rows} != {2}:
        raise source.error(f"section {section.title!r} is no table of two columns", at + 1)
    return table


def _hierarchy(source: Source, lines: Sequence[str], section: ReportSection | None) -> tuple[ReportedModule, ...]:
    if section is None:
        return ()
    table = _table(source, lines, section)
    at = table.index("power (w)")
    whole = len(lines) > table.line + 3  # a file that is cut after the header has no empty line behind it
    if at is None and whole and [[cell.lower() for cell in row.cells] for row in table.rows] == [["name", "power (w)"]]:
        return ()  # a design that draws too little for any row: the header stands alone between its borders
    if at is None:
        raise source.error("the table of the hierarchy has no rows, or no column of power: it is cut off or damaged", table.line)
    return tuple(
        ReportedModule(row.name, depth=depth(row), power_w=source.convert(row.name, row.cells[at], number, row.line))
        for row in table.rows
    )
