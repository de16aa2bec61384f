"""The HGQ quantiser: rounding in the forward pass, a surrogate gradient for the bitwidth in the backward pass.

Sun et al., arXiv 2405.00645. Forward: q = floor(x 2^f + 1/2) 2^-f with f rounded half to even. Backward, with d = q - x:
dL/dx = g, dL/df = -ln2 sum(g d) over everything that shares the f. 2^f is made on the small tensor of bitwidths, never broadcast
to the batch first, and exactly; a computed power could be a unit in the last place off.
"""

from __future__ import annotations

import numpy as np

from hwq.backend import ops, tf
from hwq.tensors import Gradient, Tensor

LN2 = float(np.log(2.0))
_FORMS = {"float32": ("int32", 23, 127), "float64": ("int64", 52, 1023)}  # integer of the same size, mantissa bits, exponent bias


def dtype_of(x: Tensor) -> str:
    """The name of a tensor's dtype, in every backend."""
    return x.dtype if isinstance(x.dtype, str) else x.dtype.name


def power_of_two(exponent: Tensor, dtype: str) -> Tensor:
    """2^exponent, exact, for whole exponents in -126 .. 127: the exponent field is written, nothing is computed that could be rounded."""
    integer, bits, bias = _FORMS[dtype]
    return ops.view(ops.left_shift(ops.cast(exponent, integer) + bias, bits), dtype)


def divided_power(exponent: Tensor, dtype: str) -> Tensor:
    """2^exponent, exact too, as a quotient: XLA does not compute one anew for every row of the batch that it is applied to.

    Not as 1 / 2^-exponent: TensorFlow's graph optimiser makes a reciprocal of that, whose kernel is a unit in the last place off.
    """
    return 2.0 / power_of_two(1 - exponent, dtype)


def integer_bits(magnitude: Tensor) -> Tensor:
    """floor(log2(magnitude)) + 1, exact, from the exponent field; for 0 some very negative number."""
    dtype = dtype_of(magnitude)
    integer, bits, bias = _FORMS[dtype]
    return ops.cast(ops.right_shift(ops.view(magnitude, integer), bits) - (bias - 1), dtype)


def plain(value: Tensor) -> Tensor:
    """A variable's value as a tensor: TensorFlow refuses variables inside a custom gradient."""
    return ops.add(value, 0.0) if hasattr(value, "assign") else value


def round_through(f: Tensor) -> Tensor:
    """Round half to even; the gradient passes through."""
    return _round_through(plain(f))


@ops.custom_gradient
def _round_through(f: Tensor) -> tuple[Tensor, Gradient]:
    def gradient(*args: Tensor, upstream: Tensor | None = None) -> Tensor:
        return upstream if upstream is not None else args[0]

    return ops.round(f), gradient


def fake_quantize(x: Tensor, f: Tensor) -> Tensor:
    """x rounded to multiples of 2^-round(f); f has the shape of x, or of x without its batch axis."""
    return _fake_quantize(plain(x), plain(f))


@ops.custom_gradient
def _fake_quantize(x: Tensor, f: Tensor) -> tuple[Tensor, Gradient]:
    whole, dtype = ops.round(f), dtype_of(x)
    if len(x.shape) > len(f.shape):
        q = ops.floor(x * divided_power(whole, dtype) + 0.5) * divided_power(-whole, dtype)
    else:
        up = power_of_two(whole, dtype)
        q = ops.floor(x * up + 0.5) / up

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, ...]:
        g = upstream if upstream is not None else args[0]
        extra = len(g.shape) - len(f.shape)
        sensitivity = g * (q - x)
        if extra:
            sensitivity = sum_leading(sensitivity, extra)
        return g, -LN2 * sensitivity

    return q, gradient


def rounded_matmul(x: Tensor, f: Tensor, kernel: Tensor) -> Tensor:
    """fake_quantize(x, f) @ kernel for x (batch, n), f (n,) and kernel (n, m), in fewer passes over x.

    The whole numbers x 2^f is rounded to are multiplied by a kernel that has the steps in it: the products are the same numbers.
    """
    return _rounded_matmul(plain(x), plain(f), kernel)


@ops.custom_gradient
def _rounded_matmul(x: Tensor, f: Tensor, kernel: Tensor) -> tuple[Tensor, Gradient]:
    whole, dtype = ops.round(f), dtype_of(x)
    step = divided_power(-whole, dtype)
    scaled = x * divided_power(whole, dtype)
    m = ops.floor(scaled + 0.5)
    error = m - scaled
    steps = ops.expand_dims(step, 1)

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, ...]:
        g = upstream if upstream is not None else args[0]
        to_x = _matmul(g, kernel, transpose_b=True)
        sensitivity = sum_leading(to_x * error, 1) * step
        return to_x, -LN2 * sensitivity, _matmul(m, g, transpose_a=True) * steps

    return ops.matmul(m, kernel * steps), gradient


def _matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """A product with transposes that TensorFlow's kernel does on the way, where it is there."""
    if tf is not None:
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    return ops.matmul(ops.transpose(a) if transpose_a else a, ops.transpose(b) if transpose_b else b)


def sum_leading(value: Tensor, axes: int) -> Tensor:
    """The sum over the first axes; on TensorFlow by the kernel that sums a bias's gradient, twice as fast as its sum."""
    shape = value.shape[axes:]
    if tf is None or 0 in shape:
        return ops.sum(value, axis=tuple(range(axes)))
    return ops.reshape(tf.raw_ops.BiasAddGrad(out_backprop=ops.reshape(value, (-1, int(np.prod(shape))))), shape)


def exact_mantissas(x: Tensor, f: Tensor) -> Tensor:
    """floor(x 2^f + 1/2) as hwq.fixed defines it: no addition that could itself be rounded."""
    y = x * power_of_two(f, dtype_of(x))
    floor = ops.floor(y)
    return floor + ops.cast(y - floor >= 0.5, floor.dtype)


def exact_quantize(x: Tensor, f: Tensor, low: Tensor, high: Tensor, overflow: str) -> Tensor:
    """What the design does: round, then wrap or saturate the mantissa into [low, high] (high - low + 1 a power of two)."""
    m = exact_mantissas(x, f)
    if overflow == "WRAP":
        span = high - low + 1
        m = m - span * ops.floor((m - low) / span)
    else:
        m = ops.minimum(ops.maximum(m, low), high)
    return m * power_of_two(-f, dtype_of(x))


def weight_bits(q: Tensor, f: Tensor) -> Tensor:
    """Bits between the first non-zero bit of a quantised weight and its last one, 0 for a pruned weight; dbits/df = 1 where not pruned."""
    magnitude = ops.abs(q)
    present = ops.cast(magnitude > 0, q.dtype)
    return present * (ops.stop_gradient(integer_bits(ops.stop_gradient(magnitude))) + round_through(f))


def enclosed_bits(q: Tensor, f: Tensor) -> Tensor:
    """Bits from the first to the last non-zero bit of a quantised weight, which is what its multiplication costs; 0 for zero."""
    dtype = dtype_of(q)
    mantissa = ops.cast(ops.abs(q) * power_of_two(ops.round(f), dtype), "int64")
    last = ops.cast(ops.bitwise_and(mantissa, -mantissa), dtype)
    return ops.where(mantissa > 0, integer_bits(ops.cast(mantissa, dtype)) - integer_bits(last) + 1, 0.0)
