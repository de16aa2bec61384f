"""Vivado, Vitis HLS and Vivado HLS: run the generated Tcl and believe it only when exit code, log and report agree."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hwq.errors import ToolError, ToolMissingError
from hwq.tools.find import Tool, find, variable
from hwq.tools.process import ToolRun, run

# the classic programs first: vitis-run is a wrapper around them where both are there
HLS = ("vitis_hls", "vivado_hls", "vitis-run")
_BENIGN = re.compile(r"HLS 200-642|HLS 200-101")  # about config_array_partition -maximum_size: the run goes on
_CAUSES = (
    (
        re.compile(r"Common 17-345|license|licence", re.IGNORECASE),
        "no licence for this part or feature: set XILINXD_LICENSE_FILE or LM_LICENSE_FILE",
    ),
    (
        re.compile(r"HLS 200-1023|part .* not (found|installed)", re.IGNORECASE),
        "the part is not installed: add its family in the AMD installer",
    ),
    (re.compile(r"DRC UTLZ-1"), "the design does not fit the part: a smaller point, or a larger board"),
    (re.compile(r"XFORM 203-504"), "HLS stopped unrolling: the design is too large for one function"),
    (re.compile(r"\bKilled\b"), "out of memory: fewer --jobs, or a larger machine"),
)


def find_hls() -> Tool | None:
    """The HLS compiler, or None."""
    for name in HLS:
        tool = find(name)
        if tool is not None:
            return tool
    return None


def find_vivado() -> Tool | None:
    return find("vivado")


def require(tool: Tool | None, name: str) -> Tool:
    """Raises ToolMissingError: says both ways out and the fallback."""
    if tool is None:
        raise ToolMissingError(
            f"{name} is not installed",
            hint=f"put it on PATH, point {variable(name)} to it, or use --tool yosys, which needs no licence",
        )
    return tool


def hls_argv(tool: Tool, script: str) -> list[str]:
    """How this generation of the compiler takes a Tcl script."""
    return [*tool.argv, "--mode", "hls", "--tcl", script] if tool.name == "vitis-run" else [*tool.argv, "-f", script]


def run_checked(
    tool: Tool, argv: Sequence[str], *, cwd: Path, log: Path, reports: Callable[[], Sequence[Path]], timeout_s: float | None = None
) -> tuple[ToolRun, list[Path]]:
    """Run a vendor tool; the reports it made.

    Args:
        reports: finds the report files once the tool has ended; each must be newer than the start.

    Raises:
        ToolError: exit code, an error line, or a missing or stale report; the message holds the first error, the hint its cause.
    """
    began = time.time()
    done = run(argv, cwd=cwd, log=log, tool=tool.name, version=tool.version, timeout_s=timeout_s)
    errors = error_lines(log)
    if done.returncode or errors:
        first = errors[0] if errors else _last(log)
        raise ToolError(f"{tool} failed ({done.ended}): {first}", hint=cause(errors or [first]) or f"see {log}", log=log)
    found = [path for path in reports() if path.is_file() and path.stat().st_mtime >= began - 2]
    if not found:
        raise ToolError(f"{tool} ended well but left no new report", hint=f"see {log}", log=log)
    return done, found


def error_lines(log: Path) -> list[str]:
    """The lines of a log that are errors, benign ones left out."""
    lines = log.read_text(errors="replace").splitlines()
    return [line.strip() for line in lines if re.match(r"\s*(ERROR|CRITICAL ERROR|FATAL)\b", line) and not _BENIGN.search(line)]


def cause(lines: Sequence[str]) -> str | None:
    """What usually mends such an error, where it is a known one."""
    for line in lines:
        for pattern, remedy in _CAUSES:
            if pattern.search(line):
                return remedy
    return None


def _last(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"
