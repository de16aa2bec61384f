"""From a finished program's exit code and log to what went wrong, as one of a few words, with what usually mends it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong.

    Attributes:
        status: licence, part missing, over-utilised, unroll stopped, out of memory, disk full, compile error, killed or failed.
        line: the first line of the log that says so.
        remedy: how to mend it, or None where only the log can say.
    """

    status: str
    line: str
    remedy: str | None


_ERROR = re.compile(r"\s*(ERROR|CRITICAL ERROR|FATAL)\b")
_BENIGN = re.compile(r"\[HLS 200-642\]|\[HLS 200-101\]")  # about config_array_partition -maximum_size: the run goes on
_CAUSES: tuple[tuple[str, re.Pattern[str], str | None], ...] = (
    (
        "licence",
        re.compile(r"Common 17-345|\blicen[sc]e\b", re.IGNORECASE),
        "no licence for this part or feature: set XILINXD_LICENSE_FILE or LM_LICENSE_FILE",
    ),
    (
        "part missing",
        re.compile(r"HLS 200-1023|part .* not (found|installed)|Coretcl 2-106", re.IGNORECASE),
        "the part is not installed: add its family in the AMD installer",
    ),
    (
        "over-utilised",
        re.compile(r"DRC UTLZ-1|Place 30-(487|484|99)\b|[Uu]nable to place cell|no BELs remaining", re.IGNORECASE),
        "the design does not fit the part: a smaller point, or a larger board",
    ),
    ("unroll stopped", re.compile(r"XFORM 203-504"), "HLS stopped unrolling: the design is too large for one function"),
    (
        "out of memory",
        re.compile(r"\bKilled\b|std::bad_alloc|[Oo]ut of memory|Cannot allocate memory"),
        "out of memory: fewer --jobs, or a larger machine",
    ),
    (
        "disk full",
        re.compile(r"No space left on device|disk quota exceeded", re.IGNORECASE),
        "the disk is full: free some space; what was finished is kept and the same command goes on",
    ),
    ("compile error", re.compile(r"HLS 207-|HLS 200-70|SYNCHK 200-61|SIM 211-100|COSIM 212-"), None),
)


def error_lines(text: str) -> list[str]:
    """The lines of a log that are errors, benign ones left out."""
    return [line.strip() for line in text.splitlines() if _ERROR.match(line) and not _BENIGN.search(line)]


def diagnose(returncode: int, text: str) -> Fault | None:
    """What went wrong, or None: exit code 0 and no error line in the log."""
    errors = error_lines(text)
    if returncode == 0 and not errors:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if "error" in line.lower()]
    first = (errors or said or lines[-1:] or ["it printed nothing"])[0]
    # a log may say why only beside its error lines: "Killed", "No space left on device"
    for status, pattern, remedy in _CAUSES:
        hit = next((line for line in errors if pattern.search(line)), None)
        if hit is None and returncode != 0 and status in ("out of memory", "disk full", "licence"):
            hit = next((line for line in lines if pattern.search(line) and not _harmless(line)), None)
        if hit is not None:
            return Fault(status, hit, remedy)
    if returncode < 0:
        return Fault("killed", first, None)
    return Fault("failed", first, None)


def _harmless(line: str) -> bool:
    """Lines that speak of a licence without a failure: programs print their own, and what they got."""
    return bool(re.search(r"got license|free(ly)? |under the|ISC|MIT|Copyright|INFO", line, re.IGNORECASE))
