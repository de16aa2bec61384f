"""Peers in environments of their own: made once in the cache folder, asked through a script and JSON, answers kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.common.experiment import BenchmarkError
from benchmarks.common.processes import PEERS, Program, replace_text
from hwq.places import cache


def cache_folder() -> Path:
    """Where environments, answers of peers and Yosys' results are kept: `benchmarks` in hwq's cache ($HWQ_CACHE)."""
    folder = cache() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class Library:
    """A peer: the package that the table names, and what else its environment needs."""

    name: str
    version: str
    others: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        return (f"{self.name}=={self.version}", *self.others)

    def python(self) -> Path:
        """The interpreter of the peer's environment, which is made on first use.

        Raises:
            BenchmarkError: it cannot be installed; the message says what is wanted where.
        """
        folder = cache_folder() / ("venv-" + "-".join(self.requirements).replace("=", "-"))
        python, complete = folder / "bin" / "python", folder / "complete"
        if not complete.is_file():
            print(f"making an environment with {', '.join(self.requirements)}", file=sys.stderr, flush=True)
            venv.create(folder, clear=True)
            pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
            argv = [*pip, "install", "--quiet", *self.requirements]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                why = done.stderr.strip().splitlines()
                raise BenchmarkError(
                    f"cannot install {' '.join(self.requirements)} to compare with: {why[-1] if why else 'pip failed'}\n"
                    f"give pip an index that has it (PIP_INDEX_URL), or make the environment yourself: a venv with these packages in "
                    f"{folder} and an empty file `complete` in it"
                )
            complete.touch()
        return python

    def program(self, script: str, *, one_thread: bool = False) -> Program:
        """A script of benchmarks/peers in the peer's environment."""
        return Program(PEERS / script, self.python(), one_thread)

    def answer(self, script: str, given: object, *, one_thread: bool = False) -> dict[str, Any]:
        """What a script answers to `given`; kept, so that a peer is asked once."""
        digest = hashlib.sha256((self.requirements[0] + json.dumps(given)).encode()).hexdigest()[:20]
        path = cache_folder() / f"{self.name}-{digest}.json"
        if not path.is_file():
            replace_text(path, json.dumps(self.program(script, one_thread=one_thread).ask(given=given)))
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept


def installed(package: str) -> str:
    """The version of a package beside hwq; "" where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


DA4ML = Library("da4ml", "0.6.0")
HLS4ML = Library("hls4ml", "1.3.0")


def hgq2() -> Library:
    """HGQ2 on the TensorFlow that hwq trains with, and da4ml, which compiles its networks."""
    return Library("HGQ2", "0.2.0", (f"tensorflow=={installed('tensorflow')}", "da4ml==0.6.0"))
