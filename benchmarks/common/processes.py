"""Programs in processes of their own that answer with JSON: workers of hwq, and peers."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.experiment import BenchmarkError

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
WORKERS, PEERS = BENCHMARKS / "workers", BENCHMARKS / "peers"
LAUNCH = (sys.executable, "-I", "-S", str(WORKERS / "launch.py"))
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True, slots=True)
class Program:
    """A script, the interpreter that runs it, and whether it is held to one thread."""

    script: Path
    python: Path = Path(sys.executable)
    one_thread: bool = False

    def ask(self, *arguments: object, given: object = None) -> dict[str, Any]:
        """The JSON that it prints last; `given` goes to its standard input as JSON.

        Raises:
            BenchmarkError: it failed; the message has the end of what it said.
        """
        env = {**environment_of_hwq(), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        env |= dict.fromkeys(THREADS, "1") if self.one_thread else {}
        if self.script.parent == PEERS:  # their environments are without hwq, and without what is beside it
            env.pop("PYTHONPATH")
        argv = [*LAUNCH, str(self.python), str(self.script), *map(str, arguments)]
        text = None if given is None else json.dumps(given)
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, env=env)
        if done.returncode:
            raise BenchmarkError(f"{self.script.name} failed:\n{done.stderr[-2000:].strip()}")
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    def once(self, path: Path, *arguments: object, given: object = None) -> dict[str, Any]:
        """As `ask`, kept in a file."""
        if not path.is_file():
            replace_text(path, json.dumps(self.ask(*arguments, given=given)))
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of a command and those it waited for, and the largest peak memory among them."""

    cpu_s: float
    peak_mb: float

    @classmethod
    def of(cls, command: Sequence[str | Path], cwd: Path) -> Usage:
        """Run a command, which must succeed.

        Raises:
            BenchmarkError: it failed.
        """
        argv = [*LAUNCH, "--usage", *map(str, command)]
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, env=environment_of_hwq())
        if done.returncode:
            raise BenchmarkError(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:].strip()}")
        return cls(**json.loads(done.stdout))


def environment_of_hwq() -> dict[str, str]:
    """The environment of processes that import hwq: this one, of this source tree."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))}


def replace_text(path: Path, text: str) -> None:
    """Write a file whole: a kill leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.replace(path)


def children_cpu() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
