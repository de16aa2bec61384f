"""`hwq report --parse`: read report files one by one; a file that cannot be read never hides the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse
from hwq.views.parsed import ParsedFile


def parse_files(paths: Sequence[Path]) -> list[ParsedFile]:
    """What each file says, in the order given; of one that cannot be read, why."""
    return [_parsed(path) for path in paths]


def _parsed(path: Path) -> ParsedFile:
    try:
        return ParsedFile(path, parse(path))
    except ReportError as error:
        where = f"line {error.line}: " if error.line is not None else ""
        return ParsedFile(path, Report("", status=Status.NO_REPORT, reason=f"{where}{error.reason}"))


def unreadable(files: Sequence[ParsedFile]) -> list[ParsedFile]:
    """Those that hold no report."""
    return [found for found in files if found.report.status == Status.NO_REPORT]
