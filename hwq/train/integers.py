"""A twin of `hwq.quantize`, trained or not, to its integer Graph, outside a run, and the comparison of both on its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError, MismatchError, ModelError
from hwq.frontend.keras import from_keras
from hwq.ir import FLOAT64_BITS, Graph
from hwq.sim.compare import Comparison, compare, mantissas_of
from hwq.sim.reference import evaluate, quantize_inputs
from hwq.train.freeze import freeze, outputs, without_softmax
from hwq.train.layers import quantized_layers

RANGE_MARGIN = 1.125  # as the trainer's
COMPARED_VALUES = 1 << 27  # numbers of the graph that are computed for the comparison, at most
PIECE_VALUES = 1 << 24  # at once
LOGITS = "the outputs are logits: the softmax at the end of the network is not in the design, the argmax is the same without it"


@dataclass(frozen=True, slots=True)
class TwinGraph:
    """A twin read into integers.

    Attributes:
        graph: the design.
        comparison: Keras' own answers with those of the graph; None for a frozen model without data.
        notes: what to know of the design, or of a difference.
    """

    graph: Graph
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()


def graph_of_twin(model: Any, data: npt.ArrayLike | None) -> TwinGraph:
    """The design's Graph, compared with the model on `data`.

    Args:
        model: a twin, or a frozen model, which needs no data.
        data: rows (rows, *input shape) on which the integer bits of activations are chosen.

    Raises:
        ModelError: no twin, or one without data.
        DataError: rows that do not fit, NaN or infinity.
        MismatchError: Keras computes the design exactly, and the graph answers otherwise: a fault of hwq.
    """
    layers = quantized_layers(model)
    if not layers:
        raise ModelError(
            "the model has no quantised layer", hint="quantise it first: twin, report = hwq.quantize(model, data=rows)"
        )
    frozen = all(layer.exact for layer in layers)
    if data is None and not frozen:
        raise ModelError("a twin needs rows to choose its integer bits from", hint="hwq.compile(twin, data=training_rows)")
    rows = None if data is None else _rows(model, data)
    logits = without_softmax(model)
    notes = () if logits is model else (LOGITS,)
    # float64: no range is rounded on the way, whatever the widths
    exact = model if frozen or rows is None else freeze(model, rows, RANGE_MARGIN, "float64")
    graph = from_keras(without_softmax(exact))[0]
    if rows is None:
        return TwinGraph(graph, None, notes)
    rows = rows[: max(64, COMPARED_VALUES // sum(node.type.size for node in graph.nodes))]
    found = _compared(logits, graph, rows, "Keras")
    if found.mismatches and not frozen:
        checked = _compared(exact, graph, rows, "frozen Keras in float64")
        if checked.mismatches and graph.widest <= FLOAT64_BITS:
            raise MismatchError(str(checked), hint="this is a fault of hwq: please report it with the model")
        notes += (_reason(found, graph),)
    return TwinGraph(graph, found, notes)


def _compared(model: Any, graph: Graph, rows: npt.NDArray[np.float32], name: str) -> Comparison:
    """By integer equality, at the steps of the graph's outputs."""
    step = max(1, PIECE_VALUES // sum(node.type.size for node in graph.nodes))
    parts = [evaluate(graph, quantize_inputs(graph, rows[i : i + step])) for i in range(0, len(rows), step)]
    return compare(graph, name, mantissas_of(outputs(model, rows), graph), "integer graph", np.concatenate(parts))


def _reason(found: Comparison, graph: Graph) -> str:
    share = f"Keras differs from the design in {found.mismatches} of {found.samples * graph.output_size} values"
    if graph.widest > FLOAT64_BITS:
        return f"{share}: its numbers of up to {graph.widest} bits fit no float; the design computes them exactly"
    return f"{share}: it computes in float32, and the design has numbers of {graph.widest} bits, which it computes exactly"


def _rows(model: Any, data: npt.ArrayLike) -> npt.NDArray[np.float32]:
    rows = np.asarray(data, np.float32)
    shape = tuple(model.inputs[0].shape[1:])
    if rows.ndim < 2 or not len(rows) or rows.shape[1:] != shape or not np.isfinite(rows).all():
        raise DataError(f"data must be finite rows of shape {shape}, not {rows.shape[1:]}", hint="clean the rows first")
    return rows
