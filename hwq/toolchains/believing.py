"""What every reader of a step's reports asks: is it whole, of this design, part and stage? Where a number stands is not known here."""

from __future__ import annotations

import re
from pathlib import Path

from hwq.errors import ReportError
from hwq.reports import Report, Status
from hwq.reports.states import state_of
from hwq.reports.types import Timing
from hwq.toolchains.steps import Finished


def believe(path: Path, report: Report, kind: str | None = None) -> Report:
    """Raises ReportError: the report is of a failure, or of another kind. A missed clock is a result."""
    if report.status not in (Status.OK, Status.TIMING_MISSED):
        raise ReportError(path, f"{report.status}: {report.reason}", hint="the tool's log says why")
    if kind is not None and report.kind != kind:
        raise ReportError(path, f"it is a {report.kind}, expected a {kind}")
    return report


def require_design(path: Path, report: Report, finished: Finished, states: frozenset[str]) -> None:
    """Raises ReportError: it is of another design, part or state, or not of all of the design."""
    part = finished.board.part
    require_same(path, "top", report.top or finished.top, finished.top)
    require_part(path, report.device or part, part)
    if report.state and state_of(report.state) not in states:
        wanted = " or ".join(sorted(states))
        raise ReportError(path, f"the design is {report.state}, expected {wanted}", hint="it is a report of another stage")
    if report.black_boxes:
        names = ", ".join(report.black_boxes[:4])
        raise ReportError(
            path, f"{len(report.black_boxes)} black boxes are not in the counts: {names}", hint="add the files of these modules"
        )


def timing_of(report: Report) -> Timing:
    """Clock target, slack and Fmax; a tool that gives only one of slack and achieved period implies the other."""
    target, slack, achieved = report.clk_target_ns, report.wns_ns, report.clk_est_ns
    if slack is None and None not in (target, achieved):
        slack = (target or 0) - (achieved or 0)
    if achieved is None and None not in (target, slack):
        achieved = (target or 0) - (slack or 0)
    met = report.timing_met if report.timing_met is not None else None if slack is None else slack >= 0
    return Timing(target, slack, 1e3 / achieved if achieved and achieved > 0 else None, met)


def require_same(path: Path, what: str, found: str, wanted: str) -> None:
    """Raises ReportError: the report is of another design."""
    if found and found != wanted:
        raise ReportError(path, f"its {what} is {found}, expected {wanted}", hint="it is not the report of this plan")


def require_part(path: Path, found: str, wanted: str) -> None:
    """Raises ReportError: another part. Reports write `7z020clg400-1` and `xcvu9p-flga2104-2L` for full part names."""
    a, b = (re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("xc") for name in (found, wanted))
    if a and not (a.startswith(b) or b.startswith(a)):
        raise ReportError(path, f"its part is {found}, expected {wanted}", hint="it is not the report of this plan")
