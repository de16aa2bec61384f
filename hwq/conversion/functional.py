"""The operators and functions of Keras' functional API between layers, as layers: `x + y`, `2 * x`, `-x`, `keras.ops.tanh(x)`.

Each is given the conversion so far, the operation, the call of it (a Keras node), and whether its result is the model's output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwq.backend import keras, ops
from hwq.conversion.activations import leaky_relu, softmax_of, table
from hwq.conversion.floats import Given
from hwq.conversion.movement import MOVES, places
from hwq.conversion.parts import is_trained, values_of
from hwq.conversion.products import PRODUCTS, REDUCTIONS, product, reduction
from hwq.conversion.twins import affine, declared, within_rows
from hwq.errors import UnsupportedLayerError
from hwq.ir.windows import Index
from hwq.layers.rearrange import Rearrange
from hwq.tensors import Config, Floats, Operand, Tensor

if TYPE_CHECKING:
    from keras import KerasTensor, Operation
    from keras.layers import Node

    from hwq.conversion.convert import Conversion
    from hwq.conversion.floats import FloatOperation

JOINS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
SAME = ("Cast", "Copy", "Identity")
RESHAPES = ("Reshape", "ExpandDims", "Squeeze")
Line = tuple[float | Floats, Floats | None]  # factor and offset
QUIET = (*SAME, *RESHAPES, *MOVES, "Concatenate", "LeakyRelu", "Relu", "Transpose")  # they quantise nothing


@keras.saving.register_keras_serializable(package="hwq")
class OperatorFunction:
    """An operation of Keras with its constants, as a function of one tensor.

    Args:
        operation: the operation, or its serialised form.
        args: its positional arguments, None in the place of the tensor.
    """

    def __init__(self, operation: Operation | Config, args: Sequence[float | None] = (None,)) -> None:
        made: Operation = keras.saving.deserialize_keras_object(operation) if isinstance(operation, dict) else operation
        self.operation = made
        self.args = tuple(args)
        self.__name__ = type(self.operation).__name__.lower()

    def __call__(self, x: Tensor) -> Tensor:
        return self.operation.call(*(x if arg is None else ops.cast(arg, x.dtype) for arg in self.args))

    def get_config(self) -> Config:
        """What the function is made from again."""
        return {"operation": keras.saving.serialize_keras_object(self.operation), "args": list(self.args)}

    @classmethod
    def from_config(cls, config: dict[str, Given]) -> OperatorFunction:
        """The function that `get_config` tells of."""
        return cls(**config)


def operator_quantizes(operation: Operation) -> bool:
    """Whether the twin of an operation quantises what it reads."""
    return type(operation).__name__ not in QUIET


def convert_operator(c: Conversion, operation: FloatOperation, node: Node, result: KerasTensor, final: bool) -> KerasTensor:
    """The twin's tensor for one result of a call of an operation.

    Raises:
        UnsupportedLayerError: one that hwq does not have, by name.
    """
    kind, tensors = type(operation).__name__, list(node.input_tensors)
    if kind in JOINS and len(tensors) == 2 and len(_operands(node)) == 2:
        return declared(c, operation, tensors, final)
    if kind == "Concatenate":
        within_rows(operation, operation.axis % len(tensors[0].shape) == 0)
        twin = c.make(operation, "", lambda: keras.layers.Concatenate(axis=operation.axis, name=c.own_name(operation)))
        return twin([c.tensor(t) for t in tensors])
    if kind in PRODUCTS:
        return product(c, operation, node, result)
    if kind in REDUCTIONS and len(tensors) == 1:
        return reduction(c, operation, node, tensors[0])
    if kind in MOVES:
        moved = places(operation, node, result)
        if moved is None:
            raise UnsupportedLayerError(
                f"layer {operation.name!r} ({kind}) does more than move values within a row, or leaves a row without an axis",
                hint="keep the rows apart and an axis in each: x[:, 0:1] in place of x[:, 0]",
            )
        return _rearranged(c, operation, result, *moved)
    if len(tensors) == 1:
        y = _of_one(c, operation, node, tensors[0], final)
        if y is not None:
            return y
    raise UnsupportedLayerError(
        f"layer {operation.name!r} is the operation {kind}, which hwq does not convert",
        hint=f"operators: {', '.join(JOINS)}, division by a constant, functions of one number; "
        "matmul, einsum, sum, mean, max, min; operations that move values within a row",
    )


def _rearranged(
    c: Conversion, operation: FloatOperation, result: KerasTensor, index: Index, sources: list[KerasTensor]
) -> KerasTensor:
    number = result._keras_history[2]  # an operation may have several results
    name = c.own_name(operation) + (f"_{number}" if number else "")
    twin = c.make(operation, str(number), lambda: Rearrange(index.ravel().tolist(), result.shape[1:], name=name))
    found = [c.tensor(t) for t in sources]
    return twin(found if len(found) > 1 else found[0])


def _operands(node: Node) -> list[Operand | None]:
    return [*node.arguments.args, *node.arguments.kwargs.values()]


def _of_one(c: Conversion, operation: FloatOperation, node: Node, source: KerasTensor, final: bool) -> KerasTensor | None:
    """The twin of an operation of one tensor and perhaps constants; None where there is none."""
    kind, result = type(operation).__name__, node.output_tensors[0]
    if kind in SAME and "float" in str(result.dtype):  # to whole numbers a cast rounds
        return c.tensor(source)
    if kind == "Cast":
        return None
    if kind == "Relu":
        return c.make(operation, "", lambda: keras.layers.ReLU(name=c.own_name(operation)))(c.tensor(source))
    if kind == "LeakyRelu" and math.frexp(operation.negative_slope)[0] == 0.5 and operation.negative_slope <= 1:
        return leaky_relu(c, operation, [source], final)
    if kind == "Softmax" and operation.axis in (-1, len(source.shape) - 1):
        return softmax_of(c, operation, c.tensor(source), source, final, c.own_name(operation))
    if kind in RESHAPES:
        x, shape = c.tensor(source), tuple(result.shape[1:])
        # Keras leaves some axes open, of which the twin knows the length
        known = None not in (*shape, *x.shape[1:])
        within_rows(operation, known and math.prod(shape) != math.prod(x.shape[1:]))
        return c.make(operation, "", lambda: keras.layers.Reshape(shape, name=c.own_name(operation)))(x)
    axes = operation.axes if kind == "Transpose" else None
    if kind == "Transpose":
        within_rows(operation, not axes or axes[0] != 0)
    if axes:
        return c.make(operation, "", lambda: keras.layers.Permute(axes[1:], name=c.own_name(operation)))(c.tensor(source))
    line = _line(kind, _operands(node), source)
    if line is not None:
        return affine(c, operation, source, line, trained=any(is_trained(v) for v in _operands(node)))
    constants = [v for v in _operands(node) if v is not source and v is not None]
    if tuple(result.shape) != tuple(source.shape) or any(np.ndim(values_of(v)) for v in constants) or node.arguments.kwargs:
        return None
    if any(v is None for v in node.arguments.args):
        return None
    args = [None if v is source else float(values_of(v)) for v in node.arguments.args if v is not None]
    return table(c, operation, c.tensor(source), source, OperatorFunction(operation, args), c.own_name(operation))


def _line(kind: str, operands: list[Operand | None], source: KerasTensor) -> Line | None:
    """(factor, offset) of an operation that is a straight line in its tensor."""
    if kind in ("Negative", "Multiply", "Add", "Subtract", "Divide", "TrueDivide") and len(operands) <= 2:
        if kind == "Negative":
            return -1.0, None
        first = operands[0] is source
        other = operands[-1 if first else 0]
        if other is None or len(operands) != 2:
            return None
        constant = values_of(other)
        if kind == "Multiply":
            return constant, None
        if kind == "Add":
            return 1.0, constant
        if kind == "Subtract":
            return (1.0, -constant) if first else (-1.0, constant)
        if first and np.all(constant != 0):
            return 1.0 / constant, None
    return None
