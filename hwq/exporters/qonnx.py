"""QONNX: a Graph as an ONNX file with Quant nodes, executed and read back before it is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwq.errors import ModelError
from hwq.exporters.exactness import DOUBLE, SINGLE, bits_of_nodes, require_bits
from hwq.exporters.onnx_nodes import DOMAIN, WRITERS, OnnxWriter
from hwq.exporters.onnx_run import execute as run
from hwq.exporters.onnx_run import runner
from hwq.exporters.program import FloatProgram, program_of, writer_of
from hwq.ir import Graph
from hwq.tensors import Floats

OPSET, IR_VERSION = 13, 8
KEEPS = ("weights, and the step, range and rounding of every activation: the file computes the integers of the design",)


def write(graph: Graph, path: Path) -> tuple[str, ...]:
    """Write the file; what to know of it.

    Raises:
        ModelError: no onnx.
        UnsupportedLayerError: numbers that no float of the file holds.
    """
    require()
    kind = _kind(graph)
    model = _model(program_of(graph), kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return () if kind is np.float32 else ("its numbers are float64: float32 does not hold the longest of them",)


def require() -> Any:
    """onnx.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelError("writing QONNX needs the package onnx", hint="pip install 'hwq[qonnx]'") from error
    return onnx


def _kind(graph: Graph) -> type[np.float32] | type[np.float64]:
    bits = max(bits_of_nodes(graph).values())
    if bits <= SINGLE:
        return np.float32
    require_bits(graph, DOUBLE, "the file has floats")
    return np.float64


def _model(program: FloatProgram, kind: type[np.float32] | type[np.float64]) -> Any:
    import onnx
    from onnx import helper

    writer = OnnxWriter(kind)
    for operation in program.operations:
        if operation.op == "input":
            writer.shapes[operation.name] = operation.shape
        else:
            writer_of(WRITERS, operation, "QONNX")(writer, operation)
    of = onnx.TensorProto.FLOAT if kind is np.float32 else onnx.TensorProto.DOUBLE

    def told(name: str) -> Any:
        shape = writer.shapes[name]
        batch = () if name in writer.fixed else (1,)  # QONNX fixes all axes
        kind = onnx.TensorProto.INT64 if name in writer.places else onnx.TensorProto.FLOAT if name in writer.singles else of
        return helper.make_tensor_value_info(name, kind, (*batch, *shape))

    ends = {*program.inputs, *program.outputs}
    graph = helper.make_graph(
        writer.nodes,
        "hwq",
        [told(name) for name in program.inputs],
        [told(name) for name in program.outputs],
        [onnx.numpy_helper.from_array(values, name) for name, values in writer.constants.items()],
        value_info=[told(name) for name in writer.shapes if name not in ends],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hwq")


def execute(graph: Graph, path: Path, rows: list[Floats]) -> tuple[str, Floats]:
    """(who executed it, its answers (rows, elements))."""
    import onnx

    names = [value.name for value in onnx.load(str(path)).graph.input]
    found = run(path, dict(zip(names, rows, strict=True)))
    return runner(), np.concatenate([values.reshape(len(rows[0]), -1) for values in found], axis=1).astype(np.float64)
