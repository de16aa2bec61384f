"""Which parser reads a file: by what stands in it, never by its name alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import ReportError
from hwq.reports import bambu, cosim, csynth_summary, csynth_text, export, logs
from hwq.reports.csynth import read_csynth_xml
from hwq.reports.nextpnr import read_nextpnr
from hwq.reports.parts import PART
from hwq.reports.power import read_power
from hwq.reports.text import NOTHING, Source, decode, refuse_damage
from hwq.reports.timing import read_timing_paths, read_timing_summary
from hwq.reports.types import Report, Status
from hwq.reports.utilization import read_flat, read_hierarchical, read_kernels
from hwq.reports.vivado_head import read_header
from hwq.reports.xml import parse_xml
from hwq.reports.yosys import is_stat_text, parse_json, read_stat_json, read_stat_text

Parser = Callable[[Source], Report]
JsonParser = Callable[[Source, Mapping[str, object]], Report]
_RUN = re.compile(r"^(?:\*{6} |(?:INFO: \[HLS 200-10\]|@I \[HLS-10\]) Running |Starting synth_design)", re.MULTILINE)
_HINT = (
    "hwq reads csynth, cosim and export reports, utilisation, timing and power of Vivado, stat of Yosys, JSON of nextpnr, the log of Bambu, "
    "and run logs"
)


def parse(path: Path | str) -> Report:
    """The report in `path`, whatever its kind.

    Raises:
        ReportError: it cannot be read, is truncated or damaged, or is of no known kind.

    Example:
        >>> import hwq
        >>> report = hwq.parse_report("stat.json")  # of Yosys: `tee -o stat.json stat -json`
        >>> report.kind, report.lut
        ('yosys_stat', 3)
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReportError(path, error.strerror or str(error)) from error
    if not raw.strip(NOTHING):
        if path.suffix == ".log":  # with nothing in it, only the name says what it was to be
            return Report("log", status=Status.NO_REPORT, reason="the file is empty", error_lines=0)
        raise ReportError(path, "the file is empty", hint="did the tool end before it wrote the report?")
    source = Source(path, decode(path, raw))
    try:
        return detect(source)(source)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        # a damaged file must never look like a defect of the caller; the cause stays attached
        raise source.error(f"damaged beyond what its parser expects ({type(error).__name__}: {error})") from error


def detect(source: Source) -> Parser:
    """The parser of a file.

    Raises:
        ReportError: no known kind, or damaged so that it cannot be told.
    """
    text = source.text.lstrip("\ufeff\n")
    if text.lstrip().startswith("<"):
        return _xml
    if text.startswith(("{", "[")) and not text.startswith("[20"):
        return _json
    head = text[:4000]
    if not _RUN.search(text[:20000]):
        for kind in TEXTS:
            if kind.applies(text if kind.anywhere else head):
                refuse_damage(source)
                return kind.parser
    if "\0" in text[:100000]:
        raise source.error("no text: binary data", hint=_HINT)
    if logs.is_log(text):
        if re.search(r"^={20,}\n== .*\n={20,}$|^\| Tool Version|^#=== ", text, re.MULTILINE) and not _RUN.search(text):
            raise source.error("it looks like a report whose heading is damaged")
        if re.search(
            r"^(?:Found \d+ solution\(s\) in|C SIMULATION RESULT:|SYNTHESIS REPORT:)", text, re.MULTILINE
        ) and not _RUN.search(text):
            raise source.error("truncated: no synthesis report follows what hls4ml prints before it", len(source.lines))
        return logs.read_log
    raise source.error("no report, and no log, that hwq knows", hint=_HINT)


def _vivado(source: Source) -> Report:
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
        raise source.error(f"{title[:60]!r} is a Vivado report that hwq does not read", hint=_HINT)
    return parser(source)


TITLES: dict[str, Parser] = {
    "Timing Summary Report": read_timing_summary,
    "Timing Report": read_timing_paths,
    "Power Report": read_power,
}


def _xml(source: Source) -> Report:
    """An XML, by its root and what stands directly below it."""
    root = parse_xml(source).root
    if root.tag == "webTalkData":
        return Report("other", reason="usage statistics: nothing of a design is in it")
    if root.find("RunData") is not None:
        return export.read_export_xml(source)
    return read_csynth_xml(source)


def _json(source: Source) -> Report:
    """A JSON, by its keys."""
    content = parse_json(source)
    for keys, parser in JSONS:
        if not content.keys().isdisjoint(keys):
            return parser(source, content)
    raise source.error(f"a JSON with {', '.join(sorted(content)[:6]) or 'nothing'} in it is no report that hwq knows", hint=_HINT)


def _design_size(source: Source) -> Report:
    """csynth_design_size.rpt: instructions per phase of the compiler, nothing of the hardware."""
    lines = [line for line in source.lines if line.strip()]
    if not lines[-1].startswith("+--") or "Instructions per Function" not in source.text:
        raise source.error("truncated: its last table has no lower border", len(source.lines))
    return Report("csynth_design_size.rpt", tool="Vitis HLS", reason="instruction counts: nothing of the hardware is in it")


def _failfast(source: Source) -> Report:
    """report_failfast: guidelines kept or not, in per cent."""
    lines = [line.strip() for line in source.lines if line.strip()]
    if not lines[-1].lstrip("# ").startswith("+--") or "Design Summary" not in source.text:
        raise source.error("truncated: its table has no lower border", len(source.lines))
    device = re.search(rf"^#\s+\| ({PART})\s+\|", source.text, re.MULTILINE)
    return Report("other", tool="Vivado", device=device[1] if device else None, reason="guidelines: no counts are in it")


def _is_failfast(text: str) -> bool:
    return "with report_failfast" in text


def _is_design_size(text: str) -> bool:
    return "== Design Size Report" in text


def _is_vivado(text: str) -> bool:
    return text.startswith(("Copyright 19", "Copyright 20", "| Tool Version", "---")) and "\n| Tool Version" in "\n" + text


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text, and how it is told: by its first 4000 characters, or by all of it where its sign may stand anywhere."""

    applies: Callable[[str], bool]
    parser: Parser
    anywhere: bool = False


# the first that applies is taken; a text of Vivado goes by its title, see TITLES
TEXTS: tuple[TextKind, ...] = (
    TextKind(_is_vivado, _vivado),
    TextKind(csynth_summary.is_summary, csynth_summary.read_summary, anywhere=True),
    TextKind(csynth_text.is_module, csynth_text.read_module, anywhere=True),
    TextKind(export.is_export_text, export.read_export_text),
    TextKind(export.is_export, export.read_export),
    TextKind(cosim.is_transactions, cosim.read_transactions),
    TextKind(cosim.is_lat, cosim.read_lat),
    TextKind(_is_design_size, _design_size),
    TextKind(_is_failfast, _failfast),
    TextKind(cosim.is_report, cosim.read_report),
    TextKind(is_stat_text, read_stat_text),
    TextKind(bambu.is_bambu, bambu.read_bambu, anywhere=True),
)
# (keys, one of which it has, parser)
JSONS: tuple[tuple[tuple[str, ...], JsonParser], ...] = (
    (("fmax", "utilization"), read_nextpnr),
    (("design", "modules"), lambda source, _: read_stat_json(source)),
)
