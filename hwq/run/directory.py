"""The run directory: where a training run and everything derived from it lives, written so that a kill loses nothing finished.

    RUN/run.json                 what was asked, versions, splits, state ("training" or "trained")
    RUN/vectors.npz              x: (rows, *input shape) float32, the test rows first, then random rows; y: labels of the test rows
    RUN/checkpoint/              the trainer's own files for resuming
    RUN/points/0007/point.json   one point of the Pareto front: epoch, accuracies, cost
    RUN/points/0007/graph.hwq    its integer graph (hwq.ir.text)
    RUN/points/0007/keras.npz    logits: (rows, outputs) float64, what Keras answered on vectors.npz
    RUN/synth/0007-BOARD-DIGEST/ generated files, logs and reports of one BuildPlan, by point, board and digest

Every file is written beside its place and renamed, so that a reader sees all of it or nothing. A JSON record ends in a seal, the
SHA-256 of the text before it; run.json and point.json hold the digests of the files that they describe. A file that does not fit its
digest is not believed. Records of hwq 0.1.0 have neither and are still read.
"""

from __future__ import annotations

import difflib
import math
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.data.facts import DataFacts
from hwq.errors import RunError
from hwq.fields import Fields, as_json
from hwq.files import is_sealed, read_fields, require_digest, sha256_of, write_json, write_npz, write_text
from hwq.locks import LOCKS, held
from hwq.run.record import FORMAT, Link, PointRecord, RunRecord, Synthesised

HINT = "put the file back, or train again"
AGAIN = "put the file back, or delete that point's folder and train again"
VECTORS = "vectors.npz"
FILES = ("graph.hwq", "keras.npz")


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the Pareto front: where it is, and what its point.json says."""

    id: str
    folder: Path
    record: PointRecord

    @property
    def epoch(self) -> int:
        return self.record.epoch

    @property
    def val_accuracy(self) -> float | None:
        return self.record.val_accuracy

    @property
    def validated(self) -> float:
        """The validation accuracy of a run that has data.

        Raises:
            RunError: nobody looked: the network was imported without data.
        """
        if self.val_accuracy is None:
            raise RunError(
                f"point {self.id} has no validation accuracy: its network was imported without data",
                hint="import it again: hwq convert FILE --data DATA --out RUN",
            )
        return self.val_accuracy

    @property
    def ebops(self) -> float:
        return self.record.ebops

    @property
    def beta(self) -> float:
        return self.record.beta

    @property
    def test_accuracy(self) -> float | None:
        return self.record.test_accuracy

    @property
    def terms(self) -> int:
        """Signed powers of two that its weights were trained to consist of; 1 where nothing is said."""
        return self.record.terms

    def features(self, name: str) -> float:
        """One of what the network consists of.

        Raises:
            RunError: the record does not say.
        """
        hint = "delete that point's folder and make it again"
        return Fields(as_json(self.record.features or {}), str(self.folder / "point.json"), hint).number(name)

    def told(self, name: str, again: str) -> Fields:
        """What the method that wrote the point says of it under its own name.

        Args:
            again: how to make it again.

        Raises:
            RunError: it says nothing.
        """
        return Fields(as_json(self.record.more), str(self.folder / "point.json"), again).inner(name)

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

    def accuracy_by_answers(self, labels: npt.NDArray[Any]) -> float | None:
        """The task's metric of Keras' answers on the test rows, of classes the share that they classify right; None without labels.

        Raises:
            RunError: as `logits`; or fewer answers than labels.
        """
        if not len(labels):
            return None
        logits = self.logits()[: len(labels)]
        if len(logits) != len(labels):
            raise RunError(f"{self.keras_path} answers {len(logits)} of {len(labels)} test rows", hint=AGAIN)
        return self.record.task.value(logits, labels)

    def _require(self, path: Path) -> None:
        digest = (self.record.digests or {}).get(path.name)
        require_digest(path, digest, AGAIN)


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
        found = run._fields().content.get("format")
        if found != FORMAT:
            raise RunError(f"{path} has run format {found!r}; this hwq reads {FORMAT}", hint="train it again with this version")
        run.record()
        return run

    def record(self) -> RunRecord:
        """run.json.

        Raises:
            RunError: missing, or not as hwq wrote it.
        """
        return RunRecord.of(self._fields())

    def _fields(self) -> Fields:
        return read_fields(self.path / "run.json", hint=HINT)

    def settings(self) -> Fields:
        """What the run was trained or made with: `config` of run.json.

        Raises:
            RunError: it does not say.
        """
        return self._fields().inner("config")

    def data(self) -> DataFacts:
        """What the run was made from.

        Raises:
            RunError: it does not say.
        """
        return DataFacts.of(self._fields().inner("dataset"))

    def synthesised(self) -> Synthesised | None:
        """What the run was synthesised with last; None where it was not.

        Raises:
            RunError: the record says it in a way that hwq never writes.
        """
        told = self._fields()
        return Synthesised.of(replace(told.inner("synth"), hint="run hwq synth again")) if told.has("synth") else None

    def save(self, record: RunRecord) -> None:
        """Write run.json whole. Of a run that other processes may work on, use `update`."""
        write_json(self.path / "run.json", record.to_json())

    def adopt(self) -> None:
        """Give the record of a run that hwq 0.1.0 began a seal, before points with seals are written beside it."""
        if not is_sealed(self.path / "run.json"):
            self.save(self.record())

    def update(self, change: Callable[[RunRecord], RunRecord]) -> RunRecord:
        """Read run.json, change it and write it, while no other process does.

        Raises:
            RunError: it cannot be read or written.
        """
        with held(self.path / LOCKS[1], wait=True):
            before = self.record()
            after = change(before)
            if after != before:
                self.save(after)
            return after

    def link(self, link: Link, point: str, folder: str) -> None:
        """Note the folder of a point in run.json, beside those of other points that were synthesised with the same.

        Several processes may do so at once. An entry that cannot be read gives way.
        """

        def change(record: RunRecord) -> RunRecord:
            before = Synthesised(link)
            with suppress(RunError):
                before = self.synthesised() or before
            return replace(record, synth=as_json(before.adding(link, point, folder).to_json()))

        self.update(change)

    def require(self, point: Point, labels: npt.NDArray[Any]) -> None:
        """Raises RunError: a point that was changed, is of the rows of another run, or tells another accuracy than its answers have.

        Args:
            labels: those of `vectors`, read once for all points.
        """
        point.graph_text()
        told, found = point.test_accuracy, point.accuracy_by_answers(labels)
        rows, own = (point.record.digests or {}).get(VECTORS), (self.record().digests or {}).get(VECTORS)
        # a run that hwq 0.1.0 began tells no digest of its rows: the file itself must be the one
        if rows is not None and rows != (own or sha256_of(self.vectors_path)):
            raise RunError(f"{point.folder} is of other rows than this run", hint=AGAIN)
        if told is not None and found is not None and abs(told - found) > 1e-9:
            task = point.record.task
            what = "classify {:.4f} right" if task.plain else f"have the {task.metric} {{:.4g}}"
            raise RunError(
                f"{point.folder / 'point.json'} tells {told:.4f} of the test rows, its answers {what.format(found)}", hint=AGAIN
            )

    def vectors(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """(x, y) of vectors.npz: rows for the evaluators, and the labels of those that are test rows.

        Raises:
            RunError: missing, damaged, or not the file that the run was made with.
        """
        require_digest(self.vectors_path, (self.record().digests or {}).get("vectors.npz"), HINT)
        try:
            with np.load(self.vectors_path) as stored:
                return stored["x"], stored["y"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise RunError(f"{self.vectors_path} is damaged: {error}", hint=HINT) from error

    @property
    def vectors_path(self) -> Path:
        return self.path / VECTORS

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    def synth_folder(self, digest: str) -> Path:
        return self.path / "synth" / digest

    def point_folder(self, point_id: str) -> Path:
        return self.path / "points" / point_id

    def point(self, point_id: str) -> Point:
        """The finished point of exactly this number.

        Raises:
            RunError: there is none, or its record is damaged.
        """
        return _point(self.point_folder(point_id) / "point.json", self.record().digests is not None)

    def points(self) -> list[Point]:
        """The finished points, cheapest first."""
        sealed = self.record().digests is not None  # since hwq 0.1.0
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
    """The point of the best validation accuracy, or of its task's metric; of equals the cheapest."""
    return max(points, key=lambda p: (-math.inf if p.record.score is None else p.record.score, -p.ebops))


def write_point(folder: Path, graph_text: str, logits: npt.NDArray[np.float64], record: PointRecord) -> PointRecord:
    """Write a point: its graph, Keras' answers, and point.json last; the one writer of such a folder.

    Returns:
        The record with the digests of both files, and of the run's rows that Keras answered.

    Raises:
        RunError: it cannot be written.
    """
    write_text(folder / "graph.hwq", graph_text)
    write_npz(folder / "keras.npz", logits=logits)
    files = {name: folder / name for name in FILES} | {VECTORS: folder.parents[1] / VECTORS}
    record = replace(record, digests={name: sha256_of(path) for name, path in files.items() if path.is_file()})
    write_json(folder / "point.json", record.to_json())
    return record


def _point(path: Path, sealed: bool) -> Point:
    told = read_fields(path, sealed=sealed, hint="delete that point's folder and train again")
    record = PointRecord.of(told)
    if is_sealed(path) and not set(FILES) <= set(record.digests or {}):
        raise RunError(f"{path} is damaged: it does not say of which files it is", hint=AGAIN)
    return Point(path.parent.name, path.parent, record)
