"""Which parser reads a file: by what stands in it, never by its name alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import ReportError
from hwq.reports import bambu, cosim, csynth_size, csynth_summary, csynth_text, export, logs, nextpnr, vivado_texts, yosys
from hwq.reports.csynth import read_csynth_xml
from hwq.reports.text import NOTHING, Source, decode, refuse_damage
from hwq.reports.types import Report, Status
from hwq.reports.xml import parse_xml

Parser = Callable[[Source], Report]
JsonParser = Callable[[Source, Mapping[str, object]], Report]
_RUN = re.compile(r"^(?:\*{6} |(?:INFO: \[HLS 200-10\]|@I \[HLS-10\]) Running |Starting synth_design)", re.MULTILINE)
_HINT = (
    f"hwq reads csynth, cosim and export reports, {vivado_texts.READS}, {yosys.READS}, {nextpnr.READS}, {bambu.READS}, and run logs"
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
    content = yosys.parse_json(source)
    for keys, parser in JSONS:
        if not content.keys().isdisjoint(keys):
            return parser(source, content)
    raise source.error(f"a JSON with {', '.join(sorted(content)[:6]) or 'nothing'} in it is no report that hwq knows", hint=_HINT)


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text, and how it is told: by its first 4000 characters, or by all of it where its sign may stand anywhere."""

    applies: Callable[[str], bool]
    parser: Parser
    anywhere: bool = False


# the first that applies is taken; a text of Vivado goes by its title, see `hwq.reports.vivado_texts.TITLES`
TEXTS: tuple[TextKind, ...] = (
    TextKind(vivado_texts.is_vivado, vivado_texts.read_vivado),
    TextKind(csynth_summary.is_summary, csynth_summary.read_summary, anywhere=True),
    TextKind(csynth_text.is_module, csynth_text.read_module, anywhere=True),
    TextKind(export.is_export_text, export.read_export_text),
    TextKind(export.is_export, export.read_export),
    TextKind(cosim.is_transactions, cosim.read_transactions),
    TextKind(cosim.is_lat, cosim.read_lat),
    TextKind(csynth_size.is_design_size, csynth_size.read_design_size),
    TextKind(vivado_texts.is_failfast, vivado_texts.read_failfast),
    TextKind(cosim.is_report, cosim.read_report),
    TextKind(yosys.is_stat_text, yosys.read_stat_text),
    TextKind(bambu.is_bambu, bambu.read_bambu, anywhere=True),
)
# (keys, one of which it has, parser)
JSONS: tuple[tuple[tuple[str, ...], JsonParser], ...] = (
    (("fmax", "utilization"), nextpnr.read_nextpnr),
    (("design", "modules"), lambda source, _: yosys.read_stat_json(source)),
)
