"""A Graph computed by Keras in float64: what stands for the trained model where a network was made after training.

Digit removal, post-training quantisation and allocation change integers of a Graph; there is no Keras model to compare with any more.
This one is built from the Graph's constants with Keras' own operations, one a node, and is exact up to 52 bits: a second, independent
opinion on what the integers mean. It also tells how much every pre-activation matters to the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.backend import ops, tf
from hwq.errors import ModelError
from hwq.fixed import TypeArray
from hwq.ir import FLOAT64_BITS, Graph, Node
from hwq.ir.forms import TensorOps, Types
from hwq.ir.ops import is_matrix, spec_of
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
        maths = KerasMath(through)
        types = {node.name: node.type for node in self.graph.nodes}
        for node in self.graph.nodes:
            if node.op == "input":
                value = maths.quantized(ops.reshape(x, (-1, *node.shape)), node.type)
            else:
                value = _value(maths, node, [types[name] for name in node.inputs], [values[name] for name in node.inputs])
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
        shapes = {node.name: (len(x), *node.shape) for node in self.graph.nodes if is_matrix(node, weighted=True)}
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


@dataclass(frozen=True, slots=True)
class KerasMath:
    """Keras as operations use it (`hwq.ir.forms.FloatMath`)."""

    through: bool
    ops: TensorOps = ops

    def quantized(self, x: Tensor, types: TypeArray) -> Tensor:
        """x rounded and brought into range, as the types say."""
        f = ops.convert_to_tensor(types.frac.astype(np.float64))
        low, high = (ops.convert_to_tensor(bound.astype(np.float64)) for bound in (types.lowest, types.highest))
        m = into_range(mantissas(x, f, str(types.rounding)), low, high, str(types.overflow))
        return m * power_of_two(-f, "float64")


def _value(maths: KerasMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    floats = spec_of(node.op).floats
    if floats is None:
        raise ModelError(f"node {node.name}: {node.op} has no form in Keras")
    return floats(maths, node, types, inputs)
