"""Data sets by name, and what to do where one is not here."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.common.experiment import BenchmarkError
from hwq.errors import HwqError

FILES = {"jets": "jets_regen.npz", "mnist": "mnist.npz"}


@cache
def spec(name: str) -> str:
    """What hwq loads: a file of $HWQ_DATA for jets where that is, else the name.

    Raises:
        BenchmarkError: the data set is neither in $HWQ_DATA nor to be downloaded; the message says which file goes where.
    """
    from hwq.data import load

    file = Path(os.environ.get("HWQ_DATA", ".")) / FILES.get(name, "")
    if name not in FILES:
        return name
    if file.is_file():
        return str(file) if name == "jets" else name
    try:
        load(name)
    except HwqError as error:
        place = f"put {FILES[name]} into the folder that HWQ_DATA names"
        raise BenchmarkError(f"the data set {name} is not here: {place}; it could not be downloaded: {error}") from error
    return name


def flat(name: str, seed: int, folder: Path) -> Path:
    """hwq's split of a data set, each row flat, as a file that a peer's environment can read."""
    from hwq.data import load

    path = folder / f"{name}-{seed}.npz"
    if not path.is_file():
        dataset = load(spec(name), seed=seed)
        parts = {f"{kind}_{part}": getattr(dataset, f"{kind}_{part}") for kind in "xy" for part in ("train", "val", "test")}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **{key: value.reshape(len(value), -1) if key[0] == "x" else value for key, value in parts.items()})
        partial.replace(path)
    return path
