"""A kind of report as docs/how-to/add-a-report.md has one made: a whole file of `hwq/reports`, for what the toy of that name prints."""

from __future__ import annotations

import re

from hwq.reports.numbers import number
from hwq.reports.text import Source
from hwq.reports.types import Report

SAMPLE = """Toy 1.5 counted hwq_top
LUT: 321
registers: 45
all told: 366
"""
_LINE = re.compile(r"(LUT|registers|all told): *(.*)")


def is_toy(text: str) -> bool:
    """By its heading."""
    return re.match(r"Toy \d+\.\d+ counted ", text) is not None


def read_toy(source: Source) -> Report:
    """Raises ReportError: truncated, damaged, or a total that is not the sum of its parts."""
    found = {}
    for at, line in enumerate(source.lines, 1):
        match = _LINE.fullmatch(line.strip())
        if match:
            found[match[1]] = source.convert(match[1], match[2], number, at)
    if "all told" not in found:
        raise source.error("truncated: it does not end in a total", len(source.lines))
    lut, ff = found.get("LUT"), found.get("registers")
    if lut is None or ff is None or lut + ff != found["all told"]:
        raise source.error("its total is not the sum of its parts: it is damaged", len(source.lines))
    head = source.lines[0].split()
    return Report("toy", tool="Toy", version=head[1], top=head[3], lut=lut, ff=ff)
