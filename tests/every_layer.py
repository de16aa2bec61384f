"""Float models of every layer that hwq names, for 8x8 digits: by name, to be called as `every_layer:NAME`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from hwq.backend import keras, ops

L = keras.layers


def _images(*layers: Any, shape: tuple[int, ...] = (8, 8, 1)) -> keras.Model:
    x = keras.Input((8, 8, 1))
    y = L.Reshape(shape)(x) if shape != (8, 8, 1) else x
    for layer in layers:
        y = layer(y)
    y = L.Flatten()(y) if len(y.shape) > 2 else y
    return keras.Model(x, L.Dense(10)(y))


def convolutions() -> keras.Model:
    return _images(
        L.ZeroPadding2D(1),
        L.Conv2D(4, 3, strides=2, activation="relu"),
        L.BatchNormalization(),
        L.DepthwiseConv2D(2, depth_multiplier=2),
        L.LeakyReLU(0.25),
        L.SeparableConv2D(4, 2, padding="same", activation="tanh"),
        L.Dropout(0.1),
        L.MaxPooling2D(2),
    )


def rows() -> keras.Model:
    return _images(
        L.ZeroPadding1D(1),
        L.Conv1D(4, 3, dilation_rate=2),
        L.BatchNormalization(),
        L.ReLU(max_value=6),
        L.DepthwiseConv1D(2),
        L.MaxPooling1D(2, padding="same"),
        L.SeparableConv1D(4, 2, padding="same"),
        L.AveragePooling1D(2),
        shape=(8, 8),
    )


def poolings() -> keras.Model:
    x = keras.Input((8, 8, 1))
    y = L.Conv2D(3, 3, activation="relu")(x)
    flat = L.Permute((2, 1))(L.Reshape((36, 3))(y))
    windows = [L.MaxPooling2D(3, strides=2, padding="same")(y), L.AveragePooling2D(3, strides=2, padding="same")(y)]
    whole = [
        L.GlobalMaxPooling2D()(y),
        L.GlobalAveragePooling2D()(y),
        L.GlobalMaxPooling1D()(flat),
        L.GlobalAveragePooling1D()(flat),
    ]
    return keras.Model(x, L.Dense(10)(L.Concatenate()([*(L.Flatten()(w) for w in windows), *whole])))


def joins() -> keras.Model:
    x = keras.Input((8, 8, 1))
    i = L.Flatten()(x)
    a, b = L.Dense(6, activation="relu")(i), L.Dense(6)(i)
    pairs = [L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum()]
    operators = [a + b, 0.5 * a - b, ops.tanh(a)]
    return keras.Model(x, L.Dense(10)(L.Concatenate()([*(pair([a, b]) for pair in pairs), *operators])))


def activations() -> keras.Model:
    x = keras.Input((8, 8, 1))
    y = L.EinsumDense("abc,cd->abd", output_shape=(8, 3), bias_axes="d")(L.Reshape((8, 8))(x))
    kinds = ["sigmoid", "hard_sigmoid", "elu", "gelu", "softsign"]
    parts = [L.Activation(kind)(y) for kind in kinds] + [L.Softmax()(y)]
    return keras.Model(x, L.Dense(10, activation="softmax")(L.Flatten()(L.Concatenate()(parts))))


def movements() -> keras.Model:
    """What only moves values, as layers and as operations."""
    x = keras.Input((8, 8, 1))
    y = L.Conv2D(2, 3, activation="relu")(L.Cropping2D(((1, 1), (0, 2)))(x))
    line = L.UpSampling1D(2)(L.Cropping1D((2, 1))(L.Reshape((16, 2))(y)))
    vector = L.RepeatVector(2)(L.Dense(3)(L.Flatten()(y)))
    parts = [L.UpSampling2D((1, 2))(y), line, vector, y[:, ::2, 1:], ops.flip(y, axis=1), ops.split(y, 2, axis=2)[1]]
    return keras.Model(x, L.Dense(10)(L.Concatenate()([L.Flatten()(part) for part in parts])))


def upwards() -> keras.Model:
    """What makes images larger, slopes below zero, and scales."""
    x = keras.Input((8, 8, 1))
    y = L.MaxPooling2D(2)(L.Rescaling(2.0, offset=-1.0)(x))
    y = L.PReLU(shared_axes=[1, 2])(L.Conv2DTranspose(2, 2, strides=2)(y))
    line = L.ELU()(L.Conv1DTranspose(2, 2, strides=2)(L.Reshape((8, 16))(y)))
    return keras.Model(
        x, L.Dense(10)(L.Concatenate()([L.Flatten()(L.Resizing(4, 4, interpolation="nearest")(y)), L.Flatten()(line)]))
    )


def steps() -> keras.Model:
    """Rows of the image as steps: recurrent, normalised, attended to."""
    x = keras.Input((8, 8, 1))
    y = L.AveragePooling1D(2)(L.Reshape((8, 8))(x))
    y = L.LayerNormalization()(L.GRU(4, return_sequences=True)(y))
    y = L.MultiHeadAttention(1, 3)(y, y) + y
    return keras.Model(x, L.Dense(10)(L.Concatenate()([ops.mean(y, axis=1), ops.max(y, axis=1), L.LSTM(3)(y)])))


_MODELS = (convolutions, rows, poolings, joins, activations, movements, upwards, steps)
EVERY: dict[str, Callable[[], keras.Model]] = {f.__name__: f for f in _MODELS}


def images() -> tuple[np.ndarray, np.ndarray]:
    """8x8 digits as images of one channel."""
    bunch = load_digits()
    return (bunch.data[:900] / 16).reshape(-1, 8, 8, 1).astype(np.float32), bunch.target[:900]
