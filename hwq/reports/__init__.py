"""Tool reports to typed numbers, or to a named failure; `parse` reads any of them. No tool is started and no measurement is known here."""

from __future__ import annotations

from hwq.reports.registry import parse
from hwq.reports.types import Report, ReportedModule, Status

__all__ = ["Report", "ReportedModule", "Status", "parse"]
