"""Every layer that hwq names goes every way: `hwq train`, `fit`, and post-training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from every_layer import EVERY
from layer_harness import frozen, mismatches, wide_rows

import hwq
from hwq.backend import deterministic, keras
from hwq.conversion import freeze, twins
from hwq.data import Dataset, load
from hwq.errors import DataError, ModelError
from hwq.flow.ptq import METHODS, PtqOptions, ptq
from hwq.flow.train import train
from hwq.ir import parse
from hwq.run.directory import RunDir
from hwq.sim.reference import predict
from hwq.train import trainer
from hwq.train.config import TrainConfig
from hwq.train.float_training import compilable

CONFIG = TrainConfig(epochs=4, float_epochs=8, random_rows=50, max_points=2, population=1, batch_size=128)
# compiling is what takes the time: `make test` trains single layers (tests/layers/test_layers.py) and quantises two of these networks
BY_TRAIN = [pytest.param(name, marks=pytest.mark.slow) for name in EVERY]
BY_FIT = [pytest.param(name, marks=pytest.mark.slow) for name in EVERY]

DAILY = (("convolutions", "uniform"), ("poolings", "uniform"), ("rows", "digits"))
BY_PTQ = [
    pytest.param(name, method, marks=() if (name, method) in DAILY else pytest.mark.slow) for name in EVERY for method in METHODS
]


@pytest.fixture(scope="module")
def images() -> Dataset:
    return load("every_layer:images", seed=0)


def test_the_models_have_every_layer() -> None:
    found = {type(layer).__name__ for make in EVERY.values() for layer in make().layers} | {"Activation"}
    silent = {"ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise", "Identity", "Masking"}
    silent |= {f"SpatialDropout{rank}D" for rank in (1, 2, 3)}
    parts = {"Rearrange", "Scaled"}  # made by hwq, of layers that are made of others
    codes = {"Embedding"}  # which images are not: test_codes_are_trained_as_they_are
    assert set(twins.supported()) - silent - parts - codes <= found


@pytest.mark.parametrize("name", BY_TRAIN)
def test_every_layer_trains_by_hwq_train(name: str, images: Dataset, tmp_path: Path) -> None:
    trainer.train(images, replace(CONFIG, model=f"every_layer:{name}"), tmp_path / "run")
    run = RunDir(tmp_path / "run")
    assert run.record().trained and run.points()
    with np.load(run.vectors_path) as vectors:
        x = vectors["x"]
    for point in run.points():
        with np.load(point.keras_path) as stored:
            assert np.array_equal(stored["logits"], predict(parse(point.graph_path.read_text()), x))


@pytest.mark.parametrize("name", BY_FIT)
def test_every_layer_trains_by_fit_and_is_read_after_training(name: str, images: Dataset, tmp_path: Path) -> None:
    deterministic(0)
    model = EVERY[name]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=name != "activations")
    twin = hwq.quantize(model, data=images.x_train)
    twin.price(beta=1e-6)
    twin.compile(keras.optimizers.Adam(0.003), loss)
    history = twin.fit(images.x_train, images.y_train, batch_size=135, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    exact, graph = frozen(twin, images.x_train)
    assert mismatches(exact, graph, wide_rows(images.x_val[:50])) == 0


@pytest.mark.parametrize(("name", "method"), BY_PTQ)
def test_every_layer_goes_through_post_training(name: str, method: str, tmp_path: Path) -> None:
    """Its points are compared with Keras' own arithmetic before they are written."""
    deterministic(0)
    EVERY[name]().save(tmp_path / "float.keras")
    options = PtqOptions(method=method, max_points=2, portion=0.3)
    assert ptq(str(tmp_path / "float.keras"), "every_layer:images", tmp_path / "run", options=options).points


def test_pooling_by_slices_is_the_pooling_of_keras() -> None:
    deterministic(0)
    for name in ("poolings", "rows"):
        model = EVERY[name]()
        other = compilable(model)
        assert other is not model and {id(v) for v in other.variables} == {id(v) for v in model.variables}
        x = np.random.default_rng(0).normal(size=(9, 8, 8, 1)).astype(np.float32)
        assert (freeze.outputs(other, x) == freeze.outputs(model, x)).all()
    plain = EVERY["joins"]()
    assert compilable(plain) is plain
    with pytest.raises(ModelError, match="computes in float16"):
        compilable(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="mixed_float16")]))


def coded() -> keras.Model:
    """Called by `hwq train`."""
    x = keras.Input((4,))
    y = keras.layers.Flatten()(keras.layers.Embedding(6, 2)(x))
    return keras.Model(x, keras.layers.Dense(2)(y))


@pytest.mark.slow
def test_codes_are_trained_as_they_are(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 6, (500, 4))
    np.savez(tmp_path / "codes.npz", x=codes, y=(codes[:, 0] + codes[:, 1] > 5).astype(int))
    config = replace(CONFIG, model="test_every_layer:coded", epochs=10, float_epochs=10, scaled=False)
    path = str(tmp_path / "codes.npz")
    summary = train(path, config, tmp_path / "run")
    assert summary.points and RunDir(tmp_path / "run").points()[-1].validated > 0.7
    with pytest.raises(DataError, match=r"codes of layer 'embedding.*whole numbers from 0 to 5") as raised:
        train(path, replace(config, scaled=True), tmp_path / "scaled")
    assert "--unscaled" in str(raised.value.hint)
