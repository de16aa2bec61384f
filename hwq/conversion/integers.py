"""A twin of `hwq.quantize`, trained or not, to its integer Graph, outside a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt

from hwq.backend import keras
from hwq.conversion.freeze import freeze, logits, without_softmax
from hwq.conversion.rows import checked_rows
from hwq.errors import ModelError
from hwq.frontend.keras import from_keras
from hwq.ir import Graph
from hwq.layers import quantized_layers
from hwq.tensors import Floats, Singles

RANGE_MARGIN = 1.125  # as the trainer's


@dataclass(frozen=True, slots=True)
class TwinGraph:
    """A twin read into integers.

    Attributes:
        graph: the design.
        rows: the data as Keras reads it; None for a frozen model without data.
        logits: whether a softmax at the end of the model is not in the design.
        frozen: whether the model computed as a design does already.
        own, exact: the model without that softmax, and its frozen form in float64.
    """

    graph: Graph
    rows: Singles | None
    logits: bool
    frozen: bool
    own: keras.Model
    exact: keras.Model

    def answers(self, rows: Singles, *, exact: bool = False) -> Floats:
        """What Keras answers: the model itself, or its `exact` frozen form."""
        return logits(self.exact if exact else self.own, rows)


def graph_of_twin(model: keras.Model, data: npt.ArrayLike | None) -> TwinGraph:
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
        raise ModelError("the model has no quantised layer", hint="quantise it first: twin = hwq.quantize(model, data=rows)")
    frozen = all(layer.exact for layer in layers)
    if data is None and not frozen:
        raise ModelError("a twin needs rows to choose its integer bits from", hint="hwq.compile(twin, data=training_rows)")
    rows = None if data is None else checked_rows(model, data)
    own = without_softmax(model)
    # float64: no range is rounded on the way, whatever the widths
    exact = own if frozen or rows is None else freeze(model, rows, RANGE_MARGIN, "float64")
    return TwinGraph(from_keras(exact)[0], rows, own is not model, frozen, own, exact)
