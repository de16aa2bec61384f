"""ONNX and QONNX files whose quantisers have powers of two as steps. Other steps, training and control flow stay out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError, one_line
from hwq.fixed import FixedType
from hwq.importers.builder import Signal
from hwq.importers.onnx_network import NodeList, network_of
from hwq.importers.report import ImportedNetwork
from hwq.importers.walk import TEXT, OnnxNode
from hwq.tensors import Numbers

DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


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
    return network_of(_loaded(path), given)


def _loaded(path: Path) -> NodeList:
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
    constants: dict[str, Signal | Numbers] = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    versions = {one.domain: int(one.version) for one in model.opset_import}
    nodes = []
    for number, node in enumerate(graph.node):
        if node.domain not in DOMAINS:
            raise UnsupportedLayerError(
                f"node {node.name!r} ({one_line(node.op_type)}) is of the domain {node.domain!r}",
                hint=f"known: {', '.join(DOMAINS[1:])}",
            )
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attributes |= {TEXT: node.doc_string} if node.doc_string else {}
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
    return NodeList(peer, tuple(nodes), constants, (inputs[0].name, row), tuple(out.name for out in graph.output))


def _value_of(attributes: Mapping[str, Any], to_array: Callable[[Any], Numbers]) -> Numbers:
    for name, value in attributes.items():
        return to_array(value) if name == "value" else np.asarray(value)
    raise ModelError("a Constant has no value")
