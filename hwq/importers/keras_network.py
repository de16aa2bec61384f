"""A Keras file of a peer to a Graph: the walk over its layers, the same for every peer. What a layer means is in the peer's own file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import FixedType, TypeArray
from hwq.importers import keras_layers
from hwq.importers.builder import Builder, Signal, StoredReader, uniform
from hwq.importers.keras_files import KerasFile
from hwq.importers.report import EXACT, LEFT_OUT, ROUNDED, TABLE, ImportedNetwork, ImportReport, Layer
from hwq.ir import Graph, verify

LOGITS = "the outputs are logits: the softmax at the end is not in the design, the argmax is the same without it"


def graph_of(file: KerasFile, readers: Mapping[str, StoredReader], peer: str, given: FixedType | None = None) -> ImportedNetwork:
    """Read every layer of a file.

    Args:
        readers: class name -> reader, besides Keras' own layers.
        peer: the name of the format, for the report.
        given: the type of each of the input's numbers; None for what the file's quantisers ask of it.

    Raises:
        UnsupportedLayerError: names every layer that has no exact form here.
        ModelError: the file is damaged, or has no quantised layer.
    """
    known = {**keras_layers.READERS, **readers}
    _require_known(file, known, peer)
    start = None if given is None else uniform(given, input_shape(file))
    builder, graph, softmax = _pass(file, known, start)
    serving = builder.serving() if start is None else None
    if serving is not None:
        builder, graph, softmax = _pass(file, known, serving)
    if not any(node.op not in ("input", "reshape", "permute", "concatenate", "pad") for node in builder.nodes):
        raise ModelError("the file has no layer that computes", hint="is it the trained network?")
    layers = []
    for layer in file.layers:
        out = layer.name in softmax or layer.kind in keras_layers.IDLE
        made = TABLE if layer.name in builder.tables else ROUNDED if layer.name in builder.rounded else EXACT
        how = LEFT_OUT if out else made
        note = "a softmax of floats at the output" if layer.name in softmax else builder.rounded.get(layer.name, "")
        layers.append(Layer(layer.name, layer.kind, how, note))
    notes = ["ranges are those of the file: none was traced on data"]
    if given is not None:
        notes.append(f"the input is {given}, as it was asked for")
    if softmax:
        notes.append(LOGITS)
    if serving is not None:
        notes.append(
            "several quantisers read the network's input: the design takes one number for each feature that serves all of them"
        )
    return ImportedNetwork(graph, ImportReport(peer, tuple(layers), tuple(notes)))


def softmax_of(file: KerasFile) -> frozenset[str]:
    """The layers at the outputs that are a softmax of floats, and that no other layer reads."""
    read = {name for layer in file.layers for name in layer.sources}
    ends = set(file.outputs) - read
    return frozenset(layer.name for layer in file.layers if layer.name in ends and keras_layers.is_softmax(layer))


def input_shape(file: KerasFile) -> tuple[int, ...]:
    """The shape of a row of the one input.

    Raises:
        UnsupportedLayerError: several inputs.
        ModelError: the file does not tell.
    """
    inputs = [layer for layer in file.layers if layer.kind == "InputLayer"]
    if len(inputs) != 1:
        raise UnsupportedLayerError(f"the network has {len(inputs)} inputs", hint="join them to one in front of the network")
    shape = inputs[0].config.get("batch_shape") or inputs[0].config.get("batch_input_shape")
    if not shape or any(n is None for n in shape[1:]):
        raise ModelError(f"the file does not tell the shape of the input: {shape}")
    return tuple(int(n) for n in shape[1:])


def _pass(file: KerasFile, readers: Mapping[str, StoredReader], given: TypeArray | None) -> tuple[Builder, Graph, frozenset[str]]:
    shape = input_shape(file)
    builder = Builder(shape, given)
    softmax = softmax_of(file)
    values: dict[str, Signal] = {next(layer.name for layer in file.layers if layer.kind == "InputLayer"): builder.start()}
    for layer in file.layers:
        if layer.name in values:
            continue
        missing = [name for name in layer.sources if name not in values]
        if missing or not layer.sources:
            raise ModelError(f"layer {layer.name!r} reads {missing or 'nothing'}, which the file does not list before it")
        if layer.config.get("data_format") == "channels_first":
            raise UnsupportedLayerError(f"layer {layer.name!r} has its channels first", hint="channels_last")
        inner = [values[name] for name in layer.sources]
        values[layer.name] = inner[0] if layer.name in softmax else readers[layer.kind](builder, layer, inner)
    outputs = tuple(builder.node(name, values[name]).name for name in file.outputs)
    ins = tuple(node.name for node in builder.nodes if node.op == "input")
    graph = Graph(tuple(builder.nodes), ins, outputs)
    # at a first reading every quantiser of the input has an input of its own: no graph yet
    return builder, verify(graph) if given is not None or builder.serving() is None else graph, softmax


def _require_known(file: KerasFile, readers: Mapping[str, StoredReader], peer: str) -> None:
    softmax = softmax_of(file)
    others = [
        layer for layer in file.layers if layer.kind not in readers and layer.kind != "InputLayer" and layer.name not in softmax
    ]
    if not others:
        return
    kinds = sorted({layer.kind for layer in others})
    told = ", ".join(f"{layer.name!r} ({layer.kind})" for layer in others[:8]) + (" ..." if len(others) > 8 else "")
    near = difflib.get_close_matches(kinds[0], readers, n=1)
    hint = f"{peer} layers that are read: {', '.join(sorted(readers))}"
    if "Lambda" in kinds:
        hint = "hwq runs no code of a file: write a Lambda as a layer of its own"
    elif near:
        hint = f"the nearest is {near[0]}; {hint}"
    raise UnsupportedLayerError(f"refused: {told}", hint=hint)
