"""Checkpoints: every variable, the epoch and the archive, written whole or not at all, so that a killed run goes on as if it had not been."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import RunError
from hwq.files import atomic_write, write_npz
from hwq.tensors import Array, Tensor, Variable
from hwq.train.control import Steering
from hwq.train.pareto import Candidate

ARRAYS = ("params", "mean", "square", "step", "average")
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # what NumPy raises on files cut off or altered


StateFields = tuple[Tensor, tuple[Tensor, ...], Tensor, Tensor, Tensor, Tensor]  # of hwq.train.engine.State, in their order


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint: `epoch` epochs of `phase` are done; `state` holds the fields of hwq.train.engine.State, `control` what steers beta."""

    phase: str
    epoch: int
    archive: list[Candidate]
    control: Steering
    state: StateFields


def save_state(
    folder: Path, state: StateFields, *, phase: str, epoch: int, archive: Sequence[Candidate], control: Steering
) -> None:
    """Write a checkpoint. The archive's weights have been saved before, one file a network."""
    params, others, *rest = state
    arrays = dict(zip(ARRAYS, (params, *rest), strict=True)) | {f"other{i}": v for i, v in enumerate(others)}
    meta = {"phase": phase, "epoch": epoch, "archive": [asdict(c) for c in archive], "control": control, "others": len(others)}
    # one file holds all, so that its parts can never be of different epochs
    values = {"meta": np.array(json.dumps(meta))} | {name: ops.convert_to_numpy(value) for name, value in arrays.items()}
    atomic_write(folder / "state.npz", lambda stream: np.savez(stream, allow_pickle=False, **values))
    known = {f"seen-{c.key}" for c in archive}
    for path in folder.glob("seen-*.npz"):
        if path.stem not in known:
            path.unlink(missing_ok=True)


def load_state(folder: Path, like: StateFields) -> Saved | None:
    """The checkpoint of a run; None where there is none. `like` is a state of the same model, of any population.

    Raises:
        RunError: the file is damaged, or of another model.
    """
    path = folder / "state.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path) as content:
            meta = json.loads(str(content["meta"]))
            archive = [Candidate(**c) for c in meta["archive"]]
            others = tuple(ops.convert_to_tensor(content[f"other{i}"]) for i in range(meta["others"]))
            params, mean, square, step, average = (ops.convert_to_tensor(content[name]) for name in ARRAYS)
            found, wanted = ([tuple(v.shape[1:]) for v in (first, *rest)] for first, rest in ((params, others), like[:2]))
            if found != wanted:
                raise ValueError(f"it holds arrays of shapes {found}, the model {wanted}")
            state = (params, others, mean, square, step, average)
            return Saved(meta["phase"], int(meta["epoch"]), archive, meta["control"], state)
    except (*_DAMAGE, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete the run directory and train again") from error


def read_archive(folder: Path) -> tuple[list[Candidate], Steering]:
    """The networks that a checkpoint keeps, and what steered beta; without any model.

    Raises:
        RunError: missing or damaged.
    """
    path = folder / "state.npz"
    try:
        with np.load(path) as content:
            meta = json.loads(str(content["meta"]))
        return [Candidate(**c) for c in meta["archive"]], meta["control"]
    except (*_DAMAGE, TypeError) as error:
        raise RunError(f"{path} is missing or damaged: {error}", hint="delete the run directory and train again") from error


def save_weights(path: Path, model: keras.Model) -> None:
    """The model's variables in their own order."""
    write_npz(path, **{f"v{i}": ops.convert_to_numpy(v) for i, v in enumerate(model.variables)})


def load_weights(path: Path, model: keras.Model) -> None:
    """Raises RunError: missing or damaged."""
    try:
        with np.load(path) as content:
            for i, variable in enumerate(model.variables):
                variable.assign(_fitting(content[f"v{i}"], variable))
    except _DAMAGE as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete the run directory and train again") from error


def _fitting(value: Array, variable: Variable) -> Array:
    if value.shape != tuple(variable.shape):
        raise ValueError(f"{variable.path} has shape {tuple(variable.shape)}, the file {value.shape}")
    return value
