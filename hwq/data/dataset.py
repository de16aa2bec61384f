"""Dataset: what training gets, and the checks and the seeded split that make one of raw arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.data.facts import DataFacts
from hwq.data.preprocess import AS_IT_IS, Preprocess, standardising
from hwq.data.task import CLASSES, Asked, Task
from hwq.data.weights import check_weights, row_weights
from hwq.errors import DataError

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[Any]  # class numbers; of other tasks than classes what `hwq.data.targets` makes
FEWEST = 5  # rows of a class
MANY = 20  # different labels: where they are no classes, they are rather numbers to be predicted
REGRESSION = "hwq train --task regression predicts numbers; for classes, bin the values first, for example with pandas.qcut"
SHOWN = 12  # names in a line
CLASSIFY = Asked()


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows and targets in three parts.

    Attributes:
        x_train, x_val, x_test: float32, (rows, *features).
        y_train, y_val, y_test: of classes int64, 0 .. n_classes - 1; of binary int64, 0 or 1; of many labels and of regression
            float32, (rows, outputs); of a reconstruction the rows, flat, with their label behind where there are any.
        n_classes: classes; of other tasks outputs of the network.
        digest: 16 hexadecimal digits over all arrays.
        file: absolute path of the file that it came from, empty where it came from none.
        preprocess: what made these rows of the user's own; nothing where the data came ready.
        task: what is to be learned.
        weights: (training rows,), 1 on average; None: all rows count the same.
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
    preprocess: Preprocess = AS_IT_IS
    task: Task = CLASSES
    weights: FloatArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.x_train.shape[1:]

    @property
    def digest(self) -> str:
        whole = hashlib.sha256()
        weights = () if self.weights is None else (self.weights,)
        for array in (self.x_train, self.y_train, self.x_val, self.y_val, self.x_test, self.y_test, *weights):
            whole.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()[:16]

    @property
    def told(self) -> DataFacts:
        """What a run's run.json says of it."""
        return DataFacts(
            self.name,
            self.digest,
            self.n_classes,
            self.shape,
            train=len(self.x_train),
            validation=len(self.x_val),
            test=len(self.x_test),
            file=self.file,
            preprocess=self.preprocess,
        )

    def summary(self) -> str:
        """One line for the user: rows, label, classes, features, what was done to them."""
        known = self.preprocess
        classes = f" ({_listed(known.classes)})" if known.classes else ""
        features = f" ({_listed(known.features)})" if known.features else f" of shape {self.shape}" if len(self.shape) > 1 else ""
        parts = [f"{len(self.x_train)} training, {len(self.x_val)} validation, {len(self.x_test)} test rows"]
        parts += [f"label {known.label!r}"] if known.label else []
        what = (
            f"{self.n_classes} classes{classes}" if self.task.name == "classes" else f"{self.task.name} of {self.n_classes} outputs"
        )
        parts += [what, f"{int(np.prod(self.shape))} features{features}"]
        scaled = set(known.mean) != {0.0} or set(known.deviation) != {1.0}
        how = "taken as they are" if not scaled else f"divided by {known.deviation[0]:g}"
        parts.append("standardised by the training rows" if known.standardised else how)
        return f"{self.name}: {'; '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN else f"{', '.join(names[:3])} ... {names[-1]}"


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """What was read, before it is checked, split and scaled.

    Attributes:
        x, y: rows and labels; the other parts where they are given, else None.
        w: weights of the rows of x; None: all count the same.
        features, label, left_out: names, where there are any.
        classes: names of the class numbers 0, 1, 2 ..., where labels are numbers; else they are the labels' own texts.
        scale: what values are divided by; None: they are standardised by the training rows.
        validation, test: shares of the parts that are drawn.
        notes: what was decided while it was read, for the user.
    """

    name: str
    x: Any
    y: Any
    x_val: Any = None
    y_val: Any = None
    x_test: Any = None
    y_test: Any = None
    features: tuple[str, ...] = ()
    label: str = ""
    left_out: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    scale: float | None = None
    validation: float = 0.2
    test: float = 0.2
    description: str = ""
    notes: tuple[str, ...] = ()
    w: Any = None


def require_exact(numbers: npt.NDArray[Any], name: str) -> None:
    """Raises DataError: whole numbers that float64 does not hold, such as nanoseconds since 1970: different ones would become one."""
    if numbers.dtype.kind not in "iu" or numbers.dtype.itemsize < 8:
        return
    lost = numbers.astype(np.float64).astype(object) != numbers
    if lost.any():
        raise DataError(
            f"{name}: {int(lost.sum())} whole numbers have more than the 53 bits of a float, first {numbers[lost].flat[0]}",
            hint="take away the smallest one first, for example t - t.min(); leave out numbers that only name a row",
        )


def check_rows(x: Any, name: str) -> npt.NDArray[Any]:
    """Features as finite floats: float32 where that holds every value of their type, else float64.

    Raises:
        DataError: no numbers, no rows, NaN, infinity or beyond float32 (with the column and how many rows).
    """
    try:
        if np.iscomplexobj(x):
            raise TypeError("they are complex")
        rows = np.asarray(x)
        require_exact(rows, name)
        narrow = np.can_cast(rows.dtype, np.float32)
        rows = rows.astype(np.float32 if narrow else np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: the features are no numbers: {error}", hint="drop or encode text columns first") from error
    if rows.ndim < 2 or not rows.size:
        raise DataError(
            f"{name}: expected rows of features, got an array of shape {rows.shape}", hint="x must be (rows, features...)"
        )
    bad = ~np.isfinite(rows) | (np.abs(rows) > np.finfo(np.float32).max)
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
        raise DataError(f"{name}: labels must be whole numbers or texts", hint=REGRESSION)
    # a label beyond the number of rows is an identifier or a defect, not a class; it would also make the counts below huge
    top = n_classes if n_classes is not None else min(int(labels.max()) + 1, rows)
    out = (labels < 0) | (labels >= top)
    if out.any():
        row = int(np.flatnonzero(out)[0])
        _require_classes(labels, name)
        raise DataError(
            f"{name}: label {int(labels[row])} in row {row} is out of range 0..{top - 1}", hint="encode the classes as 0, 1, 2 ..."
        )
    return labels.astype(np.int64)


def _require_classes(labels: npt.NDArray[Any], name: str) -> None:
    """Raises DataError: so many different numbers that they are no classes; called only where something is wrong with them anyway."""
    different = len(np.unique(labels))
    if different > MANY:
        raise DataError(
            f"{name}: {different} different labels in {len(labels)} rows are numbers rather than classes", hint=REGRESSION
        )


def numbered(parts: Sequence[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Label arrays whose texts are replaced by numbers, the same ones in all parts: places in the sorted list of all
    classes, which is returned; empty where labels are numbers."""
    arrays = [np.asarray(part) for part in parts]
    arrays = [_without_objects(a) if a.dtype.kind == "O" else a for a in arrays]
    if not any(a.dtype.kind in "US" for a in arrays):
        return arrays, ("False", "True") if all(a.dtype.kind == "b" and a.ndim == 1 for a in arrays) else ()
    arrays = [np.char.strip(a.astype(str)) for a in arrays]
    classes = np.unique(np.concatenate([a.ravel() for a in arrays]))
    return [np.searchsorted(classes, a) for a in arrays], tuple(map(str, classes))


def _without_objects(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Python objects as the numbers or texts that they are."""
    try:
        plain = np.array(labels.tolist())
    except ValueError:  # ragged
        return labels
    return plain if plain.dtype.kind in "biufUS" else labels.astype(str)


def split(raw: Raw, *, seed: int, rounded: bool = False, asked: Asked = CLASSIFY) -> Dataset:
    """Check, split by seed with equal class shares, and scale, as a rule by the training rows' mean and deviation.

    Validation and test rows that are given are kept as they are; the others are drawn from `x`.

    Args:
        rounded: bring values to float32 before they are scaled, as hwq 0.1.0 did.
        asked: whether classes are balanced.

    Raises:
        DataError: bad rows or labels, fewer than two classes, or a class with too few rows to split.
    """
    name = raw.name
    labelled, texts = numbered([part for part in (raw.y, raw.y_val, raw.y_test) if part is not None])
    y = labelled.pop(0)
    rows = check_rows(raw.x, name)
    labels = check_labels(y, len(rows), name)
    weights = check_weights(raw.w, len(rows), name)
    n_classes = _enough(labels, name, texts)
    given = {}
    for part, part_x, part_y in (("validation", raw.x_val, raw.y_val), ("test", raw.x_test, raw.y_test)):
        if part_x is not None and part_y is not None:
            given[part] = _given(f"{name}, {part} part", part_x, labelled.pop(0), rows, n_classes)
    if "test" not in given:
        rows, labels, weights, given["test"] = _draw(name, (rows, labels, weights), raw.test, seed)
    if "validation" not in given:
        rows, labels, weights, given["validation"] = _draw(name, (rows, labels, weights), raw.validation, seed)
    (val_rows, val_labels), (test_rows, test_labels) = given["validation"], given["test"]
    parts = [part.astype(np.float32) if rounded else part for part in (rows, val_rows, test_rows)]
    mean, deviation = standardising(parts[0]) if raw.scale is None else ((0.0,), (float(raw.scale),))
    classes = texts or raw.classes or tuple(map(str, range(n_classes)))
    known = Preprocess(raw.features, mean, deviation, raw.scale is None, classes, raw.label, raw.left_out)
    x_train, x_val, x_test = (known.apply(part) for part in parts)
    made = Dataset(name, x_train, labels, x_val, val_labels, x_test, test_labels, n_classes, raw.description, preprocess=known)
    weighted = asked.balanced or not (weights == 1).all()
    each = row_weights(labels if asked.balanced else None, weights) if weighted else None
    return replace(made, weights=each, task=Task.named("classes", asked.metric))


def checked(data: Dataset) -> Dataset:
    """A data set that was made elsewhere, by the same rules.

    Raises:
        DataError: as `check_rows` and `check_labels`.
    """
    train = _checked_part(data, "train", data.x_train, data.y_train)
    val = _checked_part(data, "val", data.x_val, data.y_val)
    test = _checked_part(data, "test", data.x_test, data.y_test)
    for part, (rows, _) in (("val", val), ("test", test)):
        if rows.shape[1:] != train[0].shape[1:]:
            raise DataError(f"{data.name}: x_{part} has rows of shape {rows.shape[1:]}, x_train {train[0].shape[1:]}")
    return replace(data, x_train=train[0], y_train=train[1], x_val=val[0], y_val=val[1], x_test=test[0], y_test=test[1])


def _checked_part(data: Dataset, part: str, x: FloatArray, y: LabelArray) -> tuple[FloatArray, LabelArray]:
    rows = check_rows(x, f"{data.name}, x_{part}").astype(np.float32)
    return rows, check_labels(y, len(rows), f"{data.name}, y_{part}", data.n_classes)


def _enough(labels: LabelArray, name: str, texts: Sequence[str]) -> int:
    """How many classes there are, each with rows enough to be split."""
    n_classes = int(labels.max()) + 1
    counts = np.bincount(labels, minlength=n_classes)
    if len(np.unique(labels)) == 1:
        one = texts[int(labels[0])] if texts else int(labels[0])
        raise DataError(
            f"{name}: all {len(labels)} rows are of one class, {one}; a classifier needs at least two",
            hint="is the label another column, or is this a part of a sorted table?",
        )
    if (counts < FEWEST).any():
        few = int(counts.argmin())
        if not texts:
            _require_classes(labels, name)
        hint = "number the classes 0, 1, 2 ... without gaps" if counts[few] == 0 else "merge or drop rare classes"
        called = f" ({texts[few]})" if texts else ""
        raise DataError(
            f"{name}: class {few}{called} has {counts[few]} rows; each of at least two classes needs {FEWEST}", hint=hint
        )
    return n_classes


def _given(name: str, x: Any, y: Any, rows: npt.NDArray[Any], n_classes: int) -> tuple[npt.NDArray[Any], LabelArray]:
    part = check_rows(x, name)
    if part.shape[1:] != rows.shape[1:]:
        raise DataError(f"{name}: rows of shape {part.shape[1:]}, but training rows of shape {rows.shape[1:]}")
    return part, check_labels(y, len(part), name, n_classes)


def _draw(
    name: str, whole: tuple[npt.NDArray[Any], LabelArray, npt.NDArray[Any]], share: float, seed: int
) -> tuple[npt.NDArray[Any], LabelArray, npt.NDArray[Any], tuple[npt.NDArray[Any], LabelArray]]:
    """What remains of rows, labels and weights, then a stratified share."""
    from sklearn.model_selection import train_test_split

    try:
        rows, labels, weights = whole
        found = train_test_split(rows, labels, weights, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        raise DataError(
            f"{name}: {len(rows)} rows of {int(labels.max()) + 1} classes are too few for a part of {share:.0%}",
            hint="more rows, fewer classes, or parts of your own: x_train, x_val, x_test",
        ) from error
    kept, drawn, kept_labels, drawn_labels, kept_weights, _ = found
    return kept, kept_labels, kept_weights, (drawn, drawn_labels)
