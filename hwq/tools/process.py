"""The one place that starts external programs: own process group, log file, peak memory, killed as a whole when it must end."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

from hwq.errors import ToolError, ToolMissingError, ToolTimeoutError
from hwq.events import Notice
from hwq.locks import explain
from hwq.tools.find import Tool


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
    tool: Tool | str,
    timeout_s: float | None = None,
    on_line: Notice | None = None,
) -> ToolRun:
    """Run a program to its end, whatever its exit code, with its output in `log`.

    Args:
        tool: what it is called in messages; of a Tool the version is kept as well.
        on_line: called with each line as it is printed.

    Raises:
        ToolMissingError: the program cannot be started.
        ToolTimeoutError: it ran past `timeout_s` and was killed with all it had started.
        RunError: the log cannot be written.
    """
    started = time.monotonic()
    name, version = (tool, "") if isinstance(tool, str) else (tool.name, tool.version)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb", buffering=0)  # nothing left to write, and to fail, when it is closed
    except OSError as error:
        raise explain(error, log) from error
    with stream, _watchdog() as group:
        process = _start(argv, cwd, name, group)
        tee = _Tee(process, group, stream, log, on_line)
        expired = threading.Event()
        timer = threading.Timer(timeout_s, _expire, (group, expired)) if timeout_s else None
        try:
            if timer:
                timer.start()
            tee.start()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            tee.finish()
        except BaseException:
            _kill(process, group)
            raise
        finally:
            if timer:
                timer.cancel()
    if expired.is_set():
        raise ToolTimeoutError(f"{name} ran past its limit of {timeout_s:g} s and was killed", hint=f"see {log}", log=log)
    if tee.error is not None:
        raise explain(tee.error, log) from tee.error
    seconds = time.monotonic() - started
    return ToolRun(name, version, tuple(argv), process.returncode, seconds, _megabytes(usage), log)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In the child: ask Linux to kill it when hwq itself is killed, so that no tool runs on alone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(argv: Sequence[str], cwd: Path, tool: str, group: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=group,
            preexec_fn=_die_with_parent,
        )
    except FileNotFoundError as error:
        raise ToolMissingError(
            f"cannot start {tool}: {argv[0]} is not there", hint="hwq doctor lists the tools and how to get them"
        ) from error
    except OSError as error:
        raise ToolError(f"cannot start {tool}: {error}", hint="hwq doctor lists the tools and their paths") from error


class _Tee(threading.Thread):
    """Copies what the program prints to the log and the listener, beside the wait for its end."""

    GRACE_S = 5.0  # how long a child that outlives the program may keep printing

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        group: int,
        stream: RawIOBase,
        log: Path,
        on_line: Notice | None,
    ) -> None:
        super().__init__(daemon=True)
        self.process, self.group, self.stream, self.log, self.on_line = process, group, stream, log, on_line
        self.error: OSError | None = None
        self.over = False

    def run(self) -> None:
        for line in self.process.stdout or ():
            if self.over:
                return
            if self.error is None:
                try:
                    rest = memoryview(line)
                    while rest:
                        rest = rest[self.stream.write(rest) or 0 :]
                except OSError as error:  # the disk is full: no result of this run could be believed
                    self.error = error
                    _kill_group(self.group)
                self._show(line.decode(errors="replace").rstrip())

    def _show(self, line: str) -> None:
        if self.on_line:
            try:
                self.on_line(line)
            except OSError:  # the screen is gone: the program must not block on a pipe that nobody empties
                self.on_line = None

    def finish(self) -> None:
        """Wait for the rest of the output; end what the program left running behind its back."""
        self.join(self.GRACE_S)
        if self.is_alive():
            _kill_group(self.group)
            self.join(self.GRACE_S)
        self.over = True


@contextmanager
def _watchdog() -> Iterator[int]:
    """The process group for a program, led by a shell that kills it whole when hwq itself has been killed.

    The kernel then closes the pipe to the shell. It is there before the program is, so that a kill at any moment finds it.
    """
    script = 'read -r word; [ "$word" = done ] || kill -9 -$$'
    dog = subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        yield dog.pid
    finally:
        with suppress(OSError):
            dog.communicate(b"done\n")


def _expire(group: int, expired: threading.Event) -> None:
    expired.set()
    _kill_group(group)


def _kill(process: subprocess.Popen[bytes], group: int) -> None:
    _kill_group(group)
    with suppress(OSError, subprocess.TimeoutExpired):
        process.wait(10)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024  # Linux counts in KiB
