"""Targets that are no class numbers: one yes or no, several, numbers, the row itself. Checked, split, and scaled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.data.dataset import Dataset, Raw, check_rows, numbered
from hwq.data.preprocess import Preprocess, standardising
from hwq.data.task import Asked, Task
from hwq.data.weights import check_weights, row_weights
from hwq.errors import DataError
from hwq.tensors import Numbers

DataPart = tuple[Numbers, Numbers, Numbers]  # rows, targets, weights


def task_of(y: Any) -> str:
    """What labels look like: texts and whole numbers are classes, columns of 0 and 1 many labels, other numbers a regression."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iufb":
        return "classes"
    if labels.ndim == 2 and np.isin(labels, (0, 1)).all():
        return "classes" if (labels.sum(axis=1) == 1).all() else "multilabel"
    if labels.ndim == 2:
        return "regression"
    return (
        "regression" if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels != np.floor(labels)).any() else "classes"
    )


def split_targets(raw: Raw, asked: Asked, *, seed: int) -> Dataset:
    """As `hwq.data.dataset.split`, of a task other than classes.

    A reconstruction is trained on rows of label 0; labels of validation and test rows say which are to be found by its error.

    Raises:
        DataError: bad rows or targets.
    """
    given = [part for part in (raw.y, raw.y_val, raw.y_test) if part is not None]
    parts, texts = (given, ()) if asked.task in ("regression", "multilabel") else numbered(given)
    whole = _part(raw, raw.name, raw.x, parts.pop(0), asked)
    drawn: dict[str, DataPart] = {}
    for name, x, y in (("validation", raw.x_val, raw.y_val), ("test", raw.x_test, raw.y_test)):
        if x is not None and y is not None:
            drawn[name] = _part(replace(raw, w=None), f"{raw.name}, {name} part", x, parts.pop(0), asked)
    for name, share in (("test", raw.test), ("validation", raw.validation)):
        if name not in drawn:
            whole, drawn[name] = _draw(raw.name, whole, share, seed, stratified=asked.task in ("binary", "reconstruction"))
    train, val, test = whole, drawn["validation"], drawn["test"]
    if asked.task == "reconstruction":
        train = tuple(part[train[1] == 0] for part in train)
        if not len(train[0]):
            raise DataError(
                f"{raw.name}: no row has label 0", hint="a reconstruction is trained on rows of label 0, the normal ones"
            )
    return _scaled(raw, asked, (train, val, test), texts)


def _scaled(raw: Raw, asked: Asked, parts: tuple[DataPart, DataPart, DataPart], texts: tuple[str, ...]) -> Dataset:
    mean, deviation = standardising(parts[0][0]) if raw.scale is None else ((0.0,), (float(raw.scale),))
    known = Preprocess(raw.features, mean, deviation, raw.scale is None, texts, raw.label, raw.left_out)
    xs = [known.apply(x) for x, _, _ in parts]
    ys = [y for _, y, _ in parts]
    unit: tuple[float, ...] = ()
    if asked.task == "regression":
        target_mean, unit = standardising(ys[0])
        known = replace(known, target_mean=target_mean, target_deviation=unit)
        ys = [((y - np.array(target_mean)) / np.array(unit)).astype(np.float32) for y in ys]
    metric = asked.metric
    if asked.task == "reconstruction":
        metric = metric or ("auc" if all(len(np.unique(y)) == 2 for y in ys[1:]) else "")
        flat = [x.reshape(len(x), -1) for x in xs]
        labelled = any(y.any() for y in ys)
        ys = [np.concatenate([x, y[:, None]], axis=1).astype(np.float32) if labelled else x for x, y in zip(flat, ys, strict=True)]
        outputs = flat[0].shape[1]
    else:
        outputs = 1 if asked.task == "binary" else ys[0].shape[1]
    weights = _weights(parts[0], asked)
    return Dataset(
        raw.name, xs[0], ys[0], xs[1], ys[1], xs[2], ys[2], outputs, raw.description, preprocess=known,
        task=Task.named(asked.task, metric, unit), weights=weights,
    )  # fmt: skip


def _weights(train: DataPart, asked: Asked) -> npt.NDArray[np.float32] | None:
    _, y, w = train
    if not asked.balanced and (w == 1).all():
        return None
    return row_weights(y if asked.balanced and y.ndim == 1 else None, w)


def _part(raw: Raw, name: str, x: Any, y: Any, asked: Asked) -> DataPart:
    rows = check_rows(x, name)
    return rows, _targets(y, len(rows), name, asked.task), check_weights(raw.w, len(rows), name)


def _targets(y: Any, rows: int, name: str, task: str) -> Numbers:
    """Targets of a task: (rows,) whole numbers for binary and reconstruction, else (rows, outputs)."""
    try:
        found = np.asarray(y, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: the targets are no numbers: {error}", hint="--task classes takes texts") from error
    if found.ndim == 2 and found.shape[1] == 1 and task in ("binary", "reconstruction"):
        found = found[:, 0]
    if found.ndim == 1 and task in ("multilabel", "regression"):
        found = found[:, None]
    if len(found) != rows or found.ndim != (1 if task in ("binary", "reconstruction") else 2):
        raise DataError(
            f"{name}: {rows} rows but targets of shape {found.shape}", hint=f"--task {task} takes one line of them a row"
        )
    if not np.isfinite(found).all():
        raise DataError(f"{name}: NaN or infinity among the targets", hint="drop those rows first")
    if task != "regression" and not np.isin(found, (0, 1)).all():
        other = found[~np.isin(found, (0, 1))].flat[0]
        hint = "one yes or no: encode it as 0 and 1" if task == "binary" else "encode labels as 0 and 1"
        raise DataError(f"{name}: {task} takes targets of 0 and 1, not {other:g}", hint=hint)
    if task == "binary" and len(np.unique(found)) < 2:
        raise DataError(f"{name}: all {rows} rows have the label {found[0]:g}", hint="is the label another column?")
    return (
        found.astype(np.int64)
        if task in ("binary", "reconstruction")
        else found.astype(np.float32 if task == "multilabel" else np.float64)
    )


def _draw(name: str, whole: DataPart, share: float, seed: int, *, stratified: bool) -> tuple[DataPart, DataPart]:
    """What remains, and a share of it."""
    from sklearn.model_selection import train_test_split

    labels = whole[1] if stratified and len(np.unique(whole[1])) > 1 else None
    try:
        found = train_test_split(*whole, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        raise DataError(
            f"{name}: {len(whole[0])} rows are too few for a part of {share:.0%}",
            hint="more rows, or parts of your own: x_train, x_val, x_test",
        ) from error
    kept, drawn = tuple(found[::2]), tuple(found[1::2])
    return kept, drawn
