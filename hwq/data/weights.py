"""Weights of rows: of the user's own, and those that give each class the same weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError
from hwq.tensors import Numbers


def row_weights(labels: Numbers | None, w: Numbers) -> npt.NDArray[np.float32]:
    """The weight of each training row, 1 on average; each class the same in sum where `labels` are given."""
    weights = w.astype(np.float64)
    if labels is not None:
        counts = np.bincount(labels, weights)
        weights = weights / counts[labels]
    return np.asarray(weights * (len(weights) / weights.sum()), np.float32)


def check_weights(w: Any, rows: int, name: str) -> Numbers:
    """One finite weight a row, none negative.

    Raises:
        DataError: others.
    """
    if w is None:
        return np.ones(rows)
    weights = np.asarray(w)
    if weights.shape != (rows,) or weights.dtype.kind not in "biuf" or not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError(f"{name}: weights must be one number a row, none negative", hint="name another column")
    if not weights.any():
        raise DataError(f"{name}: all weights are zero", hint="name another column")
    return weights.astype(np.float64)
