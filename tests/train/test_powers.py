"""Projection on powers of two: exact against brute force, differentiable while soft, hard at the end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwq.errors import UsageError
from hwq.train import powers
from hwq.train.backend import ops, tf
from hwq.train.layers import QDense

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
def test_tensors_project_as_arrays_do(terms: int) -> None:
    w = (RNG.normal(size=(20, 8)) * 2).astype(np.float32)
    w[0, :4] = [0.75, -1.5, 3.0, 0.09375]  # ties between two powers
    found = ops.convert_to_numpy(powers.project(ops.convert_to_tensor(w), ops.convert_to_tensor(np.float32(1)), 5, terms))
    wanted = powers.nearest(w.astype(np.float64), np.float64(1), 5, terms)
    assert np.array_equal(found, wanted)
    assert found[0, :4].tolist() == (wanted[0, :4]).tolist() and (terms > 1 or found[0, 0] == 0.5)


def test_two_terms_never_are_further_away_than_one() -> None:
    w = RNG.normal(size=500)
    errors = [error(w, powers.nearest(w, np.float64(1), 6, terms)) for terms in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]


def test_the_soft_quantiser_becomes_the_hard_one() -> None:
    w = ops.convert_to_tensor(RNG.normal(size=2000).astype(np.float32))
    top = ops.convert_to_tensor(np.float32(0))
    hard = ops.convert_to_numpy(powers.project(w, top, 4, 1))
    gaps = []
    for slope in (4.0, 16.0, 64.0, 1024.0):
        soft = ops.convert_to_numpy(powers.soft_project(w, top, 4, 1, ops.convert_to_tensor(np.float32(slope))))
        gaps.append(float(np.abs(soft - hard).mean()))
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < 2e-3
    final = powers.soft_project(w, top, 4, 1, ops.convert_to_tensor(np.float32(0)))
    assert np.allclose(ops.convert_to_numpy(final), hard, atol=1e-7)


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


def test_a_closed_gate_opens_where_the_loss_wants_the_weight_back() -> None:
    w, f = tf.constant([0.3, 0.3, 0.9]), tf.constant([0.0, 0.0, 1.0])  # 0.3 is below half a step at f = 0
    q = tf.constant([0.25, 0.25, 1.0])
    with tf.GradientTape() as tape:
        tape.watch([q, f])
        out = powers.gated(q, w, f)
        loss = tf.reduce_sum(out * tf.constant([-1.0, 1.0, 1.0]))
    dq, df = tape.gradient(loss, [q, f])
    assert out.numpy().tolist() == [0.0, 0.0, 1.0] and dq.numpy().tolist() == [-1.0, 1.0, 1.0]
    assert df.numpy()[0] < 0 < df.numpy()[1]  # descent raises f, and opens, where a larger weight lowers the loss


def test_a_layer_counts_the_terms_of_its_weights() -> None:
    layer = QDense(3, weight_terms=2, weight_levels=4)
    layer.build((None, 5))
    layer.kernel.assign(RNG.normal(size=(5, 3)))
    layer.initialise_weights()
    layer.quantizer.initialise(RNG.normal(size=(50, 5)).astype(np.float32))
    kernel = ops.convert_to_numpy(layer.quantized(*layer.folded())[0]).astype(np.float64)
    first = powers.nearest(kernel, ops.convert_to_numpy(layer.kernel_top), 4)
    terms = (first != 0).astype(int) + ((kernel - first) != 0)
    counted = layer._kernel_terms(layer.folded()[0], exact=False)
    assert np.array_equal(ops.convert_to_numpy(counted), terms) and terms.max() == 2


@pytest.mark.parametrize("bad", [{"weight_terms": 4}, {"weight_terms": -1}, {"weight_levels": 0}, {"weight_levels": 99}])
def test_impossible_powers(bad: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        QDense(3, **bad)
