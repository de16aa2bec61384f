"""Unary functions as exact tables, and a softmax made of them.

A table has one value for each code of its quantised input, so that a frozen layer looks its result up, as the design does:
the vector and the scalar code of a library's tanh differ in the last bit, a table does not.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.train.backend import keras, ops
from hwq.train.layers.kernel import QuantizedLayer
from hwq.train.layers.part import Part, known_shape
from hwq.train.quantizers import power_of_two

TABLE_BITS = 14  # widest input of a table: 16 384 values
LUT_INPUTS = 6


@keras.saving.register_keras_serializable(package="hwq")
class QActivation(QuantizedLayer):
    """A function of one number, applied to every element: y = output_quantizer(function(input_quantizer(x))).

    Args:
        function: a name that Keras knows ("tanh", "sigmoid", "exponential", "hard_sigmoid", "hard_tanh", "gelu", ...) or a function
            on tensors, registered with Keras if the model is to be saved.
        output_bits: initial bits of the widest result; None: those of the input.
        table_shape: of a frozen layer: (tables, codes); filled in by `hwq.train.freeze`.
        kwargs: those of `Quantize`, for the input; one bitwidth for the whole tensor unless `granularity` says otherwise.

    Raises:
        UnsupportedLayerError: a function that looks at more than one element (softmax).
    """

    priced_as: ClassVar = {"ebops": ("net_table_bits", 1.0)}

    def __init__(
        self,
        function: Any,
        *,
        output_bits: int | None = None,
        table_shape: Any = None,
        most_integer: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"granularity": "tensor", **kwargs})
        self.function = keras.activations.get(function)
        self.output_bits, self.most_integer = output_bits, most_integer
        self.table_shape = tuple(table_shape) if table_shape else None
        check_elementwise(self.name, self.function)
        self.quantizer = self.make_quantizer(most_integer=most_integer)
        # saturating is free here: it is in the table
        own = {"bits": output_bits or self.bits, "overflow": "SAT", "granularity": "tensor", "rounding": "RND", "signed": None}
        self.output_quantizer = self.make_quantizer("output_quantizer", **own)

    def build(self, input_shape: Any) -> None:
        known_shape(self, input_shape)
        self.quantizer.build(input_shape)
        self.output_quantizer.build(input_shape)
        if self.table_shape:
            self.table = self.add_weight(name="table", shape=self.table_shape, initializer="zeros", trainable=False)
            shape = self.quantizer.row_shape
            self.index = self.add_weight(name="index", shape=shape, dtype="int32", initializer="zeros", trainable=False)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.quantizer(x, training=training)
        if not self.table_shape:
            return self.output_quantizer(self.function(x), training=training)
        f = ops.round(ops.convert_to_tensor(self.quantizer.f))
        codes = ops.cast(x * power_of_two(f, self.compute_dtype) - self.quantizer.low, "int32")
        table = ops.reshape(ops.convert_to_tensor(self.table), (-1,))
        return ops.take(table, ops.convert_to_tensor(self.index) * self.table_shape[1] + codes)

    def tabulate(self) -> tuple[np.ndarray, np.ndarray]:
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
            x = np.ldexp(np.arange(low, high + 1), -int(f))
            y = np.ldexp(np.asarray(ops.convert_to_numpy(self.function(ops.convert_to_tensor(x))), np.float64), int(output_f))
            m = np.clip(np.floor(y) + (y - np.floor(y) >= 0.5), output_low, output_high)
            row[: len(m)] = np.ldexp(m, -int(output_f))
        return values, index.reshape(shape).astype(np.int32)

    def _kinds(self) -> tuple[Any, ...]:
        x, y = self.quantizer, self.output_quantizer
        f, output_f = (np.round(ops.convert_to_numpy(q.f)) for q in (x, y))
        low, high, output_low, output_high = (ops.convert_to_numpy(v) for v in (x.low, x.high, y.low, y.high))
        return low, high, f, output_f, output_low, output_high

    def tables(self) -> list[QActivation]:
        return [self]

    def parts(self) -> list[Part]:
        return [self.quantizer, self.output_quantizer]

    def costs(self, exact: bool = False) -> dict[str, Any]:
        """ebops: 6-input LUTs of the tables: a function of b bits takes max(1, 2^(b - 6)) for each bit of its result."""
        b, result = self.quantizer.widths(), self.output_quantizer.widths()
        luts = ops.where(b > 0, result * ops.power(2.0, ops.maximum(b - LUT_INPUTS, 0.0)), 0.0)
        return {**super().costs(exact), "ebops": ops.sum(luts)}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        own = {"function": keras.activations.serialize(self.function), "table_shape": self.table_shape}
        return {**super().get_config(), **own, "output_bits": self.output_bits, "most_integer": self.most_integer}


def check_elementwise(layer: str, function: Any) -> None:
    """Try the function on a few numbers, together and one by one.

    Raises:
        UnsupportedLayerError: the results differ, so that it is no function of one number.
    """
    probe = np.array([-1.5, -0.25, 0.0, 0.75, 2.0], "float32")
    try:
        together = ops.convert_to_numpy(function(ops.convert_to_tensor(probe)))
        single = np.concatenate([ops.convert_to_numpy(function(ops.convert_to_tensor(probe[i : i + 1]))) for i in range(5)])
    except (ValueError, TypeError) as error:
        raise UnsupportedLayerError(f"layer {layer!r}: its function fails on numbers: {error}") from error
    if together.shape != probe.shape or not np.allclose(together, single, rtol=1e-4, atol=1e-5, equal_nan=True):
        name = getattr(function, "__name__", type(function).__name__)
        raise UnsupportedLayerError(
            f"layer {layer!r}: {name} is no function of one number, which a table needs",
            hint="for a softmax take QSoftmax",
        )


@keras.saving.register_keras_serializable(package="hwq")
def reciprocal(x: Any) -> Any:
    """1 / x, with 2^16 for everything below 2^-16: the codes of an unused range have a value too."""
    return 1.0 / ops.maximum(x, 2.0**-16)


@keras.saving.register_keras_serializable(package="hwq")
class QSoftmax(QuantizedLayer):
    """Softmax over the last axis, made of tables: e = exp(x - max x), y = e * (1 / sum e).

    The order of the results is that of the inputs, except where two of them differ by less than a step of the table's input.

    Args:
        table_bits: bits of the inputs and results of both tables. Differences beyond 16 saturate: e^-16 is below any step.
        kwargs: those of `Quantize`, for the input.
    """

    priced_as: ClassVar = {"ebops": ("net_table_bits", 1.0)}

    def __init__(self, axis: int = -1, *, table_bits: int = 11, table_shapes: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if axis != -1:
            raise UnsupportedLayerError(f"layer {self.name!r} is a softmax over axis {axis}", hint="take the last axis")
        self.table_bits, self.table_shapes = table_bits, table_shapes
        self.quantizer = self.make_quantizer()
        shapes = table_shapes or (None, None)
        common = {"bits": table_bits, "overflow": "SAT", "exact": self.exact, "dtype": self.dtype_policy}
        self.exponential = QActivation("exponential", most_integer=4, table_shape=shapes[0], name="exponential", **common)
        self.inverse = QActivation(reciprocal, table_shape=shapes[1], name="inverse", **common)

    def build(self, input_shape: Any) -> None:
        known_shape(self, input_shape)
        for part in (self.quantizer, self.exponential):
            part.build(input_shape)
        self.inverse.build((*input_shape[:-1], 1))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.quantizer(x, training=training)
        e = self.exponential(x - ops.max(x, axis=-1, keepdims=True), training=training)
        return e * self.inverse(ops.sum(e, axis=-1, keepdims=True), training=training)

    def tables(self) -> list[QActivation]:
        return [self.exponential, self.inverse]

    def parts(self) -> list[Part]:
        return [self.quantizer, self.exponential, self.inverse]

    def costs(self, exact: bool = False) -> dict[str, Any]:
        parts = super().costs(exact)
        products = ops.sum(self.exponential.output_quantizer.widths() * self.inverse.output_quantizer.widths())
        return {**parts, "ebops": parts["ebops"] + products}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": -1, "table_bits": self.table_bits, "table_shapes": self.table_shapes}
