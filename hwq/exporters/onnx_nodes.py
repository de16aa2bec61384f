"""What each operation of a program is in ONNX and QONNX. Rows keep the graph's axes, channels last; windows turn them and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import UnsupportedLayerError
from hwq.exporters.exactness import SINGLE
from hwq.exporters.program import Operation
from hwq.fixed.types import MOST_FRAC
from hwq.importers.fixed_point import dyadic
from hwq.importers.onnx_windows import WINDOWS
from hwq.ir.windows import window_grid
from hwq.tensors import Floats

DOMAIN = "qonnx.custom_op.general"
WHOLE, DOUBLE = 7, 11  # int64 and float64, as ONNX numbers its types
Anything = npt.NDArray[Any]


@dataclass(slots=True)
class OnnxWriter:
    """Nodes and constants made so far; tensors are named like the operations that make them.

    Attributes:
        kind: of all floats, np.float32 or np.float64.
        shapes: of every tensor, without the batch.
        fixed: tensors that are constants behind a Quant: they have no batch.
        singles: tensors of float32 in a file of float64: what a Quant gives.
        places: tensors of int64: places in a table.
    """

    kind: type[np.float32] | type[np.float64]
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Anything] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    singles: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)

    def floats(self, name: str, values: npt.ArrayLike) -> str:
        self.constants[name] = np.asarray(values, self.kind)
        return name

    def wholes(self, name: str, values: npt.ArrayLike) -> str:
        self.constants[name] = np.asarray(values, np.int64)
        return name

    def node(self, op: str, inputs: list[str], name: str, shape: tuple[int, ...], **attributes: Any) -> str:
        import onnx

        domain = DOMAIN if op == "Quant" else ""
        self.nodes.append(onnx.helper.make_node(op, inputs, [name], name=name, domain=domain, **attributes))
        self.shapes[name] = shape
        return name

    def quant(self, inputs: list[str], name: str, shape: tuple[int, ...], **attributes: Any) -> str:
        """A Quant; qonnx executes it in float32, whatever the other nodes have.

        Args:
            inputs: as `scaled` gives them.
        """
        bits = int(self.constants[inputs[3]])
        if self.kind is np.float32:
            return self.node("Quant", inputs, name, shape, **attributes)
        if bits > SINGLE + 1:
            raise UnsupportedLayerError(
                f"{name} is quantised to {bits} bits; qonnx computes a Quant in float32, which holds {SINGLE}",
                hint="fewer bits for what it reads",
            )
        self.singles.add(self.node("Quant", inputs, f"{name}.single", shape, **attributes))
        return self.node("Cast", [f"{name}.single"], name, shape, to=DOUBLE)

    def scaled(self, source: str, name: str, step: npt.ArrayLike, bits: int) -> list[str]:
        """The inputs of a Quant."""
        return [
            source,
            self.floats(f"{name}.step", step),
            self.floats(f"{name}.zero", 0.0),
            self.floats(f"{name}.bits", float(bits)),
        ]

    def weights(self, name: str, values: npt.NDArray[np.float64]) -> str:
        """Constants behind a Quant of their own, which says their step and bits and changes none of them."""
        found = dyadic(values)
        lengths = np.frexp(np.abs(found.mantissas).astype(np.float64))[1]
        frac = np.where(found.mantissas == 0, -MOST_FRAC, found.types.frac.astype(np.int64))
        one = int(frac.max(initial=-MOST_FRAC))
        bits = int(np.where(found.mantissas == 0, 0, lengths + one - frac).max(initial=0)) + 1
        step = np.ldexp(1.0, -one if bits > 1 else 0)
        if bits > SINGLE + 1:  # steps far apart: each constant has its own
            step, bits = np.ldexp(1.0, -np.where(found.mantissas == 0, 0, frac)), int(lengths.max(initial=0)) + 1
        self.floats(f"{name}.values", values)
        self.fixed |= {name, f"{name}.single"}
        inputs = self.scaled(f"{name}.values", name, step, max(bits, 2))
        return self.quant(inputs, name, values.shape, signed=1, narrow=0, rounding_mode="ROUND")


def _quant(w: OnnxWriter, o: Operation) -> None:
    step, bits = o.constants["step"], int(o.options["bits"])  # type: ignore[arg-type]
    if w.kind is np.float64 and o.options.get("free") and bits > SINGLE + 1:  # qonnx computes a Quant in float32
        codes = w.node("Mul", [o.inputs[0], w.floats(f"{o.name}.inverse", 1 / step)], f"{o.name}.codes", o.shape)
        op = "Floor" if o.options["rounding"] == "FLOOR" else "Round"
        whole = w.node(op, [codes], f"{o.name}.rounded", o.shape)
        w.node("Mul", [whole, w.floats(f"{o.name}.step", step)], o.name, o.shape)
        return
    inputs = w.scaled(o.inputs[0], o.name, step, bits)
    told = {"signed": o.options["signed"], "narrow": o.options.get("narrow", 0), "rounding_mode": o.options["rounding"]}
    w.quant(inputs, o.name, o.shape, **told)


def _pair(op: str) -> Callable[[OnnxWriter, Operation], None]:
    """A writer for an operation of two tensors, or of one and a constant."""

    def write(w: OnnxWriter, o: Operation) -> None:
        other = [w.floats(f"{o.name}.value", values) for key, values in o.constants.items() if key == "value"]
        other += [w.weights(f"{o.name}.weights", values) for key, values in o.constants.items() if key == "weights"]
        w.node(op, [*o.inputs, *other], o.name, o.shape)

    return write


def _dense(w: OnnxWriter, o: Operation) -> None:
    kernel, bias = w.weights(f"{o.name}.kernel", o.constants["kernel"]), o.constants["bias"]
    if not bias.any():
        w.node("MatMul", [o.inputs[0], kernel], o.name, o.shape)
    elif len(o.shape) == 1:
        w.node("Gemm", [o.inputs[0], kernel, w.weights(f"{o.name}.bias", bias)], o.name, o.shape)
    else:
        inner = w.node("MatMul", [o.inputs[0], kernel], f"{o.name}.product", o.shape)
        w.node("Add", [inner, w.weights(f"{o.name}.bias", bias)], o.name, o.shape)


def _einsum(w: OnnxWriter, o: Operation) -> None:
    equation = str(o.options["equation"]).replace(" ", "")
    left, out = equation.split("->")
    x, kernel = left.split(",")
    batch = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXW" if c not in equation)
    inputs = [o.inputs[0], w.weights(f"{o.name}.kernel", o.constants["kernel"])]
    biased = o.constants["bias"].any()
    name = f"{o.name}.product" if biased else o.name
    w.node("Einsum", inputs, name, o.shape, equation=f"{batch}{x},{kernel}->{batch}{out}")
    if biased:
        w.node("Add", [name, w.weights(f"{o.name}.bias", o.constants["bias"])], o.name, o.shape)


def _window(w: OnnxWriter, o: Operation, op: str, constants: list[str], **attributes: Any) -> None:
    """A window over channels first, between two transpositions."""
    height, width, channels = w.shapes[o.inputs[0]]
    first = w.node("Transpose", [o.inputs[0]], f"{o.name}.first", (channels, height, width), perm=[0, 3, 1, 2])
    top, bottom, left, right = (int(n) for n in o.options["pads"])  # type: ignore[union-attr]
    told = {"strides": o.options["strides"], "pads": [top, left, bottom, right], **attributes}
    rows, columns, out = o.shape
    inner = w.node(op, [first, *constants], f"{o.name}.window", (out, rows, columns), **told)
    w.node("Transpose", [inner], o.name, o.shape, perm=[0, 2, 3, 1])


def _conv2d(w: OnnxWriter, o: Operation) -> None:
    if w.kind is np.float64:
        _gathered(w, o, o.constants["kernel"], int(o.options["groups"]), o.constants["bias"])  # type: ignore[arg-type]
        return
    kernel = o.constants["kernel"].transpose(3, 2, 0, 1)
    constants = [w.weights(f"{o.name}.kernel", kernel)]
    if o.constants["bias"].any():
        constants.append(w.weights(f"{o.name}.bias", o.constants["bias"]))
    told = {"kernel_shape": kernel.shape[2:], "dilations": o.options["dilation"], "group": o.options["groups"]}
    _window(w, o, "Conv", constants, **told)


def _gathered(w: OnnxWriter, o: Operation, kernel: Floats, groups: int, bias: Floats) -> None:
    """A window as a product of the elements that it reads: onnxruntime has no convolution in float64.

    Args:
        kernel: (height, width, channels of a group, results), groups one after the other.
    """
    height, width, channels = w.shapes[o.inputs[0]]
    told: Any = o.options
    pads = tuple(told["pads"])
    (rows, columns), pixels = window_grid((height, width), kernel.shape[:2], told["strides"], pads, told.get("dilation", (1, 1)))
    each = (groups, channels // groups)
    index = np.where(pixels[..., None] >= 0, pixels[..., None] * channels + np.arange(channels), -1)
    line = _taken(w, o.name, list(o.inputs), index.ravel())
    shape = (len(pixels), pixels.shape[1], *each)
    read = w.node("Reshape", [line, w.wholes(f"{o.name}.windows_shape", (0, *shape))], f"{o.name}.windows", shape)
    weights = kernel.reshape(pixels.shape[1], each[1], groups, -1).transpose(0, 2, 1, 3)
    inputs = [read, w.weights(f"{o.name}.kernel", weights)]
    out = (len(pixels), groups, weights.shape[3])
    # what the places are those of; who reads the file checks it
    grid = {"image": (height, width, channels), "size": kernel.shape[:2], "strides": told["strides"], "pads": pads}
    doc = json.dumps({**grid, "dilation": told.get("dilation", (1, 1))})
    made = w.node("Einsum", inputs, f"{o.name}.product", out, equation=WINDOWS, doc_string=doc)
    last = f"{o.name}.sum" if bias.any() else o.name
    made = w.node("Reshape", [made, w.wholes(f"{o.name}.shape", (0, rows, columns, out[1] * out[2]))], last, o.shape)
    if bias.any():
        w.node("Add", [made, w.weights(f"{o.name}.bias", bias)], o.name, o.shape)


def _sum_pool(w: OnnxWriter, o: Operation) -> None:
    """As a convolution with ones: ONNX has means only, whose divisions round."""
    size: Any = o.options["size"]
    channels = o.shape[2]
    if w.kind is np.float64:
        _gathered(w, o, np.ones((*size, 1, channels)), channels, np.zeros(channels))
        return
    kernel = w.weights(f"{o.name}.ones", np.ones((channels, 1, *size)))
    _window(w, o, "Conv", [kernel], kernel_shape=size, group=channels)


def _max_pool(w: OnnxWriter, o: Operation) -> None:
    _window(w, o, "MaxPool", [], kernel_shape=o.options["size"])


def _leaky(w: OnnxWriter, o: Operation) -> None:
    """onnxruntime has LeakyRelu in float32 only."""
    slope = 2.0 ** -int(o.options["shift"])  # type: ignore[arg-type]
    if w.kind is np.float32:
        w.node("LeakyRelu", list(o.inputs), o.name, o.shape, alpha=slope)
        return
    below = w.node("Mul", [o.inputs[0], w.floats(f"{o.name}.slope", slope)], f"{o.name}.below", o.shape)
    w.node("Max", [o.inputs[0], below], o.name, o.shape)


def _lookup(w: OnnxWriter, o: Operation) -> None:
    at = w.node("Mul", [o.inputs[0], w.floats(f"{o.name}.factor", o.constants["factor"])], f"{o.name}.code", o.shape)
    at = w.node("Add", [at, w.floats(f"{o.name}.offset", o.constants["offset"])], f"{o.name}.place", o.shape)
    at = w.node("Cast", [at], f"{o.name}.index", o.shape, to=WHOLE)
    w.places.add(at)
    w.node("Gather", [w.floats(f"{o.name}.entries", o.constants["values"]), at], o.name, o.shape, axis=0)


def _reshape(w: OnnxWriter, o: Operation) -> None:
    w.node("Reshape", [o.inputs[0], w.wholes(f"{o.name}.shape", (0, *o.shape))], o.name, o.shape)


def _permute(w: OnnxWriter, o: Operation) -> None:
    dims: Any = o.options["dims"]
    w.node("Transpose", list(o.inputs), o.name, o.shape, perm=[0, *(d + 1 for d in dims)])


def _concatenate(w: OnnxWriter, o: Operation) -> None:
    axis = int(o.options["axis"])  # type: ignore[arg-type]
    w.node("Concat", list(o.inputs), o.name, o.shape, axis=axis + 1 if axis >= 0 else axis)


def _pad(w: OnnxWriter, o: Operation) -> None:
    pads: Any = o.options["pads"]
    told = w.wholes(f"{o.name}.pads", [0, *pads[::2], 0, *pads[1::2]])
    w.node("Pad", [o.inputs[0], told], o.name, o.shape, mode="constant")


def _take(w: OnnxWriter, o: Operation) -> None:
    line = _taken(w, o.name, list(o.inputs), np.array(o.options["index"], np.int64))
    w.node("Reshape", [line, w.wholes(f"{o.name}.shape", (0, *o.shape))], o.name, o.shape)


def _taken(w: OnnxWriter, name: str, inputs: list[str], index: Anything) -> str:
    """A line of the elements of all inputs at these places; -1 is zero."""
    flat = []
    for number, source in enumerate(inputs):
        size = (math.prod(w.shapes[source]),)
        told = w.wholes(f"{name}.flat{number}_shape", (0, *size))
        flat.append(w.node("Reshape", [source, told], f"{name}.flat{number}", size))
    total = sum(w.shapes[one][0] for one in flat)
    whole = flat[0] if len(flat) == 1 else w.node("Concat", flat, f"{name}.whole", (total,), axis=1)
    if (index < 0).any():
        whole = w.node("Pad", [whole, w.wholes(f"{name}.pads", [0, 0, 0, 1])], f"{name}.zero", (total + 1,), mode="constant")
        index = np.where(index < 0, total, index)
    return w.node("Gather", [whole, w.wholes(f"{name}.places", index)], f"{name}.line", (len(index),), axis=1)


def _relu(w: OnnxWriter, o: Operation) -> None:
    w.node("Relu", list(o.inputs), o.name, o.shape)


WRITERS: dict[str, Callable[[OnnxWriter, Operation], None]] = {
    "quant": _quant,
    "add": _pair("Add"),
    "subtract": _pair("Sub"),
    "multiply": _pair("Mul"),
    "maximum": _pair("Max"),
    "minimum": _pair("Min"),
    "dense": _dense,
    "einsum": _einsum,
    "conv2d": _conv2d,
    "sum_pool2d": _sum_pool,
    "max_pool2d": _max_pool,
    "relu": _relu,
    "leaky_relu": _leaky,
    "lookup": _lookup,
    "reshape": _reshape,
    "permute": _permute,
    "concatenate": _concatenate,
    "pad": _pad,
    "take": _take,
}
