"""A plain Keras model that computes a Graph: layers and operations of Keras alone, so that `import keras` is enough to load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwq.backend import keras, ops
from hwq.exporters.exactness import DOUBLE, SINGLE, bits_of_nodes, require_bits
from hwq.exporters.keras_layers import WRITERS, KerasWriter
from hwq.exporters.program import FloatProgram, program_of, writer_of
from hwq.ir import Graph
from hwq.tensors import Floats

ROWS = 500  # at once


def write(graph: Graph, path: Path) -> tuple[str, ...]:
    """Write the file; what to know of it.

    Raises:
        UnsupportedLayerError: numbers that no float of the file holds.
    """
    kind = "float32" if max(bits_of_nodes(graph).values()) <= SINGLE else "float64"
    if kind == "float64":
        require_bits(graph, DOUBLE, "the file has floats")
    model = model_of(program_of(graph), kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return () if kind == "float32" else ("its numbers are float64: float32 does not hold the longest of them",)


def model_of(program: FloatProgram, kind: str) -> keras.Model:
    """The model, with its weights."""
    writer = KerasWriter(kind)
    for operation in program.operations:
        if operation.op == "input":
            made: Any = keras.Input(operation.shape, name=operation.name, dtype=kind)
        else:
            made = writer_of(WRITERS, operation, "Keras")(writer, operation)
        writer.tensors[operation.name] = made
    ends = [[writer.tensors[name] for name in names] for names in (program.inputs, program.outputs)]
    inputs, outputs = (one[0] if len(one) == 1 else one for one in ends)
    model = keras.Model(inputs, outputs, name="hwq")
    for layer, weights in writer.weights:
        layer.set_weights(weights)
    return model


def execute(graph: Graph, path: Path, rows: list[Floats]) -> tuple[str, Floats]:
    """(who executed it, its answers (rows, elements)): the file as Keras alone loads it."""
    model = keras.saving.load_model(path, compile=False)
    kind = model.inputs[0].dtype
    found = []
    for start in range(0, len(rows[0]), ROWS):
        given = [np.asarray(part[start : start + ROWS], kind) for part in rows]
        answers = model(given[0] if len(given) == 1 else given)
        several = answers if isinstance(answers, (list, tuple)) else [answers]
        flat = [np.asarray(ops.convert_to_numpy(one), np.float64).reshape(len(given[0]), -1) for one in several]
        found.append(np.concatenate(flat, axis=1))
    return "Keras", np.concatenate(found)
