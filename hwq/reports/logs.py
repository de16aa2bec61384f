"""Run logs of all tools to one typed status: which error decides, which ones are harmless, and whether the log breaks off."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwq.reports import bambu
from hwq.reports.text import Source
from hwq.reports.types import Report, Status

_ERROR = re.compile(r"^[ \t]*(?:ERROR\b|FATAL_ERROR\b|FATAL\b:|@E \[).*", re.MULTILINE)
_CODE = re.compile(r"\[([A-Za-z_+]+)[ -](\d+(?:-\d+)?|[A-Z]+-\d+)\]")
# Options that Vitis HLS dropped; the run goes on and its results are good.
_HARMLESS = re.compile(r"\[(?:HLS|v\+\+) 200-642\].*maximum_size|\[(?:HLS|v\+\+) 200-101\] config_array_partition\b")
# A consequence of an error above it, not a cause.
_FOLLOWS = re.compile(
    r"\[(?:IMPL 213-28|Common 17-(?:39|69|70)|HLS 200-(?:70|478|1715)|Vivado 12-\d+|Vivado_Tcl 4-\d+|v\+\+ 60-\d+|VPL 60-\d+)\]"
    r"|command 'ap_source'"
)
_BY_CODE: tuple[tuple[Status, frozenset[str]], ...] = (
    (Status.LICENCE, frozenset({"Common 17-345", "Common 17-348"})),
    (Status.PART_MISSING, frozenset({"HLS 200-1023", "Common 17-161", "Coretcl 2-106", "Project 1-3"})),
    (Status.UNROLL_STOPPED, frozenset({"XFORM 203-504", "HLS 200-1471"})),
    (Status.OVER_UTILISED, frozenset({"DRC UTLZ-1", "DRC UTLZ-2", "DRC UTLZ-3", "Place 30-640", "Place 30-487", "Place 30-650"})),
    (Status.TRIMMED, frozenset({"Place 30-494"})),
    (Status.TIMING_MISSED, frozenset({"Route 35-39", "Timing 38-282", "VPL 60-732", "v++ 60-732"})),
)
_BY_TEXT: tuple[tuple[Status, re.Pattern[str]], ...] = tuple(
    (status, re.compile(pattern, re.IGNORECASE))
    for status, pattern in (
        (Status.LICENCE, r"\blicen[cs]e\b(?!.*\bgot\b)"),
        (
            Status.PART_MISSING,
            r"\b(?:part|device)\b.{0,80}\b(?:is not installed|not found|does not exist|invalid)\b|\bno parts? match",
        ),
        (Status.UNROLL_STOPPED, r"\bstop unrolling loop\b"),
        (Status.OVER_UTILISED, r"\bover-?\s?utili[sz]ed\b|\brequires more\b.*\bavailable\b"),
        (Status.OVER_UTILISED, r"\bunable to place\b|\bcould not place all\b|\bno .{0,20}bels? (?:remain|left)"),
        (Status.OUT_OF_MEMORY, r"\bout of memory\b|\bbad_alloc\b|\bcannot allocate memory\b|\bmemory exhausted\b"),
        (Status.TIMED_OUT, r"\btimed out\b|\btime limit\b.{0,20}\bexceeded\b"),
        (Status.TIMING_MISSED, r"\bfailed to meet (?:the )?timing\b|\bdid not meet timing\b|\bmax frequency\b"),
        (Status.TRIMMED, r"\bdesign is empty\b|\bno (?:logic|cells) (?:is|are) left\b"),
    )
)
_COMPILE = re.compile(
    r"\[(?:HLS 20[07]-\d+|HLS 214-\d+|v\+\+ 20[07]-\d+|v\+\+ 214-\d+|SYNCHK 200-\d+|XFORM 203-\d+|SIM 211-100|SIM-100"
    r"|COSIM(?: 212)?-\d+|Synth 8-\d+|VRFC 10-\d+|XSIM 43-\d+|HLS 200-627)\]|syntax error|compil(?:e|ation) error",
    re.IGNORECASE,
)
# The bench ran and said no, or could not find its data: what was to be tested compiled well.
_BENCH = re.compile(
    r"\bC TB (?:simulation|testing|post[ -]check(?:ing)?)\b.*\bfail|'csim_design' failed: (?:nonzero return|.*\breturn value)"
    r"|\bTestbench.*\bfailed\b|\[COSIM 212-(?:359|361|362)\]",
    re.IGNORECASE,
)
# export_design of an HLS up to 2021.2 names its IP after the date, YYMMDDhhmm, which passes 2^31 in 2022
_OVERFLOW = re.compile(r"^.*(?:'2[2-9]\d{8}' is an invalid argument|core_revision 2[2-9]\d{8}\b).*$", re.MULTILINE)
DATE_REMEDY = "give export_design a version (-version 1.0.0), or install AMD's patch: AR 76960"
_COSIM_FAIL = re.compile(r"co-simulation finished: FAIL", re.IGNORECASE)
# Ends that no ERROR line announces.
# Each with words one of which is there, in lower case, where the expression can match: most logs have none, and a word is found quickly.
_BARE: tuple[tuple[Status, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        Status.OUT_OF_MEMORY,
        ("bad_alloc", "out of memory", "cannot allocate memory", "oom-kill", "oom_kill"),
        re.compile(r"\bstd::bad_alloc\b|\bout of memory\b|\bcannot allocate memory\b|\boom[-_]kill", re.IGNORECASE),
    ),
    (Status.TIMED_OUT, ("timed out",), re.compile(r"^(?!INFO).*\btimed out\b.*$", re.MULTILINE | re.IGNORECASE)),
    (
        Status.KILLED,
        ("killed", "sigkill", "signal 9"),
        re.compile(r"^(?:.*: line \d+:\s*)?(?:\[\d+\]\s*)?\d* ?Killed\b.*$|\bSIGKILL\b|\bsignal 9\b", re.MULTILINE),
    ),
    (
        Status.FAILED,
        ("abnormal program", "core dumped", "unexpected error"),
        re.compile(r"^Abnormal program termination|\(core dumped\)|^An unexpected error has occurred", re.MULTILINE),
    ),
    (Status.FAILED, ("segmentation", "parent process"), re.compile(r"^Segmentation fault|^Parent process \(pid", re.MULTILINE)),
    (
        Status.COMPILE_ERROR,
        ("err: ", "@e ", "ld returned"),
        re.compile(r"^ERR: .*compil.*|^@E .*compil.*|\berror: ld returned\b", re.MULTILINE | re.IGNORECASE),
    ),
    (
        Status.FAILED,
        ("err: ", "@e ", "error: ", "make: ***", "]: ***"),
        re.compile(r"^ERR: .*|^@E .*|^Error: .*|^make(?:\[\d+\])?: \*\*\* .*", re.MULTILINE),
    ),
)
_NO_LICENCE = re.compile(r"^.*\[Common 17-348\].*$", re.MULTILINE)
_STAGE_FAILED = re.compile(r"^[a-z]+_design failed\s*$", re.MULTILINE)
_LATE = re.compile(r"^CRITICAL WARNING: \[(?:Route 35-39|Timing 38-282)\].*$|^.*\[(?:VPL|v\+\+) 60-732\].*$", re.MULTILINE)
_END = re.compile(
    r"Exiting |[Tt]otal elapsed time|Total CPU user time|elapsed = |Elapsed time|peak allocated memory|CSIM finish|Finished Command"
    r"|co-simulation (?:finished|file generation completed)|Simulation completed|Simulation (?:Memory|CPU) Usage|CSim done|^quit|^#+ quit"
    r"|\[v\+\+ 60-\d+\]|empty uuid|^End of script|Time spent:|Program finished normally|invoked from within|^={10,}$|Info: Program"
)
_BANNER = re.compile(
    r"^(?:[#*]+ )?(Vivado\(TM\) HLS|Vitis HLS|Vivado|vitis-run|v\+\+|Vitis v\+\+)(?: - .*| Compiler.*)? v(\d{4}\.\d+(?:\.\d+)?)",
    re.MULTILINE,
)
_PATH = re.compile(r"\bRunning '?[^'\n]*?(?:Vitis_HLS|Vivado_HLS|Vivado|Vitis)[/\\](\d{4}\.\d+(?:\.\d+)?)[/\\]")
_DEVICE = re.compile(r"[Ss]etting target device to '([^']+)'|synth_design\b.* -part (\S+)")
_BANNER_ONLY = re.compile(r"=+|(?:Vitis|Vivado).*\(64-bit\)|Tool Version Limit.*|Copyright.*|\s*")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a log says: `error_lines` counts all, also harmless ones; `decisive` is the line, or the sign, behind the status."""

    status: Status
    error_lines: int
    first_error: str | None
    decisive: str | None


def status_of(text: str) -> tuple[Status, int, str | None]:
    """Status, number of error lines, and the first of them (harmless ones count) of the log of one run, or of several in a row."""
    found = outcome(text)
    return found.status, found.error_lines, found.first_error


def outcome(text: str) -> Outcome:
    """As `status_of`, with the line that decided.

    The first error that names a cause decides; lines that only pass on a failure decide where there is no other.
    """
    if bambu.is_bambu(text):
        failed = bambu.failure(text)
        return Outcome(*((Status.OK, 0, None, None) if failed is None else (failed[0], 1, failed[1], failed[1])))
    errors = [match[0].strip() for match in _ERROR.finditer(text)]
    first = errors[0] if errors else None
    status, decisive = _decide(text, [line for line in errors if not _HARMLESS.search(line)])
    tail = [line.rstrip() for line in text.split("\n") if line.strip()]
    if tail and not any(_END.search(line) for line in tail[-4:]):
        cut = f"the log breaks off after {tail[-1].strip()[:80]!r}"
        if status is Status.OK:
            status, decisive = Status.KILLED, cut
        elif status is not Status.NO_REPORT and errors[-1:] != [tail[-1].strip()]:
            decisive = f"{decisive} ({cut})"
    return Outcome(status, len(errors), first, decisive)


def _decide(text: str, errors: list[str]) -> tuple[Status, str | None]:
    """Status and the line behind it, for the `errors` that are no harmless ones."""
    bare, refused = _bare(text), _NO_LICENCE.search(text)
    if errors and (overflow := _OVERFLOW.search(text)):
        what = overflow[0].strip().strip('"')
        return Status.DATE_OVERFLOW, f"{what} (the date overflow of export_design since 2022, AMD AR 76960: {DATE_REMEDY})"
    if errors:
        line, status = next(
            ((line, kind) for line in errors if (kind := classify(line)) is not None), (errors[0], _last_resort(errors))
        )
        if status in (Status.FAILED, Status.COMPILE_ERROR):  # a sign of more weight than an error that names no cause
            if bare:
                return bare
            if refused:
                return Status.LICENCE, refused[0].strip()
        if status is Status.FAILED and (late := _LATE.search(text)):
            return Status.TIMING_MISSED, late[0].strip()
        return status, line
    if bare:
        return bare
    if failed := _STAGE_FAILED.search(text):
        return Status.LICENCE if refused else Status.FAILED, (refused or failed)[0].strip()
    if late := _LATE.search(text):
        return Status.TIMING_MISSED, late[0].strip()
    lines = text.split("\n") if text.endswith("\n") else text.split("\n")[:-1]
    if all(_BANNER_ONLY.fullmatch(line) for line in lines):
        return Status.NO_REPORT, "nothing but the head of a log is in it: nothing was run"
    return Status.OK, None


def _last_resort(errors: list[str]) -> Status:
    """Where every error only passes on a failure: HLS says so of its front end, in whatever words."""
    return Status.COMPILE_ERROR if any("[HLS 200-70]" in line or "[HLS 200-1715]" in line for line in errors) else Status.FAILED


def classify(line: str) -> Status | None:
    """The status behind one error line; None where it only passes on that something failed."""
    code = _CODE.search(line)
    name = f"{code[1]} {code[2]}".replace("v++ ", "HLS ") if code else ""
    for status, codes in _BY_CODE:
        if name in codes:
            return status
    for status, pattern in _BY_TEXT:
        if pattern.search(line):
            return status
    if _BENCH.search(line):
        return Status.TEST_BENCH_FAILED
    if _COSIM_FAIL.search(line):
        return Status.FAILED
    if _FOLLOWS.search(line) and "ompil" not in line and "ynthesizab" not in line:
        return None
    return Status.COMPILE_ERROR if _COMPILE.search(line) else Status.FAILED


def _bare(text: str) -> tuple[Status, str] | None:
    lower = text.lower()
    for status, words, pattern in _BARE:
        if any(word in lower for word in words) and (match := pattern.search(text)):
            _, _, line = text[: match.end()].rpartition("\n")
            return status, line.strip()[:200]
    return None


def is_log(text: str) -> bool:
    """Messages of a tool, or of a simulation."""
    return _SIGNS.search(text) is not None


_SIGNS = re.compile(
    r"^[ \t]*(?:INFO|WARNING|ERROR|CRITICAL WARNING|FATAL_ERROR)\b:? ?\[|^@[IWE] \[|^\*{6} |^#? ?Vivado v\d|^(?:Vivado\(TM\)|Vitis) HLS - "
    r"|^Running: |^Command: |^(?:ERROR|Info|Warning): |^Generating RTLIL|^ /-{20,}|^-- (?:Running command|Executing script)"
    r"|^\s+Compiling .* in debug mode",
    re.MULTILINE,
)


def read_log(source: Source) -> Report:
    """A log of any tool.

    Raises:
        ReportError: no log.
    """
    text = source.text
    found = outcome(text)
    banner = _BANNER.search(text)
    path = _PATH.search(text)
    devices = {match[1] or match[2] for match in _DEVICE.finditer(text)} if "target device" in text or " -part " in text else set()
    return Report(
        "log",
        tool=banner[1] if banner else None,
        version=banner[2] if banner else path[1] if path else None,
        device=devices.pop() if len(devices) == 1 else None,
        status=found.status,
        reason=found.decisive,
        error_lines=found.error_lines,
        first_error=found.first_error,
    )
