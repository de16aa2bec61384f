"""Tool reports to typed numbers, or to a named failure. `parse` reads any of them; nothing here starts a tool or knows of measurements."""

from __future__ import annotations

from hwq.reports.registry import parse
from hwq.reports.types import Module, Report, Status

__all__ = ["Module", "Report", "Status", "parse"]
