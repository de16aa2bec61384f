"""Float models to quantised twins to graphs: exact, nothing skipped silently, refusals by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwq.backend import deterministic, keras
from hwq.conversion import convert, freeze
from hwq.errors import ModelError, TrainingError, UnsupportedLayerError
from hwq.frontend.keras import from_keras
from hwq.sim.reference import predict
from hwq.train import models

layers = keras.layers


def skip_net() -> keras.Model:
    x = keras.Input((4, 3), name="1 odd name*")
    flat = layers.Flatten()(x)
    h = layers.Dense(10, name="a")(flat)
    h = layers.ReLU()(layers.BatchNormalization(epsilon=0.01)(h))
    skip = layers.Dropout(0.1)(layers.Dense(10, activation="relu", use_bias=False)(h))
    out = layers.Dense(3, activation="softmax")(layers.Add()([h, skip]))
    return keras.Model(x, out)


def norm_net() -> keras.Model:
    norm = layers.BatchNormalization(center=False)
    return keras.Sequential([keras.Input((12,)), layers.Dense(8), norm, layers.Activation("relu"), layers.Dense(3)])


@pytest.mark.parametrize("make", [skip_net, norm_net])
@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
def test_keras_equals_the_integer_graph(make: object, overflow: str, tmp_path: Path) -> None:
    deterministic(1)
    model = make()  # type: ignore[operator]
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.3, 2, layer.moving_variance.shape))
            if layer.scale:
                layer.gamma.assign(rng.normal(size=layer.gamma.shape))
    x = rng.normal(size=(300, *model.input_shape[1:])).astype(np.float32)
    twin, report = convert.quantize_model(model, overflow=overflow, bits=7)
    freeze.initialise(twin, x)
    exact = freeze.freeze(twin, x, 1.0)
    graph, _ = from_keras(exact)
    rows = np.concatenate([x, rng.uniform(-16, 16, (10_000, *x.shape[1:])).astype(np.float32)])
    logits = freeze.logits(exact, rows)
    assert np.array_equal(logits, predict(graph, rows))
    if make is skip_net:
        assert {reason for _, reason in report.skipped} >= {"dropout does nothing at inference"}
    path = tmp_path / "model.keras"
    exact.save(path)
    assert np.array_equal(freeze.logits(keras.saving.load_model(path), rows), logits)


def test_batch_norm_is_folded_right() -> None:
    """With many bits the twin computes what the float model computes."""
    deterministic(2)
    model = norm_net()
    rng = np.random.default_rng(3)
    norm = model.layers[1]
    norm.moving_mean.assign(rng.normal(size=8))
    norm.moving_variance.assign(rng.uniform(0.5, 2, 8))
    norm.gamma.assign(rng.uniform(-2, 2, 8))
    x = rng.normal(size=(200, 12)).astype(np.float32)
    twin, _ = convert.quantize_model(model, bits=14)
    freeze.initialise(twin, x)
    difference = np.abs(freeze.outputs(twin, x) - freeze.outputs(model, x)).max()
    assert difference < 0.01


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (layers.Masking(2.0), "masks the value 2.0"),
        (layers.Conv1D(2, 2, data_format="channels_first"), "channels_first"),
    ],
)
def test_unsupported_layers_are_named(layer: keras.layers.Layer, word: str) -> None:
    model = keras.Sequential([keras.Input((5, 4)), layer, layers.Dense(2)])
    with pytest.raises(UnsupportedLayerError, match=word) as caught:
        convert.quantize_model(model)
    assert layer.name in str(caught.value)


def test_a_dead_layer_is_an_error() -> None:
    model = models.build("mlp:6", (4,), 3)
    model.layers[1].kernel.assign(np.zeros((4, 6)))
    twin, _ = convert.quantize_model(model)
    with pytest.raises(TrainingError, match="dense_1"):
        freeze.initialise(twin, np.ones((5, 4), np.float32))


def test_a_wide_layer_does_not_start_at_zero() -> None:
    model = models.build("mlp:16", (1024,), 3)
    twin, _ = convert.quantize_model(model)
    freeze.initialise(twin, np.random.default_rng(0).normal(size=(20, 1024)).astype(np.float32))
    layer = twin.get_layer("dense_1")
    kernel, _ = layer.quantized(*layer.folded())
    assert np.count_nonzero(np.asarray(kernel)) > 0.9 * 1024 * 16


@pytest.mark.parametrize("spec", ["mlp:a", "mlp:0", "nothing", "missing.keras", "no_such_module:f", "json:dumps"])
def test_model_specs_that_cannot_be(spec: str) -> None:
    with pytest.raises(ModelError):
        models.build(spec, (4,), 2)
