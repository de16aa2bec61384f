"""The quantiser's gradients against the formulas of HGQ, and its arithmetic against hwq.fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwq.backend import tf
from hwq.fixed import Overflow, Rounding, TypeArray, quantize_float, to_float
from hwq.quantizers.hgq import divided_power, exact_quantize, fake_quantize, power_of_two, rounded_matmul, weight_bits

LN2 = np.log(2.0)


@pytest.mark.parametrize("batch", [False, True])
def test_gradients_are_those_of_the_paper(batch: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5) if batch else (5,))
    f = rng.uniform(-2, 5, 5)
    g = rng.normal(size=x.shape)
    tx, tf_ = tf.constant(x), tf.constant(f)
    with tf.GradientTape() as tape:
        tape.watch([tx, tf_])
        q = fake_quantize(tx, tf_)
    dx, df = tape.gradient(q, [tx, tf_], output_gradients=tf.constant(g))
    whole = np.round(f)
    want = np.floor(x * 2**whole + 0.5) / 2**whole
    assert np.array_equal(q.numpy(), want)
    assert np.array_equal(dx.numpy(), g)
    expected = -LN2 * (g * (want - x)).reshape(-1, 5).sum(axis=0)
    assert np.abs(df.numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("made", [power_of_two, divided_power])
@pytest.mark.parametrize("how", [{}, {"jit_compile": False}, {"jit_compile": True}])
def test_powers_of_two_are_exact(made: Any, how: dict[str, bool]) -> None:
    exponents = np.arange(-60, 61).astype(np.float32)

    def run(e: Any) -> Any:
        return made(e, "float32")

    found = (tf.function(run, autograph=False, **how) if how else run)(tf.constant(exponents))
    assert np.array_equal(np.asarray(found), np.ldexp(np.float32(1), exponents.astype(int)))


@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
def test_exact_quantize_is_hwq_fixed(overflow: str) -> None:
    rng = np.random.default_rng(1)
    signed, width, frac = rng.integers(0, 2, 40), rng.integers(0, 8, 40), rng.integers(-2, 7, 40)
    types = TypeArray.of(signed, width, frac, Rounding.RND, Overflow(overflow))
    x = rng.normal(size=(500, 40)).astype(np.float32) * 8
    step = np.ldexp(1.0, -types.frac.astype(int))
    x[:250] = np.round(x[:250] / step * 2) / 2 * step  # ties
    x[0] = np.nextafter(np.float32(0.5), np.float32(0)) * step.astype(np.float32)  # just below one
    low, high = types.lowest.astype(np.float32), types.highest.astype(np.float32)
    got = exact_quantize(tf.constant(x), tf.constant(types.frac.astype(np.float32)), low, high, overflow)
    assert np.array_equal(np.asarray(got, np.float64), to_float(quantize_float(x, types), types.frac))


def test_weight_bits_count_from_the_first_bit_to_the_last_step() -> None:
    f = tf.constant([3.0, 3.0, 3.0, 0.0])
    q = tf.constant([0.125, -1.0, 0.0, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(f)
        bits = weight_bits(q, f)
    assert np.asarray(bits).tolist() == [1.0, 4.0, 0.0, 3.0]
    assert np.asarray(tape.gradient(bits, f)).tolist() == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("compiled", [False, True])
def test_the_product_of_rounded_rows_is_that_of_rounding_and_product(compiled: bool) -> None:
    rng = np.random.default_rng(3)
    x, f = rng.normal(size=(700, 12)).astype(np.float32), rng.uniform(-2, 9, 12).astype(np.float32)
    kernel = (rng.integers(-31, 32, (12, 7)) / 16).astype(np.float32)
    upstream = rng.normal(size=(700, 7)).astype(np.float32)

    def gradients(product: Any) -> Any:
        @tf.function(jit_compile=compiled, autograph=False)
        def run(*values: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                y = product(*values)
            return y, tape.gradient(y, values, upstream)

        y, found = run(*map(tf.constant, (x, f, kernel)))
        return [y.numpy(), *(one.numpy() for one in found)]

    together = gradients(rounded_matmul)
    apart = gradients(lambda x, f, kernel: tf.matmul(fake_quantize(x, f), kernel))
    rounded = np.floor(x.astype(float) * 2.0 ** np.round(f) + 0.5) * 2.0 ** -np.round(f)
    assert (together[0] == rounded @ kernel).all() and (apart[0] == rounded @ kernel).all()  # every sum is exact here
    for one, other in zip(together[1:], apart[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max())
