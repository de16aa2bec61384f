"""Small float models of the kinds that test suites of other converters build: a layer, an operation or a form of a model each, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hwq.backend import keras, ops

L = keras.layers
Make = Callable[[], keras.Model]
EVERY: dict[str, Make] = {}
Shape = tuple[int, ...]


def one(name: str, shape: Shape, make: Callable[[Any], Any], *, dtype: str = "float32") -> None:
    """A model of one input: `make` of it is the output."""

    def model() -> keras.Model:
        x = keras.Input(shape, name="x", dtype=dtype)
        return keras.Model(x, make(x))

    EVERY[name] = model


def several(name: str, shapes: list[Shape], make: Callable[..., Any]) -> None:
    """A model of several inputs."""

    def model() -> keras.Model:
        inputs = [keras.Input(shape, name=f"in_{i}") for i, shape in enumerate(shapes)]
        return keras.Model(inputs, make(*inputs))

    EVERY[name] = model


def layer(name: str, shape: Shape, made: Callable[[], Any]) -> None:
    """A layer behind the input, alone and between two Dense."""
    one(name, shape, lambda x: made()(x))


def d(x: Any, n: int = 3, **options: Any) -> Any:
    return L.Dense(n, **options)(x)


# dense and activations
for _a in (
    "relu",
    "sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "hard_sigmoid",
    "swish",
    "exponential",
    "relu6",
    "mish",
    "leaky_relu",
):
    one(f"dense_{_a}", (5,), lambda x, a=_a: d(d(x, 4, activation=a)))
one("activation_layer", (5,), lambda x: d(L.Activation("tanh")(d(x))))
one("activation_function", (5,), lambda x: d(L.Activation(ops.sign)(d(x))))
one("softmax_last", (5,), lambda x: L.Softmax()(d(x)))
one("softmax_hidden", (5,), lambda x: d(d(x, activation="softmax")))
one("softmax_2d", (3, 4), lambda x: L.Softmax()(d(x)))
one("softmax_axis", (3, 4), lambda x: d(L.Softmax(axis=1)(d(x))))
one("relu_max", (5,), lambda x: d(L.ReLU(max_value=2.0)(d(x))))
one("relu_threshold", (5,), lambda x: d(L.ReLU(threshold=0.5)(d(x))))
one("relu_slope", (5,), lambda x: d(L.ReLU(negative_slope=0.3)(d(x))))
one("leaky_relu", (5,), lambda x: d(L.LeakyReLU(0.3)(d(x))))
one("leaky_relu_conv", (6, 6, 2), lambda x: L.LeakyReLU(negative_slope=0.1)(L.Conv2D(2, 3)(x)))
one("elu_layer", (5,), lambda x: d(L.ELU(alpha=0.7)(d(x))))
one("prelu", (5,), lambda x: d(L.PReLU(alpha_initializer="random_uniform")(d(x))))
one("prelu_shared", (5, 5, 2), lambda x: L.PReLU(alpha_initializer="random_uniform", shared_axes=[1, 2])(L.Conv2D(3, 2)(x)))
one("prelu_first", (5,), lambda x: d(L.PReLU(alpha_initializer="random_uniform")(x)))
one("dense_3d", (3, 4), lambda x: d(d(x, 5, activation="relu")))
one("dense_no_bias", (5,), lambda x: d(d(x, use_bias=False), use_bias=False))
one("no_weights", (5,), lambda x: L.Activation("tanh")(x))
one("relu_alone", (5,), lambda x: L.ReLU()(x))
one("softmax_alone", (5,), lambda x: L.Softmax()(x))
one("binary_tanh", (5,), lambda x: d(L.Activation(lambda v: ops.where(v >= 0, 1.0, -1.0))(d(x))))
one("ternary_tanh", (5,), lambda x: d(L.Activation(lambda v: ops.sign(v) * ops.floor(ops.abs(v) + 0.5))(d(x))))
one("hard_tanh", (5,), lambda x: d(L.Activation("hard_tanh")(d(x))))
one("logsoftmax", (5,), lambda x: L.Activation("log_softmax")(d(x)))

# normalisation
one("bn_dense", (5,), lambda x: d(L.BatchNormalization()(d(x))))
one("bn_first", (5,), lambda x: d(L.BatchNormalization()(x)))
one("bn_alone", (5,), lambda x: L.BatchNormalization()(x))
one("bn_no_scale", (5,), lambda x: d(L.BatchNormalization(center=False, scale=False)(d(x))))
one("bn_after_relu", (6, 6, 1), lambda x: d(L.Flatten()(L.BatchNormalization()(L.Conv2D(2, 3, activation="relu")(x)))))
one("bn_axis", (4, 3), lambda x: L.BatchNormalization(axis=1)(d(x)))
one("layernorm", (6,), lambda x: d(L.LayerNormalization()(d(x, 6))))
one("layernorm_2d", (4, 6), lambda x: d(L.LayerNormalization()(d(x, 6))))
one("layernorm_axes", (4, 6), lambda x: d(L.LayerNormalization(axis=[1, 2], scale=False)(d(x, 6))))
one("rmsnorm", (6,), lambda x: d(L.RMSNormalization()(d(x, 6))))
one("groupnorm", (4, 6), lambda x: d(L.GroupNormalization(groups=2)(d(x, 6))))
one("unitnorm", (6,), lambda x: d(L.UnitNormalization()(d(x, 6))))
one("normalization", (4,), lambda x: d(L.Normalization(mean=[1.0, 0.0, -1.0, 0.5], variance=[1.0, 4.0, 0.25, 2.0])(x)))
one("rescaling", (4, 4, 1), lambda x: L.Conv2D(2, 3)(L.Rescaling(1 / 255.0, offset=-0.1)(x * 255)))
one("rescaling_first", (4,), lambda x: d(L.Rescaling(0.3, offset=0.1)(x)))

# convolutions
for _p in ("same", "valid"):
    one(f"conv1d_{_p}", (8, 3), lambda x, p=_p: L.Conv1D(4, 3, padding=p, activation="relu")(x))
    one(f"conv2d_{_p}", (6, 6, 2), lambda x, p=_p: L.Conv2D(3, (3, 2), strides=2, padding=p)(x))
    one(f"dw2d_{_p}", (6, 6, 2), lambda x, p=_p: L.DepthwiseConv2D(3, padding=p)(x))
    one(f"sep1d_{_p}", (8, 3), lambda x, p=_p: L.SeparableConv1D(4, 3, padding=p)(x))
    one(f"sep2d_{_p}", (6, 6, 2), lambda x, p=_p: L.SeparableConv2D(3, 3, padding=p)(x))
    one(f"conv1dt_{_p}", (5, 3), lambda x, p=_p: L.Conv1DTranspose(2, 3, strides=2, padding=p)(x))
    one(f"conv2dt_{_p}", (4, 4, 2), lambda x, p=_p: L.Conv2DTranspose(2, 3, strides=2, padding=p, activation="relu")(x))
one("conv2dt_stride1", (4, 4, 2), lambda x: L.Conv2DTranspose(3, (2, 3), padding="same")(x))
one("conv2dt_odd", (3, 4, 2), lambda x: L.Conv2DTranspose(2, 2, strides=(3, 2), padding="same", use_bias=False)(x))
one("conv2dt_output_padding", (3, 4, 1), lambda x: L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)(x))
one("conv2dt_dilation", (4, 4, 1), lambda x: L.Conv2DTranspose(2, 2, dilation_rate=2)(x))
one("conv2dt_bn", (4, 4, 1), lambda x: L.BatchNormalization()(L.Conv2DTranspose(2, 2, strides=2)(x)))
one("conv1d_causal", (8, 2), lambda x: L.Conv1D(2, 3, padding="causal", dilation_rate=2)(x))
one("conv2d_groups", (5, 5, 4), lambda x: L.Conv2D(4, 2, groups=2)(x))
one("pointwise1d", (6, 3), lambda x: L.Conv1D(2, 1)(x))
one("pointwise2d", (4, 4, 3), lambda x: L.Conv2D(2, 1, strides=2)(x))
one("dw1d", (8, 3), lambda x: L.DepthwiseConv1D(3, depth_multiplier=2)(x))
one("conv_bn_pool", (8, 8, 1), lambda x: d(L.Flatten()(L.MaxPooling2D()(L.ReLU()(L.BatchNormalization()(L.Conv2D(3, 3)(x)))))))

# pooling, moving values
for _r in ("1D", "2D"):
    _s: Shape = (8, 3) if _r == "1D" else (6, 6, 2)
    for _k in ("Max", "Average"):
        one(f"{_k}Pool{_r}", _s, lambda x, n=f"{_k}Pooling{_r}": getattr(L, n)(2)(x))
        one(f"{_k}Pool{_r}_same", _s, lambda x, n=f"{_k}Pooling{_r}": getattr(L, n)(3, strides=2, padding="same")(x))
        one(f"Global{_k}{_r}", _s, lambda x, n=f"Global{_k}Pooling{_r}": getattr(L, n)()(x))
        one(f"Global{_k}{_r}_keepdims", _s, lambda x, n=f"Global{_k}Pooling{_r}": getattr(L, n)(keepdims=True)(x))
one("zeropad1d", (5, 2), lambda x: L.Conv1D(2, 3)(L.ZeroPadding1D((2, 1))(x)))
one("zeropad2d", (4, 4, 2), lambda x: L.Conv2D(2, 3)(L.ZeroPadding2D(((1, 2), (0, 1)))(x)))
one("zeropad_alone", (4, 4, 2), lambda x: L.ZeroPadding2D(1)(x))
one("cropping1d", (6, 2), lambda x: d(L.Cropping1D((1, 2))(d(x))))
one("cropping2d", (6, 6, 2), lambda x: L.Conv2D(2, 2)(L.Cropping2D(((1, 1), (0, 2)))(x)))
one("upsampling1d", (4, 2), lambda x: d(L.UpSampling1D(2)(x)))
one("upsampling2d", (3, 3, 2), lambda x: L.Conv2D(2, 2)(L.UpSampling2D((2, 3))(x)))
one("upsampling_alone", (3, 3, 2), lambda x: L.UpSampling2D(2)(x))
one("upsampling_bilinear", (3, 3, 2), lambda x: L.Conv2D(2, 2)(L.UpSampling2D(2, interpolation="bilinear")(x)))
one("repeat_vector", (4,), lambda x: d(L.RepeatVector(3)(d(x))))
one("repeat_vector_alone", (4,), lambda x: L.RepeatVector(3)(x))
one("permute", (3, 4), lambda x: d(L.Permute((2, 1))(x)))
one("permute_alone", (3, 4, 2), lambda x: L.Permute((3, 1, 2))(x))
one("reshape", (12,), lambda x: d(L.Reshape((3, 4))(x)))
one("reshape_minus", (12,), lambda x: d(L.Reshape((-1, 4))(d(x, 12))))
one("flatten", (3, 4), lambda x: d(L.Flatten()(x)))
one("concat_axis1", (3, 4), lambda x: L.Concatenate(axis=1)([d(x), d(x)]))
one("slices", (6, 2), lambda x: d(x[:, 1:4] + d(x, 2)[:, ::2]))
one("slice_integer", (6, 2), lambda x: d(x[:, 0]))
one("slice_column", (6, 2), lambda x: d(d(x)[:, :, 1]))
one("resizing", (4, 4, 1), lambda x: L.Conv2D(2, 2)(L.Resizing(8, 8, interpolation="nearest")(x)))

# merges
for _m in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
    one(f"merge_{_m}", (5,), lambda x, m=_m: d(getattr(L, m)()([d(x), d(x)])))
    several(f"merge_{_m}_inputs", [(4,), (4,)], lambda a, b, m=_m: getattr(L, m)()([a, b]))
one("merge_dot", (3, 4), lambda x: L.Dot(axes=2)([d(x), d(x)]))
several("merge_dot_inputs", [(4,), (4,)], lambda a, b: L.Dot(axes=1)([a, b]))
one("merge_dot_normalize", (3, 4), lambda x: L.Dot(axes=2, normalize=True)([d(x), d(x)]))
one("merge_three", (5,), lambda x: d(L.Add()([d(x), d(x), d(x)])))
one("merge_broadcast", (3, 4), lambda x: L.Add()([d(x), L.GlobalAveragePooling1D(keepdims=True)(d(x))]))
several("concat_conv_inputs", [(4, 4, 1), (4, 4, 2)], lambda a, b: L.Conv2D(2, 2)(L.Concatenate()([a, b])))

# operators of the functional API
one("op_matmul", (3, 4), lambda x: ops.matmul(d(x), ops.transpose(d(x), (0, 2, 1))))
one("op_matmul_constant", (3, 4), lambda x: ops.matmul(x, np.arange(8, dtype="float32").reshape(4, 2) / 8))
one("op_einsum", (3, 4), lambda x: ops.einsum("bij,bkj->bik", d(x), d(x)))
one("op_einsum_constant", (3, 4), lambda x: ops.einsum("bij,jk->bik", x, np.ones((4, 2), "float32") * 0.75))
several("op_einsum_inputs", [(3, 4), (4, 2)], lambda a, b: ops.einsum("bij,bjk->bik", a, b))
one("op_sum", (3, 4), lambda x: d(ops.sum(d(x), axis=1)))
one("op_sum_keepdims", (3, 4), lambda x: d(ops.sum(d(x), axis=-1, keepdims=True)))
one("op_mean", (3, 4), lambda x: d(ops.mean(d(x), axis=-1)))
one("op_mean_axes", (3, 4, 2), lambda x: d(ops.mean(d(x), axis=(1, 2))))
one("op_max", (3, 4), lambda x: d(ops.max(d(x), axis=1)))
one("op_min", (3, 4), lambda x: d(ops.min(d(x), axis=1)))
one("op_var", (3, 4), lambda x: d(ops.var(d(x), axis=1)))
one("op_abs_clip", (5,), lambda x: d(ops.clip(ops.abs(d(x)), 0.1, 0.9)))
one("op_square_sign", (5,), lambda x: d(ops.square(d(x)) + ops.sign(d(x))))
one("op_constants", (5,), lambda x: d(2 * x - 1) * 0.5 + 3)
one("op_divide", (5,), lambda x: d(x) / (1.0 + ops.abs(d(x))))
one("op_softmax", (5,), lambda x: d(ops.softmax(d(x))))
one("op_relu_silu", (5,), lambda x: d(ops.relu(d(x)) + ops.silu(d(x))))
one("op_transpose", (3, 4), lambda x: d(ops.transpose(x, (0, 2, 1))))
one("op_concatenate", (5,), lambda x: d(ops.concatenate([d(x), x], axis=-1)))
one("op_stack", (5,), lambda x: d(ops.stack([d(x), d(x)], axis=1)))
one("op_reshape", (6,), lambda x: d(ops.reshape(x, (-1, 2, 3))))
one("op_where", (5,), lambda x: d(ops.where(d(x) > 0, d(x), 0.0)))
one("op_greater", (5,), lambda x: d(ops.cast(d(x) > 0.2, "float32")))
one("op_power", (5,), lambda x: d(d(x) ** 2))
one("op_dot", (5,), lambda x: ops.dot(x, np.ones((5, 2), "float32")))
one("einsum_dense", (3, 4), lambda x: L.EinsumDense("abc,cd->abd", output_shape=(3, 5), bias_axes="d")(x))
one("einsum_dense_dots", (3, 4), lambda x: L.EinsumDense("...x,xy->...y", output_shape=5, activation="relu", bias_axes="y")(x))
one("einsum_dense_axis1", (3, 4), lambda x: L.EinsumDense("abc,be->aec", output_shape=(5, 4), bias_axes="ec")(x))

# recurrent, attention, time
for _k in ("SimpleRNN", "LSTM", "GRU"):
    one(f"{_k}", (4, 3), lambda x, k=_k: getattr(L, k)(3)(x))
    one(f"{_k}_sequences", (4, 3), lambda x, k=_k: d(getattr(L, k)(3, return_sequences=True)(x)))
    one(f"{_k}_bidirectional", (3, 3), lambda x, k=_k: d(L.Bidirectional(getattr(L, k)(2, return_sequences=True))(x)))
one("LSTM_state", (4, 3), lambda x: d(L.Concatenate()(L.LSTM(3, return_state=True)(x))))
one("LSTM_encoder", (3, 2), lambda x: d(L.LSTM(2, return_sequences=True)(L.RepeatVector(2)(L.LSTM(2)(x)))))
one("LSTM_backwards", (4, 3), lambda x: L.LSTM(2, go_backwards=True, activation="relu", recurrent_activation="hard_sigmoid")(x))
one("GRU_reset_before", (4, 3), lambda x: L.GRU(2, reset_after=False)(x))
one("GRU_no_bias", (3, 3), lambda x: L.GRU(2, use_bias=False)(x))
one("bidirectional_sum", (3, 3), lambda x: L.Bidirectional(L.GRU(2), merge_mode="sum")(x))
one("bidirectional_ave", (3, 3), lambda x: L.Bidirectional(L.SimpleRNN(2), merge_mode="ave")(x))
one("stacked_rnn", (3, 2), lambda x: d(L.GRU(2)(L.LSTM(3, return_sequences=True)(x))))
one("rnn_cell", (3, 2), lambda x: L.RNN(L.LSTMCell(2))(x))
one("stacked_cells", (3, 2), lambda x: L.RNN([L.GRUCell(2), L.SimpleRNNCell(2)])(x))
one("mha", (4, 6), lambda x: L.MultiHeadAttention(2, 3)(x, x))
one("mha_causal", (4, 6), lambda x: L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True))
one("mha_cross", (4, 6), lambda x: L.MultiHeadAttention(1, 3)(d(x, 6), L.AveragePooling1D(2)(x)))
several("mha_inputs", [(3, 4), (2, 4)], lambda a, b: L.MultiHeadAttention(2, 2)(a, b))
one("gqa", (4, 6), lambda x: L.GroupQueryAttention(3, 2, 1)(x, x))
one("attention", (3, 4), lambda x: L.Attention()([d(x, 4), d(x, 4)]))
one("attention_scaled", (3, 4), lambda x: L.Attention(use_scale=True)([d(x, 4), d(x, 4)]))
one("additive_attention", (3, 4), lambda x: L.AdditiveAttention(use_scale=False)([d(x, 4), d(x, 4)]))


def _transformer(x: Any) -> Any:
    x = d(x, 4)
    y = L.LayerNormalization()(x + L.MultiHeadAttention(2, 2, dropout=0.1)(x, x))
    z = d(d(y, 6, activation="gelu"), 4)
    return d(L.GlobalAveragePooling1D()(L.LayerNormalization()(L.Add()([y, L.Dropout(0.1)(z)]))))


one("transformer", (3, 4), _transformer)
one("time_dense", (3, 4), lambda x: L.TimeDistributed(L.Dense(2, activation="relu"))(x))
one("time_conv", (2, 4, 4, 1), lambda x: L.TimeDistributed(L.Conv2D(2, 3))(x))
one(
    "time_model",
    (2, 4),
    lambda x: L.TimeDistributed(keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh"), L.Dense(2)]))(x),
)
one("time_flatten", (2, 3, 2), lambda x: d(L.TimeDistributed(L.Flatten())(x)))
one("embedding", (4,), lambda x: d(L.Flatten()(L.Embedding(6, 3)(x))), dtype="int32")
one("embedding_float", (4,), lambda x: d(L.GlobalAveragePooling1D()(L.Embedding(6, 3)(x))))
one("embedding_rnn", (4,), lambda x: d(L.GRU(2)(L.Embedding(6, 3)(x))), dtype="int32")
one("masking", (4, 3), lambda x: d(L.Flatten()(L.Masking()(x))))
one("lambda_layer", (5,), lambda x: d(L.Lambda(lambda v: ops.abs(v))(d(x))))
one("lambda_mix", (5,), lambda x: d(L.Lambda(lambda v: v[:, 1:] - v[:, :-1])(d(x))))
one("dropouts", (5, 3), lambda x: d(L.GaussianNoise(0.1)(L.SpatialDropout1D(0.1)(L.Dropout(0.2)(x)))))
one("identity", (5,), lambda x: d(L.Identity()(x)))
one("spectral", (5,), lambda x: L.SpectralNormalization(L.Dense(3))(x))

# forms of models
several("two_inputs", [(4,), (3,)], lambda a, b: d(L.Concatenate()([d(a), d(b)])))
several("three_inputs", [(4,), (4,), (4,)], lambda a, b, c: d(L.Add()([a, b, c])))
several("images_and_numbers", [(5, 5, 1), (3,)], lambda a, b: d(L.Concatenate()([L.Flatten()(L.Conv2D(2, 3)(a)), b])))
one("two_outputs", (5,), lambda x: [d(x), d(x, 2, activation="relu")])
one("outputs_named", (5,), lambda x: {"a": d(x), "b": d(x, 2)})
one("outputs_shared", (5,), lambda x: [y := d(x), d(y)])
several("inputs_and_outputs", [(4,), (3,)], lambda a, b: [d(L.Concatenate()([d(a), b])), d(b)])
one(
    "residual",
    (6, 6, 2),
    lambda x: L.ReLU()(L.Add()([L.Conv2D(2, 3, padding="same")(L.ReLU()(L.Conv2D(2, 3, padding="same")(x))), x])),
)


def _shared(x: Any) -> Any:
    dense = L.Dense(5, activation="tanh")
    return d(dense(dense(x)))


one("shared_layer", (5,), _shared)


def _nested(x: Any) -> Any:
    inner = keras.Sequential([keras.Input((5,)), L.Dense(4, activation="relu"), L.Dense(5)])
    i = keras.Input((5,))
    middle = keras.Model(i, L.Add()([inner(i), i]))
    return d(middle(x))


one("nested_models", (5,), _nested)


class OwnModel(keras.Model):
    """A model whose layers are in its call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = L.Dense(4, activation="relu"), L.Dense(2)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x)) + 1.0


class OwnBlock(keras.Layer):
    """A layer of layers, with a weight of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = L.Dense(5)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)
        self.gain = self.add_weight(shape=(5,), initializer="random_uniform", name="gain")
        super().build(shape)

    def call(self, x: Any) -> Any:
        return ops.relu(self.inner(x)) * self.gain + x


def _own_model() -> keras.Model:
    model = OwnModel()
    model(np.zeros((1, 5), "float32"))
    return model


EVERY["own_model"] = _own_model
one("own_model_inside", (5,), lambda x: d(OwnModel()(x)))
one("own_layer", (5,), lambda x: d(OwnBlock()(x)))


class OwnDense(L.Dense):
    """A class derived from a layer of Keras that changes nothing."""


one("derived_layer", (5,), lambda x: OwnDense(3)(x))


def _sequential() -> keras.Model:
    return keras.Sequential(
        [L.Input((8, 8, 1)), L.Conv2D(2, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(3, activation="softmax")]
    )


EVERY["sequential"] = _sequential


def _autoencoder() -> keras.Model:
    widths = (8, 4, 2, 4)
    hidden = [part for n in widths for part in (L.Dense(n), L.BatchNormalization(), L.Activation("relu"))]
    return keras.Sequential([keras.Input((10,)), *hidden, L.Dense(10)])


EVERY["autoencoder"] = _autoencoder


def _unet(x: Any) -> Any:
    a = L.Conv2D(2, 3, padding="same", activation="relu")(x)
    b = L.Conv2D(3, 3, padding="same", activation="relu")(L.MaxPooling2D()(a))
    return L.Conv2D(1, 1, activation="sigmoid")(L.Concatenate()([L.UpSampling2D()(b), a]))


one("unet", (4, 4, 1), _unet)
one("deep_sets", (4, 3), lambda x: d(ops.mean(d(d(x, 4, activation="relu"), 4, activation="relu"), axis=1)))


def _gnn(x: Any) -> Any:
    receive = np.eye(3, 6, dtype="float32")
    edges = ops.concatenate([ops.einsum("ne,bnf->bef", receive, x), ops.einsum("ne,bnf->bef", receive[::-1].copy(), x)], axis=-1)
    return d(L.GlobalAveragePooling1D()(d(edges, 4, activation="relu")))


one("interaction_network", (3, 2), _gnn)


def _ds_cnn(x: Any) -> Any:
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, (4, 2), strides=2, padding="same")(x)))
    y = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(y)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, 1)(y)))
    return d(L.Flatten()(L.AveragePooling2D((4, 2))(y)), activation="softmax")


one("keyword_spotting", (10, 5, 1), _ds_cnn)
one("mixer", (4, 4), lambda x: x + L.Permute((2, 1))(d(L.Permute((2, 1))(L.BatchNormalization()(x)), 4, activation="gelu")))
one("conv3d", (4, 4, 4, 1), lambda x: L.Conv3D(2, 2)(x))


def rows(model: keras.Model, count: int = 80) -> Any:
    """Rows for a model, in the form that Keras takes: whole numbers where it reads such, or looks a row of an Embedding up."""
    rng = np.random.default_rng(0)
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return rng.normal(size=(count, 5)).astype("float32")
    looks_up = any(isinstance(layer, L.Embedding) for layer in model.layers)
    made = [
        rng.integers(0, 6, (count, *t.shape[1:])).astype("float32")
        if looks_up
        else rng.normal(size=(count, *t.shape[1:])).astype("float32")
        for t in inputs
    ]
    return made if len(made) > 1 else made[0]
