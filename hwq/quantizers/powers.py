"""Sums of signed powers of two: the exact projection of weights on them, and a quantiser that becomes it while training.

Levels L_1 < ... < L_m are neighbouring powers of two up to 2^top; zero is below them. A weight goes to the nearest, by thresholds
t_j = (L_{j-1} + L_j) / 2. In training (Badar, arXiv 2510.16088)

    Q_slope(w) = sign(w) sum_j (L_j - L_{j-1}) sigmoid(slope (|w| - t_j) / t_j)

is differentiable, and becomes the projection as the slope rises. Then the quantiser is hard: each weight has a least step 2^-f of
its own, which is learned like the bitwidths of HGQ. A sum of k terms quantises what the terms before it leave over. The choice of
`top` is exact (Yin et al., LBW-Net, arXiv 1612.06052).
"""

from __future__ import annotations

import numpy as np

from hwq.backend import keras, ops
from hwq.quantizers.hgq import LN2, dtype_of, integer_bits, plain, power_of_two
from hwq.tensors import Floats, Gradient, Tensor

MOST_LEVELS = 16
FINEST = 2.0**20  # no weight that matters is smaller than its inverse


# the exact projection


def nearest(w: Floats, top: Floats | np.float64, levels: int, terms: int = 1) -> Floats:
    """Each weight's sum of at most `terms` signed powers of two, the nearest power first; ties go to the smaller.

    Args:
        w: weights of any shape.
        top: exponent of the greatest power, whole; of a shape that broadcasts to that of w.
        levels: how many powers there are: 2^(top - levels + 1) ... 2^top.
    """
    q, rest = np.zeros_like(w), np.asarray(w, np.float64)
    for _ in range(terms):
        step = np.zeros_like(rest)
        before = np.zeros_like(np.asarray(top, np.float64))
        for j in range(levels):
            level = np.exp2(np.asarray(top, np.float64) - (levels - 1 - j))
            step += (level - before) * (np.abs(rest) > (before + level) / 2)
            before = level
        step *= np.sign(rest)
        q, rest = q + step, rest - step
    return q


def ternary(w: Floats) -> tuple[Floats, int]:
    """The nearest of all matrices s {-1, 0, 1} with s a power of two, and log2 s: exact, O(N log N) (LBW-Net, theorem 1).

    With u the sum of the k largest |w|, the best exponent is floor(log2(4 u / (3 k))), and the best k minimises k 4^s - 2 u 2^s.
    All zeros for weights that are all zero.
    """
    order = np.sort(np.abs(w).ravel())[::-1].astype(np.float64)
    order = order[order > 0]
    if not len(order):
        return np.zeros_like(w), 0
    k, u = np.arange(1, len(order) + 1), np.cumsum(order)
    s = np.floor(np.log2(4 * u / (3 * k)))
    best = int(np.argmin(k * 4.0**s - 2 * u * 2.0**s))
    exponent = int(s[best])
    # of equal weights all or none: at a tie the error is the same
    return np.where(np.abs(w) >= order[best], np.sign(w) * 2.0**exponent, 0.0), exponent


def best_top(w: Floats, levels: int, terms: int = 1) -> int:
    """The exponent of the greatest power with the least squared error of all whole ones.

    With one level and one term it is that of `ternary`. A greatest power beyond twice the largest weight is never used, and one
    whose half of the threshold range lies below the mean is worse than the next: those between are tried.
    """
    magnitude = np.abs(w[w != 0]).astype(np.float64)
    if not magnitude.size:
        return 0
    high = int(np.ceil(np.log2(magnitude.max()))) + 1
    low = int(np.floor(np.log2(magnitude.mean()))) - 2
    errors = {top: float(((w - nearest(w, np.float64(top), levels, terms)) ** 2).sum()) for top in range(high, low - 1, -1)}
    return min(errors, key=lambda top: (errors[top], top))


# the same in training


def _term(rest: Tensor, unit: Tensor, levels: int, slope: Tensor | None) -> tuple[Tensor, Tensor]:
    """(hard, soft) value of one term; `unit` is 2^top."""
    magnitude = ops.abs(rest)
    hard = soft = ops.zeros_like(magnitude)
    before = 0.0
    for j in range(levels):
        level = 2.0 ** (j - levels + 1)
        threshold = unit * ((before + level) / 2)
        step = unit * (level - before)
        hard = hard + step * ops.cast(magnitude > threshold, magnitude.dtype)
        if slope is not None:
            soft = soft + step * ops.sigmoid(slope * (magnitude - threshold) / threshold)
        before = level
    sign = ops.sign(rest)
    return hard * sign, soft * sign


def project(w: Tensor, top: Tensor, levels: int, terms: int) -> Tensor:
    """`nearest` on tensors, exact: a float times a power of two."""
    unit = power_of_two(top, dtype_of(w))
    q, rest = ops.zeros_like(w), w
    for _ in range(terms):
        hard, _ = _term(rest, unit, levels, None)
        q, rest = q + hard, rest - hard
    return q


def soft_project(w: Tensor, top: Tensor, levels: int, terms: int, slope: Tensor) -> Tensor:
    """The differentiable quantiser at a slope above 0."""
    unit = power_of_two(ops.stop_gradient(top), dtype_of(w))
    q, rest = ops.zeros_like(w), w
    for _ in range(terms):
        _, soft = _term(rest, unit, levels, slope)
        q, rest = q + soft, rest - soft
    return q


def quantize_terms(w: Tensor, f: Tensor, terms: int) -> Tensor:
    """w to its nearest sum of `terms` signed powers of two, none below 2^-round(f): what the design has.

    f, of the shape of w, is learned as in HGQ (`hwq.quantizers.hgq`): dL/dw = g and dL/df = -ln2 g d, with d = q - P(w) the error
    that the step makes, P(w) being the sum without a least power. (With q - w the error of the powers themselves, on which f has no
    influence, would drown the price of a step in noise.) A falling f first makes a small weight as large as its step, and then
    zero; one that is zero comes back where the loss wants it.
    """
    return _quantize_terms(plain(w), plain(f), terms)


def _quantize_terms(w: Tensor, f: Tensor, terms: int) -> Tensor:
    @ops.custom_gradient
    def run(w: Tensor, f: Tensor) -> tuple[Tensor, Gradient]:
        whole, dtype = ops.round(f), dtype_of(w)
        q = _sum_of_powers(w * power_of_two(whole, dtype), terms) * power_of_two(-whole, dtype)
        free = _sum_of_powers(w * FINEST, terms) / FINEST

        def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, ...]:
            g = upstream if upstream is not None else args[0]
            return g, -LN2 * g * (q - free)

        return q, gradient

    return run(w, f)


def _sum_of_powers(x: Tensor, terms: int) -> Tensor:
    """Each value as the sum of at most `terms` of +-1, +-2, +-4 ..., the nearest to what is left first."""
    q, rest = ops.zeros_like(x), x
    for _ in range(terms):
        step = nearest_power(rest)
        q, rest = q + step, rest - step
    return q


def nearest_power(x: Tensor) -> Tensor:
    """The nearest to each value of 0, +-1, +-2, +-4 ..., the smaller one at a tie. Exact."""
    magnitude, dtype = ops.abs(x), dtype_of(x)
    below = power_of_two(integer_bits(ops.maximum(magnitude, ops.ones_like(x))) - 1, dtype)
    power = ops.where(magnitude > 1.5 * below, 2.0 * below, below)
    return ops.where(magnitude > 0.5, ops.sign(x) * power, ops.zeros_like(x))


@keras.saving.register_keras_serializable(package="hwq")
def power_activation(x: Tensor) -> Tensor:
    """Each value's nearest signed power of two, 0 for 0, with the gradient of the identity: an activation that needs a table."""
    magnitude = ops.abs(ops.stop_gradient(x))
    present = magnitude > 0
    below = power_of_two(integer_bits(ops.where(present, magnitude, ops.ones_like(magnitude))) - 1, dtype_of(x))
    power = ops.sign(x) * ops.where(magnitude > 1.5 * below, 2.0 * below, below)
    return x + ops.stop_gradient(ops.where(present, power, ops.zeros_like(power)) - x)
