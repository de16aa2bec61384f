"""The rounding modes beside RND for training, and the exact arithmetic of every mode that a frozen layer computes with.

RND in training is `hwq.quantizers.hgq`; TRN and RND_CONV have the same surrogate gradient (Sun et al., arXiv 2405.00645):
dL/dx = g, dL/df = -ln2 g (q - x).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UsageError
from hwq.quantizers.hgq import LN2, dtype_of, fake_quantize, plain, power_of_two, sum_leading
from hwq.tensors import Floats, Gradient, Operand, Shape, Tensor

ROUNDINGS = ("RND", "TRN", "RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")
GRANULARITIES = ("element", "channel", "tensor")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """`value` when it is one of `choices`.

    Raises:
        UsageError: names the option and the choices.
    """
    if value not in choices:
        raise UsageError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
    return value


def check_count(name: str, value: int, least: int, most: int) -> int:
    """`value` when it is a whole number within the limits.

    Raises:
        UsageError: names the option and the limits.
    """
    if int(value) != value or not least <= value <= most:
        raise UsageError(f"{name} is {value!r}, expected {least} to {most}")
    return int(value)


def _surrogate(round_: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    @ops.custom_gradient
    def run(x: Tensor, f: Tensor) -> tuple[Tensor, Gradient]:
        whole, dtype = ops.round(f), dtype_of(x)
        q = round_(x * power_of_two(whole, dtype)) * power_of_two(-whole, dtype)

        def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, ...]:
            g = upstream if upstream is not None else args[0]
            sensitivity = g * (q - x)
            extra = len(g.shape) - len(f.shape)
            if extra:
                sensitivity = sum_leading(sensitivity, extra)
            return g, -LN2 * sensitivity

        return q, gradient

    return run


def _half_up(y: Tensor) -> Tensor:
    floor = ops.floor(y)
    return floor + ops.cast(y - floor >= 0.5, floor.dtype)


_SURROGATES = {"TRN": _surrogate(ops.floor), "RND_CONV": _surrogate(ops.round), "RND": _surrogate(_half_up)}


@functools.cache
def widest_float() -> str:
    """float64, except where JAX has been told to do without."""
    return dtype_of(ops.cast(ops.ones(()), "float64")) if keras.backend.backend() == "jax" else "float64"


def fake_round(x: Tensor, f: Tensor, rounding: str, training: bool = True) -> Tensor:
    """x rounded to multiples of 2^-round(f), with the surrogate gradient; f has the shape of x, or of x without its batch axis.

    Not `training`: rounded as the design does. The quicker way adds 1/2, which brings the greatest float below 1/2 to 1.
    """
    if rounding == "RND" and training:
        return fake_quantize(x, f)
    return _SURROGATES[rounding](plain(x), plain(f))


def mantissas(x: Tensor, f: Tensor, rounding: str) -> Tensor:
    """x 2^f brought to whole numbers as `hwq.fixed` defines the mode: no addition that could itself be rounded."""
    y = x * power_of_two(f, dtype_of(x))
    if rounding == "RND_CONV":
        return ops.round(y)
    return ops.floor(y) if rounding == "TRN" else _half_up(y)


def rounded(y: Floats, rounding: str) -> Floats:
    """Scaled values brought to whole numbers in the same modes, outside of any backend."""
    if rounding == "RND_CONV":
        return np.rint(y)
    floor = np.floor(y)
    return floor if rounding == "TRN" else floor + (y - floor >= 0.5)


def into_range(m: Tensor, low: Tensor, high: Tensor, overflow: str) -> Tensor:
    """Whole numbers brought into [low, high]: modulo high - low + 1 (a power of two) for WRAP, else to the nearest end."""
    if overflow != "WRAP":
        return ops.minimum(ops.maximum(m, low), high)
    span = high - low + 1
    return m - span * ops.floor((m - low) / span)


def spread(f: Operand, shape: Shape) -> Tensor:
    """Bitwidths brought to `shape`, for values that share one; untouched where nothing is shared."""
    f = ops.convert_to_tensor(f)
    return f if tuple(f.shape) == tuple(shape) else ops.broadcast_to(f, shape)
