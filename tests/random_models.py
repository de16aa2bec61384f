"""Random small Keras models: layers, operators, joins, activations, policies and options, all from one seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwq.backend import deterministic, keras, ops
from hwq.conversion.config import QuantizeConfig

L = keras.layers
UNARY = ("tanh", "sigmoid", "hard_sigmoid", "elu", "softsign", "relu6", "gelu", "softplus", "exponential", "silu")
FUNCTIONS: tuple[Callable[[Any], Any], ...] = (
    ops.sign,
    ops.abs,
    ops.square,
    lambda x: ops.clip(x, -0.5, 0.75),
    lambda x: 1 / (1 + x * x),
)
SHAPES = ((5,), (8,), (6, 3), (4, 4), (5, 5, 2), (4, 6, 1))
CHOICES: dict[str, tuple[Any, ...]] = {
    "overflow": ("WRAP", "SAT", "SAT_SYM"),
    "rounding": ("RND", "TRN", "RND_CONV"),
    "granularity": (None, "element", "channel", "tensor"),
    "weight_granularity": ("element", "channel", "tensor"),
    "weight_rounding": ("RND", "TRN", "RND_CONV"),
    "weight_terms": (0, 0, 0, 1, 2),
    "activations": ("fixed", "fixed", "pow2"),
    "softmax": ("drop", "table"),
}


@dataclass(frozen=True)
class RandomModel:
    """A model with rows for it, and options of its conversion."""

    model: Any
    rows: np.ndarray
    config: QuantizeConfig


def random_model(seed: int) -> RandomModel:
    """The model of a seed: the same one each time."""
    deterministic(seed)
    rng = np.random.default_rng([seed, 11])
    shape = SHAPES[rng.integers(len(SHAPES))]
    policy = rng.choice(["float32"] * 5 + ["mixed_float16", "bfloat16", "float64"])
    keras.config.set_dtype_policy(str(policy))
    try:
        model = _grown(rng, shape)
    finally:
        keras.config.set_dtype_policy("float32")
    for variable in model.variables:
        kind = variable.path.rsplit("/")[-1]
        if kind in ("bias", "beta", "moving_mean"):
            variable.assign(rng.normal(size=variable.shape) * 0.4)
        elif kind in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.3, 1.7, variable.shape))
    scale = 2.0 ** rng.integers(-3, 4)
    rows = (rng.normal(size=(40, *shape)) * scale).astype(np.float32)
    options = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    return RandomModel(model, rows, QuantizeConfig(bits=int(rng.integers(2, 8)), table_bits=int(rng.integers(3, 8)), **options))


def _grown(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    x = keras.Input(shape)
    tensors = [x]
    for _ in range(int(rng.integers(2, 7))):
        source = tensors[-1] if rng.random() < 0.75 else tensors[int(rng.integers(len(tensors)))]
        steps = [step for step in (_kernel, _kernel, _activation, _norm, _pool, _move, _operator, _join) if rng.random() < 0.8]
        for step in steps:
            made = step(rng, source, tensors)
            if made is not None:
                tensors.append(made)
                break
    y = tensors[-1]
    y = L.Flatten()(y) if len(y.shape) > 2 else y
    y = L.Dropout(0.2)(y) if rng.random() < 0.2 else y
    return keras.Model(x, L.Dense(3, activation=rng.choice(["linear", "relu", "sigmoid", "softmax"]))(y))


def _kernel(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    rank, bias, act = len(x.shape) - 1, bool(rng.random() < 0.7), rng.choice(["linear", "relu", "tanh"])
    units = int(rng.integers(2, 6))
    if rank == 1 or rng.random() < 0.2:
        return L.Dense(units, use_bias=bias, activation=act, trainable=bool(rng.random() < 0.9))(x)
    if rank == 2 and rng.random() < 0.3:
        axes = [None, "d", "b", "bd"][rng.integers(4)]
        return L.EinsumDense("abc,cd->abd", output_shape=(x.shape[1], units), bias_axes=axes)(x)
    size = int(rng.integers(1, min(3, min(x.shape[1:rank])) + 1))
    stride = int(rng.integers(1, 3))
    padding = str(rng.choice(["same", "valid"]))
    kind = str(rng.choice(["Conv", "DepthwiseConv", "SeparableConv"]))
    kernel = getattr(L, f"{kind}{rank - 1}D")
    options = {"strides": stride, "padding": padding, "use_bias": bias, "activation": act}
    return kernel(size, **options)(x) if kind == "DepthwiseConv" else kernel(units, size, **options)(x)


def _activation(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    choice = int(rng.integers(6))
    if choice == 0:
        return L.ReLU(negative_slope=float(rng.choice([0.0, 0.25])))(x)
    if choice == 1:
        return L.LeakyReLU(0.125)(x)
    if choice == 2:
        return L.Activation(FUNCTIONS[int(rng.integers(len(FUNCTIONS)))])(x)
    if choice == 3:
        return L.Softmax()(x) if x.shape[-1] > 1 else None
    return L.Activation(str(rng.choice(UNARY)))(x)


def _norm(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    return L.BatchNormalization(scale=bool(rng.random() < 0.8), center=bool(rng.random() < 0.8))(x)


def _pool(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    rank = len(x.shape) - 2
    if rank < 1 or min(x.shape[1:-1]) < 2:
        return None
    kind = str(rng.choice(["Max", "Average"]))
    if rng.random() < 0.25:
        return getattr(L, f"Global{kind}Pooling{rank}D")(keepdims=bool(rng.random() < 0.5))(x)
    padding = str(rng.choice(["same", "valid"]))
    return getattr(L, f"{kind}Pooling{rank}D")(2, strides=int(rng.integers(1, 3)), padding=padding)(x)


def _move(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    rank, size = len(x.shape) - 1, math.prod(x.shape[1:])
    choice = int(rng.integers(4))
    if choice == 0 and rank > 1:
        return L.Permute(tuple(int(d) + 1 for d in rng.permutation(rank)))(x)
    if choice == 1 and size % 2 == 0:
        return L.Reshape((2, size // 2))(x)
    if choice == 2 and rank == 3:
        return L.ZeroPadding2D(((0, 1), (1, 0)))(x)
    return L.ZeroPadding1D((1, 0))(x) if rank == 2 else L.Flatten()(x) if rank > 1 else None


def _operator(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    constant = float(rng.choice([0.5, -2.0, 0.3, 1.7]))
    row = rng.uniform(-2, 2, x.shape[-1]).astype("float32")
    choices: tuple[Callable[[], Any], ...] = (
        lambda: x + constant,
        lambda: constant - x,
        lambda: x * constant,
        lambda: x / constant,
        lambda: -x,
        lambda: x * row,
        lambda: x + row,
        lambda: ops.tanh(x),
        lambda: ops.relu(x),
        lambda: ops.maximum(x, constant),
    )
    return choices[int(rng.integers(len(choices)))]()


def _join(rng: np.random.Generator, x: Any, tensors: list[Any]) -> Any:
    alike = [t for t in tensors if tuple(t.shape) == tuple(x.shape)]
    other = alike[int(rng.integers(len(alike)))]
    kind = str(rng.choice(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "+", "-", "*"]))
    if kind in "+-*":
        return x + other if kind == "+" else x - other if kind == "-" else x * other
    return getattr(L, kind)()([x, other])
