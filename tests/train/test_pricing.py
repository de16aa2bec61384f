"""Prices of every layer's own while training: in the loss, found anew, kept in a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from test_engine import CONFIG, X, Y, twin

from hwq.backend import keras
from hwq.data import load
from hwq.layers import COSTS, QActivation, QAdd, QDense, QMaximum, QMultiply, layer_costs, total_costs
from hwq.run.directory import RunDir
from hwq.train import trainer
from hwq.train.config import TrainConfig
from hwq.train.control import Control
from hwq.train.engine import Engine, batches, stack
from hwq.train.pricing import Pricing

MODEL = {"net_adder_bits": 0.9, "net_relu_bits": 0.2}


def engine() -> Engine:
    return Engine(twin(), CONFIG, X, Y, quantized=True)


def params(made: Engine, layer_prices: Any = None) -> np.ndarray:
    state = stack([made.start()] * 2)
    after, _ = made.epoch(state, batches(96, 32, 0, 0), [1e-3, 1e-3], layer_prices=layer_prices)
    return np.asarray(after.params)


def test_the_costs_of_the_layers_add_up() -> None:
    made = engine()
    total = {name: float(v) for name, v in total_costs(made.model).items()}
    own = layer_costs(made.model)
    assert len(own) == 2
    for name in COSTS:
        assert abs(sum(float(cost[name]) for _, cost in own) - total[name]) < 1e-2


def test_a_price_of_one_for_ebops_trains_as_ebops_do() -> None:
    made = engine()
    ones = np.zeros((2, 2, 3))
    ones[:, :, 0] = 1
    np.testing.assert_allclose(params(made, ones), params(made), rtol=0, atol=1e-5)


def test_each_network_has_prices_of_its_own() -> None:
    """Without a price of its bits, the second network keeps those that the first one gives up."""
    made = Engine(twin(), replace(CONFIG, gamma=0.0), X, Y, quantized=True)
    prices = np.zeros((2, 2, 3))
    prices[0] = 1
    found = params(made, prices)
    assert found[0].sum() < found[1].sum() - 0.1


def test_prices_are_found_for_every_layer_and_stay_near() -> None:
    made = engine()
    pricing = Pricing(made, replace(CONFIG, costs="measured", prices=MODEL), X)
    control = Control.start(CONFIG, 1)
    assert pricing.due(control, 0, 24)
    state = made.start()
    pricing.refresh(state, control)
    table = pricing.table(control)
    assert table.shape == (1, 2, 3) and (table >= 0).all() and (table[:, :, 0] > 0).all()
    # scaled so that the network costs its EBOPs
    costs = np.array([[float(cost[name]) for name in COSTS] for _, cost in layer_costs(made.model)])
    assert abs((table[0] * costs).sum() / costs[:, 0].sum() - 1) < 1e-3
    assert not pricing.due(control, 1, 24) and pricing.due(control, 2, 24)
    control.prices[0] = {name: {k: 10 * v for k, v in p.items()} for name, p in control.prices[0].items()}
    pricing.refresh(state, control)
    assert np.allclose(pricing.table(control)[table > 0], table[table > 0] * 10 / 1.5, rtol=1e-5)
    assert Control.load(CONFIG, control.to_json()).prices == control.prices


def test_layers_without_a_matrix_pay_what_their_kind_costs() -> None:
    """A table pays for a table, a sum for an adder; what the model has never seen costs as much as a matrix."""
    x = keras.Input((4,))
    a, b = QActivation("tanh", name="table")(QDense(3, name="a")(x)), QDense(3, name="b")(x)
    joined = [kind(name=kind.__name__)([a, b]) for kind in (QAdd, QMaximum, QMultiply)]
    made = Engine(keras.Model(x, keras.layers.Concatenate()(joined)), CONFIG, X[:, :4], Y, quantized=True)
    found = {}
    for name, more in (("known", {"net_table_bits": 3.0, "net_sum_bits": 4.0, "net_products": 5.0}), ("unknown", {})):
        pricing = Pricing(made, replace(CONFIG, costs="measured", prices={**MODEL, **more}), X[:, :4])
        control = Control.start(CONFIG, 1)
        control.prices, control.scale = [{"a": dict.fromkeys(COSTS, 1.0), "b": dict.fromkeys(COSTS, 2.0)}], 1.0
        found[name] = dict(zip((layer.name for layer in pricing.layers), pricing.table(control)[0].tolist(), strict=True))
    assert found["known"]["a"] == [1, 1, 1] and found["known"]["b"] == [2, 2, 2]
    assert found["known"]["table"] == [3, 0, 0] and found["unknown"]["table"] == [1.5, 0, 0]
    assert found["known"]["QAdd"] == [1.5, 0, 2] and found["known"]["QMultiply"] == [5, 0, 0]
    assert found["known"]["QMaximum"] == found["unknown"]["QMaximum"] == [1.5, 0, 0]


def test_a_run_pays_measured_prices_and_keeps_them(tmp_path: Path) -> None:
    config = TrainConfig(
        model="mlp:6", epochs=6, float_epochs=1, max_points=2, population=2, settle=0.34, warmup=0.0, random_rows=20,
        costs="measured", prices=MODEL,
    )  # fmt: skip
    trainer.train(load("wine", seed=0), config, tmp_path / "run")
    run = RunDir.open(tmp_path / "run")
    with np.load(run.checkpoint / "state.npz") as content:
        control = json.loads(str(content["meta"]))["control"]
    assert len(control["prices"]) == 2 and len(control["prices"][0]) == 2 and control["scale"] > 0
