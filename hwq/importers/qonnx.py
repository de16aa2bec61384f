"""ONNX and QONNX files whose quantisers have powers of two as steps. Other steps, training and control flow stay out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import FixedType, TypeArray
from hwq.importers.builder import Builder, Signal, uniform
from hwq.importers.keras_files import REAL
from hwq.importers.report import EXACT, LEFT_OUT, TABLE, ImportedNetwork, ImportReport, Layer, one_line
from hwq.ir import Graph, verify

Array = npt.NDArray[Any]
Reader = Callable[["OnnxNode", "Walk"], "Signal | Array"]
READ_CODES = ("DequantizeLinear", "Clip")  # between a QuantizeLinear and these a tensor holds codes, not numbers
DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
LOGITS = "the outputs are logits: the softmax at the end is not in the design, the argmax is the same without it"


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of a file: its name, operation, names of inputs and outputs, and attributes as Python has them."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    version: int = 1


@dataclass(slots=True)
class Walk:
    """What the nodes so far give: numbers of the design, or constants."""

    builder: Builder
    values: dict[str, Signal | Array]
    steps: dict[str, Array] = field(default_factory=dict)  # of what a QuantizeLinear gave

    def get(self, node: OnnxNode, place: int) -> Signal | Array:
        """What the node reads at this place.

        Raises:
            ModelError: the file has no such value.
            UnsupportedLayerError: codes, where the node computes with numbers.
        """
        name = node.inputs[place] if place < len(node.inputs) else ""
        if name not in self.values:
            raise ModelError(f"node {node.name!r} ({node.op}) reads {name!r}, which nothing gives", hint="is the file whole?")
        if name in self.steps and node.op not in READ_CODES:
            raise UnsupportedLayerError(
                f"node {node.name!r} ({node.op}) computes with the codes of a QuantizeLinear", hint="put a DequantizeLinear between"
            )
        found = self.values[name]
        if not isinstance(found, Signal) and found.dtype.kind not in REAL:
            raise ModelError(f"node {node.name!r} ({node.op}) reads {found.dtype}, not real numbers", hint="is the file whole?")
        return found

    def constant(self, node: OnnxNode, place: int) -> Array:
        """Raises UnsupportedLayerError: it is computed."""
        found = self.get(node, place)
        if isinstance(found, Signal):
            raise UnsupportedLayerError(f"node {node.name!r} ({node.op}) has an input {node.inputs[place]!r} that is no constant")
        return found

    def has(self, node: OnnxNode, place: int) -> bool:
        return len(node.inputs) > place and bool(node.inputs[place])


def is_onnx(path: Path) -> bool:
    """Whether a file begins as the protobuf of a model does: with the version of its format."""
    with path.open("rb") as opened:
        start = opened.read(2)
    return len(start) == 2 and start[0] == 8 and 0 < start[1] < 32


def read_onnx(path: Path, given: FixedType | None = None) -> ImportedNetwork:
    """A network of an ONNX file.

    Args:
        given: the type of each of the input's numbers; None for what the file's quantisers ask of it.

    Raises:
        ModelError: no onnx, a file that cannot be read, or weights in other files.
        UnsupportedLayerError: names every node that has no exact form here.
    """
    from hwq.importers.qonnx_ops import READERS

    told, nodes, constants, (name, shape), outputs = _loaded(path)
    read = {name for node in nodes for name in node.inputs}
    ends = {out for n in nodes if n.op in ("Softmax", "LogSoftmax") for out in n.outputs if out in outputs and out not in read}
    others = [n for n in nodes if n.op not in READERS and not ends.intersection(n.outputs)]
    if others:
        listed = ", ".join(f"{n.name!r} ({n.op})" for n in others[:8]) + (" ..." if len(others) > 8 else "")
        raise UnsupportedLayerError(f"refused: {listed}", hint=f"operations that are read: {', '.join(sorted(READERS))}")

    def walked(given: TypeArray | None) -> tuple[Builder, tuple[str, ...]]:
        walk = Walk(Builder(shape, given), dict(constants))
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
    inputs = tuple(node.name for node in builder.nodes if node.op == "input")
    if not last or not inputs:
        raise ModelError(f"{path} computes nothing from its input")
    graph = verify(Graph(tuple(builder.nodes), inputs, last))
    layers = [Layer(n.name, n.op, _how(n, builder, ends)) for n in nodes]
    notes = ["ranges are those of the file: none was traced on data", *([LOGITS] if ends else [])]
    if given is not None:
        notes.append(f"the input is {given}, as it was asked for")
    return ImportedNetwork(graph, ImportReport(told, tuple(layers), tuple(notes)))


def _how(node: OnnxNode, builder: Builder, ends: set[str]) -> str:
    return LEFT_OUT if ends.intersection(node.outputs) else TABLE if node.name in builder.tables else EXACT


def _loaded(path: Path) -> tuple[str, list[OnnxNode], dict[str, Signal | Array], tuple[str, tuple[int, ...]], list[str]]:
    """(format, nodes, constants, the input with the shape of a row, names of the outputs)."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError("reading ONNX needs the package onnx", hint="pip install 'hwq[qonnx]'") from error
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise ModelError(f"cannot read {path}: {error}", hint="is it an ONNX file?") from error
    graph = model.graph
    tensors = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
        raise ModelError(f"{path} keeps its weights in other files", hint="save it with its weights inside")
    constants: dict[str, Signal | Array] = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    versions = {one.domain: int(one.version) for one in model.opset_import}
    nodes = []
    for number, node in enumerate(graph.node):
        if node.domain not in DOMAINS:
            raise UnsupportedLayerError(
                f"node {node.name!r} ({one_line(node.op_type)}) is of the domain {node.domain!r}",
                hint=f"known: {', '.join(DOMAINS[1:])}",
            )
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = _value_of(attributes, onnx.numpy_helper.to_array)
            continue
        named, kind = one_line(node.name or f"{node.op_type}_{number}"), one_line(node.op_type)
        version = versions.get(node.domain, 1)
        nodes.append(OnnxNode(named, kind, tuple(node.input), tuple(node.output), attributes, version))
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UnsupportedLayerError(f"the network has {len(inputs)} inputs", hint="join them to one in front of the network")
    row = tuple(int(d.dim_value) for d in inputs[0].type.tensor_type.shape.dim[1:])
    if not row or 0 in row:
        raise ModelError(f"the file does not tell the shape of the input: {row}", hint="fix all its axes but the batch")
    peer = "QONNX" if any("qonnx" in domain or "finn" in domain for domain in versions) else "ONNX"
    return peer, nodes, constants, (inputs[0].name, row), [out.name for out in graph.output]


def _value_of(attributes: Mapping[str, Any], to_array: Callable[[Any], Array]) -> Array:
    for name, value in attributes.items():
        return to_array(value) if name == "value" else np.asarray(value)
    raise ModelError("a Constant has no value")
