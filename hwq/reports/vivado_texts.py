"""Which parser reads a text report of Vivado: by its title and its command."""

from __future__ import annotations

import re
from collections.abc import Callable

from hwq.reports.parts import PART
from hwq.reports.power import read_power
from hwq.reports.text import Source
from hwq.reports.timing import read_timing_paths, read_timing_summary
from hwq.reports.types import Report
from hwq.reports.utilization import read_flat, read_hierarchical, read_kernels
from hwq.reports.vivado_head import read_header

READS = "utilisation, timing and power of Vivado"  # for people


def is_vivado(text: str) -> bool:
    return text.startswith(("Copyright 19", "Copyright 20", "| Tool Version", "---")) and "\n| Tool Version" in "\n" + text


def read_vivado(source: Source) -> Report:
    """A text report of Vivado, by its title."""
    _, title, _ = read_header(source, source.lines)
    command = re.search(r"^\| Command\s*: (\S+)(.*)$", source.text, re.MULTILINE)
    name, options = (command[1], command[2]) if command else ("", "")
    parser = TITLES.get(title)
    if title == "Utilization Design Information":
        parser = read_hierarchical if re.search(r"^1\. Utilization by Hierarchy\s*$", source.text, re.MULTILINE) else read_flat
        asked = any(word.startswith("-hier") for word in options.split())
        if asked != (parser is read_hierarchical) and name == "report_utilization":
            raise source.error(f"its command is {name}{options}, its content of another kind: the report is damaged")
    elif re.fullmatch(r"(?:Accelerator|SDx System) Utilization.*", title) or name == "report_accelerator_utilization":
        parser = read_kernels
    if parser is None:
        raise source.error(f"{title[:60]!r} is a Vivado report that hwq does not read", hint=f"hwq reads {READS}")
    return parser(source)


TITLES: dict[str, Callable[[Source], Report]] = {
    "Timing Summary Report": read_timing_summary,
    "Timing Report": read_timing_paths,
    "Power Report": read_power,
}


def is_failfast(text: str) -> bool:
    return "with report_failfast" in text


def read_failfast(source: Source) -> Report:
    """report_failfast: guidelines kept or not, in per cent."""
    lines = [line.strip() for line in source.lines if line.strip()]
    if not lines[-1].lstrip("# ").startswith("+--") or "Design Summary" not in source.text:
        raise source.error("truncated: its table has no lower border", len(source.lines))
    device = re.search(rf"^#\s+\| ({PART})\s+\|", source.text, re.MULTILINE)
    return Report("other", tool="Vivado", device=device[1] if device else None, reason="guidelines: no counts are in it")
