"""csynth_design_size.rpt of Vitis HLS: it is told from the reports that hold counts of the hardware."""

from __future__ import annotations

from hwq.reports.text import Source
from hwq.reports.types import Report


def is_design_size(text: str) -> bool:
    return "== Design Size Report" in text


def read_design_size(source: Source) -> Report:
    """csynth_design_size.rpt: instructions per phase of the compiler, nothing of the hardware."""
    lines = [line for line in source.lines if line.strip()]
    if not lines[-1].startswith("+--") or "Instructions per Function" not in source.text:
        raise source.error("truncated: its last table has no lower border", len(source.lines))
    return Report("csynth_design_size.rpt", tool="Vitis HLS", reason="instruction counts: nothing of the hardware is in it")
