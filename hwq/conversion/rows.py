"""Rows of the user's training data, checked against the model that reads them. Nothing is scaled or quantised here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.backend import keras
from hwq.errors import DataError
from hwq.tensors import Singles


def checked_rows(model: keras.Model, data: npt.ArrayLike) -> Singles:
    """`data` as float32 (rows, *input shape).

    Raises:
        DataError: no real numbers, no rows, rows of another shape, NaN or infinity.
    """
    shape = tuple(model.inputs[0].shape[1:])
    try:
        if np.iscomplexobj(data):
            raise TypeError("they are complex")
        rows = np.asarray(data, np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(f"the data must be numbers, all rows of one length: {error}", hint="clean the rows first") from error
    if not rows.size:
        raise DataError("the data has no rows", hint="give (rows, ...) of training data")
    if rows.shape[1:] != shape:
        raise DataError(
            f"the data has rows of shape {rows.shape[1:]}, the model reads {shape}", hint="give (rows, ...) of training data"
        )
    if not np.isfinite(rows).all():
        raise DataError("the data has NaN or infinity", hint="clean the rows first")
    return rows
