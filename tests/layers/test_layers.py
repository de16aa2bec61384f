"""Every layer through the harness: shapes, saving, gradients, training, and IR equals Keras bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_harness import Case, check_close, check_layer

from hwq.backend import deterministic, keras, ops
from hwq.conversion import convert, freeze
from hwq.conversion.config import QuantizeConfig

L = keras.layers


def two(layer: Any) -> Any:
    """A layer of two inputs, on two different views of one input."""

    def make(x: Any) -> Any:
        return layer([L.Dense(4, name="left")(x), L.Dense(4, activation="relu", name="right")(x)])

    return make


def after_conv(*layers: Any) -> Any:
    def make(x: Any) -> Any:
        y = L.Conv2D(3, 2, name="first")(x)
        for layer in layers:
            y = layer(y)
        return y

    return make


def chain(*factories: Any) -> Any:
    """Layers made anew for each model, one behind the other."""

    def make(x: Any) -> Any:
        for factory in factories:
            x = factory()(x)
        return x

    return make


IMAGE, LINE = (5, 4, 2), (7, 3)
MASK = np.array([[[1, 1, 0], [0, 1, 1], [1, 1, 0]]], bool)
CASES: dict[str, Case] = {
    "dense": Case(chain(lambda: L.Dense(4, activation="relu")), ("QDense", "ReLU"), (6,)),
    "dense_no_bias": Case(chain(lambda: L.Dense(4, use_bias=False)), ("QDense",), (2, 6)),
    "einsum": Case(chain(lambda: L.EinsumDense("abc,cd->abd", (3, 5), bias_axes="d")), ("QEinsumDense",), (3, 4)),
    "einsum_mixing": Case(chain(lambda: L.EinsumDense("abc,bd->adc", (5, 4), activation="relu")), ("QEinsumDense",), (3, 4)),
    "einsum_dots": Case(chain(lambda: L.EinsumDense("...x,xy->...y", 4, bias_axes="y")), ("QEinsumDense",), (2, 3, 4)),
    "conv1d": Case(chain(lambda: L.Conv1D(4, 3, activation="relu")), ("QConv1D",), LINE),
    "conv1d_causal": Case(chain(lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2)), ("QConv1D",), LINE),
    "conv1d_strided": Case(chain(lambda: L.Conv1D(4, 3, strides=2, padding="same")), ("QConv1D",), LINE),
    "conv2d": Case(chain(lambda: L.Conv2D(3, (2, 3), activation="relu")), ("QConv2D",), IMAGE),
    "conv2d_same": Case(chain(lambda: L.Conv2D(3, 3, strides=(2, 1), padding="same", use_bias=False)), ("QConv2D",), IMAGE),
    "conv2d_dilated": Case(chain(lambda: L.Conv2D(3, 2, dilation_rate=(2, 1))), ("QConv2D",), IMAGE),
    "conv2d_groups": Case(chain(lambda: L.Conv2D(4, 2, groups=2)), ("QConv2D",), IMAGE),
    "depthwise1d": Case(chain(lambda: L.DepthwiseConv1D(3, depth_multiplier=2)), ("QDepthwiseConv1D",), LINE),
    "depthwise2d": Case(chain(lambda: L.DepthwiseConv2D(2, depth_multiplier=2, padding="same")), ("QDepthwiseConv2D",), IMAGE),
    "separable1d": Case(chain(lambda: L.SeparableConv1D(4, 3)), ("QSeparableConv1D",), LINE),
    "separable2d": Case(
        chain(lambda: L.SeparableConv2D(4, 2, depth_multiplier=2, activation="relu")), ("QSeparableConv2D",), IMAGE
    ),
    "norm_in_dense": Case(chain(lambda: L.Dense(4), lambda: L.BatchNormalization(epsilon=0.02)), ("QDense",), (6,)),
    "norm_no_center": Case(
        chain(lambda: L.Dense(4, use_bias=False), lambda: L.BatchNormalization(center=False, scale=False)), ("QDense",), (6,)
    ),
    "norm_in_conv": Case(chain(lambda: L.Conv2D(3, 2), L.BatchNormalization, L.ReLU), ("QConv2D", "ReLU"), IMAGE),
    "norm_in_depthwise": Case(
        chain(lambda: L.DepthwiseConv2D(2, depth_multiplier=2), L.BatchNormalization), ("QDepthwiseConv2D",), IMAGE
    ),
    "norm_in_separable": Case(chain(lambda: L.SeparableConv2D(3, 2), L.BatchNormalization), ("QSeparableConv2D",), IMAGE),
    "norm_in_einsum": Case(chain(lambda: L.EinsumDense("abc,cd->abd", (3, 5)), L.BatchNormalization), ("QEinsumDense",), (3, 4)),
    "norm_alone": Case(chain(L.BatchNormalization), ("QBatchNormalization",), (3, 4)),
    "norm_behind_relu": Case(chain(lambda: L.Dense(4, activation="relu"), L.BatchNormalization), ("QBatchNormalization",), (6,)),
    **{
        kind.lower(): Case(lambda x, kind=kind: two(getattr(L, kind)())(x), (f"Q{kind}",), (6,))
        for kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average")
    },
    "gated_channels": Case(
        lambda x: L.Multiply()([x, L.Reshape((1, 1, 2))(L.Dense(2, activation="sigmoid")(L.GlobalAveragePooling2D()(x)))]),
        ("QMultiply",),
        IMAGE,
    ),
    "average_of_three": Case(lambda x: L.Average()([L.Dense(4)(x), L.Dense(4)(x), L.Dense(4)(x)]), ("QAverage",), (6,)),
    "concatenate": Case(lambda x: two(L.Concatenate())(x), ("Concatenate",), (6,)),
    "concatenate_axis": Case(lambda x: two(L.Concatenate(axis=1))(x), ("Concatenate",), (2, 6)),
    "max_pool1d": Case(chain(lambda: L.MaxPooling1D(2, padding="same")), ("QMaxPooling1D",), LINE),
    "max_pool2d": Case(chain(lambda: L.Conv2D(3, 2), lambda: L.MaxPooling2D(2)), ("QMaxPooling2D",), IMAGE),
    "max_pool2d_same": Case(chain(lambda: L.MaxPooling2D((2, 3), strides=(2, 1), padding="same")), ("QMaxPooling2D",), IMAGE),
    "average_pool1d": Case(chain(lambda: L.AveragePooling1D(3, strides=2, padding="same")), ("QAveragePooling1D",), LINE),
    "average_pool2d": Case(chain(lambda: L.AveragePooling2D(2)), ("QAveragePooling2D",), IMAGE),
    "average_pool2d_uneven": Case(
        chain(lambda: L.AveragePooling2D((2, 3), strides=(2, 1), padding="same")), ("QAveragePooling2D",), IMAGE
    ),
    "global_max1d": Case(chain(L.GlobalMaxPooling1D), ("QGlobalMaxPooling1D",), LINE),
    "global_max2d": Case(chain(lambda: L.GlobalMaxPooling2D(keepdims=True)), ("QGlobalMaxPooling2D",), IMAGE),
    "global_average1d": Case(chain(L.GlobalAveragePooling1D), ("QGlobalAveragePooling1D",), LINE),
    "global_average2d": Case(chain(L.GlobalAveragePooling2D), ("QGlobalAveragePooling2D",), IMAGE),
    "flatten_reshape": Case(chain(L.Flatten, lambda: L.Reshape((8, 5)), lambda: L.Dense(3)), ("Reshape",), IMAGE),
    "permute": Case(chain(lambda: L.Permute((2, 3, 1)), lambda: L.Dense(3)), ("Permute", "Quantize"), IMAGE),
    "padding1d": Case(chain(lambda: L.ZeroPadding1D((1, 2)), lambda: L.Conv1D(2, 3)), ("ZeroPadding1D",), LINE),
    "padding2d": Case(chain(lambda: L.ZeroPadding2D(((1, 0), (2, 1))), lambda: L.Conv2D(2, 3)), ("ZeroPadding2D",), IMAGE),
    "relu": Case(chain(L.ReLU), ("ReLU", "Quantize"), (6,)),
    "leaky_relu": Case(chain(lambda: L.Dense(4), lambda: L.LeakyReLU(0.25)), ("LeakyReLU",), (6,)),
    "relu_leaky": Case(chain(lambda: L.Dense(4), lambda: L.ReLU(negative_slope=0.125)), ("ReLU",), (6,)),
    "relu6": Case(chain(lambda: L.Dense(4), lambda: L.ReLU(max_value=1.5, threshold=0.1)), ("QActivation",), (6,)),
    **{
        kind: Case(chain(lambda kind=kind: L.Dense(4, activation=kind)), ("QActivation",), (6,))
        for kind in ("tanh", "sigmoid", "exponential", "hard_sigmoid", "hard_tanh", "gelu")
    },
    "tanh_first": Case(chain(lambda: L.Activation("tanh")), ("QActivation",), (6,)),
    "softmax_inside": Case(chain(lambda: L.Dense(5), L.Softmax), ("QSoftmax",), (6,)),
    "softmax_of_rows": Case(chain(lambda: L.Dense(5, activation="softmax")), ("QSoftmax",), (3, 4)),
    "conv1d_transpose": Case(chain(lambda: L.Conv1DTranspose(3, 3, strides=2, padding="same")), ("QConv1DTranspose",), (4, 3)),
    "conv2d_transpose": Case(chain(lambda: L.Conv2DTranspose(2, (2, 3), strides=(2, 1))), ("QConv2DTranspose",), (3, 2, 2)),
    "conv2d_transpose_dilated": Case(
        chain(lambda: L.Conv2DTranspose(2, 2, dilation_rate=2, use_bias=False, activation="relu")), ("QConv2DTranspose",), (3, 2, 2)
    ),
    "conv2d_transpose_more": Case(
        chain(lambda: L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)), ("QConv2DTranspose",), (3, 2, 1)
    ),
    "norm_in_transpose": Case(
        chain(lambda: L.Conv2DTranspose(3, 2, strides=3), L.BatchNormalization), ("QConv2DTranspose",), (2, 2, 2)
    ),
    "prelu": Case(chain(lambda: L.Dense(4), lambda: L.PReLU(alpha_initializer="random_uniform")), ("QPReLU",), (6,)),
    "prelu_shared": Case(chain(lambda: L.Conv2D(2, 2), lambda: L.PReLU("random_uniform", shared_axes=[1, 2])), ("QPReLU",), IMAGE),
    "elu_layer": Case(chain(lambda: L.Dense(4), lambda: L.ELU(0.5)), ("QActivation",), (6,)),
    "leaky_any": Case(chain(lambda: L.Dense(4), lambda: L.LeakyReLU(0.3)), ("QActivation",), (6,)),
    "embedding": Case(chain(lambda: L.Embedding(5, 2)), ("QEmbedding",), (4,), codes=5),
    "sum": Case(lambda x: ops.sum(x, axis=1), ("QSum",), (4, 3)),
    "mean": Case(lambda x: ops.mean(x, axis=-1), ("QMean",), (4, 3)),
    "mean_of_planes": Case(lambda x: ops.mean(x, axis=(1, 2), keepdims=True), ("QMean",), IMAGE),
    "max": Case(lambda x: ops.max(x, axis=1), ("QMax",), (4, 3)),
    "min": Case(lambda x: ops.min(x, axis=-1, keepdims=True), ("QMin",), (4, 3)),
    "matmul": Case(lambda x: ops.matmul(L.Dense(3)(x), ops.transpose(L.Dense(3)(x), (0, 2, 1))), ("QEinsum",), (3, 2)),
    "einsum_of_two": Case(lambda x: ops.einsum("bij,bkj->bk", L.Dense(2)(x), L.Dense(2)(x)), ("QEinsum",), (3, 2)),
    "dot": Case(lambda x: L.Dot(axes=(2, 1))([L.Dense(3)(x), L.Dense(2)(x)]), ("QEinsum",), (3, 2)),
    "softmax_axis": Case(chain(lambda: L.Dense(3), lambda: L.Softmax(axis=1)), ("QSoftmax",), (3, 4)),
    "layer_norm": Case(chain(lambda: L.Dense(4), L.LayerNormalization), ("QMean", "QActivation", "QAffine"), (6,)),
    "group_norm": Case(chain(lambda: L.GroupNormalization(2)), ("QMean", "QAffine"), (3, 4)),
    "rescaling": Case(chain(lambda: L.Rescaling(0.3, offset=0.1)), ("QAffine",), (6,)),
    "bilinear": Case(chain(lambda: L.UpSampling2D(3, interpolation="bilinear")), ("QEinsumDense",), (2, 3, 1)),
    "simple_rnn": Case(chain(lambda: L.SimpleRNN(3)), ("QDense", "QAdd", "QActivation"), (3, 2)),
    "lstm": Case(chain(lambda: L.LSTM(2, return_sequences=True)), ("QDense", "QMultiply"), (3, 2)),
    "gru": Case(chain(lambda: L.GRU(2)), ("QDense", "QMultiply", "QSubtract"), (3, 2)),
    "bidirectional": Case(chain(lambda: L.Bidirectional(L.SimpleRNN(2))), ("QDense",), (3, 2)),
    "attention": Case(lambda x: L.MultiHeadAttention(1, 2)(x, x), ("QEinsum", "QSoftmax"), (3, 2)),
    "attention_masked": Case(
        lambda x: L.MultiHeadAttention(1, 2)(x, x, attention_mask=MASK), ("QEinsum", "QSoftmax", "Rearrange"), (3, 2)
    ),
    "time_distributed": Case(chain(lambda: L.TimeDistributed(L.Conv1D(2, 2))), ("QConv1D",), (2, 3, 2)),
    "dropouts": Case(
        chain(lambda: L.SpatialDropout1D(0.2), lambda: L.Dense(4), lambda: L.GaussianNoise(0.1), lambda: L.Dropout(0.1)),
        ("QDense",),
        LINE,
    ),
}


# one case for each family here, the others with `make test-slow`
DAILY = (
    "conv2d_transpose",
    "norm_in_transpose",
    "embedding",
    "min",
    "einsum_of_two",
    "layer_norm",
    "simple_rnn",
    "einsum",
    "conv1d_causal",
    "depthwise2d",
    "separable2d",
    "norm_in_depthwise",
    "add",
    "gated_channels",
    "average",
    "concatenate_axis",
    "max_pool2d_same",
    "average_pool2d_uneven",
    "global_average1d",
    "permute",
    "relu_leaky",
    "sigmoid",
    "softmax_of_rows",
)


NO_FLOAT = ("dropouts", "conv2d_transpose_dilated")  # random; and nothing that Keras computes without oneDNN


def daily_or_slow(names: Iterable[str]) -> list[Any]:
    return [name if name in DAILY else pytest.param(name, marks=pytest.mark.slow) for name in names]


def test_the_daily_cases_are_cases() -> None:
    assert set(DAILY) <= set(CASES)


@pytest.mark.parametrize("name", daily_or_slow(CASES))
def test_a_layer_does_all_that_a_layer_must(name: str, tmp_path: Path) -> None:
    check_layer(CASES[name], tmp_path)


@pytest.mark.parametrize("name", daily_or_slow(name for name in CASES if name not in NO_FLOAT))
def test_with_many_bits_the_twin_is_the_float_model(name: str) -> None:
    check_close(CASES[name])


def test_a_dilated_transpose_is_one_with_a_larger_kernel() -> None:
    """Which Keras computes everywhere: its own of a dilated one needs oneDNN."""
    deterministic(0)
    dilated, whole = (
        keras.Sequential([keras.Input((3, 4, 2)), layer])
        for layer in (L.Conv2DTranspose(3, 2, dilation_rate=2), L.Conv2DTranspose(3, 3))
    )
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[::2, ::2] = np.asarray(dilated.layers[0].kernel)
    whole.layers[0].kernel.assign(kernel)
    x = np.random.default_rng(0).normal(size=(40, 3, 4, 2)).astype(np.float32)
    twin = convert.quantize(dilated, QuantizeConfig(bits=14), x)
    want = freeze.outputs(whole, x)
    assert twin.output_shape == whole.output_shape
    assert np.abs(freeze.outputs(twin, x) - want).max() < 0.01 * np.abs(want).max()
