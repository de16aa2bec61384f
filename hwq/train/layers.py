"""Quantised Keras layers: Quantize (an activation quantiser) and QDense; both serialise to .keras.

A layer quantises what it reads, so that its own cost is known without looking at its neighbours; its output is the exact
accumulator. `exact=True` makes a layer compute what the design computes (wrap or saturate, exact ties) instead of the
training surrogate; `hwq.train.freeze` makes such a model from a trained one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwq.train.backend import keras, ops
from hwq.train.quantizers import enclosed_bits, exact_quantize, fake_quantize, round_through, weight_bits


@keras.saving.register_keras_serializable(package="hwq")
class Quantize(keras.layers.Layer):
    """A fixed-point quantiser with its own fractional bits for every element of a row.

    Weights: `f` fractional bits (trained), `low`, `high` the mantissas' range (traced on data; high - low + 1 is a power of two).

    Args:
        bits: initial bits of the widest value; what `calibrate` sets f from.
        overflow: WRAP or SAT.
        exact: wrap or saturate into the traced range, as the design does.
    """

    def __init__(self, bits: int = 6, overflow: str = "WRAP", exact: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits, self.overflow, self.exact = bits, overflow, exact

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape[1:])
        self.f = self.add_weight(name="f", shape=shape, initializer=keras.initializers.Constant(float(self.bits)))
        self.integer = self.add_weight(name="integer", shape=shape, initializer="zeros", trainable=False)
        self.negative = self.add_weight(name="negative", shape=shape, initializer="zeros", trainable=False)
        self.low = self.add_weight(name="low", shape=shape, initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=shape, initializer="zeros", trainable=False)
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        if self.exact:
            return exact_quantize(x, ops.round(ops.convert_to_tensor(self.f)), self.low, self.high, self.overflow)
        q = fake_quantize(x, ops.convert_to_tensor(self.f))
        if training:
            self.track(ops.stop_gradient(q))
        return q

    def track(self, q: Any) -> None:
        """The running maximum of the integer bits, forgetting 0.01 bit a step (HGQ)."""
        low, high = ops.min(q, axis=0), ops.max(q, axis=0)
        needed = ops.where(low < 0, ops.ceil(ops.log2(ops.maximum(-low, 1e-30)) - 1e-5), -1e3)
        needed = ops.maximum(needed, ops.where(high > 0, ops.floor(ops.log2(ops.maximum(high, 1e-30)) + 1e-5) + 1, -1e3))
        self.integer.assign(ops.maximum(ops.convert_to_tensor(self.integer) - 0.01, needed))
        self.negative.assign(ops.maximum(ops.convert_to_tensor(self.negative), ops.cast(low < 0, self.negative.dtype)))

    def widths(self) -> Any:
        """Bits of each element as the running range has them: sign + integer + fraction, 0 when nothing is left."""
        value_bits = ops.ceil(ops.stop_gradient(ops.convert_to_tensor(self.integer))) + round_through(ops.convert_to_tensor(self.f))
        return ops.where(value_bits > 0, value_bits + self.negative, 0.0)

    def initialise(self, x: np.ndarray) -> None:
        """Choose f from data so that the widest value of each element has `bits` bits."""
        top = np.abs(x).max(axis=0)
        overall = float(top.max()) or 1.0
        integer = np.ceil(np.log2(np.maximum(top, overall * 2.0**-4)))
        self.f.assign(self.bits - integer)
        self.negative.assign((x.min(axis=0) < 0).astype("float32"))
        self.integer.assign(integer)

    def trace(self, x: np.ndarray, margin: float) -> None:
        """Set the mantissas' range from data, exactly as rounded, widened by the factor `margin`."""
        f = np.round(np.asarray(self.f, np.float64))
        y = np.ldexp(x.astype(np.float64), f.astype(np.int64))
        m = np.floor(y) + (y - np.floor(y) >= 0.5)
        low, high = np.floor(m.min(axis=0) * margin), np.ceil(m.max(axis=0) * margin)
        bits = np.maximum(_bits(-low - 1), _bits(high))
        negative = m.min(axis=0) < 0
        alive = (m != 0).any(axis=0)
        self.low.assign(np.where(negative & alive, -(2.0**bits), 0))
        self.high.assign(np.where(alive, 2.0**bits - 1, 0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits, "overflow": self.overflow, "exact": self.exact}


def _bits(values: np.ndarray) -> np.ndarray:
    """Bits of each whole number, 0 for those below 1."""
    return np.where(values >= 1, np.floor(np.log2(np.maximum(values, 1))) + 1, 0)


@keras.saving.register_keras_serializable(package="hwq")
class QDense(keras.layers.Layer):
    """Dense with an input quantiser and a bitwidth for every weight; optionally with batch normalisation folded in.

    Args:
        units: outputs.
        bits: initial bits of the largest weight and of the input.
        overflow: of the input quantiser.
        batch_norm: fold a batch normalisation into kernel and bias before they are quantised: batch statistics while training,
            moving ones otherwise.
    """

    def __init__(
        self,
        units: int,
        bits: int = 6,
        overflow: str = "WRAP",
        exact: bool = False,
        batch_norm: bool = False,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.bits, self.overflow, self.exact = units, bits, overflow, exact
        self.batch_norm, self.epsilon = batch_norm, epsilon
        self.quantizer = Quantize(bits, overflow, exact, name="input_quantizer", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        n = int(input_shape[-1] or 0)
        self.quantizer.build(input_shape)
        self.kernel = self.add_weight(name="kernel", shape=(n, self.units), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.kernel_f = self.add_weight(
            name="kernel_f", shape=(n, self.units), initializer=keras.initializers.Constant(float(self.bits))
        )
        self.bias_f = self.add_weight(name="bias_f", shape=(self.units,), initializer=keras.initializers.Constant(float(self.bits)))
        if self.batch_norm:
            self.gamma = self.add_weight(name="gamma", shape=(self.units,), initializer="ones")
            self.beta = self.add_weight(name="beta", shape=(self.units,), initializer="zeros")
            self.mean = self.add_weight(name="mean", shape=(self.units,), initializer="zeros", trainable=False)
            self.variance = self.add_weight(name="variance", shape=(self.units,), initializer="ones", trainable=False)
        self.built = True

    def folded(self, statistics: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
        """Kernel and bias with the batch normalisation in them, before quantisation."""
        kernel, bias = ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.bias)
        if not self.batch_norm:
            return kernel, bias
        mean, variance = statistics or (self.mean, self.variance)
        scale = self.gamma / ops.sqrt(variance + self.epsilon)
        return kernel * scale, (bias - mean) * scale + self.beta

    def quantized(self, kernel: Any, bias: Any) -> tuple[Any, Any]:
        return fake_quantize(kernel, ops.convert_to_tensor(self.kernel_f)), fake_quantize(bias, ops.convert_to_tensor(self.bias_f))

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.quantizer(x, training=training)
        statistics = self._batch_statistics(x) if training and self.batch_norm else None
        kernel, bias = self.quantized(*self.folded(statistics))
        return ops.matmul(x, kernel) + bias

    def _batch_statistics(self, x: Any) -> tuple[Any, Any]:
        z = ops.matmul(x, self.kernel) + self.bias
        axes = tuple(range(len(z.shape) - 1))
        mean, variance = ops.mean(z, axis=axes), ops.var(z, axis=axes)
        for moving, now in ((self.mean, mean), (self.variance, variance)):
            moving.assign(moving * 0.98 + ops.stop_gradient(now) * 0.02)
        return mean, variance

    def costs(self, exact: bool = False) -> dict[str, Any]:
        """Costs of one row: ebops = sum bits(x) bits(w), and the sums of both bits; differentiable unless `exact`."""
        kernel, bias = self.folded()
        bits = enclosed_bits if exact else weight_bits
        kernel_bits = bits(fake_quantize(ops.stop_gradient(kernel), self.kernel_f), self.kernel_f)
        bias_bits = bits(fake_quantize(ops.stop_gradient(bias), self.bias_f), self.bias_f)
        x_bits = self.quantizer.widths()
        positions = int(np.prod(x_bits.shape[:-1], dtype=int))
        rows = ops.sum(ops.reshape(x_bits, (positions, -1)), axis=0)
        return {
            "ebops": ops.sum(ops.matmul(ops.expand_dims(rows, 0), kernel_bits)),
            "weight_bits": ops.sum(kernel_bits) + ops.sum(bias_bits),
            "activation_bits": ops.sum(x_bits),
        }

    def bits_weights(self) -> list[Any]:
        return [self.kernel_f, self.bias_f, self.quantizer.f]

    def initialise(self, x: np.ndarray) -> None:
        """Choose the bitwidths from the weights and from the data that the layer reads."""
        self.quantizer.initialise(x)
        for value, f in zip((np.asarray(v, np.float64) for v in self.folded()), (self.kernel_f, self.bias_f), strict=True):
            top = float(np.abs(value).max()) or 1.0
            f.assign(np.full(value.shape, self.bits - np.ceil(np.log2(top)), "float32"))

    def get_config(self) -> dict[str, Any]:
        names = ("units", "bits", "overflow", "exact", "batch_norm", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
