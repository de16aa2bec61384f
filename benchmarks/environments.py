"""Peers in environments of their own: made once in the cache folder, asked through a script and JSON, answers kept."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from hwq.places import cache

HERE = Path(__file__).resolve().parent


def cache_folder() -> Path:
    """Where environments, answers and Yosys' results are kept: HWQ_CACHE, else the user's cache folder."""
    folder = cache() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def environment(requirement: str) -> Path:
    """The Python of an environment that holds `requirement`; installed on first use."""
    folder = cache_folder() / ("venv-" + requirement.replace("=", "-"))
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
        (folder / "complete").touch()
    return python


def da4ml(kernel: np.ndarray, low: list[int], high: list[int], requirement: str = "da4ml==0.6.0") -> SimpleNamespace:
    """da4ml's solution of x @ kernel, default options: .stages, .cpu_s, .peak_mb. One thread."""
    given = {"kernel": kernel.tolist(), "low": low, "high": high}
    digest = hashlib.sha256((requirement + json.dumps(given)).encode()).hexdigest()[:20]
    path = cache_folder() / f"da4ml-{digest}.json"
    if not path.is_file():
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        argv = [str(environment(requirement)), str(HERE / "peers" / "da4ml_solve.py")]
        done = subprocess.run(argv, input=json.dumps(given), capture_output=True, text=True, env=env)
        if done.returncode:
            sys.exit(f"da4ml failed:\n{done.stderr}")
        path.write_text(done.stdout)
    answer: dict[str, Any] = json.loads(path.read_text())
    answer["stages"] = [SimpleNamespace(**stage) for stage in answer["stages"]]
    return SimpleNamespace(**answer)
