"""The compiled epoch against Keras' own optimiser and loss, populations against single networks, and what steers beta."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwq.backend import deterministic, keras, ops, tf
from hwq.conversion import convert, freeze
from hwq.data import load
from hwq.errors import TrainingError, UsageError
from hwq.layers import bit_variables, penalised_variables, priced, total_costs
from hwq.train import trainer
from hwq.train.config import TrainConfig
from hwq.train.control import Control
from hwq.train.engine import AVERAGED, Engine, Rates, batches, stack

RNG = np.random.default_rng(3)
X = RNG.normal(size=(96, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64) + (X[:, 3] > 1)
CONFIG = TrainConfig(learning_rate=2e-3, bits_learning_rate=1e-2, l1=30.0, batch_size=32, epochs=10)


def twin(*, norm: bool = False) -> Any:
    keras.utils.set_random_seed(5)
    layers = [keras.Input((6,)), keras.layers.Dense(8, use_bias=not norm), *([keras.layers.BatchNormalization()] if norm else [])]
    model = keras.Sequential([*layers, keras.layers.ReLU(), keras.layers.Dense(3)])
    model(X)
    quantised, _ = convert.quantize_model(model)
    freeze.initialise(quantised, X)
    return quantised


def by_hand(model: Any, order: np.ndarray, beta: float) -> None:
    """The same epoch with Keras' Adam, step by step."""
    bits = bit_variables(model)
    taken = {id(v) for v in bits}
    weights = [v for v in model.trainable_variables if id(v) not in taken]
    optimizers = [(keras.optimizers.Adam(2e-3), weights), (keras.optimizers.Adam(1e-2), bits)]
    for rows in order:
        with tf.GradientTape() as tape:
            scores = model(X[rows], training=True)
            loss = ops.mean(keras.losses.sparse_categorical_crossentropy(Y[rows], scores, from_logits=True))
            loss += beta * priced(total_costs(model), None, CONFIG.gamma)
            loss += beta * CONFIG.l1 * sum(ops.sum(ops.abs(v)) for v in penalised_variables(model))
        gradients = tape.gradient(loss, [v.value for v in [*weights, *bits]])
        for optimizer, variables in optimizers:
            part, gradients = gradients[: len(variables)], gradients[len(variables) :]
            optimizer.apply(part, variables)


@pytest.mark.parametrize("norm", [False, True])
def test_an_epoch_is_what_keras_would_compute(norm: bool) -> None:
    order = batches(96, 32, 0, 0)
    fast, slow = twin(norm=norm), twin(norm=norm)
    engine = Engine(fast, CONFIG, X, Y, quantized=True)
    state, _ = engine.epoch(engine.start(), order, [1e-4])
    engine.assign(state)
    by_hand(slow, order, 1e-4)
    for a, b in zip(fast.variables, slow.variables, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), rtol=0, atol=2e-5, err_msg=a.path)


def test_each_network_of_a_population_trains_as_if_alone() -> None:
    betas = [1e-6, 1e-2, 1.0]
    engine = Engine(twin(), CONFIG, X, Y, quantized=True)
    state = stack([engine.start()] * 3)
    alone = [engine.start() for _ in betas]
    order = batches(96, 32, 0, 0)
    state, losses = engine.epoch(state, order, betas, Rates(0.5))
    found = [engine.epoch(s, order, [beta], Rates(0.5)) for s, beta in zip(alone, betas, strict=True)]
    np.testing.assert_allclose(losses, [loss[0] for _, loss in found], rtol=1e-4)
    for member, (single, _) in enumerate(found):
        np.testing.assert_allclose(state.params[member], single.params[0], rtol=0, atol=2e-5)
    for epoch in range(1, 24):
        state, _ = engine.epoch(state, batches(96, 32, 0, epoch), betas)
    costs = [cost["ebops"] for _, cost in engine.validate(state, X, Y)]
    # how far two prices that both outweigh the task differ is chance: Adam takes no notice of a gradient's scale
    assert max(costs[1:]) < costs[0]


def test_the_average_follows_the_parameters() -> None:
    engine = Engine(twin(), CONFIG, X, Y, quantized=True)
    state = engine.start()
    average = ops.convert_to_numpy(state.params).copy()
    for epoch in range(3):
        for order in batches(96, 32, 0, epoch)[:, None]:
            state, _ = engine.epoch(state, order, [1e-4])
            average += (ops.convert_to_numpy(state.params) - average) / AVERAGED
    np.testing.assert_allclose(ops.convert_to_numpy(state.average), average, rtol=0, atol=1e-6)
    ((_, costs),), ((_, own),) = engine.validate(state.averaged, X, Y), engine.validate(state, X, Y)
    assert costs != own


def test_validation_looks_at_the_state_not_at_the_model() -> None:
    model = twin()
    engine = Engine(model, CONFIG, X, Y, quantized=True)
    before = [ops.convert_to_numpy(v).copy() for v in model.variables]
    start = engine.start()
    state, _ = engine.epoch(start, np.concatenate([batches(96, 32, 0, i) for i in range(10)]), [1e-2])
    ((_, after),) = engine.validate(state, X, Y)
    ((accuracy, first),) = engine.validate(start, X, Y)
    assert after["ebops"] < first["ebops"]
    assert accuracy == np.mean(ops.convert_to_numpy(model(X)).argmax(1) == Y)
    assert all(np.array_equal(a, ops.convert_to_numpy(b)) for a, b in zip(before, model.variables, strict=True))


def test_exact_costs_are_those_of_the_integers() -> None:
    model = twin()
    dense = next(layer for layer in model.layers if hasattr(layer, "kernel_f"))
    kernel = ops.convert_to_numpy(dense.quantized(*dense.folded())[0])
    f = np.round(ops.convert_to_numpy(dense.kernel_f))
    mantissas = np.abs(np.ldexp(kernel.astype(np.float64), f.astype(int))).astype(np.int64)
    enclosed = [[len(bin(m)[2:].rstrip("0")) if m else 0 for m in row] for row in mantissas]
    widths = ops.convert_to_numpy(dense.quantizer.widths())
    assert float(dense.costs(exact=True)["ebops"]) == float((widths[:, None] * np.array(enclosed)).sum())


@pytest.mark.parametrize("budget", [{"ebops": 900.0}, {"lut": 400.0}])
def test_a_budget_is_met_from_above_and_from_below(budget: dict[str, float]) -> None:
    """A stand-in for training, in which cost follows beta with a lag, ends at the budget."""
    prices = {"ebops": 0.5, "weight_bits": 0.0, "activation_bits": 0.0}
    config = TrainConfig(epochs=200, budget=budget, prices=prices, settle=0.2)
    for response in (3e-3, 3e2):
        control, cost = Control.start(config, 1), 8000.0
        for epoch in range(config.trunk_epochs):
            aim = 8000.0 / (1 + control.betas[0] * 1e5 * response / 3e-1) ** 0.7
            cost *= (aim / cost) ** 0.3
            control.steer([{"ebops": cost, "weight_bits": 0.0, "activation_bits": 0.0}], epoch, "bits")
        used = cost if "ebops" in budget else 0.5 * cost
        assert abs(used / next(iter(budget.values())) - 1) < 0.1


def test_control_comes_back_from_a_checkpoint() -> None:
    config = TrainConfig(epochs=50, budget={"ebops": 100.0})
    control = Control.start(config, 1)
    control.ratios = [1.5]
    costs = {"ebops": 500.0, "weight_bits": 1.0, "activation_bits": 1.0}
    control.steer([costs], 0, "bits")
    again = Control.load(config, control.to_json())
    for one in (control, again):
        one.steer([costs], 1, "bits")
    assert control.to_json() == again.to_json()


@pytest.mark.parametrize("bad", [{"dsp": 3.0}, {"lut": 0.0}, {"lut": 5.0, "ebops": 5.0}])
def test_impossible_budgets(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="a budget is one of"):
        TrainConfig(budget=bad)


def test_a_collapsed_training_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    config = TrainConfig(
        model="mlp:6", epochs=40, float_epochs=2, beta_start=5.0, beta_end=9.0, bits_learning_rate=1.0, population=1
    )
    with pytest.raises(TrainingError, match="collapsed"):
        trainer.train(load("digits", seed=0), config, tmp_path / "run")


def test_max_pooling_trains_deterministically() -> None:
    """TensorFlow's own max pooling has no deterministic gradient in compiled training: the twin's is made of slices."""
    deterministic(0)
    x = RNG.normal(size=(64, 6, 6, 1)).astype(np.float32)
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    layers = [keras.layers.Conv2D(3, 3), keras.layers.MaxPooling2D(2, padding="same"), keras.layers.GlobalMaxPooling2D()]
    model = keras.Sequential([keras.Input((6, 6, 1)), *layers, keras.layers.Dense(2)])
    quantised, _ = convert.quantize_model(model)
    freeze.initialise(quantised, x)
    engine = Engine(quantised, CONFIG, x, y, quantized=True)
    runs = []
    for _ in range(2):
        state, losses = engine.start(), []
        for epoch in range(15):
            state, loss = engine.epoch(state, batches(64, 32, 0, epoch), [1e-8])
            losses.append(float(loss[0]))
        runs.append(losses)
    assert runs[0] == runs[1] and runs[0][-1] < runs[0][0]
