"""What all text reports of Vivado share: the header, the table of contents, numbered sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hwq.reports.parts import PART
from hwq.reports.text import Source, is_border, read_table

_FIELD = re.compile(r"\|\s*([A-Za-z][A-Za-z ]*?)\s*:\s(.*?)\s*$")
_VERSION = re.compile(r"v\.?(\d{4}\.\d+(?:\.\d+)?)")
_YEAR = re.compile(r"^Copyright 1986-(\d{4}) .*?(?:Copyright 2022-(\d{4}) .*)?$")
_DESIGN = re.compile(r"[A-Za-z_\\][\w$.\\/-]*", re.ASCII)
_ENTRY = re.compile(r"\s*(\d+(?:\.\d+)*)\.? (\S.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a Vivado report; empty where it does not say."""

    version: str
    device: str
    top: str
    state: str


def read_header(source: Source, lines: Sequence[str]) -> tuple[Header, str, int]:
    """Header, title of the report, and the index of the line after the title.

    Raises:
        ReportError: the file ends within the header, or has no title.
    """
    fields: dict[str, str] = {}
    starts = [i for i, line in enumerate(lines) if line.startswith("| Tool Version")]
    if len(starts) > 1:
        raise source.error("several reports in one file: which one is meant?", starts[1] + 1, hint="write each without -append")
    at = next((i for i, line in enumerate(lines) if line.startswith("| Tool Version")), None)
    if at is None:
        raise source.error("no Vivado report: it has no 'Tool Version' line")
    while at < len(lines) and lines[at].startswith("|"):
        match = _FIELD.match(lines[at])
        if match:
            fields.setdefault(match[1].lower(), match[2].rstrip("| ").strip())
        at += 1
    if at >= len(lines) - 1 or not lines[at].startswith("-----"):
        raise source.error("truncated: it ends within the header", min(at + 1, len(lines)))
    at += 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    if at >= len(lines) - 1:
        raise source.error("truncated: it ends after the header", len(lines))
    version = _VERSION.search(fields.get("tool version", ""))
    if version is None:
        raise source.error("the Tool Version line names no version: the header is damaged")
    _check_header(source, fields, version[1])
    return (
        Header(version[1], fields.get("device", ""), fields.get("design", ""), fields.get("design state", "")),
        lines[at].strip(),
        at + 1,
    )


def check_year(source: Source, version: str, year: str | None) -> None:
    """A version is named after the year in which it was built, or after the one before (2016.4 was built in January 2017).

    Raises:
        ReportError: another year.
    """
    if year is not None and not int(year) - 1 <= int(version[:4]) <= int(year):
        raise source.error(f"version {version} of a build of {year}: the head of the report is damaged")
    if not "2012" <= version[:4] <= "2049":
        raise source.error(f"there is no version {version}: the head of the report is damaged")


def _check_header(source: Source, fields: dict[str, str], version: str) -> None:
    """What every Vivado report has, and cannot be otherwise."""
    for name, pattern in (("design", _DESIGN), ("device", re.compile(PART))):
        if name not in fields or pattern.fullmatch(fields[name]) is None:
            raise source.error(f"its head names no {name}, or one that cannot be ({fields.get(name, '')!r}): it is damaged")
    rights = _YEAR.match(source.text.split("\n", 1)[0])
    year = None if rights is None else rights[2] or rights[1]
    check_year(source, version, None if year == "2022" else year)  # Xilinx' own copyright ends with 2022, whatever the version


@dataclass(frozen=True, slots=True)
class ReportSection:
    """lines[start:end] are the body of a numbered section."""

    title: str
    start: int
    end: int


def read_sections(source: Source, lines: Sequence[str], start: int) -> dict[str, ReportSection]:
    """The numbered sections after the table of contents, by title in lower case; every one that is announced must be there.

    Raises:
        ReportError: no table of contents, or a section of it is missing or cut off.
    """
    at = next((i for i in range(start, min(start + 20, len(lines))) if lines[i].strip() == "Table of Contents"), None)
    if at is None:
        raise source.error("no table of contents: the report is damaged or truncated")
    at += 2
    entries: list[str] = []
    while at < len(lines) and (match := _ENTRY.fullmatch(lines[at])):
        entries.append(f"{match[1]}. {match[2]}" if "." not in match[1] else f"{match[1]} {match[2]}")
        at += 1
    wanted, starts = set(entries), dict[str, int]()
    for i in range(at, len(lines) - 1):
        name = lines[i].strip()
        if name in wanted and set(lines[i + 1].strip()) == {"-"}:
            starts.setdefault(name, i)
    for name in entries:
        if name not in starts:
            raise source.error(f"truncated: section {name!r} of its table of contents is not in it", len(lines))
    marks = sorted(starts.items(), key=lambda item: item[1])
    found: dict[str, ReportSection] = {}
    for (name, begin), (_, end) in zip(marks, [*marks[1:], ("", len(lines))], strict=True):
        title = name.split(" ", 1)[1].lower()
        found.setdefault(title, ReportSection(name, begin + 2, end))
    if not found:
        raise source.error("its table of contents is empty: the report is damaged or truncated", at)
    return found


def require_end(source: Source, lines: Sequence[str], section: ReportSection) -> None:
    """The last table of `section` is whole.

    Raises:
        ReportError: it has none, or the last one is cut off.
    """
    begin = next((i for i in range(section.start, section.end) if is_border(lines[i])), None)
    if begin is None:
        raise source.error(f"truncated: section {section.title!r} has no table", section.end)
    while begin is not None:
        _, after = read_table(source, lines, begin)
        begin = next((i for i in range(after, section.end) if is_border(lines[i])), None)
