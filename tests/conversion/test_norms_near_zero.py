"""Reciprocals of norms: small norms told apart where a table can, bounded where not; a twin that is far from its float model says so."""

from __future__ import annotations

import numpy as np
import pytest

import hwq
from hwq.backend import keras
from hwq.conversion.parts import ReciprocalRoot, inverse
from hwq.layers import QActivation

L = keras.layers


def rows(count: int = 600, width: int = 3, small: int = 100) -> np.ndarray:
    """Of the normal distribution, every `small`-th a hundred times smaller."""
    x = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    x[::small] *= 0.01
    return x


def unit() -> keras.Model:
    i = keras.Input((3,))
    return keras.Model(i, L.UnitNormalization()(i))


def rms() -> keras.Model:
    i = keras.Input((3,))
    return keras.Model(i, L.RMSNormalization()(i))


def layer_norm() -> keras.Model:
    i = keras.Input((3,))
    return keras.Model(i, L.LayerNormalization()(i))


@pytest.mark.parametrize(
    ("build", "bound", "bits"), [(unit, 1.0, 8), (unit, 1.0, 14), (rms, 3**0.5 * 1.02, 8), (layer_norm, 2**0.5 * 1.05, 12)]
)
def test_norms_answer_like_the_float_model(build: object, bound: float, bits: int) -> None:
    model, x = build(), rows()  # type: ignore[operator]
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=bits), data=x)
    want, got = (m.predict(x, verbose=0) for m in (model, twin))
    error = np.abs(got - want).max(axis=1)
    plain = np.arange(len(x)) % 100 > 0
    assert np.median(error) < 0.02 and (error[plain] > 0.2).sum() <= 3 and np.abs(got).max() <= bound


def test_a_cosine_is_at_most_one() -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    keras.utils.set_random_seed(1)
    model = keras.Model([a, b], L.Dot(1, normalize=True)([L.Dense(3)(a), L.Dense(3)(b)]))
    x = [rows(width=4), rows(width=4)[::-1]]
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=8), data=x)
    got = twin.predict(x, verbose=0)
    assert np.abs(got).max() <= 1 + 2.0**-8
    assert np.median(np.abs(got - model.predict(x, verbose=0))) < 0.02


def test_the_design_answers_as_the_twin_and_takes_a_norm_that_no_row_had() -> None:
    x = rows()
    twin = hwq.quantize(unit(), hwq.QuantizeConfig(bits=8), data=x)
    design = hwq.compile(twin, data=x)
    assert design.comparison.mismatches == 0 and np.abs(design.predict(x)).max() <= 1
    beyond = np.array([[1.0, 2.0, -2.0], [0.0, 0.0, 0.0], [40.0, -40.0, 40.0]], np.float32)
    assert np.abs(design.predict(beyond)).max() <= 4  # what saturates stays what it was: a great norm is no small one


def test_a_code_of_zero_stands_for_half_a_step() -> None:
    x = np.linspace(0, 4, 65).astype(np.float32)[:, None]
    model = keras.Sequential([keras.Input((1,)), L.Activation(inverse)])
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=8), data=x)
    table = next(layer for layer in twin.layers if isinstance(layer, QActivation))
    step = 2.0 ** -float(np.max(table.quantizer.f))
    assert float(twin.predict(np.zeros((1, 1), np.float32), verbose=0)[0, 0]) == pytest.approx(2 / step, rel=0.01)
    assert ReciprocalRoot(bounded=True).get_config() == {"epsilon": 2.0**-24, "bounded": True}


def test_ordinary_rows_take_no_wider_table() -> None:
    x = 1 + np.abs(rows(small=10_000))
    twin = hwq.quantize(unit(), hwq.QuantizeConfig(bits=6), data=x)
    table = next(layer for layer in twin.layers if isinstance(layer, QActivation))
    assert float(np.max(table.quantizer.f)) + np.ceil(np.log2((x**2).sum(axis=1).max())) == 8


def test_a_twin_far_from_its_float_model_says_so() -> None:
    x = rows()
    report = hwq.quantize(unit(), hwq.QuantizeConfig(bits=8), data=x).report
    ((_, told),) = report.notes
    worst = int(told.split("row ")[1].split()[0])
    assert "far from the float model on " in told and worst % 100 == 0 and "note: " in str(report)
    plain = np.delete(x, np.s_[::100], axis=0)
    plain = plain[np.square(plain).sum(axis=1) > 0.1]
    assert hwq.quantize(unit(), hwq.QuantizeConfig(bits=8), data=plain).report.notes == ()
    assert hwq.quantize(unit(), hwq.QuantizeConfig(bits=8)).report.notes == ()  # rows of nobody: nothing to say


def test_few_bits_are_told_for_any_layer_and_codes_are_compared_too() -> None:
    keras.utils.set_random_seed(0)
    dense = keras.Sequential([keras.Input((3,)), L.Dense(16, "relu"), L.Dense(8, "relu"), L.Dense(20)])
    (note,) = hwq.quantize(dense, hwq.QuantizeConfig(bits=1), data=rows()).report.notes
    assert "(of 20)" in note[1]
    codes = keras.Sequential([keras.Input((3,), dtype="int32"), L.Embedding(9, 4), L.Flatten(), L.Dense(2)])
    data = np.random.default_rng(0).integers(0, 9, (200, 3))
    one = keras.Sequential([keras.Input((3,)), L.Dense(4)])
    for few in (rows(1), np.ones((40, 3), np.float32)):  # no range at all
        assert hwq.quantize(one, hwq.QuantizeConfig(bits=8), data=few).report.notes == ()
    notes = hwq.quantize(codes, hwq.QuantizeConfig(bits=8), data=data).report.notes
    assert [text for _, text in notes] == ["reads int32; the twin reads float32"]
