"""Random small Keras models: convolutions, dense layers, normalisation, pools, merges and activations in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

IMAGE_LAYERS = ("conv", "depthwise", "separable", "pool", "average", "norm", "activation", "merge", "pad", "dense")
VECTOR_LAYERS = ("dense", "norm", "activation", "merge", "reshape")
ACTIVATIONS = ("relu", "leaky", "relu6", "linear")


class Models:
    """Grows one model; `keras` is loaded with it."""

    def __init__(self, seed: int) -> None:
        import keras

        self.layers, self.keras = keras.layers, keras
        keras.utils.set_random_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.image = bool(seed % 2)

    def model(self) -> Any:
        """Two to five layers behind the input, and a dense layer or none at the end."""
        keras, rng = self.keras, self.rng
        shape = (
            (int(rng.integers(3, 6)), int(rng.integers(3, 6)), int(rng.integers(1, 3)))
            if self.image
            else (int(rng.integers(2, 7)),)
        )
        x = y = keras.Input(shape)
        for _ in range(int(rng.integers(2, 6))):
            kinds = IMAGE_LAYERS if len(y.shape) == 4 else VECTOR_LAYERS
            y = self.one(kinds[int(rng.integers(len(kinds)))], y)
        if len(y.shape) == 4:
            y = self.layers.Flatten()(y)
        if rng.random() < 0.8:
            y = self.layers.Dense(int(rng.integers(1, 4)), bias_initializer=self.spread())(y)
        model = keras.Model(x, y)
        self.set_statistics(model)
        return model

    def spread(self) -> Any:
        return self.keras.initializers.RandomNormal(stddev=float(2.0 ** self.rng.integers(-6, 3)))

    def one(self, kind: str, y: Any) -> Any:
        rng, layers = self.rng, self.layers
        small = len(y.shape) == 4 and min(y.shape[1:3]) < 2
        padding = "same" if small or rng.random() < 0.5 else "valid"
        size = 1 if small else int(rng.integers(1, 3))
        made: dict[str, Callable[[], Any]] = {
            "conv": lambda: layers.Conv2D(int(rng.integers(1, 4)), size, padding=padding, bias_initializer=self.spread())(y),
            "depthwise": lambda: layers.DepthwiseConv2D(size, padding=padding)(y),
            "separable": lambda: layers.SeparableConv2D(int(rng.integers(1, 3)), size, padding=padding)(y),
            "pool": lambda: layers.MaxPooling2D(size, strides=1, padding=padding)(y),
            "average": lambda: layers.AveragePooling2D(size, strides=1)(y),
            "norm": lambda: layers.BatchNormalization()(y),
            "activation": lambda: self.activation(y),
            "merge": lambda: self.merged(y),
            "pad": lambda: layers.ZeroPadding2D(((0, 1), (1, 0)))(y),
            "dense": lambda: layers.Dense(int(rng.integers(1, 5)), kernel_initializer=self.spread())(y),
            "reshape": lambda: layers.Reshape((1, int(y.shape[1])))(y) if len(y.shape) == 2 else layers.Flatten()(y),
        }
        return made[kind]()

    def activation(self, y: Any) -> Any:
        kind = ACTIVATIONS[int(self.rng.integers(len(ACTIVATIONS)))]
        if kind == "leaky":
            return self.layers.LeakyReLU(negative_slope=0.25)(y)
        return self.layers.Activation(kind)(y)

    def merged(self, y: Any) -> Any:
        """Two branches of the same shape."""
        layers = self.layers
        other = layers.Dense(int(y.shape[-1]))(y)
        kind = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate")[int(self.rng.integers(7))]
        first = layers.Activation("relu")(y) if self.rng.random() < 0.5 else y
        return getattr(layers, kind)()([first, other])

    def set_statistics(self, model: Any) -> None:
        """Of every normalisation, scales and means as training leaves them, one of them far off."""
        for layer in model.layers:
            if type(layer).__name__ == "BatchNormalization":
                n = layer.gamma.shape[0]
                layer.gamma.assign(self.rng.normal(1, 0.5, n))
                layer.beta.assign(self.rng.normal(0, 1, n))
                layer.moving_mean.assign(self.rng.normal(0, 0.5, n))
                layer.moving_variance.assign(np.exp(self.rng.normal(0, 2, n)))


def options(seed: int) -> dict[str, Any]:
    """Of `hwq.QuantizeConfig`: bits and modes."""
    rng = np.random.default_rng([seed, 1])
    return {
        "bits": int(rng.integers(2, 9)),
        "overflow": str(rng.choice(["WRAP", "SAT", "SAT_SYM"])),
        "rounding": str(rng.choice(["RND", "TRN", "RND_CONV"])),
        "granularity": [None, "element", "tensor"][int(rng.integers(3))],
    }
