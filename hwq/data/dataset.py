"""Dataset: what training gets, and the checks and the seeded split that make one of raw arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows and class labels in three parts.

    Attributes:
        x_train, x_val, x_test: float32, (rows, *features).
        y_train, y_val, y_test: int64 class numbers, 0 .. n_classes - 1.
        digest: 16 hexadecimal digits over all arrays.
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


def check_rows(x: Any, name: str) -> FloatArray:
    """Features as float32, finite.

    Raises:
        DataError: no numbers, no rows, NaN or infinity (with the column and how many rows).
    """
    try:
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
        DataError: not one whole number a row, negative, or not below `n_classes`.
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
    if labels.dtype.kind in "OUS":
        labels = np.unique(labels.astype(str), return_inverse=True)[1]
    if labels.dtype.kind == "f" and (not np.isfinite(labels).all() or (labels != np.floor(labels)).any()):
        raise DataError(f"{name}: labels must be whole numbers; hwq trains classifiers", hint="encode the classes as 0, 1, 2 ...")
    labels = labels.astype(np.int64)
    top = n_classes if n_classes is not None else int(labels.max()) + 1
    out = (labels < 0) | (labels >= top)
    if out.any():
        row = int(np.flatnonzero(out)[0])
        raise DataError(
            f"{name}: label {int(labels[row])} in row {row} is out of range 0..{top - 1}", hint="encode the classes as 0, 1, 2 ..."
        )
    return labels


def split(
    name: str,
    x: Any,
    y: Any,
    *,
    seed: int,
    x_test: Any = None,
    y_test: Any = None,
    validation: float = 0.2,
    test: float = 0.2,
    standardise: bool = True,
    description: str = "",
) -> Dataset:
    """Check, split by seed with equal class shares, and standardise by the training rows' mean and deviation.

    Raises:
        DataError: bad rows or labels, fewer than two classes, or a class with too few rows to split.
    """
    from sklearn.model_selection import train_test_split

    rows = check_rows(x, name)
    labels = check_labels(y, len(rows), name)
    n_classes = int(labels.max()) + 1
    counts = np.bincount(labels, minlength=n_classes)
    if n_classes < 2 or (counts < 5).any():
        few = int(counts.argmin())
        raise DataError(
            f"{name}: class {few} has {counts[few]} rows; each of at least two classes needs 5", hint="merge or drop rare classes"
        )
    if x_test is None:
        rows, test_rows, labels, test_labels = train_test_split(rows, labels, test_size=test, random_state=seed, stratify=labels)
    else:
        test_rows = check_rows(x_test, f"{name} test part")
        test_labels = check_labels(y_test, len(test_rows), f"{name} test part", n_classes)
        if test_rows.shape[1:] != rows.shape[1:]:
            raise DataError(f"{name}: test rows have shape {test_rows.shape[1:]}, training rows {rows.shape[1:]}")
    x_train, x_val, y_train, y_val = train_test_split(rows, labels, test_size=validation, random_state=seed, stratify=labels)
    if standardise:
        mean, spread = x_train.mean(axis=0), x_train.std(axis=0)
        spread = np.where(spread > 0, spread, 1)
        x_train, x_val, test_rows = (((part - mean) / spread).astype(np.float32) for part in (x_train, x_val, test_rows))
    return Dataset(name, x_train, y_train, x_val, y_val, test_rows, test_labels, n_classes, description)
