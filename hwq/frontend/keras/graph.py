"""from_keras: a frozen Keras model to a verified Graph, with a reader for every layer."""

from __future__ import annotations

from typing import Any

from hwq.errors import ModelError
from hwq.frontend.keras import elementwise, linear, movement
from hwq.frontend.keras.reader import Reader
from hwq.frontend.report import ConversionReport
from hwq.ir import Graph, verify

READERS = {**linear.READERS, **elementwise.READERS, **movement.READERS}


def from_keras(model: Any) -> tuple[Graph, ConversionReport]:
    """Read a frozen model.

    Raises:
        UnsupportedLayerError: a layer without an integer form, by name.
        ModelError: an input that is quantised in two ways, or not at all.
    """
    reader = Reader(READERS)
    output = reader.tensor(model.outputs[0])
    if output is None:
        raise ModelError("the model has no quantised layer", hint="quantise it first (hwq.quantize)")
    inputs = tuple(node.name for node in reader.nodes if node.op == "input")
    graph = verify(Graph(tuple(reader.nodes), inputs, (output.name,)))
    return graph, ConversionReport(tuple(dict.fromkeys(reader.converted)), ())
