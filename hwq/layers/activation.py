"""Unary functions as exact tables, and a softmax made of them.

A table has one value for each code of its quantised input, so that a frozen layer looks its result up, as the design does:
the vector and the scalar code of a library's tanh differ in the last bit, a table does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Unpack, cast

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops
from hwq.errors import ModelError, UnsupportedLayerError
from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.kernel import QuantizedLayer
from hwq.layers.options import QuantizerOptions, TableOptions
from hwq.layers.part import Part, known_shape
from hwq.layers.quantize import Quantize
from hwq.quantizers.hgq import dtype_of, power_of_two
from hwq.quantizers.rounding import widest_float
from hwq.tensors import BatchShape, Config, Floats, Gradient, Shape, Tensor

TensorFunction = Callable[[Tensor], Tensor]

TABLE_BITS = 14  # widest input of a table: 16 384 values
LUT_INPUTS = 6
PROBE = np.array([0.75, -1.5, 2.0, -0.25, 0.0])
# Results are rounded up from a little below the half, so that Keras, compiled or not, and the table decide alike: a computed value that
# is half a step but for the error of the arithmetic lies on one side of that for certain. In steps; above the error of 16-bit results.
SLACK = {"float64": 0.7391e-7, "float32": 0.7391e-2}


@keras.saving.register_keras_serializable(package="hwq")
class QActivation(QuantizedLayer):
    """A function of one number, applied to every element: y = output_quantizer(function(input_quantizer(x))).

    Shapes: (rows, *shape) in and out.

    Args:
        function: a name that Keras knows ("tanh", "sigmoid", "exponential", "hard_sigmoid", "hard_tanh", "gelu", ...) or a function
            on tensors, registered with Keras if the model is to be saved.
        output_bits: initial bits of the widest result; None: those of the input.
        table_shape: of a frozen layer: (tables, codes); filled in by `hwq.conversion.freeze`.
        kwargs: those of `Quantize`, for the input; one bitwidth for the whole tensor unless `granularity` says otherwise.

    Raises:
        UnsupportedLayerError: a function that looks at more than one element (softmax).

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QActivation("tanh")(np.zeros((2, 4), "float32")).shape
        TensorShape([2, 4])
    """

    priced_as: ClassVar = {"ebops": ("net_table_bits", 1.0)}

    def __init__(self, function: str | TensorFunction | Config, **options: Unpack[TableOptions]) -> None:
        output_bits, table_shape = options.pop("output_bits", None), options.pop("table_shape", None)
        most_integer = options.pop("most_integer", None)
        options.setdefault("granularity", "tensor")
        super().__init__(**cast(QuantizerOptions, options))
        self.function = keras.activations.get(function)
        self.output_bits, self.most_integer = output_bits, most_integer
        self.table_shape = tuple(table_shape) if table_shape else None
        self.precision = elementwise_precision(self.name, self.function)
        self.pole = str(getattr(self.function, "pole", ""))  # what `has_pole` says of it
        self.quantizer = self.make_quantizer(most_integer=most_integer)
        # saturating is free here: it is in the table
        self.output_quantizer = Quantize(
            output_bits or self.bits, "SAT", self.exact, "RND", "tensor", name="output_quantizer", dtype=self.dtype_policy
        )

    def build(self, input_shape: BatchShape) -> None:
        known_shape(self, input_shape)
        self.quantizer.build(input_shape)
        self.output_quantizer.build(input_shape)
        if self.table_shape:
            self.table = self.add_weight(name="table", shape=self.table_shape, initializer="zeros", trainable=False)
            shape = self.quantizer.row_shape
            self.index = self.add_weight(name="index", shape=shape, dtype="int32", initializer="zeros", trainable=False)
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if self.pole and self.quantizer.mode == "observe":
            return self._observed(x)
        x = self.quantizer(x, training=training)
        if training:
            return self.output_quantizer(ops.cast(self._value(x), self.compute_dtype), training=True)
        if not self.table_shape:
            y = ops.cast(self._value(ops.cast(x, self.precision)), self.precision)
            passed = ops.cast(y, self.compute_dtype)
            if self.exact or self.output_quantizer.mode:
                return self.output_quantizer(passed)
            f = ops.round(ops.convert_to_tensor(self.output_quantizer.f))
            whole = ops.floor(y * power_of_two(f, self.precision) + (0.5 + SLACK[self.precision]))
            return _held(ops.cast(whole * power_of_two(-f, self.precision), self.compute_dtype), passed)
        f = ops.round(ops.convert_to_tensor(self.quantizer.f))
        codes = ops.cast(x * power_of_two(f, self.compute_dtype) - self.quantizer.low, "int32")
        table = ops.reshape(ops.convert_to_tensor(self.table), (-1,))
        return ops.take(table, ops.convert_to_tensor(self.index) * self.table_shape[1] + codes)

    def _value(self, x: Tensor) -> Tensor:
        """The function of quantised numbers. A pole is nearer to zero than any step: a code stands there for the end of its interval."""
        if not self.pole:
            return self.function(x)
        half = power_of_two(-1 - ops.round(ops.stop_gradient(ops.convert_to_tensor(self.quantizer.f))), dtype_of(x))
        bounded = getattr(self.function, "bounded", False)
        return self.function(x + half if bounded else ops.where(ops.equal(x, 0), half, x))

    def _observed(self, x: Tensor) -> Tensor:
        """The function of numbers as they are; its quantisers look at those that are not zero."""
        some = ops.where(ops.equal(x, 0), ops.max(ops.abs(x)), x)
        self.quantizer(some)
        self.output_quantizer(ops.cast(self.function(some), self.compute_dtype))
        return ops.cast(self.function(x), self.compute_dtype)

    def tabulate(self) -> tuple[Floats, npt.NDArray[np.int32]]:
        """The tables of the present ranges: values (tables, codes), float64, zero beyond the last code; index of each element's table.

        Raises:
            ModelError: an input too wide for a table.
        """
        shape = self.quantizer.row_shape
        keys = np.stack([np.broadcast_to(np.asarray(v, np.float64), shape).ravel() for v in self._kinds()], axis=1)
        kinds, index = np.unique(keys, axis=0, return_inverse=True)
        codes = int((kinds[:, 1] - kinds[:, 0]).max()) + 1
        if codes > 1 << TABLE_BITS:
            raise ModelError(
                f"the input of {self.name!r} has {codes} codes, a table at most {1 << TABLE_BITS}", hint="fewer initial bits for it"
            )
        values = np.zeros((len(kinds), codes))
        for row, (low, high, f, output_f, output_low, output_high) in zip(values, kinds, strict=True):
            x = np.ldexp(np.arange(low, high + 1), -int(f)).astype(self.precision)
            if self.pole:  # as `_value` has it
                half = np.ldexp(0.5, -int(f))
                x = x + half if getattr(self.function, "bounded", False) else np.where(x == 0, half, x)
            y = np.ldexp(np.asarray(ops.convert_to_numpy(self.function(ops.convert_to_tensor(x))), np.float64), int(output_f))
            m = np.clip(np.floor(y + (0.5 + SLACK[self.precision])), output_low, output_high)
            row[: len(m)] = np.ldexp(m, -int(output_f))
        return values, index.reshape(shape).astype(np.int32)

    def _kinds(self) -> tuple[Floats, ...]:
        x, y = self.quantizer, self.output_quantizer
        f, output_f = (np.round(ops.convert_to_numpy(q.f)) for q in (x, y))
        low, high, output_low, output_high = (ops.convert_to_numpy(v) for v in (x.low, x.high, y.low, y.high))
        return low, high, f, output_f, output_low, output_high

    def tables(self) -> list[QActivation]:
        return [self]

    def parts(self) -> list[Part]:
        return [self.quantizer, self.output_quantizer]

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        """ebops: 6-input LUTs of the tables: a function of b bits takes max(1, 2^(b - 6)) for each bit of its result."""
        b, result = self.quantizer.widths(), self.output_quantizer.widths()
        luts = ops.where(b > 0, result * ops.power(2.0, ops.maximum(b - LUT_INPUTS, 0.0)), 0.0)
        return {**super().costs(exact), "ebops": ops.sum(luts)}

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def live_config(self) -> Config:
        own = {"function": self.function, "table_shape": self.table_shape}
        return {**super().get_config(), **own, "output_bits": self.output_bits, "most_integer": self.most_integer}

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        values = np.asarray(self.table, np.float64)
        index = tuple(int(i) for i in np.asarray(self.index).ravel())
        f = np.broadcast_to(np.round(np.asarray(self.output_quantizer.f)), shape).ravel()
        steps = np.zeros((len(values), 1))
        steps[list(index), 0] = f  # one result type for each table: its elements share the types of input and result
        return reader.add(name, "table", [x], name, values=constant(values, steps), index=index)

    def get_config(self) -> Config:
        return {**self.live_config(), "function": keras.activations.serialize(self.function)}


@ops.custom_gradient
def _held(value: Tensor, passed: Tensor) -> tuple[Tensor, Gradient]:
    """`value`, with the gradient of `passed`."""

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, ...]:
        g = upstream if upstream is not None else args[0]
        return ops.zeros_like(g), g

    return value, gradient


def elementwise_precision(layer: str, function: TensorFunction) -> str:
    """The widest float type in which the function can be computed, found by trying it on a few numbers, together and one by one.

    Raises:
        UnsupportedLayerError: it fails in every type, or the results differ, so that it is no function of one number.
    """
    failed: Exception | None = None
    for dtype in dict.fromkeys((widest_float(), "float32")):
        try:
            together, single = _tried(function, dtype)
        except Exception as error:  # the user's own code may raise anything
            failed = failed or error
            continue
        if together.shape != PROBE.shape or not np.allclose(together, single, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise UnsupportedLayerError(
                f"layer {layer!r}: {function_name(function)} is no function of one number, which a table needs",
                hint="a function of several numbers is a layer of its own: a softmax is QSoftmax; others are made of sums, products and tables",
            )
        return dtype
    reason = next(iter(str(failed).splitlines()), "")
    raise UnsupportedLayerError(
        f"layer {layer!r}: its function {function_name(function)} fails on numbers: {type(failed).__name__}: {reason}",
        hint="give a function of one tensor that returns one of the same shape",
    ) from failed


def _tried(function: TensorFunction, dtype: str) -> tuple[Floats, Floats]:
    probe = PROBE.astype(dtype)
    together = ops.convert_to_numpy(function(ops.convert_to_tensor(probe)))
    single = [ops.convert_to_numpy(function(ops.convert_to_tensor(probe[i : i + 1]))) for i in range(len(probe))]
    return np.asarray(together, np.float64), np.concatenate(single).astype(np.float64)


def has_pole(kind: str) -> Callable[[TensorFunction], TensorFunction]:
    """Mark a function that has a pole at zero: "reciprocal", whose values differ in size, or "logarithm".

    Its table has at zero the value half a step beside it, and the steps around it are chosen by the smallest number in the rows, too.
    """

    def marked(function: TensorFunction) -> TensorFunction:
        function.__dict__["pole"] = kind
        return function

    return marked


def function_name(function: object) -> str:
    """What to call a function in a message or a layer's name."""
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else str(name)


@keras.saving.register_keras_serializable(package="hwq")
def reciprocal(x: Tensor) -> Tensor:
    """1 / x, with 2^16 for everything below 2^-16: the codes of an unused range have a value too."""
    return 1.0 / ops.maximum(x, 2.0**-16)


@keras.saving.register_keras_serializable(package="hwq")
class QSoftmax(QuantizedLayer):
    """Softmax over the last axis, made of tables: e = exp(x - max x), y = e * (1 / sum e).

    The order of the results is that of the inputs, except where two of them differ by less than a step of the table's input.

    Shapes: (rows, ..., n) in and out.

    Args:
        table_bits: bits of the inputs and results of both tables. Differences beyond 16 saturate: e^-16 is below any step.
        kwargs: those of `Quantize`, for the input.

    Raises:
        UnsupportedLayerError: another axis than the last; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QSoftmax()(np.zeros((2, 4), "float32")).shape
        TensorShape([2, 4])
    """

    priced_as: ClassVar = {"ebops": ("net_table_bits", 1.0)}

    def __init__(
        self,
        axis: int = -1,
        *,
        table_bits: int = 11,
        table_shapes: Sequence[Sequence[int]] | None = None,
        **options: Unpack[QuantizerOptions],
    ) -> None:
        super().__init__(**options)
        if axis != -1:
            raise UnsupportedLayerError(f"layer {self.name!r} is a softmax over axis {axis}", hint="take the last axis")
        self.table_bits, self.table_shapes = table_bits, table_shapes
        self.quantizer = self.make_quantizer()
        shapes = table_shapes or (None, None)
        common: TableOptions = {"bits": table_bits, "overflow": "SAT", "exact": self.exact, "dtype": self.dtype_policy}
        first: TableOptions = {**common, "most_integer": 4, "table_shape": shapes[0], "name": "exponential"}
        second: TableOptions = {**common, "table_shape": shapes[1], "name": "inverse"}
        self.exponential, self.inverse = QActivation("exponential", **first), QActivation(reciprocal, **second)

    def build(self, input_shape: BatchShape) -> None:
        known_shape(self, input_shape)
        for part in (self.quantizer, self.exponential):
            part.build(input_shape)
        self.inverse.build((*input_shape[:-1], 1))
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        x = self.quantizer(x, training=training)
        e = self.exponential(x - ops.max(x, axis=-1, keepdims=True), training=training)
        return e * self.inverse(ops.sum(e, axis=-1, keepdims=True), training=training)

    def tables(self) -> list[QActivation]:
        return [self.exponential, self.inverse]

    def parts(self) -> list[Part]:
        return [self.quantizer, self.exponential, self.inverse]

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        parts = super().costs(exact)
        products = ops.sum(self.exponential.output_quantizer.widths() * self.inverse.output_quantizer.widths())
        return {**parts, "ebops": parts["ebops"] + products}

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """e = exp(x - max x); y = e * (1 / sum e). One number is brought to all elements of a row by a dense layer of ones."""
        name, n = name or self.name, shape[-1]
        x = reader.quantize(name, self.quantizer, inputs[0])
        image = reader.reshape(x, (math.prod(shape[:-1]), n, 1), name)
        top = reader.line_by_line(f"{name}_max", "max_pool2d", image, name)
        top = _ones(reader, f"{name}_max_everywhere", reader.reshape(top, (*shape[:-1], 1), name), n, name)
        below = reader.add(f"{name}_below", "subtract", [x, top], name)
        e = self.exponential.integers(reader, [below], shape, f"{name}_exp")
        total = _ones(reader, f"{name}_sum", e, 1, name)
        inverse = self.inverse.integers(reader, [total], (*shape[:-1], 1), f"{name}_inverse")
        return reader.add(name, "multiply", [e, _ones(reader, f"{name}_inverse_everywhere", inverse, n, name)], name)

    def get_config(self) -> Config:
        return {**super().get_config(), "axis": -1, "table_bits": self.table_bits, "table_shapes": self.table_shapes}


def _ones(reader: Reader, name: str, source: Node, outputs: int, layer: str) -> Node:
    """Each of `outputs` numbers is the sum over the last axis of `source`."""
    kernel = whole(np.ones((source.shape[-1], outputs)))
    return reader.add(name, "dense", [source], layer, kernel=kernel, bias=whole(np.zeros(outputs)))
