"""How tests run `hwq ...`: as a process of its own (`hwq`, `begun`), or as a call in this one (`called`, `invoked`, `good`, `refused`).

A call costs no second of imports. `called` goes through `main`, which says errors and turns them into exit codes; the others stop before
it, and hand the error itself to the test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from hwq.cli import cli, main
from hwq.errors import HwqError

E = TypeVar("E", bound=HwqError)

HWQ = (sys.executable, "-m", "hwq.cli")


def hwq(*arguments: str | Path, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, to its end.

    Args:
        env: variables besides those of the tests. options: of `subprocess.run`.
    """
    given = {"capture_output": True, "text": True, "timeout": 300, **options}
    return subprocess.run([*HWQ, *map(str, arguments)], check=False, env={**os.environ, **(env or {})}, **given)


def begun(*arguments: str | Path, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The command, left running; it is interrupted by SIGINT wherever the tests run."""
    # a shell that started the tests in the background made its children ignore interrupts
    listen = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    given = {"stdout": subprocess.DEVNULL, "text": True, "preexec_fn": listen, **options}
    return subprocess.Popen([*HWQ, *map(str, arguments)], env={**os.environ, **(env or {})}, **given)


def called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of the command, in this process."""
    monkeypatch.setattr(sys, "argv", ["hwq", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code)), capsys.readouterr().err


def invoked(*arguments: str | Path) -> Result:
    """What the command prints in this process; an error of hwq is its `exception`, click's own are exit code 2."""
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def good(*arguments: str | Path) -> str:
    """The standard output of a command that ends well."""
    done = invoked(*arguments)
    assert done.exception is None and done.exit_code == 0, (done.exception, done.output)
    return done.stdout


def refused(kind: type[E], *arguments: str | Path) -> E:
    """The error of a command that does not."""
    done = invoked(*arguments)
    assert isinstance(done.exception, kind), (done.exception, done.output)
    return done.exception
