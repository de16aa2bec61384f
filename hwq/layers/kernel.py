"""KernelLayer: what Dense, EinsumDense and the convolutions share: a quantised input, kernel and bias, batch normalisation folded in.

y = activation(linear(quantize(x), kernel) + bias). A layer quantises what it reads, so that its own cost is known without
looking at its neighbours; its output is the exact accumulator.
"""

from __future__ import annotations

import math
from typing import Self, Unpack, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import Reader
from hwq.ir import Constant, Node
from hwq.layers.options import KernelOptions, LayerOptions, QuantizerOptions, VariableSettings, WeightSettings, settings_of
from hwq.layers.part import Part, known_shape
from hwq.layers.quantize import OPTIONS, Quantize
from hwq.quantizers.hgq import enclosed_bits, weight_bits
from hwq.quantizers.powers import MOST_LEVELS, best_top, quantize_terms, soft_project
from hwq.quantizers.rounding import GRANULARITIES, ROUNDINGS, check_choice, check_count, fake_round, spread, widest_float
from hwq.tensors import BatchShape, Config, DType, Integers, Shape, Tensor, Variable

_KERAS = {
    "kernel_initializer": keras.initializers,
    "bias_initializer": keras.initializers,
    "kernel_regularizer": keras.regularizers,
    "bias_regularizer": keras.regularizers,
    "kernel_constraint": keras.constraints,
    "bias_constraint": keras.constraints,
}


class QuantizedLayer(Part):
    """A layer with an input quantiser of its own for each tensor that it reads; the arguments are those of `Quantize`."""

    def __init__(
        self,
        *,
        bits: int = 6,
        overflow: str = "WRAP",
        rounding: str = "RND",
        granularity: str = "element",
        signed: bool | None = None,
        exact: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.bits, self.overflow, self.rounding = bits, overflow, rounding
        self.granularity, self.signed, self.exact = granularity, signed, exact

    def make_quantizer(self, name: str = "input_quantizer", most_integer: int | None = None) -> Quantize:
        """A quantiser with this layer's options."""
        return Quantize(
            self.bits,
            self.overflow,
            self.exact,
            self.rounding,
            self.granularity,
            signed=self.signed,
            most_integer=most_integer,
            name=name,
            dtype=self.dtype_policy,
        )

    def get_config(self) -> Config:
        return {**super().get_config(), **{name: getattr(self, name) for name in OPTIONS}}


class KernelLayer(QuantizedLayer):
    """Base of the layers with a kernel; a subclass says what the kernel's shape is and how it meets the input.

    Args:
        activation: None or "linear", or "relu". Others are layers of their own: QActivation.
        use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: as in Keras.
        bits: initial bits of the largest weight and of the input.
        overflow, rounding, granularity, signed: of the input quantiser.
        weight_granularity, weight_rounding: of kernel and bias; "channel" is an output channel.
        weight_terms: 0: kernels are fixed point. 1, 2, 3: each weight is the sum of so many signed powers of two at most
            (`hwq.quantizers.powers`), whose greatest is shared as weight_granularity says; the bias stays fixed point.
        weight_levels: how many powers of two there are to choose from.
        batch_norm: fold a batch normalisation into kernel and bias before they are quantised: batch statistics while training,
            moving ones otherwise.
        epsilon, momentum, center, scale: of that batch normalisation.
        train_weights, train_norm: False: kernel and bias, or gamma and beta, stay as they are; bitwidths are learned all the same.
        batch_statistics: False: normalise by the moving statistics while training, too, and leave them as they are.

    Raises:
        UnsupportedLayerError: another activation.
    """

    def __init__(
        self,
        *,
        activation: object = None,
        use_bias: bool = True,
        **options: Unpack[KernelOptions],
    ) -> None:
        mine, kept = settings_of(WeightSettings, options), settings_of(VariableSettings, options)
        own = {*WeightSettings.__slots__, *VariableSettings.__slots__}
        super().__init__(**cast(QuantizerOptions, {name: value for name, value in options.items() if name not in own}))
        self.train_weights, self.train_norm, self.batch_statistics = mine.train_weights, mine.train_norm, mine.batch_statistics
        self.activation = activation_name(self.name, activation)
        self.use_bias = use_bias
        self.keras_options = {name: module.get(getattr(kept, name)) for name, module in _KERAS.items()}
        self.weight_granularity = check_choice("weight_granularity", mine.weight_granularity, GRANULARITIES)
        self.weight_rounding = check_choice("weight_rounding", mine.weight_rounding, ROUNDINGS)
        self.weight_terms = check_count("weight_terms", mine.weight_terms, 0, 3)
        self.weight_levels = check_count("weight_levels", mine.weight_levels, 1, MOST_LEVELS)
        self.batch_norm, self.epsilon, self.momentum = mine.batch_norm, mine.epsilon, mine.momentum
        self.center, self.scale = mine.center, mine.scale
        self.quantizer = self.make_quantizer()

    # what a subclass provides

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        """The shapes of kernel and bias for inputs of `input_shape` (with the batch axis)."""
        raise NotImplementedError

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        """What the kernel does to x, (batch, ...); the bias is added by the caller."""
        raise NotImplementedError

    channel_axes: Shape = (-1,)  # axes of the kernel that number the output channels, slowest first

    # what follows from it

    def build(self, input_shape: BatchShape) -> None:
        known_shape(self, input_shape)
        self.quantizer.build(input_shape)
        kernel_shape, bias_shape = self.shapes(input_shape)
        self.kernel = self._variable("kernel", kernel_shape)
        if self.use_bias:
            self.bias = self._variable("bias", bias_shape)
        self.bias_shape = bias_shape
        initial = keras.initializers.Constant(float(self.bits))
        shared = self._shared(kernel_shape, self.channel_axes)
        self.kernel_f = self.add_weight(name="kernel_f", shape=shared, initializer=initial)
        if self.weight_terms:
            shape = (1,) * len(kernel_shape)  # one choice of powers for the kernel; what each weight has to itself is its gate
            self.kernel_top = self.add_weight(name="kernel_top", shape=shape, initializer="zeros", trainable=False)
            self.slope = self.add_weight(name="slope", shape=(), initializer="zeros", trainable=False)
        if self.has_bias:
            axes = tuple(range(len(bias_shape)))
            self.bias_f = self.add_weight(name="bias_f", shape=self._shared(bias_shape, axes), initializer=initial)
        if self.batch_norm:
            shape = (int(np.prod([kernel_shape[axis] for axis in self.channel_axes])),)
            self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", trainable=self.scale)
            self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", trainable=self.center)
            self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
            self.variance = self.add_weight(name="variance", shape=shape, initializer="ones", trainable=False)
        self._hold()
        self.built = True

    def _hold(self) -> None:
        """Take the weights that stay as they are out of training; `layer.trainable = True` brings them back."""
        held = [] if self.train_weights else [self.kernel, *([self.bias] if self.use_bias else [])]
        held += [self.gamma, self.beta] if self.batch_norm and not self.train_norm else []
        for variable in held:
            variable.trainable = False

    @property
    def has_bias(self) -> bool:
        """Whether something is added: a folded normalisation needs a bias too."""
        return self.use_bias or self.batch_norm

    def _variable(self, name: str, shape: Shape) -> Variable:
        kept = self.keras_options
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=kept[f"{name}_initializer"],
            regularizer=kept[f"{name}_regularizer"],
            constraint=kept[f"{name}_constraint"],
        )

    def _shared(self, shape: Shape, channels: Shape) -> Shape:
        if self.weight_granularity == "element":
            return shape
        kept = {axis % len(shape) for axis in channels} if self.weight_granularity == "channel" else set()
        return tuple(n if axis in kept else 1 for axis, n in enumerate(shape))

    def folded(self, statistics: tuple[Tensor, Tensor] | None = None, dtype: DType | None = None) -> tuple[Tensor, Tensor | None]:
        """Kernel and bias with the batch normalisation in them, before quantisation; the bias is None where there is none.

        Args:
            statistics: mean and variance of the batch, (channels,); None: the moving ones.
            dtype: of the arithmetic and of the results; None: that of the weights.
        """

        def value(variable: Tensor) -> Tensor:
            tensor = ops.convert_to_tensor(variable)
            return tensor if dtype is None else ops.cast(tensor, dtype)

        kernel, bias = value(self.kernel), value(self.bias) if self.use_bias else None
        if not self.batch_norm:
            return kernel, bias
        mean, variance = (value(v) for v in statistics or (self.mean, self.variance))
        scale = value(self.gamma) / ops.sqrt(variance + self.epsilon)
        shape = [1] * len(kernel.shape)
        for axis in self.channel_axes:
            shape[axis] = kernel.shape[axis]
        shift = -mean if bias is None else bias - mean
        return kernel * ops.reshape(scale, shape), shift * scale + value(self.beta)

    def quantized(self, kernel: Tensor, bias: Tensor | None, training: bool = False) -> tuple[Tensor, Tensor | None]:
        """Kernel and bias rounded to their steps; the kernel to powers of two where it has terms, softly while `training`."""
        f = ops.cast(spread(self.kernel_f, kernel.shape), kernel.dtype)
        if not self.weight_terms:
            kernel = fake_round(kernel, f, self.weight_rounding)
        elif training:
            slope = ops.convert_to_tensor(self.slope)
            soft = soft_project(kernel, self._top(), self.weight_levels, self.weight_terms, ops.where(slope > 0, slope, 1.0))
            kernel = ops.where(slope > 0, soft, quantize_terms(kernel, f, self.weight_terms))
        else:
            kernel = quantize_terms(kernel, f, self.weight_terms)
        if bias is not None:
            bias = fake_round(bias, ops.cast(spread(self.bias_f, bias.shape), bias.dtype), self.weight_rounding)
        return kernel, bias

    def projected_kernel(self) -> Tensor:
        """The powers of two in the place of the trained kernel: before batch normalisation is folded in."""
        kernel = ops.convert_to_tensor(self.kernel)
        folded = self.folded()[0]
        pruned = ops.equal(folded, 0.0)
        q = quantize_terms(folded, spread(self.kernel_f, folded.shape), self.weight_terms)
        return kernel * ops.where(pruned, 1.0, q / ops.where(pruned, 1.0, folded))

    def _top(self) -> Tensor:
        return ops.convert_to_tensor(self.kernel_top)

    is_matmul = False  # whether `linear` of rows of one axis is a matrix product and no more

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if training and self.is_matmul and not self.batch_norm and self.quantizer.multiplies(x):
            kernel, bias = self.quantized(*self.folded(), training)
            return self._activated(self.quantizer.matmul(x, kernel), bias)
        x = self.quantizer(x, training=training)
        if not training:
            kernel, bias = self.settled()
        else:
            statistics = self._batch_statistics(x) if self.batch_norm and self.batch_statistics else None
            kernel, bias = self.quantized(*self.folded(statistics), training)
        return self._activated(self.linear(x, kernel), bias)

    def settled(self) -> tuple[Tensor, Tensor | None]:
        """Kernel and bias as the design has them.

        A normalisation is folded in with float64: compilers reorder it, and what they make of float32 differs by whole steps at ties.
        """
        wide = widest_float() if self.batch_norm else None
        kernel, bias = self.quantized(*self.folded(dtype=wide))
        dtype = self.compute_dtype
        return ops.cast(kernel, dtype), None if bias is None else ops.cast(bias, dtype)

    def _activated(self, y: Tensor, bias: Tensor | None) -> Tensor:
        if bias is not None:
            # ops.add takes anything that squeezes to a vector for the bias of the last axis; for a vector TensorFlow fuses it, unlike +
            y = ops.add(y, bias) if len(bias.shape) == 1 else y + bias
        return ops.relu(y) if self.activation == "relu" else y

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.linear(x, ops.convert_to_tensor(self.kernel))
        z = z + self.bias if self.use_bias else z
        axes = tuple(range(len(z.shape) - 1))
        mean, variance = ops.mean(z, axis=axes), ops.var(z, axis=axes)
        for moving, now in ((self.mean, mean), (self.variance, variance)):
            moving.assign(moving * self.momentum + ops.stop_gradient(now) * (1 - self.momentum))
        return mean, variance

    def parts(self) -> list[Part]:
        return [self.quantizer]

    def bits_weights(self) -> list[Variable]:
        return [self.kernel_f, *([self.bias_f] if self.has_bias else []), self.quantizer.f]

    def kernels(self) -> list[Variable]:
        return [self.kernel] if self.train_weights else []

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        """ebops = sum of bits(x) bits(w) over the multiplications of one row, one for each position of the kernel: all are unrolled."""
        kernel, bias = self.folded()
        kernel_bits = self._kernel_terms(kernel, exact) if self.weight_terms else self._constant_bits(kernel, self.kernel_f, exact)
        bias_bits = 0.0 if bias is None else ops.sum(self._constant_bits(bias, self.bias_f, exact))
        x_bits = self.quantizer.widths()
        return {
            "ebops": self.multiplications(x_bits, kernel_bits),
            "weight_bits": ops.sum(kernel_bits) + bias_bits,
            "activation_bits": ops.sum(x_bits),
        }

    def multiplications(self, x_bits: Tensor, kernel_bits: Tensor) -> Tensor:
        """Sum of bits(x) bits(w) over every multiplication: the layer itself, computed on bitwidths."""
        return ops.sum(self.linear(ops.expand_dims(x_bits, 0), kernel_bits))

    def _constant_bits(self, value: Tensor, f: Tensor, exact: bool) -> Tensor:
        f = ops.convert_to_tensor(f)
        sharing = math.prod(value.shape) / max(math.prod(f.shape), 1)
        if sharing > 1:  # Sun et al., arXiv 2405.00645: 1 / sqrt(n) for a bitwidth that n weights share
            f = f * sharing**-0.5 + ops.stop_gradient(f * (1 - sharing**-0.5))
        f = spread(f, value.shape)
        q = fake_round(ops.stop_gradient(value), ops.stop_gradient(f), self.weight_rounding)
        return enclosed_bits(q, f) if exact else weight_bits(q, f)

    def _kernel_terms(self, kernel: Tensor, exact: bool) -> Tensor:
        """Bits of each weight as it is quantised; no price on the steps while the quantiser is soft: they do nothing yet."""
        f = spread(self.kernel_f, kernel.shape)
        f = ops.where(ops.convert_to_tensor(self.slope) > 0, ops.stop_gradient(f), f)
        q = ops.stop_gradient(quantize_terms(kernel, f, self.weight_terms))
        return enclosed_bits(q, f) if exact else weight_bits(q, f)

    def initialise_weights(self) -> None:
        if self.weight_terms:
            kernel = np.asarray(ops.convert_to_numpy(self.folded()[0]), np.float64)
            self.kernel_top.assign(np.full(self.kernel_top.shape, best_top(kernel, self.weight_levels, self.weight_terms)))
        for value, f in self._constants():
            top = float(np.abs(ops.convert_to_numpy(value)).max(initial=0)) or 1.0
            f.assign(np.full(f.shape, self.bits - np.ceil(np.log2(top)), "float32"))
        if self.weight_terms:  # the least power is the first step of every weight
            least = self.weight_levels - 1 - ops.convert_to_numpy(self.kernel_top)
            self.kernel_f.assign(np.broadcast_to(least, self.kernel_f.shape))

    def _constants(self) -> list[tuple[Tensor, Variable]]:
        """Kernel, and bias where there is one, each before quantisation and with its bitwidths."""
        kernel, bias = self.folded()
        return [(kernel, self.kernel_f), *([] if bias is None else [(bias, self.bias_f)])]

    def hold_width(self, bits: Integers, bias_bits: int) -> None:
        """Choose the steps of kernel and bias anew, so that the largest value of all that share one has so many bits.

        Args:
            bits: of the kernel, () or (channels,): its last axis.
        """
        for (value, f), width in zip(self._constants(), (bits, bias_bits), strict=False):  # there may be no bias
            sharing = tuple(axis for axis, n in enumerate(f.shape) if n == 1)
            top = np.abs(ops.convert_to_numpy(value)).max(axis=sharing, keepdims=True, initial=0)
            f.assign(np.broadcast_to(width - np.ceil(np.log2(np.where(top > 0, top, 1))), f.shape))

    def is_dead(self) -> bool:
        kernel, _ = self.settled()
        return not np.any(ops.convert_to_numpy(kernel))

    def frozen_config(self) -> Config:
        # a frozen kernel is a sum of powers of two already: its last bit tells all that arithmetic needs
        return {**super().frozen_config(), "batch_norm": False, "use_bias": self.has_bias, "weight_terms": 0}

    def freeze_into(self, twin: Self) -> None:
        kernel, bias = self.settled()
        twin.kernel.assign(ops.convert_to_numpy(kernel))
        twin.kernel_f.assign(ops.convert_to_numpy(self.kernel_f))
        if bias is not None:
            twin.bias.assign(ops.convert_to_numpy(bias))
            twin.bias_f.assign(ops.convert_to_numpy(self.bias_f))
        self.quantizer.freeze_into(twin.quantizer)

    def live_config(self) -> Config:
        return {**self.get_config(), **self.keras_options}

    def integer_bias(self, size: int) -> Constant:
        """The frozen layer's bias (size,); zeros where it has none."""
        return constant(self.bias, self.bias_f) if self.has_bias else whole(np.zeros(size))

    def integer_activation(self, reader: Reader, node: Node, name: str) -> Node:
        """The layer's own activation behind `node`."""
        return reader.add(f"{name}_relu", "relu", [node], name) if self.activation == "relu" else node

    def get_config(self) -> Config:
        names = ("activation", "use_bias", "weight_granularity", "weight_rounding", "weight_terms", "weight_levels", "batch_norm")
        norm = ("epsilon", "momentum", "center", "scale", "train_weights", "train_norm", "batch_statistics")
        options = {name: module.serialize(self.keras_options[name]) for name, module in _KERAS.items()}
        return {**super().get_config(), **{name: getattr(self, name) for name in (*names, *norm)}, **options}


def activation_name(layer: str, activation: object) -> str:
    """ "linear" or "relu" for what Keras takes as an activation.

    Raises:
        UnsupportedLayerError: another one.
    """
    name = getattr(activation, "__name__", activation) or "linear"
    if name not in ("linear", "relu"):
        raise UnsupportedLayerError(
            f"layer {layer!r} has the activation {name}, its own can be linear or relu", hint=f"put QActivation({name!r}) behind it"
        )
    return str(name)
