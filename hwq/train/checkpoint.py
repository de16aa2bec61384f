"""Checkpoints: every variable, the epoch and the archive, written whole or not at all, so that a killed run goes on as if it had not been."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hwq.errors import RunError
from hwq.rundir import atomic_write, write_npz
from hwq.train.backend import ops
from hwq.train.progress import Candidate

_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # what NumPy raises on files cut off or altered


def save_state(folder: Path, variables: Sequence[Any], *, epoch: int, archive: Sequence[Candidate], extra: dict[str, Any]) -> None:
    """`epoch` is how many epochs are done. The archive's weights have been saved before, one file an epoch."""
    arrays = {f"v{i}": ops.convert_to_numpy(v) for i, v in enumerate(variables)}
    meta = {"epoch": epoch, "archive": [asdict(c) for c in archive], **extra}
    # one file holds both, so that they can never be of different epochs
    atomic_write(folder / "state.npz", lambda stream: np.savez(stream, meta=np.array(json.dumps(meta)), **arrays))
    known = {c.epoch for c in archive}
    for path in folder.glob("epoch-*.npz"):
        if int(path.stem.removeprefix("epoch-")) not in known:
            path.unlink(missing_ok=True)


def load_state(folder: Path, variables: Sequence[Any]) -> tuple[int, list[Candidate], dict[str, Any]] | None:
    """Put a checkpoint back into the variables: (epochs done, archive, extra); None where there is none.

    Raises:
        RunError: the file is damaged or of another model.
    """
    path = folder / "state.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path) as content:
            meta = json.loads(str(content["meta"]))
            archive = [Candidate(**c) for c in meta.pop("archive")]
            arrays = [_fitting(content[f"v{i}"], variable) for i, variable in enumerate(variables)]
    except _DAMAGE as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete the run directory and train again") from error
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
    return int(meta.pop("epoch")), archive, meta


def save_weights(path: Path, model: Any) -> None:
    """The model's variables in their own order."""
    write_npz(path, **{f"v{i}": ops.convert_to_numpy(v) for i, v in enumerate(model.variables)})


def load_weights(path: Path, model: Any) -> None:
    """Raises RunError: missing or damaged."""
    try:
        with np.load(path) as content:
            for i, variable in enumerate(model.variables):
                variable.assign(_fitting(content[f"v{i}"], variable))
    except _DAMAGE as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete the run directory and train again") from error


def _fitting(value: np.ndarray, variable: Any) -> np.ndarray:
    if value.shape != tuple(variable.shape):
        raise ValueError(f"{variable.path} has shape {tuple(variable.shape)}, the file {value.shape}")
    return value
