"""Dataset: what training gets, and the checks and the seeded split that make one of raw arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int64]
FEWEST = 5  # rows of a class


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows and class labels in three parts.

    Attributes:
        x_train, x_val, x_test: float32, (rows, *features).
        y_train, y_val, y_test: int64 class numbers, 0 .. n_classes - 1.
        digest: 16 hexadecimal digits over all arrays.
        file: absolute path of the file that it came from, empty where it came from none.
    """

    name: str
    x_train: FloatArray
    y_train: LabelArray
    x_val: FloatArray
    y_val: LabelArray
    x_test: FloatArray
    y_test: LabelArray
    n_classes: int
    description: str = ""
    file: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.x_train.shape[1:]

    @property
    def digest(self) -> str:
        whole = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_val, self.y_val, self.x_test, self.y_test):
            whole.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()[:16]

    @property
    def facts(self) -> dict[str, Any]:
        """What must be the same for it to be the same data."""
        facts = {"name": self.name, "digest": self.digest, "n_classes": self.n_classes, "shape": list(self.shape)}
        return facts | {"train": len(self.x_train), "validation": len(self.x_val), "test": len(self.x_test)}

    @property
    def told(self) -> dict[str, Any]:
        """What a run's run.json says of it: the facts, and where its file lies, from which later commands read it again."""
        return self.facts | ({"file": self.file} if self.file else {})


def check_rows(x: Any, name: str) -> FloatArray:
    """Features as float32, finite.

    Raises:
        DataError: no numbers, no rows, NaN or infinity (with the column and how many rows).
    """
    try:
        if np.iscomplexobj(x):
            raise TypeError("they are complex")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
            rows = np.asarray(x, np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: the features are no numbers: {error}", hint="drop or encode text columns first") from error
    if rows.ndim < 2 or not rows.size:
        raise DataError(
            f"{name}: expected rows of features, got an array of shape {rows.shape}", hint="x must be (rows, features...)"
        )
    bad = ~np.isfinite(rows)
    if bad.any():
        column = int(np.argwhere(bad.reshape(len(rows), -1).any(axis=0))[0, 0])
        count = int(bad.reshape(len(rows), -1).any(axis=1).sum())
        raise DataError(f"{name}: NaN or infinity in {count} rows, first in feature {column}", hint="drop or fill those rows first")
    return rows


def check_labels(y: Any, rows: int, name: str, n_classes: int | None = None) -> LabelArray:
    """Labels as class numbers from 0.

    Raises:
        DataError: not one whole number a row, negative, or not below `n_classes` (where not given: the number of rows).
    """
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and len(labels) and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        labels = labels.argmax(axis=1)  # one-hot
    if labels.shape != (rows,):
        raise DataError(
            f"{name}: {rows} rows but labels of shape {labels.shape}", hint="one label a row: (rows,), or one-hot (rows, classes)"
        )
    if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all() or (labels != np.floor(labels)).any():
        raise DataError(f"{name}: labels must be whole numbers; hwq trains classifiers", hint="encode the classes as 0, 1, 2 ...")
    # a label beyond the number of rows is an identifier or a defect, not a class; it would also make the counts below huge
    top = n_classes if n_classes is not None else min(int(labels.max()) + 1, rows)
    out = (labels < 0) | (labels >= top)
    if out.any():
        row = int(np.flatnonzero(out)[0])
        raise DataError(
            f"{name}: label {int(labels[row])} in row {row} is out of range 0..{top - 1}", hint="encode the classes as 0, 1, 2 ..."
        )
    return labels.astype(np.int64)


def numbered(parts: Sequence[Any]) -> list[Any]:
    """Label arrays whose texts are replaced by numbers, the same ones in all parts: place in the sorted list of all classes."""
    arrays = [np.asarray(part) for part in parts]
    arrays = [_without_objects(a) if a.dtype.kind == "O" else a for a in arrays]
    if not any(a.dtype.kind in "US" for a in arrays):
        return arrays
    arrays = [a.astype(str) for a in arrays]
    classes = np.unique(np.concatenate([a.ravel() for a in arrays]))
    return [np.searchsorted(classes, a) for a in arrays]


def _without_objects(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Python objects as the numbers or texts that they are."""
    try:
        plain = np.array(labels.tolist())
    except ValueError:  # ragged
        return labels
    return plain if plain.dtype.kind in "biufUS" else labels.astype(str)


def split(
    name: str,
    x: Any,
    y: Any,
    *,
    seed: int,
    x_val: Any = None,
    y_val: Any = None,
    x_test: Any = None,
    y_test: Any = None,
    validation: float = 0.2,
    test: float = 0.2,
    standardise: bool = True,
    description: str = "",
) -> Dataset:
    """Check, split by seed with equal class shares, and standardise by the training rows' mean and deviation.

    Validation and test rows that are given are kept as they are; the others are drawn from `x`.

    Raises:
        DataError: bad rows or labels, fewer than two classes, or a class with too few rows to split.
    """
    labelled = numbered([part for part in (y, y_val, y_test) if part is not None])
    y = labelled.pop(0)
    rows = check_rows(x, name)
    labels = check_labels(y, len(rows), name)
    n_classes = _enough(labels, name)
    given = {}
    for part, part_x, part_y in (("validation", x_val, y_val), ("test", x_test, y_test)):
        if part_x is not None and part_y is not None:
            given[part] = _given(f"{name}, {part} part", part_x, labelled.pop(0), rows, n_classes)
    if "test" not in given:
        rows, labels, given["test"] = _draw(name, rows, labels, test, seed)
    if "validation" not in given:
        rows, labels, given["validation"] = _draw(name, rows, labels, validation, seed)
    (val_rows, val_labels), (test_rows, test_labels) = given["validation"], given["test"]
    if standardise:
        # in float64: float32 sums over a million rows lose digits
        mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        spread = np.where(spread > 0, spread, 1)
        rows, val_rows, test_rows = (((part - mean) / spread).astype(np.float32) for part in (rows, val_rows, test_rows))
    return Dataset(name, rows, labels, val_rows, val_labels, test_rows, test_labels, n_classes, description)


def checked(data: Dataset) -> Dataset:
    """A data set that was made elsewhere, by the same rules.

    Raises:
        DataError: as `check_rows` and `check_labels`.
    """
    parts: dict[str, Any] = {}
    for part in ("train", "val", "test"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        rows = check_rows(x, f"{data.name}, x_{part}")
        if parts and rows.shape[1:] != parts["x_train"].shape[1:]:
            raise DataError(f"{data.name}: x_{part} has rows of shape {rows.shape[1:]}, x_train {parts['x_train'].shape[1:]}")
        parts |= {f"x_{part}": rows, f"y_{part}": check_labels(y, len(rows), f"{data.name}, y_{part}", data.n_classes)}
    return replace(data, **parts)


def _enough(labels: LabelArray, name: str) -> int:
    """How many classes there are, each with rows enough to be split."""
    n_classes = int(labels.max()) + 1
    counts = np.bincount(labels, minlength=n_classes)
    if n_classes < 2 or (counts < FEWEST).any():
        few = int(counts.argmin())
        hint = "number the classes 0, 1, 2 ... without gaps" if counts[few] == 0 else "merge or drop rare classes"
        raise DataError(f"{name}: class {few} has {counts[few]} rows; each of at least two classes needs {FEWEST}", hint=hint)
    return n_classes


def _given(name: str, x: Any, y: Any, rows: FloatArray, n_classes: int) -> tuple[FloatArray, LabelArray]:
    part = check_rows(x, name)
    if part.shape[1:] != rows.shape[1:]:
        raise DataError(f"{name}: rows of shape {part.shape[1:]}, but training rows of shape {rows.shape[1:]}")
    return part, check_labels(y, len(part), name, n_classes)


def _draw(
    name: str, rows: FloatArray, labels: LabelArray, share: float, seed: int
) -> tuple[FloatArray, LabelArray, tuple[FloatArray, LabelArray]]:
    """What remains, then a stratified share."""
    from sklearn.model_selection import train_test_split

    try:
        kept, drawn, kept_labels, drawn_labels = train_test_split(rows, labels, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        raise DataError(
            f"{name}: {len(rows)} rows of {int(labels.max()) + 1} classes are too few for a part of {share:.0%}",
            hint="more rows, fewer classes, or parts of your own: x_train, x_val, x_test",
        ) from error
    return kept, kept_labels, (drawn, drawn_labels)
