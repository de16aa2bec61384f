"""A Graph computed by Keras in float64: what stands for the trained model where a network was made after training.

Digit removal, post-training quantisation and allocation change integers of a Graph; there is no Keras model to compare with any more.
This one is built from the Graph's constants with Keras' own operations, one a node, and is exact up to 52 bits: a second, independent
opinion on what the integers mean. It also tells how much every pre-activation matters to the answer.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.backend import ops, tf
from hwq.errors import ModelError
from hwq.fixed import TypeArray, to_float
from hwq.ir import FLOAT64_BITS, Graph, Node
from hwq.ir.windows import LINEAR, pads_of, pair
from hwq.quantizers.hgq import power_of_two
from hwq.quantizers.rounding import into_range, mantissas
from hwq.tensors import Array, Floats, Tensor

ROWS = 2048  # at once


@dataclass(frozen=True, slots=True)
class GraphModel:
    """A graph ready to be computed by Keras."""

    graph: Graph

    @classmethod
    def of(cls, graph: Graph) -> GraphModel:
        """Raises ModelError: numbers of more than 52 bits, which no float holds."""
        if graph.widest > FLOAT64_BITS:
            raise ModelError(
                f"the design has numbers of {graph.widest} bits; Keras computes exactly up to {FLOAT64_BITS}",
                hint="fewer bits a weight",
            )
        return cls(graph)

    def logits(self, x: npt.ArrayLike) -> Floats:
        """Floats (rows, *input shape) in, the design's outputs (rows, elements) out."""
        rows = np.asarray(x)
        parts = [self._outputs(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]
        return np.concatenate([ops.convert_to_numpy(part) for part in parts])

    def _outputs(self, x: Array) -> Tensor:
        values = self.values(ops.convert_to_tensor(np.asarray(x, np.float64)))
        return ops.concatenate([ops.reshape(values[name], (len(x), -1)) for name in self.graph.outputs], axis=1)

    def values(self, x: Tensor, *, through: bool = False, shifts: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Every node's value, (rows, *shape).

        Args:
            x: a float64 tensor (rows, *input shape).
            through: let gradients pass the quantisers as if they did nothing.
            shifts: node name -> tensor that is added to its result.
        """
        values: dict[str, Tensor] = {}
        types = {node.name: node.type for node in self.graph.nodes}
        for node in self.graph.nodes:
            if node.op == "input":
                value = _quantized(ops.reshape(x, (-1, *node.shape)), node.type)
            elif node.op == "quantize":
                source = values[node.inputs[0]]
                value = _quantized(source, node.type)
                value = source + ops.stop_gradient(value - source) if through else value
            elif node.op == "table":
                value = _table(node, types[node.inputs[0]], values[node.inputs[0]], through)
            else:
                value = KERAS[node.op](node, [values[name] for name in node.inputs])
            if shifts and node.name in shifts:
                value = value + shifts[node.name]
            values[node.name] = value
        return values

    def derivatives(
        self, x: npt.ArrayLike, y: npt.ArrayLike | None = None, temperature: float = 1.0
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """(gradient, curvature) of the loss of each row by every result of a linear operation: (rows, *shape) each, by name.

        The loss is the cross-entropy of the labels, or, without labels, the divergence from what the network answers now, whose
        gradient is zero. The curvature is the diagonal of its Gauss-Newton matrix: the mean over the classes c, weighted by their
        probability, of (d log p_c / d result)^2. Quantisers pass gradients as they are.

        Args:
            x: rows.
            y: their labels (rows,), or the probabilities (rows, classes) of another network's answers.
            temperature: what the logits are divided by: a network that is sure of everything has no curvature otherwise.

        Raises:
            ModelError: Keras runs on another backend than TensorFlow.
        """
        if tf is None:
            raise ModelError("gradients need Keras on TensorFlow", hint="unset KERAS_BACKEND")
        rows, labels = np.asarray(x), None if y is None else np.asarray(y)
        if labels is not None and labels.ndim == 1:
            labels = np.eye(self.graph.output_size)[labels]
        starts = range(0, len(rows), ROWS)
        parts = [
            self._derivatives(rows[i : i + ROWS], None if labels is None else labels[i : i + ROWS], temperature) for i in starts
        ]
        gradient, curvature = ({name: np.concatenate([part[k][name] for part in parts]) for name in parts[0][k]} for k in range(2))
        return gradient, curvature

    def _derivatives(self, x: Array, y: Array | None, temperature: float) -> tuple[dict[str, Floats], dict[str, Floats]]:
        shapes = {node.name: (len(x), *node.shape) for node in self.graph.nodes if node.op in LINEAR and "kernel" in node.attrs}
        zeros = {name: ops.zeros(shape, "float64") for name, shape in shapes.items()}
        rows = ops.convert_to_tensor(np.asarray(x, np.float64))
        slope, curvature = ({name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(list(zeros.values()))
            values = self.values(rows, through=True, shifts=zeros)
            logits = ops.concatenate([ops.reshape(values[name], (len(x), -1)) for name in self.graph.outputs], axis=1)
            told = ops.log_softmax(logits / temperature, axis=-1)
            columns = [told[:, c] for c in range(told.shape[1])]
        chances = np.exp(ops.convert_to_numpy(told))
        for c, column in enumerate(columns):
            for name, found in tape.gradient(column, zeros).items():
                if found is None:
                    continue
                gradient = ops.convert_to_numpy(found)
                each = (-1, *([1] * (gradient.ndim - 1)))
                curvature[name] += chances[:, c].reshape(each) * gradient**2
                if y is not None:
                    slope[name] -= y[:, c].reshape(each) * gradient
        return slope, curvature


def _quantized(x: Tensor, types: TypeArray) -> Tensor:
    f = ops.convert_to_tensor(types.frac.astype(np.float64))
    low, high = (ops.convert_to_tensor(bound.astype(np.float64)) for bound in (types.lowest, types.highest))
    m = into_range(mantissas(x, f, str(types.rounding)), low, high, str(types.overflow))
    return m * power_of_two(-f, "float64")


def _constant(node: Node, name: str) -> Floats:
    constant = node.constant(name)
    return to_float(constant.mantissas, constant.types.frac)


def _dense(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return ops.matmul(inputs[0], _constant(node, "kernel")) + _constant(node, "bias")


def _conv2d(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """Group by group at stride 1, then the pixels that the strides leave: TensorFlow has no strides with dilation, nor groups everywhere."""
    top, bottom, left, right = pads_of(node)
    x = ops.pad(inputs[0], ((0, 0), (top, bottom), (left, right), (0, 0)))
    groups, kernel = node.integer("groups"), _constant(node, "kernel")
    pieces = zip(ops.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True)
    y = ops.concatenate([ops.conv(a, k, 1, "valid", "channels_last", pair(node, "dilation")) for a, k in pieces], axis=-1)
    down, across = pair(node, "strides")
    return y[:, ::down, ::across] + _constant(node, "bias")


def _einsum(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    source, rest = str(node.attrs["equation"]).replace(" ", "").split(",")
    kernel, result = rest.split("->")
    batch = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXW" if c not in source + kernel + result)
    return ops.einsum(f"{batch}{source},{kernel}->{batch}{result}", inputs[0], _constant(node, "kernel")) + _constant(node, "bias")


def _pool(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    top, bottom, left, right = pads_of(node)
    greatest = node.op == "max_pool2d"
    x = ops.pad(
        inputs[0], ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-np.finfo(np.float64).max if greatest else 0.0
    )
    size, strides = pair(node, "size"), pair(node, "strides")
    if greatest:
        return ops.max_pool(x, size, strides, "valid", "channels_last")
    return _sums(x, size, strides)


def _sums(x: Tensor, size: tuple[int, int], strides: tuple[int, int]) -> Tensor:
    """Window sums as sums of shifted images: a mean times the window's size would be rounded."""
    height, width = (n - s + 1 for n, s in zip(x.shape[1:3], size, strict=True))
    shifted = (x[:, i : i + height, j : j + width] for i in range(size[0]) for j in range(size[1]))
    total = sum(shifted, start=ops.zeros((), x.dtype))
    return total[:, :: strides[0], :: strides[1]]


def _table(node: Node, types: TypeArray, x: Tensor, through: bool) -> Tensor:
    """Looked up by code; `through` gives it the slope between the neighbouring entries."""
    values = _constant(node, "values")
    index = np.asarray(node.integers("index"), np.int64).reshape(node.shape)
    step = np.ldexp(1.0, -types.frac.astype(np.int64))
    lowest = types.lowest.astype(np.float64)
    count = values.shape[1]
    codes = ops.cast(ops.round(x / step - lowest), "int64")
    flat = ops.convert_to_tensor(values.ravel())
    y = ops.take(flat, codes + index * count)
    if not through:
        return y
    after, before = (ops.take(flat, ops.clip(codes + d, 0, count - 1) + index * count) for d in (1, -1))
    slope = ops.stop_gradient((after - before) / (2 * step))
    return y + slope * (x - ops.stop_gradient(x))


def _elementwise(function: Callable[..., Tensor]) -> Callable[[Node, Sequence[Tensor]], Tensor]:
    return lambda node, inputs: function(*inputs)


KERAS: dict[str, Callable[[Node, Sequence[Tensor]], Tensor]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "einsum": _einsum,
    "sum_pool2d": _pool,
    "max_pool2d": _pool,
    "relu": _elementwise(ops.relu),
    "add": _elementwise(operator.add),  # ops.add takes (n, 1) for a bias of the last axis
    "subtract": _elementwise(ops.subtract),
    "multiply": _elementwise(ops.multiply),
    "maximum": _elementwise(ops.maximum),
    "minimum": _elementwise(ops.minimum),
    "leaky_relu": lambda node, inputs: ops.maximum(inputs[0], inputs[0] * 2.0 ** -node.integer("shift")),
    "scale": lambda node, inputs: inputs[0] * _constant(node, "factor"),
    "bias": lambda node, inputs: inputs[0] + _constant(node, "bias"),
    "reshape": lambda node, inputs: ops.reshape(inputs[0], (-1, *node.shape)),
    "permute": lambda node, inputs: ops.transpose(inputs[0], (0, *(d + 1 for d in node.integers("dims")))),
    "concatenate": lambda node, inputs: ops.concatenate(inputs, axis=_axis(node)),
    "take": lambda node, inputs: _take(node, inputs),
    "pad": lambda node, inputs: ops.pad(inputs[0], ((0, 0), *np.reshape(node.integers("pads"), (-1, 2)).tolist())),
}


def _take(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    flat = [ops.reshape(x, (-1, math.prod(x.shape[1:]))) for x in inputs]
    whole = ops.concatenate([*flat, ops.zeros_like(flat[0][:, :1])], axis=1)
    index = np.array(node.integers("index"))
    return ops.reshape(ops.take(whole, np.where(index < 0, whole.shape[1] - 1, index), axis=1), (-1, *node.shape))


def _axis(node: Node) -> int:
    axis = node.integer("axis")
    return axis + 1 if axis >= 0 else axis
