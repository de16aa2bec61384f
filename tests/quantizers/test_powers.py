"""Projection on powers of two: exact against brute force, differentiable while soft, hard at the end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwq.backend import ops, tf
from hwq.errors import UsageError
from hwq.layers import QDense
from hwq.passes.wires import csd
from hwq.quantizers import powers

RNG = np.random.default_rng(11)


def error(w: np.ndarray, q: np.ndarray) -> float:
    return float(((w - q) ** 2).sum())


@pytest.mark.parametrize("case", range(20))
def test_the_ternary_projection_is_the_nearest_of_all(case: int) -> None:
    w = np.random.default_rng(case).normal(size=6) * 2.0 ** RNG.integers(-3, 3)
    q, exponent = powers.ternary(w)
    assert set(np.abs(q)) <= {0.0, 2.0**exponent}
    tried = (error(w, 2.0**s * np.array(t)) for s in range(-8, 6) for t in itertools.product((-1, 0, 1), repeat=6))
    assert error(w, q) == pytest.approx(min(tried), abs=1e-12)


def test_ternary_is_one_level_with_the_best_exponent() -> None:
    for seed in range(30):
        w = np.random.default_rng(seed).standard_t(3, size=200)
        q, exponent = powers.ternary(w)
        top = powers.best_top(w, 1)
        assert top == exponent and error(w, powers.nearest(w, np.float64(top), 1)) == pytest.approx(error(w, q))


def test_what_is_all_zero_stays_so() -> None:
    assert powers.ternary(np.zeros((2, 3)))[0].tolist() == np.zeros((2, 3)).tolist()
    assert powers.best_top(np.zeros(4), 3) == 0


def test_the_best_top_is_the_best_of_a_wide_range() -> None:
    for seed, levels, terms in itertools.product(range(8), (1, 2, 4, 8), (1, 2)):
        w = np.random.default_rng(seed).normal(size=100) * 2.0 ** (seed - 4)
        tried = [error(w, powers.nearest(w, np.float64(top), levels, terms)) for top in range(-20, 12)]
        assert error(w, powers.nearest(w, np.float64(powers.best_top(w, levels, terms)), levels, terms)) == min(tried)


@pytest.mark.parametrize("terms", [1, 2, 3])
def test_quantised_weights_are_the_nearest_powers_on_their_steps(terms: int) -> None:
    w = (RNG.normal(size=(40, 8)) * 2).astype(np.float32)
    f = RNG.integers(0, 7, size=w.shape).astype(np.float32)
    w[0, :4], f[0, :4] = [0.75, -1.5, 3.0, 0.375], 5  # ties between two powers
    found = ops.convert_to_numpy(powers.quantize_terms(w, f, terms)).astype(np.float64)
    rest, wanted = np.ldexp(w.astype(np.float64), f.astype(int)), np.zeros(w.shape)
    for _ in range(terms):
        step = np.vectorize(brute_nearest)(rest)
        wanted, rest = wanted + step, rest - step
    assert np.array_equal(found, np.ldexp(wanted, -f.astype(int)))
    assert terms > 1 or found[0, :4].tolist() == [0.5, -1.0, 2.0, 0.25]


def brute_nearest(m: float) -> float:
    """The nearest of 0, +-1, +-2, +-4 ..., the smaller at a tie."""
    return float(min((0, *(2**k for k in range(12))), key=lambda p: (abs(abs(m) - p), p)) * np.sign(m))


def test_two_terms_never_are_further_away_than_one() -> None:
    w = RNG.normal(size=500)
    errors = [error(w, powers.nearest(w, np.float64(1), 6, terms)) for terms in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("terms", [1, 2])
def test_the_soft_quantiser_becomes_the_hard_one(terms: int) -> None:
    w = (RNG.normal(size=4000) * 0.6).astype(np.float32)
    w = w[np.abs(w) < 1.4]  # the hard one has no greatest power
    hard = ops.convert_to_numpy(powers.quantize_terms(w, np.full(w.shape, 5, np.float32), terms))
    gaps = []
    for slope in (4.0, 16.0, 64.0, 4096.0):
        soft = ops.convert_to_numpy(powers.soft_project(ops.convert_to_tensor(w), np.float32(0), 6, terms, np.float32(slope)))
        gaps.append(float(np.abs(soft - hard).mean()))
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < 1e-3


def test_the_soft_gradient_is_that_of_its_formula() -> None:
    w = tf.constant(RNG.normal(size=64).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(w)
        total = tf.reduce_sum(powers.soft_project(w, tf.constant(0.0), 3, 1, tf.constant(6.0)))
    found = tape.gradient(total, w).numpy()
    wanted, before = np.zeros(64), 0.0
    for level in (0.25, 0.5, 1.0):
        t = (before + level) / 2
        s = 1 / (1 + np.exp(-6 * (np.abs(w.numpy().astype(float)) - t) / t))
        wanted += (level - before) * 6 / t * s * (1 - s)
        before = level
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_gradients_of_the_hard_quantiser_are_those_of_its_steps() -> None:
    w, f = tf.constant([0.3, 0.3, 0.9, -0.8]), tf.constant([0.0, 0.0, 1.0, 3.0])  # 0.3 is below half a step at f = 0
    with tf.GradientTape() as tape:
        tape.watch([w, f])
        q = powers.quantize_terms(w, f, 1)
        loss = tf.reduce_sum(q * tf.constant([-1.0, 1.0, 1.0, 1.0]))
    dw, df = tape.gradient(loss, [w, f])
    assert q.numpy().tolist() == [0.0, 0.0, 1.0, -1.0]
    assert dw.numpy().tolist() == [-1.0, 1.0, 1.0, 1.0]
    # descent raises f, and lets the weight back, where a larger one lowers the loss; a step that changes nothing has no gradient
    assert np.allclose(df.numpy(), np.log(2) * 0.25 * np.array([-1, 1, 0, 0]), atol=1e-6)


@pytest.mark.parametrize("terms", [1, 2, 3])
def test_a_layer_has_no_weight_of_more_terms(terms: int) -> None:
    layer = QDense(30, weight_terms=terms, weight_levels=8)
    layer.build((None, 20))
    layer.kernel.assign(RNG.normal(size=(20, 30)))
    layer.initialise_weights()
    kernel = ops.convert_to_numpy(layer.quantized(*layer.folded())[0]).astype(np.float64)
    mantissas = np.ldexp(kernel, np.round(ops.convert_to_numpy(layer.kernel_f)).astype(int))
    assert np.array_equal(mantissas, np.floor(mantissas))
    assert max(len(csd(int(m))) for m in mantissas.ravel()) == terms


@pytest.mark.parametrize("bad", [{"weight_terms": 4}, {"weight_terms": -1}, {"weight_levels": 0}, {"weight_levels": 99}])
def test_impossible_powers(bad: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        QDense(3, **bad)
