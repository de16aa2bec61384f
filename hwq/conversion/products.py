"""Products and sums of `keras.ops`: matmul, dot and einsum with constants, weights, or of two tensors; sum, mean, max and min over axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hwq.backend import keras
from hwq.conversion.activations import twin_class
from hwq.conversion.floats import Given
from hwq.conversion.parts import is_trained, values_of
from hwq.conversion.twins import Copy
from hwq.errors import UnsupportedLayerError

if TYPE_CHECKING:
    from keras import KerasTensor
    from keras.layers import Node

    from hwq.conversion.convert import Conversion
    from hwq.conversion.floats import FloatOperation
    from hwq.layers import KernelLayer

PRODUCTS = ("Matmul", "Dot", "Einsum")
REDUCTIONS = {"Sum": "QSum", "Mean": "QMean", "Max": "QMax", "Min": "QMin", "Amax": "QMax", "Amin": "QMin"}


def product(c: Conversion, operation: FloatOperation, node: Node, result: KerasTensor) -> KerasTensor:
    """The twin of a product: an EinsumDense where one factor is constant or a weight, else QEinsum.

    Raises:
        UnsupportedLayerError: more than two factors, or rows that are not the first axis.
    """
    operands: list[Given] = [v for v in node.arguments.args if not isinstance(v, str)]
    if len(operands) != 2 or len(result.shape) < 2:
        raise UnsupportedLayerError(
            f"layer {operation.name!r} is a product of {len(operands)} tensors, with rows of {len(result.shape) - 1} axes",
            hint="multiply two at a time, and keep an axis in each row",
        )
    equation = _equation(operation, operands)
    constant = [not isinstance(v, keras.KerasTensor) for v in operands]
    name = c.own_name(operation)
    if not any(constant):
        options = c.overrides(operation, c.options(operands[0]))
        return c.make(operation, "", lambda: twin_class("QEinsum")(equation, name=name, **options))([c.tensor(t) for t in operands])
    if constant[0]:
        left, _, rest = equation.partition(",")
        right, _, end = rest.partition("->")
        equation, operands = f"{right},{left}->{end}", operands[::-1]
    source, weights = operands
    x = c.tensor(source)
    options = c.overrides(operation, {**c.options(source, weights=True), "train_weights": is_trained(weights)})
    shape = tuple(result.shape[1:])
    twin = c.make(operation, "", lambda: twin_class("QEinsumDense")(equation, shape, name=name, **options))
    y = twin(x)
    c.copies[id(twin)] = Copy(cast("KernelLayer", twin), None, None, values_of(weights))
    return y


def _equation(operation: FloatOperation, operands: list[Given]) -> str:
    """What a product sums, as einsum writes it."""
    name, ranks = type(operation).__name__, [len(v.shape) for v in operands]
    if name == "Einsum":
        equation = str(operation.subscripts).replace(" ", "")
        if "->" not in equation:
            raise UnsupportedLayerError(
                f"layer {operation.name!r} is the einsum {equation!r}", hint="name its result, as in bij,bjk->bik"
            )
        return _without_dots(equation, ranks)
    a, b = ranks
    symbolic = [isinstance(v, keras.KerasTensor) for v in operands]
    if b == 2 and not symbolic[1]:
        outer = "abcdefgh"[: a - 1]
        return f"{outer}x,xy->{outer}y"
    if name == "Matmul" and a == 2 and not symbolic[0]:
        outer = "abcdefgh"[: b - 2]
        return f"wx,{outer}xy->{outer}wy"
    if name == "Matmul" and a == b > 2 and tuple(operands[0].shape[1:-2]) == tuple(operands[1].shape[1:-2]):
        outer = "abcdefgh"[: a - 2]
        return f"{outer}wx,{outer}xy->{outer}wy"
    shapes = " and ".join(str(tuple(v.shape)) for v in operands)
    raise UnsupportedLayerError(
        f"layer {operation.name!r} ({name}) multiplies {shapes}", hint="write it as keras.ops.einsum, the rows first"
    )


def _without_dots(equation: str, ranks: list[int]) -> str:
    """An einsum with letters in the place of dots."""
    if "..." not in equation:
        return equation
    sides = equation.partition("->")[0].split(",")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    most = max(rank - len(side.replace("...", "")) for side, rank in zip(sides, ranks, strict=True) if "..." in side)
    return equation.replace("...", "".join(free[:most]))


def reduction(c: Conversion, operation: FloatOperation, node: Node, source: KerasTensor) -> KerasTensor:
    """The twin of a sum, mean, greatest or least value over axes."""
    axis = operation.axis
    if axis is None:
        raise UnsupportedLayerError(
            f"layer {operation.name!r} ({type(operation).__name__}) joins rows", hint="name the axes: axis=-1, keepdims=True"
        )
    x = c.tensor(source)
    axes = [axis] if isinstance(axis, int) else list(axis)
    kind, name = REDUCTIONS[type(operation).__name__], c.own_name(operation)
    options = c.overrides(operation, c.options(source))
    return c.make(operation, "", lambda: twin_class(kind)(axes, bool(operation.keepdims), name=name, **options))(x)
