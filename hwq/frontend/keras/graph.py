"""from_keras: a frozen Keras model to a verified Graph, with a reader for every layer."""

from __future__ import annotations

from typing import Any

from hwq.errors import ModelError
from hwq.frontend.keras.own import READERS
from hwq.frontend.keras.reader import Reader
from hwq.frontend.report import ConversionReport
from hwq.ir import Graph, Node, verify


def from_keras(model: Any) -> tuple[Graph, ConversionReport]:
    """Read a frozen model.

    Raises:
        UnsupportedLayerError: a layer without an integer form, by name.
        ModelError: an input that is quantised in two ways, or not at all.
    """
    reader = Reader(READERS)
    outputs = reader.tensors(model.outputs)
    nodes = [node for node in outputs if isinstance(node, Node)]
    if len(nodes) != len(outputs):
        raise ModelError("the model has no quantised layer", hint="quantise it first (hwq.quantize)")
    outputs_once: list[str] = []
    for node in nodes:  # a design answers each node once: the same one again is another node
        outputs_once.append(node.name if node.name not in outputs_once else reader.reshape_again(node).name)
    wanted = [tensor._keras_history[0].name for tensor in model.inputs]
    unread = [name for name in wanted if name not in reader.inputs]
    if unread:
        raise ModelError(f"nothing reads the input {unread[0]!r}", hint="leave it out of the model")
    first = [reader.inputs[name] for name in wanted]
    rest = [node for node in reader.nodes if node.op != "input"]
    graph = verify(Graph((*first, *rest), tuple(node.name for node in first), tuple(outputs_once)))
    return graph, ConversionReport(tuple(dict.fromkeys(reader.converted)), ())
