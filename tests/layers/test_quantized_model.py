"""The quantised twin in Keras' own compile and fit: its price, metrics, callbacks and file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwq
from hwq.backend import keras, ops
from hwq.conversion import convert, freeze
from hwq.errors import UsageError
from hwq.layers import total_costs
from hwq.layers.model import BetaSchedule

RNG = np.random.default_rng(1)
X = RNG.normal(size=(256, 6)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


@pytest.fixture
def twin() -> Any:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])
    quantised, _ = convert.quantize_model(model)
    freeze.initialise(quantised, X)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    quantised.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    return quantised


def test_both_ebops_are_metrics_and_callbacks_see_them(twin: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    callbacks = [BetaSchedule(1e-6, 1e-3, warmup=0.25), keras.callbacks.CSVLogger(log)]
    history = twin.fit(X, Y, batch_size=64, epochs=5, validation_split=0.25, callbacks=callbacks, verbose=0).history
    assert history["ebops"][-1] == float(total_costs(twin, exact=True)["ebops"])
    assert history["ebops_declared"][-1] == pytest.approx(float(total_costs(twin)["ebops"]))
    assert history["val_ebops"] == history["ebops"]
    assert history["beta"][0] == history["beta"][1] == 1e-6 and history["beta"][-1] == pytest.approx(1e-3)
    assert "ebops_declared" in log.read_text().splitlines()[0]


@pytest.mark.parametrize("wrong", [(0.0, 1e-4), (-1.0, 1e-4), (1e-4, float("nan")), (1e-6, 1e-4, 2.0)])
def test_a_schedule_of_impossible_prices_is_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"price|warm-up"):
        hwq.callbacks.BetaSchedule(*wrong)


def test_a_price_lowers_the_cost(twin: Any) -> None:
    before = float(total_costs(twin)["ebops"])
    twin.fit(X, Y, batch_size=64, epochs=6, verbose=0)
    free = float(total_costs(twin)["ebops"])
    twin.price(1e-2, gamma=1.0, l1=0.1)
    twin.fit(X, Y, batch_size=64, epochs=12, verbose=0)
    assert float(total_costs(twin)["ebops"]) < 0.8 * min(before, free)


def test_the_file_brings_back_network_price_and_compilation(twin: Any, tmp_path: Path) -> None:
    twin.price(3e-5, 2.0, 1e-4)
    twin.fit(X, Y, batch_size=64, epochs=1, verbose=0)
    path = tmp_path / "twin.keras"
    twin.save(path)
    again = keras.saving.load_model(path)
    assert type(again) is type(twin)
    assert np.array_equal(ops.convert_to_numpy(again.resource_price), np.array([3e-5, 2.0, 1e-4], "float32"))
    assert np.array_equal(again.predict(X, verbose=0), twin.predict(X, verbose=0))
    assert "ebops" in again.evaluate(X, Y, return_dict=True, verbose=0)
