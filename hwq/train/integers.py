"""A twin of `hwq.quantize`, trained or not, to its integer Graph, outside a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError, ModelError
from hwq.frontend.keras import from_keras
from hwq.ir import Graph
from hwq.train.freeze import freeze
from hwq.train.layers import quantized_layers

RANGE_MARGIN = 1.125  # as the trainer's


def graph_of_twin(model: Any, data: npt.ArrayLike | None) -> Graph:
    """The design's Graph.

    Args:
        model: a twin, or a frozen model, which needs no data.
        data: rows (rows, *input shape) on which the integer bits of activations are chosen.

    Raises:
        ModelError: no twin, or one without data.
        DataError: rows that do not fit, NaN or infinity.
    """
    layers = quantized_layers(model)
    if not layers:
        raise ModelError(
            "the model has no quantised layer", hint="quantise it first: twin, report = hwq.quantize(model, data=rows)"
        )
    if all(layer.exact for layer in layers):
        return from_keras(model)[0]
    if data is None:
        raise ModelError("a twin needs rows to choose its integer bits from", hint="hwq.compile(twin, data=training_rows)")
    rows = np.asarray(data, np.float32)
    shape = tuple(model.inputs[0].shape[1:])
    if rows.ndim < 2 or not len(rows) or rows.shape[1:] != shape or not np.isfinite(rows).all():
        raise DataError(f"data must be finite rows of shape {shape}, not {rows.shape[1:]}", hint="clean the rows first")
    # float64: no range is rounded on the way, whatever the widths
    return from_keras(freeze(model, rows, RANGE_MARGIN, "float64"))[0]
