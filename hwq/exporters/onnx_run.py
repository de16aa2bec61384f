"""Executing a QONNX file: by qonnx's own execution where it is installed, else by ONNX's reference evaluator and Quant as QONNX defines it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwq.tensors import Numbers


def runner() -> str:
    """What executes."""
    found = all(importlib.util.find_spec(name) is not None for name in ("qonnx", "onnxruntime"))
    return "qonnx" if found else "onnx's reference evaluator"


def execute(path: Path, rows: Mapping[str, Numbers]) -> list[Numbers]:
    """The outputs (rows, *shape), in the order of the file.

    Args:
        rows: of each input (rows, *shape).
    """
    import onnx

    model = onnx.load(str(path))
    count = len(next(iter(rows.values())))
    weights = _constants(model)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.name not in weights:
            value.type.tensor_type.shape.dim[0].dim_value = count
    kind = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    given = {name: np.asarray(values, kind) for name, values in rows.items()}
    return _by_qonnx(model, given) if runner() == "qonnx" else _by_reference(model, given)


def _constants(model: Any) -> set[str]:
    """Tensors that no row decides."""
    found = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if all(name in found for name in node.input):
            found.update(node.output)
    return found


def _by_qonnx(model: Any, rows: Mapping[str, Numbers]) -> list[Numbers]:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    found = execute_onnx(ModelWrapper(model), dict(rows))
    return [np.asarray(found[out.name]) for out in model.graph.output]


def _by_reference(model: Any, rows: Mapping[str, Numbers]) -> list[Numbers]:
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class Quant(OpRun):
        """QONNX's quantiser."""

        op_domain = "qonnx.custom_op.general"

        def _run(self, x: Numbers, step: Numbers, zero: Numbers, bits: Numbers, **told: Any) -> tuple[Numbers]:
            return (quantized(x, step, zero, float(bits), told),)

    class MaxPool(OpRun):
        """ONNX's own evaluator fails where one side alone is padded (onnx 1.23)."""

        def _run(self, x: Numbers, kernel_shape: Any = None, pads: Any = None, strides: Any = None, **_: Any) -> tuple[Numbers]:
            return (greatest(x, tuple(kernel_shape), tuple(pads), tuple(strides)),)

    found = ReferenceEvaluator(model, new_ops=[Quant, MaxPool]).run(None, dict(rows))
    return [np.asarray(values) for values in found]


def quantized(x: Numbers, step: Numbers, zero: Numbers, bits: float, told: Mapping[str, Any]) -> Numbers:
    """What a Quant answers, as the QONNX page of the operator says: scaled, clamped, rounded, scaled back, in float32.

    Args:
        zero, bits: the code of 0, and the bits of the codes.
        told: its attributes `signed`, `narrow` and `rounding_mode`.
    """
    signed, narrow = told["signed"], told["narrow"]
    low = -(2.0 ** (bits - 1)) + narrow if signed else 0.0
    high = 2.0 ** (bits - signed) - 1 - (narrow if not signed else 0)
    codes = np.clip(x / step + zero, low, high)
    rounded = np.floor(codes) if told["rounding_mode"] == "FLOOR" else np.rint(codes)
    return np.asarray((rounded - zero) * step, np.float32)


def greatest(x: Numbers, size: tuple[int, ...], pads: tuple[int, ...], strides: tuple[int, ...]) -> Numbers:
    """What a MaxPool of images (rows, channels, height, width) answers; padding is no number."""
    around = ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3]))
    padded = np.pad(x, around, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    return np.asarray(windows[:, :, :: strides[0], :: strides[1]].max(axis=(4, 5)), x.dtype)
