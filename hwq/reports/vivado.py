"""Vivado's text reports as the flow reads them: the utilisation and timing summary that its own scripts ask for."""

from __future__ import annotations

from pathlib import Path

from hwq.errors import ReportError
from hwq.reports.text import Source, read, refuse_damage
from hwq.reports.timing import read_summary
from hwq.reports.types import Resources, Timing
from hwq.reports.utilization import flat_counts, resources_of
from hwq.reports.vivado_head import Header

__all__ = ["Header", "read_timing", "read_utilization"]


def _source(path: Path) -> Source:
    source = read(path)
    refuse_damage(source)
    return source


def read_utilization(path: Path) -> tuple[Header, Resources]:
    """The `report_utilization` of a whole design.

    Raises:
        ReportError: missing, another report, truncated, a number that cannot be right, or modules that were not there to be counted.
    """
    flat = flat_counts(_source(path))
    if flat.black_boxes:
        names = ", ".join(flat.black_boxes[:4])
        raise ReportError(
            path, f"{len(flat.black_boxes)} black boxes are not in the counts: {names}", hint="add the files of these modules"
        )
    return flat.header, resources_of(flat)


def read_timing(path: Path) -> tuple[Header, Timing]:
    """The `report_timing_summary` of a design: WNS and whether timing is met; `NA` and `inf` are None.

    Raises:
        ReportError: missing, another report, truncated, or slacks that contradict each other.
    """
    summary = read_summary(_source(path))
    return summary.header, summary.timing
