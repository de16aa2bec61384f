"""The run directory: where a training run and everything derived from it lives, written so that a kill loses nothing finished.

    RUN/run.json                 what was asked, versions, splits, state ("training" or "trained")
    RUN/vectors.npz              x: (rows, *input shape) float32, the test rows first, then random rows; y: labels of the test rows
    RUN/checkpoint/              the trainer's own files for resuming
    RUN/points/0007/point.json   one point of the Pareto front: epoch, accuracies, cost
    RUN/points/0007/graph.hwq    its integer graph (hwq.ir.text)
    RUN/points/0007/keras.npz    logits: (rows, outputs) float64, what Keras answered on vectors.npz
    RUN/synth/<plan digest>/     generated files, logs and reports of one BuildPlan

Every file is written beside its place and renamed, so that a reader sees all of it or nothing.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hwq.errors import RunError

FORMAT = 1


def explain(error: OSError, path: Path) -> RunError:
    """An operating system error on `path` as the user should read it."""
    hints = {
        errno.ENOSPC: "free some space, or choose another --out; what was finished is kept and the same command resumes",
        errno.EDQUOT: "the disk quota is used up: free some space, or choose another --out",
        errno.EROFS: "the file system is read-only: choose another --out",
        errno.EACCES: "no permission to write there: choose another --out",
        errno.EPERM: "no permission to write there: choose another --out",
        errno.ENOTDIR: "a part of the path is a file: choose another --out",
    }
    return RunError(f"cannot write {path}: {error.strerror or error}", hint=hints.get(error.errno or 0))


def atomic_write(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, and rename it to `path`.

    Raises:
        RunError: the disk is full, read-only, or not permitted; `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    atomic_write(path, lambda stream: _ignore(stream.write(content.encode())))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_npz(path: Path, **arrays: npt.NDArray[Any]) -> None:
    atomic_write(path, lambda stream: np.savez_compressed(stream, allow_pickle=False, **arrays))


def _ignore(_: object) -> None:
    return None


def read_json(path: Path) -> dict[str, Any]:
    """Raises RunError: the file is missing or no JSON object."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete it and run the same command again") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: expected a JSON object")
    return content


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the Pareto front, as `point.json` tells it."""

    id: str
    folder: Path
    epoch: int
    val_accuracy: float
    ebops: float
    beta: float
    test_accuracy: float | None

    @property
    def graph_path(self) -> Path:
        return self.folder / "graph.hwq"

    @property
    def keras_path(self) -> Path:
        return self.folder / "keras.npz"


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run directory that exists."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Raises RunError: no run there, or one of another format."""
        if not (path / "run.json").is_file():
            raise RunError(f"{path} is no run directory", hint="make one with: hwq train digits --out " + str(path))
        run = cls(path)
        found = run.meta().get("format")
        if found != FORMAT:
            raise RunError(f"{path} has run format {found}; this hwq reads {FORMAT}", hint="train it again with this version")
        return run

    def meta(self) -> dict[str, Any]:
        return read_json(self.path / "run.json")

    def save_meta(self, meta: Mapping[str, Any]) -> None:
        write_json(self.path / "run.json", {**meta, "format": FORMAT})

    @property
    def vectors_path(self) -> Path:
        return self.path / "vectors.npz"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    def synth_folder(self, digest: str) -> Path:
        return self.path / "synth" / digest

    def point_folder(self, point_id: str) -> Path:
        return self.path / "points" / point_id

    def points(self) -> list[Point]:
        """The finished points, cheapest first."""
        found = [_point(p) for p in sorted(self.path.glob("points/*/point.json"))]
        return sorted(found, key=lambda p: (p.ebops, p.id))

    def select(self, which: str) -> list[Point]:
        """`best` (highest validation accuracy, the cheaper of equals), `all`, or a point's number.

        Raises:
            RunError: no finished points, or no such one.
        """
        points = self.points()
        if not points:
            raise RunError(f"{self.path} has no finished points", hint="run the same hwq train command again: it resumes")
        if which == "all":
            return points
        if which == "best":
            return [best(points)]
        chosen = [p for p in points if p.id == which or p.id.lstrip("0") == which.lstrip("0")]
        if not chosen:
            known = ", ".join(p.id for p in points)
            raise RunError(f"{self.path} has no point {which!r}", hint=f"choose best, all or one of: {known}")
        return chosen


def best(points: list[Point]) -> Point:
    """The point with the highest validation accuracy; of equals the cheapest."""
    return max(points, key=lambda p: (p.val_accuracy, -p.ebops))


def _point(path: Path) -> Point:
    content = read_json(path)
    try:
        return Point(
            id=path.parent.name,
            folder=path.parent,
            epoch=int(content["epoch"]),
            val_accuracy=float(content["val_accuracy"]),
            ebops=float(content["ebops"]),
            beta=float(content["beta"]),
            test_accuracy=None if content.get("test_accuracy") is None else float(content["test_accuracy"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete that point's folder and train again") from error
