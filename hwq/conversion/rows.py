"""Rows of the user's training data, checked against the model that reads them. Nothing is scaled or quantised here.

A model of several inputs is given one array for each. In hwq they are one: the values of a row of each input, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops
from hwq.conversion.floats import Given
from hwq.errors import DataError
from hwq.layers import QCodes, QEmbedding
from hwq.layers.tracing import UNCHANGED
from hwq.tensors import Floats, Singles, Tensor

if TYPE_CHECKING:
    from keras import KerasTensor


def checked_rows(model: keras.Model, data: Given) -> Singles:
    """`data` as float32 (rows, *input shape); of several inputs (rows, values of all).

    Args:
        data: an array; for several inputs a list of arrays, in the order of the inputs, a dictionary by their names, or an
            array of all values.

    Raises:
        DataError: no real numbers, no rows, rows of another shape, NaN or infinity.
    """
    if len(model.inputs) == 1:
        return _checked(_only(data), tuple(model.inputs[0].shape[1:]), "the data")
    names = [tensor._keras_history[0].name for tensor in model.inputs]
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if isinstance(data, Mapping):
        missing = [name for name in names if name not in data]
        if missing:
            raise DataError(f"the data has no rows for the input {missing[0]!r}", hint=f"inputs: {', '.join(names)}")
        data = [data[name] for name in names]
    if not isinstance(data, (list, tuple)):
        return _checked(data, (sum(math.prod(shape) for shape in shapes),), "the data")
    if len(data) != len(names):
        raise DataError(f"the data has {len(data)} arrays, the model {len(names)} inputs", hint=f"inputs: {', '.join(names)}")
    parts = [_checked(one, shape, f"the data of {name!r}") for one, shape, name in zip(data, shapes, names, strict=True)]
    if len({len(part) for part in parts}) > 1:
        raise DataError(f"the inputs have {', '.join(str(len(part)) for part in parts)} rows", hint="give as many of each")
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _only(data: Given) -> Given:
    """The array of a dictionary of one."""
    return next(iter(data.values())) if isinstance(data, Mapping) and len(data) == 1 else data


def _checked(data: npt.ArrayLike, shape: tuple[int, ...], whose: str) -> Singles:
    try:
        if np.iscomplexobj(data):
            raise TypeError("they are complex")
        rows = np.asarray(data, np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(f"{whose} must be numbers, all rows of one length: {error}", hint="clean the rows first") from error
    if not rows.size:
        raise DataError(f"{whose} has no rows", hint="give (rows, ...) of training data")
    if rows.shape[1:] != shape:
        raise DataError(
            f"{whose} has rows of shape {rows.shape[1:]}, the model reads {shape}", hint="give (rows, ...) of training data"
        )
    if not np.isfinite(rows).all():
        raise DataError(f"{whose} has NaN or infinity", hint="clean the rows first")
    return rows


def check_codes(model: keras.Model, rows: Floats | Singles) -> None:
    """Refuse rows that are no codes where an Embedding reads an input.

    Raises:
        DataError: names the layer.
    """
    starts = np.cumsum([0, *(math.prod(t.shape[1:]) for t in model.inputs)])
    places = {id(t): slice(int(a), int(b)) for t, a, b in zip(model.inputs, starts, starts[1:], strict=False)}
    flat: Floats = np.asarray(rows, np.float64).reshape(len(rows), -1)
    for layer in model.layers:
        source = input_of_codes(layer)
        if source is None or id(source) not in places:
            continue
        codes, most = flat[:, places[id(source)]], cast(QCodes, layer).count - 1
        wrong = (codes != np.floor(codes)) | (codes < 0) | (codes > most)
        if wrong.any():
            raise DataError(
                f"the rows are codes of layer {layer.name!r}: whole numbers from 0 to {most}, not {float(codes[wrong][0]):g}",
                hint="take rows as they are, neither scaled nor standardised; of hwq train --unscaled",
            )


def input_of_codes(layer: keras.layers.Layer) -> KerasTensor | None:
    """The tensor whose rows a layer takes for codes, what only hands them on looked through; None for other layers."""
    if not isinstance(layer, (QCodes, QEmbedding)):
        return None
    source = layer._inbound_nodes[0].input_tensors[0]
    while type(source._keras_history[0]).__name__ in UNCHANGED:
        maker, index, _ = source._keras_history
        source = maker._inbound_nodes[index].input_tensors[0]
    return source


def answers_of(model: keras.Model, rows: Singles | Floats | Tensor) -> Tensor:
    """The model's answers to rows of `checked_rows`, at inference; those of several outputs one after the other, (rows, values)."""
    outputs = keras.tree.flatten(model(_fed(model, rows), training=False))
    return outputs[0] if len(outputs) == 1 else ops.concatenate([ops.reshape(y, (y.shape[0], -1)) for y in outputs], axis=1)


def _fed(model: keras.Model, rows: Given) -> Given:
    """Rows in the structure in which the model takes them."""
    if len(model.inputs) == 1:
        return rows
    parts, start = [], 0
    for tensor in model.inputs:
        size = math.prod(tensor.shape[1:])
        parts.append(ops.reshape(rows[:, start : start + size], (-1, *tensor.shape[1:])))
        start += size
    struct = getattr(model, "_inputs_struct", None)
    return parts if struct is None else keras.tree.pack_sequence_as(struct, parts)
