"""Functions of one number that peers compute in float32: the same ones of Keras, so that a table holds the peer's own values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import ArrayFunction

SELF = ("linear", "relu")  # a design has these itself
NAMES = (
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "log_sigmoid", "mish",
    "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "sparse_plus", "squareplus", "swish", "tanh", "tanh_shrink",
)  # fmt: skip


def name_of(told: Any, layer: str) -> str:
    """The name of an activation as files tell it; "linear" for none.

    Raises:
        UnsupportedLayerError: something that is no name: a function of the peer's user.
    """
    if told is None:
        return "linear"
    if isinstance(told, Mapping):
        told = told["config"] if told.get("class_name") == "function" else told.get("class_name")
        told = told.get("name") if isinstance(told, Mapping) else told
    if not isinstance(told, str) or told not in (*NAMES, *SELF, "softmax"):
        raise UnsupportedLayerError(
            f"layer {layer!r} has the activation {told!r}, and hwq runs no code of a file",
            hint=f"known: {', '.join((*SELF, *NAMES))}",
        )
    return told


def named(name: str) -> ArrayFunction:
    """A function of Keras by its name, as Keras computes it in float32."""
    from hwq.backend import keras, ops

    function = keras.activations.get(name)

    def call(x: np.ndarray) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(np.asarray(x, np.float32)))))

    return call
