"""What every layer of a float Keras model answers on rows, to be laid beside a design's values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops
from hwq.errors import ModelError
from hwq.tensors import Floats

ROWS = 1024  # at once


def layer_outputs(model: keras.Model, x: npt.ArrayLike) -> dict[str, Floats]:
    """By the name of each layer that has one output: (rows, *shape).

    Args:
        x: (rows, *input shape).

    Raises:
        ModelError: not a functional or sequential model that is built.
    """
    try:
        found = {layer.name: layer.output for layer in model.layers if not isinstance(layer.output, (list, tuple))}
        inner = keras.Model(model.inputs, list(found.values()))
    except (AttributeError, ValueError) as error:
        raise ModelError(
            f"cannot look into the model: {error}", hint="give a functional or sequential model that is built"
        ) from error
    rows = np.asarray(x, np.float32)
    parts = [inner(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]
    several = [part if isinstance(part, (list, tuple)) else [part] for part in parts]
    joined = (np.concatenate([ops.convert_to_numpy(part[k]) for part in several]) for k in range(len(found)))
    return {name: np.asarray(values, np.float64) for name, values in zip(found, joined, strict=True)}
