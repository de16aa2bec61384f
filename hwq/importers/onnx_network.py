"""A list of ONNX nodes as a Graph. Where the nodes come from is elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import FixedType, TypeArray
from hwq.importers.builder import Builder, Signal, uniform
from hwq.importers.forms import recognised
from hwq.importers.joined import joined
from hwq.importers.qonnx_ops import READERS
from hwq.importers.report import EXACT, LEFT_OUT, TABLE, ImportedNetwork, ImportReport, Layer
from hwq.importers.walk import INTERNAL, OnnxNode, Walk
from hwq.ir import Graph, Node, verify
from hwq.tensors import Numbers

LOGITS = "the outputs are logits: the softmax at the end is not in the design, the argmax is the same without it"


@dataclass(frozen=True, slots=True)
class NodeList:
    """What a file holds.

    Attributes:
        format: of the file.
        input: its name and the shape of a row.
        outputs: their names.
        quantized: constants that are meant as they are, however many bits they have.
    """

    format: str
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Signal | Numbers]
    input: tuple[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    quantized: Collection[str] = ()


def network_of(told: NodeList, given: FixedType | None) -> ImportedNetwork:
    """The network of a file's nodes.

    Args:
        given: the type of each of the input's numbers; None for what the file's quantisers ask of it.

    Raises:
        ModelError: nodes that do not fit together, or a network that computes nothing.
        UnsupportedLayerError: names every node that has no exact form here.
    """
    outputs, (name, shape) = told.outputs, told.input
    read = {name for node in told.nodes for name in node.inputs}
    ends = {out for n in told.nodes if n.op in ("Softmax", "LogSoftmax") for out in n.outputs if out in outputs and out not in read}
    known = READERS.keys() - INTERNAL
    others = [n for n in told.nodes if n.op not in known and not ends.intersection(n.outputs)]
    if others:
        listed = ", ".join(f"{n.name!r} ({n.op})" for n in others[:8]) + (" ..." if len(others) > 8 else "")
        raise UnsupportedLayerError(f"refused: {listed}", hint=f"operations that are read: {', '.join(sorted(known))}")
    nodes = recognised(told.nodes, told.constants, outputs)
    uses = Counter([name for node in nodes for name in node.inputs] + list(outputs))

    def walked(given: TypeArray | None) -> tuple[Builder, tuple[str, ...]]:
        walk = Walk(Builder(shape, given), dict(told.constants), quantized=set(told.quantized), uses=uses)
        walk.values[name] = walk.builder.start()
        for node in nodes:
            if ends.intersection(node.outputs):
                walk.values[node.outputs[0]] = walk.get(node, 0)
            else:
                walk.values[node.outputs[0]] = READERS[node.op](node, walk)
        if codes := [out for out in outputs if out in walk.steps]:
            raise UnsupportedLayerError(f"the output {codes[0]!r} holds codes", hint="end the network in a DequantizeLinear")
        found = [walk.values[out] for out in outputs]
        return walk.builder, tuple(walk.builder.node("output", v).name for v in found if isinstance(v, Signal))

    start = None if given is None else uniform(given, shape)
    builder, last = walked(start)
    serving = builder.serving() if start is None else None
    if serving is not None:
        builder, last = walked(serving)
    kept = _read(builder.nodes, last)
    inputs = tuple(node.name for node in kept if node.op == "input")
    if not last or not inputs:
        raise ModelError("the file computes nothing from its input", hint="is it the network, or a part of it?")
    graph = verify(joined(Graph(kept, inputs, last)))
    layers = [Layer(n.name, n.op, _how(n, builder, ends)) for n in told.nodes]
    notes = ["ranges are those of the file: none was traced on data", *([LOGITS] if ends else [])]
    if given is not None:
        notes.append(f"the input is {given}, as it was asked for")
    return ImportedNetwork(graph, ImportReport(told.format, tuple(layers), tuple(notes)))


def _read(nodes: list[Node], last: tuple[str, ...]) -> tuple[Node, ...]:
    """Those that lead to an output; inputs are kept."""
    read = set(last)
    for node in reversed(nodes):
        if node.name in read:
            read.update(node.inputs)
    return tuple(node for node in nodes if node.name in read or node.op == "input")


def _how(node: OnnxNode, builder: Builder, ends: set[str]) -> str:
    return LEFT_OUT if ends.intersection(node.outputs) else TABLE if node.name in builder.tables else EXACT
