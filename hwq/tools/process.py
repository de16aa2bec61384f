"""The one place that starts external programs: own process group, log file, peak memory, killed as a whole when it must end."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hwq.errors import ToolError, ToolMissingError, ToolTimeoutError
from hwq.rundir import explain


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A finished program: what it was, how it ended, what it took.

    Attributes:
        returncode: negative when a signal ended it.
        seconds: wall-clock time.
        peak_mb: the largest resident memory of one of its processes, in MB.
        log: file with everything it printed.
    """

    tool: str
    version: str
    argv: tuple[str, ...]
    returncode: int
    seconds: float
    peak_mb: float
    log: Path

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        if self.returncode < 0:
            name = signal.Signals(-self.returncode).name
            return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        return f"exit code {self.returncode}"


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    log: Path,
    tool: str,
    version: str = "",
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> ToolRun:
    """Run a program to its end, whatever its exit code, with its output in `log`.

    Args:
        env: variables to add to the environment.
        on_line: called with each line as it is printed.

    Raises:
        ToolMissingError: the program cannot be started.
        ToolTimeoutError: it ran past `timeout_s` and was killed with all it had started.
        RunError: the log cannot be written.
    """
    started = time.monotonic()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb")
    except OSError as error:
        raise explain(error, log) from error
    with stream:
        process = _start(argv, cwd, env, tool)
        expired = threading.Event()
        timer = threading.Timer(timeout_s, _expire, (process, expired)) if timeout_s else None
        try:
            if timer:
                timer.start()
            _tee(process, stream, log, on_line)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            _kill(process)
            raise
        finally:
            if timer:
                timer.cancel()
    if expired.is_set():
        raise ToolTimeoutError(f"{tool} ran past its limit of {timeout_s:g} s and was killed", hint=f"see {log}", log=log)
    seconds = time.monotonic() - started
    return ToolRun(tool, version, tuple(argv), process.returncode, seconds, _megabytes(usage), log)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In the child: ask Linux to kill it when hwq itself is killed, so that no tool runs on alone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None, tool: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    except FileNotFoundError as error:
        raise ToolMissingError(
            f"cannot start {tool}: {argv[0]} is not there", hint="hwq doctor lists the tools and how to get them"
        ) from error
    except OSError as error:
        raise ToolError(f"cannot start {tool}: {error}", hint="hwq doctor lists the tools and their paths") from error


def _tee(process: subprocess.Popen[bytes], stream: IO[bytes], log: Path, on_line: Callable[[str], None] | None) -> None:
    pipe = process.stdout
    if pipe is None:
        return
    try:
        for line in pipe:
            stream.write(line)
            stream.flush()
            if on_line:
                on_line(line.decode(errors="replace").rstrip())
    except OSError as error:
        raise explain(error, log) from error


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    _signal_group(process, signal.SIGKILL)


def _kill(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGKILL)
    with suppress(OSError, subprocess.TimeoutExpired):
        process.wait(10)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024  # Linux counts in KiB
