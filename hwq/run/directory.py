"""The run directory: where a training run and everything derived from it lives, written so that a kill loses nothing finished.

    RUN/run.json                 what was asked, versions, splits, state ("training" or "trained")
    RUN/vectors.npz              x: (rows, *input shape) float32, the test rows first, then random rows; y: labels of the test rows
    RUN/checkpoint/              the trainer's own files for resuming
    RUN/points/0007/point.json   one point of the Pareto front: epoch, accuracies, cost
    RUN/points/0007/graph.hwq    its integer graph (hwq.ir.text)
    RUN/points/0007/keras.npz    logits: (rows, outputs) float64, what Keras answered on vectors.npz
    RUN/synth/<plan digest>/     generated files, logs and reports of one BuildPlan

Every file is written beside its place and renamed, so that a reader sees all of it or nothing. A JSON record ends in a seal, the
SHA-256 of the text before it; run.json and point.json hold the digests of the files that they describe. A file that does not fit its
digest is not believed. Records of hwq 0.1.0 have neither and are still read.
"""

from __future__ import annotations

import difflib
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import RunError
from hwq.files import is_sealed, read_json, require_digest, sha256_of, write_json, write_npz, write_text
from hwq.locks import LOCKS, held

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the Pareto front, as `point.json` tells it.

    Attributes:
        terms: signed powers of two that its weights were trained to consist of; 1 where nothing is said.
        record: everything that point.json says.
    """

    id: str
    folder: Path
    epoch: int
    val_accuracy: float
    ebops: float
    beta: float
    test_accuracy: float | None
    terms: int = 1
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def graph_path(self) -> Path:
        return self.folder / "graph.hwq"

    @property
    def keras_path(self) -> Path:
        return self.folder / "keras.npz"

    def graph_text(self) -> str:
        """graph.hwq.

        Raises:
            RunError: missing, or not the graph that the point was written with.
        """
        self._require(self.graph_path)
        return self.graph_path.read_text()

    def logits(self) -> npt.NDArray[np.float64]:
        """What Keras answered on the rows of vectors.npz: (rows, outputs).

        Raises:
            RunError: missing, damaged, or not the answers that the point was written with.
        """
        self._require(self.keras_path)
        try:
            with np.load(self.keras_path) as stored:
                return np.asarray(stored["logits"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise RunError(f"{self.keras_path} is damaged: {error}", hint="delete that point's folder and train again") from error

    def require_files(self) -> None:
        """Raises RunError: point.json is of other files than those beside it: one of them was changed, or moved here from another point."""
        self._require(self.graph_path)
        self._require(self.keras_path)

    def _require(self, path: Path) -> None:
        require_digest(
            path, self.record.get("digests", {}).get(path.name), "put the file back, or delete that point's folder and train again"
        )


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run directory that exists."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Raises RunError: no run there, or one of another format."""
        if not (path / "run.json").is_file():
            raise RunError(f"{path} is no run directory", hint=_nearest(path))
        run = cls(path)
        if not is_sealed(path / "run.json") and any(is_sealed(p) for p in path.glob("points/*/point.json")):
            raise RunError(f"{path / 'run.json'} is not as hwq wrote it: its seal is gone", hint="put the file back")
        found = run.meta().get("format")
        if found != FORMAT:
            raise RunError(f"{path} has run format {found}; this hwq reads {FORMAT}", hint="train it again with this version")
        return run

    def meta(self) -> dict[str, Any]:
        return read_json(self.path / "run.json")

    def save_meta(self, meta: Mapping[str, Any]) -> None:
        """Write run.json whole. Of a run that other processes may work on, use `update`."""
        write_json(self.path / "run.json", {**meta, "format": FORMAT})

    def adopt(self) -> None:
        """Give the record of a run that hwq 0.1.0 began a seal, before points with seals are written beside it."""
        if not is_sealed(self.path / "run.json"):
            self.save_meta(self.meta())

    def update(self, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
        """Read run.json, change it and write it, while no other process does.

        Raises:
            RunError: it cannot be read or written.
        """
        with held(self.path / LOCKS[1], wait=True):
            before = self.meta()
            after = dict(change(dict(before)))
            if after != before:
                self.save_meta(after)
            return after

    def vectors(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """(x, y) of vectors.npz: rows for the evaluators, and the labels of those that are test rows.

        Raises:
            RunError: missing, damaged, or not the file that the run was made with.
        """
        hint = "put the file back, or train again"
        require_digest(self.vectors_path, self.meta().get("digests", {}).get("vectors.npz"), hint)
        try:
            with np.load(self.vectors_path) as stored:
                return stored["x"], stored["y"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise RunError(f"{self.vectors_path} is damaged: {error}", hint=hint) from error

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
        sealed = "digests" in self.meta()  # since hwq 0.1.0
        found = [_point(p, sealed) for p in sorted(self.path.glob("points/*/point.json"))]
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


def _nearest(path: Path) -> str:
    """What to do about a path that is no run: another run that may be meant, or a command that makes one."""
    near = [path.parent, path.parent.parent] if path.exists() else []
    for folder in near:
        if (folder / "run.json").is_file():
            return f"the run is {folder}"
    for folder in (path, path.parent, Path("runs")):
        runs = sorted(p.parent for p in folder.glob("*/run.json")) if folder.is_dir() else []
        if runs:
            names = {p.name: p for p in runs}
            close = difflib.get_close_matches(path.name, names, n=1)
            if close:
                return f"did you mean {names[close[0]]}?"
            return f"the runs there are {', '.join(map(str, runs[:5]))}{' ...' if len(runs) > 5 else ''}"
    return "make one with: hwq train digits" + ("" if path.exists() else f" --out {path}")


def best(points: list[Point]) -> Point:
    """The point with the highest validation accuracy; of equals the cheapest."""
    return max(points, key=lambda p: (p.val_accuracy, -p.ebops))


def write_point(
    folder: Path, graph_text: str, logits: npt.NDArray[np.float64], facts: Mapping[str, Any], terms: int = 1
) -> dict[str, Any]:
    """Write a point: its graph, Keras' answers, and point.json last; the one writer of such a folder.

    Args:
        facts: what point.json says of it: epoch, val_accuracy, ebops, beta and test_accuracy at least.
        terms: as `Point.terms`.

    Raises:
        RunError: it cannot be written.
    """
    write_text(folder / "graph.hwq", graph_text)
    write_npz(folder / "keras.npz", logits=logits)
    digests = {name: sha256_of(folder / name) for name in ("graph.hwq", "keras.npz")}
    content = {**facts, "terms": terms, "digests": digests}
    write_json(folder / "point.json", content)
    return content


def _point(path: Path, sealed: bool) -> Point:
    content = read_json(path, sealed=sealed)
    try:
        test = content.get("test_accuracy")
        return Point(
            id=path.parent.name,
            folder=path.parent,
            epoch=int(content["epoch"]),
            val_accuracy=_number(content, "val_accuracy", most=1.0),
            ebops=_number(content, "ebops"),
            beta=float(content["beta"]),
            test_accuracy=None if test is None else _number(content, "test_accuracy", most=1.0),
            terms=int(content.get("terms", 1)),
            record=content,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete that point's folder and train again") from error


def _number(content: Mapping[str, Any], name: str, most: float = math.inf) -> float:
    """Raises ValueError: no finite number from 0 to `most`."""
    value = float(content[name])
    if not (math.isfinite(value) and 0 <= value <= most):
        raise ValueError(f"{name} is {value}")
    return value
