"""One harness for every layer: a float model with the layer in it, and everything that its quantised twin must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hwq.backend import deterministic, keras, ops, tf
from hwq.conversion import convert, freeze
from hwq.conversion.config import QuantizeConfig
from hwq.frontend.keras import from_keras
from hwq.ir import Graph
from hwq.layers import bit_variables, total_costs
from hwq.sim.reference import predict
from hwq.train import finish

ROWS = 120


@dataclass(frozen=True)
class Case:
    """One layer.

    Attributes:
        make: the float layers between an input of `shape` and a Dense(3) at the end.
        twins: names of the classes that must be among the twin's layers.
        shape: of one row.
        config: options of the conversion.
        codes: rows are whole numbers below this; 0: they are of the normal distribution.
    """

    make: Callable[[Any], Any]
    twins: tuple[str, ...]
    shape: tuple[int, ...]
    config: dict[str, Any] = field(default_factory=dict)
    codes: int = 0

    def model(self) -> keras.Model:
        """The float model, with weights and statistics that no initialiser gives."""
        deterministic(3)
        x = keras.Input(self.shape, name="x")
        y = self.make(x)
        y = keras.layers.Flatten(name="last_flatten")(y) if len(y.shape) > 2 else y
        model = keras.Model(x, keras.layers.Dense(3, name="last")(y))
        rng = np.random.default_rng(5)
        for variable in model.variables:
            name = variable.path.rsplit("/")[-1]
            if name in ("moving_variance", "gamma"):
                variable.assign(
                    rng.uniform(0.4, 1.6, variable.shape) * np.where(rng.random(variable.shape) < 0.3, -1, 1) ** (name == "gamma")
                )
            elif name in ("bias", "beta", "moving_mean"):
                variable.assign(rng.normal(size=variable.shape) * 0.3)
        return model

    def rows(self, count: int = ROWS, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        if self.codes:
            return rng.integers(0, self.codes, (count, *self.shape)).astype(np.float32)
        return rng.normal(size=(count, *self.shape)).astype(np.float32)


def wide_rows(x: np.ndarray) -> np.ndarray:
    """Rows like `x`, rows of 4 times its range, and such full of ties."""
    top = 4 * float(np.abs(x).max())
    wide = np.random.default_rng(1).uniform(-top, top, (400, *x.shape[1:])).astype(np.float32)
    return np.concatenate([x, wide, np.round(wide * 8) / 8, np.round(wide * 64) / 64])


def frozen(twin: keras.Model, x: np.ndarray) -> tuple[keras.Model, Graph]:
    """The exact model and its graph, in float64 where float32 cannot hold the design's numbers."""
    exact = freeze.freeze(twin, x, 1.125)
    graph = from_keras(exact)[0]
    if graph.widest > finish.FLOAT32_BITS:
        exact = freeze.freeze(twin, x, 1.125, "float64")
        graph = from_keras(exact)[0]
    return exact, graph


def mismatches(exact: keras.Model, graph: Graph, rows: np.ndarray) -> int:
    """Rows at which Keras and the integer graph differ in any bit."""
    got, want = freeze.logits(exact, rows), predict(graph, rows)
    return int((got.reshape(want.shape) != want).any(axis=1).sum())


def check_layer(case: Case, folder: Path) -> None:
    """Shapes, closeness with many bits, gradients, training, saving, and equality with the graph, bit for bit."""
    model, x = case.model(), case.rows()
    twin = convert.quantize(model, QuantizeConfig(**case.config), x)
    report = twin.report
    names = [type(layer).__name__ for layer in twin.layers]
    assert set(case.twins) <= set(names), names
    assert {layer.name for layer in model.layers if type(layer).__name__ != "InputLayer"} <= {
        name for name, _ in (*report.converted, *report.skipped)
    }
    assert twin.output_shape == model.output_shape
    _check_saving(twin, x, folder / "twin.keras")
    _check_gradients(twin, x)
    _check_training(twin, x)
    exact, graph = frozen(twin, x)
    rows = wide_rows(x)
    assert mismatches(exact, graph, rows) == 0
    assert len(np.unique(predict(graph, rows))) > 10  # not all zeros
    _check_saving(exact, rows, folder / "exact.keras")


def check_close(case: Case, tolerance: float = 0.02) -> None:
    """With many bits the twin computes what the float model computes."""
    model, x = case.model(), case.rows()
    fine = {**case.config, "bits": 14, "table_bits": 13}
    twin = convert.quantize(model, QuantizeConfig(**fine), x)
    want = freeze.outputs(model, x)
    assert np.abs(freeze.outputs(twin, x) - want).max() < tolerance * max(1.0, np.abs(want).max())


def _check_saving(model: keras.Model, x: np.ndarray, path: Path) -> None:
    model.save(path)
    again = keras.saving.load_model(path)
    assert np.array_equal(freeze.outputs(again, x), freeze.outputs(model, x))
    assert [v.path for v in again.trainable_variables] == [v.path for v in model.trainable_variables]


def _check_gradients(twin: keras.Model, x: np.ndarray) -> None:
    """The loss reaches every bitwidth, and so does its price."""
    variables = bit_variables(twin)
    loss, price = _gradients(twin, x)
    for variable, gradient in zip(variables, price, strict=True):
        assert gradient is not None and np.isfinite(gradient).all() and np.any(gradient), variable.path
    for number, variable in enumerate(variables):
        gradient, whole = loss[number], np.asarray(variable)
        if gradient is not None and not np.any(gradient):  # what it rounds is round already: then a coarser step must count
            variable.assign(whole - 4)
            gradient = _gradients(twin, x)[0][number]
            variable.assign(whole)
        assert gradient is not None and np.isfinite(gradient).all() and np.any(gradient), variable.path


def _gradients(twin: keras.Model, x: np.ndarray) -> tuple[list[Any], list[Any]]:
    """Gradients of a loss, and of the costs, by every bitwidth."""
    bits = [v.value for v in bit_variables(twin)]
    with tf.GradientTape(persistent=True) as tape:
        loss = ops.mean(ops.square(twin(x, training=True)))
        price = sum(total_costs(twin).values())
    assert float(price) > 0
    both = (tape.gradient(what, bits) for what in (loss, price))
    first, second = ([None if g is None else np.asarray(g) for g in gradients] for gradients in both)
    return first, second


def _check_training(twin: keras.Model, x: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    target = freeze.outputs(twin, x) @ rng.normal(size=(3, 3)) + rng.normal(size=3)
    losses = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(twin(x, training=True) - target))
        trained = twin.trainable_variables
        for variable, gradient in zip(trained, tape.gradient(loss, [v.value for v in trained]), strict=True):
            if gradient is not None:
                variable.assign(variable - 0.02 * tf.clip_by_norm(gradient, 1.0))
        losses.append(float(loss))
    assert losses[-1] < losses[0], losses
