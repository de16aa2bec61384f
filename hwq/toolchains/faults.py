"""From a finished program's exit code and log to what went wrong, as one of a few words, with what usually mends it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwq.reports.logs import DATE_REMEDY, outcome
from hwq.reports.types import Status


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong.

    Attributes:
        status: a `hwq.reports.Status`, or "disk full".
        line: the line of the log that says so.
        remedy: how to mend it, or None where only the log can say.
    """

    status: str
    line: str
    remedy: str | None


_FULL = re.compile(r"^.*(?:No space left on device|[Dd]isk quota exceeded).*$", re.MULTILINE)
_BROKEN_OFF = "the log breaks off"
_REMEDIES: dict[Status, str] = {
    Status.LICENCE: "no licence for this part or feature: set XILINXD_LICENSE_FILE or LM_LICENSE_FILE",
    Status.PART_MISSING: "the part is not installed: add its family in the AMD installer",
    Status.OVER_UTILISED: "the design does not fit the part: a smaller point, or a larger board",
    Status.UNROLL_STOPPED: "HLS stopped unrolling: the design is too large for one function; take a smaller point, or --tool vivado",
    Status.DATE_OVERFLOW: f"since 2022 the date overflows in export_design of this version: {DATE_REMEDY}",
    Status.TEST_BENCH_FAILED: "the test bench failed: is tb_data/ in the folder of the plan, and as hwq wrote it?",
    Status.OUT_OF_MEMORY: "out of memory: fewer --jobs, or a larger machine",
}


def diagnose(returncode: int, text: str) -> Fault | None:
    """What went wrong, or None: exit code 0 and nothing in the log that says otherwise.

    Args:
        returncode: negative when a signal ended the program.
        text: all that it printed.
    """
    full = _FULL.search(text)
    if full is not None:
        remedy = "the disk is full: free some space; what was finished is kept and the same command goes on"
        return Fault("disk full", full[0].strip(), remedy)
    found = outcome(text)
    said = found.decisive if found.decisive and not found.decisive.startswith(_BROKEN_OFF) else None
    status = found.status
    if said is None or status in (Status.NO_REPORT, Status.TIMING_MISSED):
        # quiet programs print nothing, and a missed clock is a result: only the exit code can tell of a failure
        if returncode == 0:
            return None
        status = Status.KILLED if returncode < 0 else Status.FAILED
    elif status is Status.FAILED and returncode < 0:
        status = Status.KILLED
    return Fault(str(status), said or _last(text), _REMEDIES.get(status))


def _last(text: str) -> str:
    """The first line that speaks of an error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines[-1:] or ["it printed nothing"])[0]
