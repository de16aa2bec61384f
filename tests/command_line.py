"""How tests run `hwq ...`: as a process of its own, to its end or not, or as a call in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hwq.cli import main

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
