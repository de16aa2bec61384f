"""hwq.quantize: whole models, options for one layer, refusals by name; ordinary compile and fit on the result."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layer_harness import frozen, mismatches, wide_rows

import hwq
from hwq.backend import deterministic, keras
from hwq.conversion import freeze
from hwq.errors import DataError, ModelError, TrainingError, UnsupportedLayerError, UsageError
from hwq.layers import total_costs

L = keras.layers
ROOT = Path(__file__).resolve().parents[2]


def residual_network() -> keras.Model:
    """Branches, a shared layer, two normalisations, a pooled skip connection, tables and a softmax."""
    x = keras.Input((8, 8, 1), name="image")
    y = L.ReLU(name="r1")(L.BatchNormalization(name="n1")(L.Conv2D(4, 3, padding="same", use_bias=False, name="c1")(x)))
    z = L.DepthwiseConv2D(3, padding="same", name="d1")(y)
    y = L.Add(name="skip")([y, L.BatchNormalization(name="n2")(z)])
    y = L.MaxPooling2D(name="pool")(L.LeakyReLU(0.125, name="leaky")(y))
    wide = L.Concatenate(name="both")([y, L.Conv2D(3, 1, activation="tanh", name="c2")(y)])
    flat = L.GlobalAveragePooling2D(name="mean")(wide)
    shared = L.Dense(7, activation="relu", name="shared")
    h = shared(shared(flat))
    gate = L.Dense(7, activation="sigmoid", name="gate")(flat)
    h = L.Dropout(0.2, name="drop")(L.Multiply(name="gated")([h, gate]))
    return keras.Model(x, L.Dense(3, activation="softmax", name="out")(h))


def data(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 8, 8, 1)).astype(np.float32)
    return x, (np.argmax(x[:, ::4, 3, 0][:, :3].reshape(count, -1)[:, :2], axis=1)).astype(np.int64)


@pytest.mark.slow  # tests/layers has each kind by itself, and test_quantized_model.py trains, saves and loads
def test_a_network_of_every_kind_trains_and_equals_its_graph(tmp_path: Path) -> None:
    deterministic(0)
    model = residual_network()
    x, y = data()
    twin = hwq.quantize(model, data=x)
    report = twin.report
    assert dict(report.skipped) == {
        "drop": "dropout does nothing at inference",
        "out": "softmax of the outputs: the design answers logits; the argmax is the same without it",
    }
    assert {name for name, _ in report.converted} == {layer.name for layer in model.layers} - {"image", "drop"}
    before = float(total_costs(twin)["ebops"])
    twin.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    log = tmp_path / "log.csv"
    callbacks = [keras.callbacks.EarlyStopping("loss", patience=3), keras.callbacks.CSVLogger(log)]
    losses = twin.fit(x, y, batch_size=50, epochs=4, verbose=0, callbacks=callbacks).history["loss"]
    assert losses[-1] < losses[0] and log.read_text().count("\n") == 5
    assert float(total_costs(twin)["ebops"]) != before  # bitwidths have moved
    twin.save(tmp_path / "twin.keras")
    again = keras.saving.load_model(tmp_path / "twin.keras")
    exact, graph = frozen(twin, x)
    rows = wide_rows(x)
    assert mismatches(exact, graph, rows) == 0
    assert np.array_equal(freeze.logits(frozen(again, x)[0], rows), freeze.logits(exact, rows))


def test_the_twin_of_a_trained_model_computes_nearly_the_same() -> None:
    deterministic(0)
    model = residual_network()
    x, _ = data()
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=12, table_bits=12, softmax="table"), x)
    assert np.abs(freeze.outputs(twin, x) - freeze.outputs(model, x)).max() < 0.01


def test_twin_and_report_are_taken_apart_as_before() -> None:
    """Programs written for hwq 0.1 and 0.2 run, and are told what to write."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.warns(DeprecationWarning, match=r"twin\.report"):
        twin, report = hwq.quantize(model)
    assert twin.report is report and [name for name, _ in report.converted] == [layer.name for layer in model.layers]


def test_the_report_goes_with_the_twin(tmp_path: Path) -> None:
    """Into copies and files; a file without one, or with another thing in its place, has none."""
    twin = hwq.quantize(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), data=np.ones((9, 3), "float32"))
    twin.report = replace(twin.report, notes=(("dense", "a\x1b[2Jb"),))
    twin.save(tmp_path / "t.keras")
    shown = replace(twin.report, notes=(("dense", "a\\x1b[2Jb"),))
    loaded = keras.saving.load_model(tmp_path / "t.keras")
    assert [m.report for m in (copy.deepcopy(twin), pickle.loads(pickle.dumps(twin)), loaded)] == [shown] * 3
    config = twin.get_config()
    for told in ({}, {"report": {"converted": [["a"]]}}, {"report": 3}):
        assert type(twin).from_config({**{k: v for k, v in config.items() if k != "report"}, **told}).report is None


def test_without_data_the_ranges_are_those_of_normal_rows() -> None:
    deterministic(0)
    model = residual_network()
    twin = hwq.quantize(model)
    assert np.isfinite(freeze.outputs(twin, data()[0])).all() and freeze.outputs(twin, data()[0]).any()


def test_options_for_one_layer() -> None:
    model = keras.Sequential([keras.Input((6,)), L.Dense(5, activation="relu", name="a"), L.Dense(2, name="b")])
    config = hwq.QuantizeConfig(bits=5, layers={"b": {"bits": 9, "weight_granularity": "tensor", "overflow": "SAT"}})
    twin = hwq.quantize(model, config)
    a, b = twin.get_layer("a"), twin.get_layer("b")
    assert (a.bits, a.quantizer.overflow, a.kernel_f.shape) == (5, "SAT", (6, 5))  # the input saturates
    assert (b.bits, b.quantizer.overflow, b.kernel_f.shape) == (9, "SAT", (1, 1))


@pytest.mark.parametrize(
    ("layers", "word"),
    [({"c": {"bits": 3}}, "no layer 'c'"), ({"b": {"bit": 3}}, "'bit'"), ({"r": {"bits": 3}}, "no quantiser")],
)
def test_options_that_no_layer_takes_are_errors(layers: dict[str, dict[str, int]], word: str) -> None:
    model = keras.Sequential([keras.Input((6,)), L.Dense(5), L.ReLU(name="r"), L.Dense(2, name="b")])
    with pytest.raises(UsageError, match=word):
        hwq.quantize(model, hwq.QuantizeConfig(layers=layers))


def test_the_quantiser_of_the_input_takes_options() -> None:
    x = keras.Input((6,), name="x")
    model = keras.Model(x, L.Add()([L.Dense(3)(x), L.Dense(3)(x)]))
    twin = hwq.quantize(model, hwq.QuantizeConfig(layers={"x": {"bits": 9, "granularity": "tensor"}}))
    assert [layer.bits for layer in twin.layers if type(layer).__name__ == "Quantize"] == [9]


def test_a_quantiser_that_has_seen_nan_works_again() -> None:
    deterministic(0)
    model = keras.Sequential([keras.Input((6,)), L.Dense(5), L.Dense(2)])
    twin = hwq.quantize(model)
    with pytest.raises(TrainingError, match="finite"):
        freeze.initialise(twin, np.full((4, 6), np.nan, np.float32))
    assert not any(quantizer.mode for quantizer in freeze.quantizers(twin))
    freeze.initialise(twin, np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32))
    assert np.isfinite(freeze.outputs(twin, np.ones((4, 6), np.float32))).all()


def test_a_layer_of_1024_inputs_does_not_start_at_zero() -> None:
    deterministic(0)
    model = keras.Sequential([keras.Input((1024,)), L.Dense(1024, name="wide", activation="relu"), L.Dense(4)])
    twin = hwq.quantize(model)
    wide = twin.get_layer("wide")
    assert np.count_nonzero(np.asarray(wide.quantized(*wide.folded())[0])) > 0.9 * 1024 * 1024


@pytest.mark.parametrize("option", ["bits", "overflow", "rounding", "granularity", "weight_granularity", "softmax", "table_bits"])
def test_a_configuration_that_cannot_be_meant(option: str) -> None:
    with pytest.raises(UsageError, match=option):
        hwq.QuantizeConfig(**{option: 99 if "bits" in option else "any"})


@pytest.mark.parametrize("value", [2.5, True, "6", np.float32(6)])
@pytest.mark.parametrize("option", ["bits", "table_bits", "weight_terms", "weight_levels"])
def test_a_count_is_a_whole_number(option: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{option} must be a whole number"):
        hwq.QuantizeConfig(**{option: value})
    assert hwq.QuantizeConfig(bits=np.int64(4)).bits == 4


@pytest.mark.parametrize("wrong", [5, ["dense"], {"dense": 4}])
def test_options_of_layers_are_a_mapping_of_mappings(wrong: object) -> None:
    with pytest.raises(UsageError, match="layers is"):
        hwq.QuantizeConfig(layers=wrong)


def unlike_shapes() -> keras.Model:
    x = keras.Input((4, 3))
    return keras.Model(x, L.Dense(2)(L.Multiply(name="gate")([L.Dense(3)(x), L.GlobalMaxPooling1D()(x)])))


def nested() -> keras.Model:
    """Two models inside a third, with layers of the same name; one of them called twice."""
    first = keras.Sequential(
        [keras.Input((3,)), L.Dense(3, name="d"), L.BatchNormalization(name="n"), L.ReLU(name="r")], name="first"
    )
    z = keras.Input((3,))
    second = keras.Model(z, L.Add(name="a")([L.Dense(3, name="d")(z), z]), name="second")
    x = keras.Input((3,))
    return keras.Model(x, L.Dense(2, name="out")(second(second(first(x)))))


def test_models_inside_models_are_taken_apart() -> None:
    deterministic(0)
    model = nested()
    x = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=14), x)
    report = twin.report
    assert np.abs(freeze.outputs(twin, x) - freeze.outputs(model, x)).max() < 0.01
    assert sorted(kind for _, kind in report.converted) == ["Add", "BatchNormalization", "Dense", "Dense", "ReLU"]
    assert [layer.name for layer in twin.layers if type(layer).__name__ == "QDense"] == ["d", "d_2", "out"]
    twin = hwq.quantize(model, data=x)
    exact, graph = frozen(twin, x)
    assert mismatches(exact, graph, wide_rows(x)) == 0


def sequence(*layers: keras.layers.Layer, shape: tuple[int | None, ...] = (4, 3), **options: str) -> keras.Model:
    return keras.Sequential([keras.Input(shape, **options), *layers])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sequence(L.Masking(), L.LSTM(3, name="memory")), ("memory", "mask")),
        (lambda: sequence(L.Masking(1.0, name="mask"), L.Dense(2)), ("mask", "1.0")),
        (lambda: sequence(L.Masking(), L.GlobalAveragePooling1D(name="steps")), ("steps", "mask")),
        (lambda: sequence(L.Conv3D(2, 2, name="volume"), shape=(3, 3, 3, 1)), ("volume", "Conv3D")),
        (lambda: sequence(L.Conv2D(2, 2, name="planes"), L.Dense(2), shape=(None, 4, 1)), ("planes", "unknown length")),
        (unlike_shapes, ("gate", "shapes")),
        (lambda: sequence(L.Dense(2, name="any"), shape=(None, 3)), ("any", "unknown length")),
        (
            lambda: sequence(L.ZeroPadding2D(data_format="channels_first", name="pad"), L.Dense(2), shape=(3, 4, 4)),
            ("pad", "first"),
        ),
        (lambda: sequence(L.Flatten(), L.Dense(2), shape=(3,), dtype="int32", name="codes"), ("codes", "int32")),
    ],
)
def test_what_cannot_be_converted_is_named(make: object, words: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        hwq.quantize(make())  # type: ignore[operator]
    assert all(word in caught.value.message for word in words), caught.value.message


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: keras.Sequential([L.Dense(2)]), "no input shape"),
    ],
)
def test_models_that_hwq_does_not_take(make: object, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        hwq.quantize(make())  # type: ignore[operator]


def test_bad_data_and_dead_layers_are_errors() -> None:
    model = sequence(L.Dense(3, name="first"), L.Dense(2))
    with pytest.raises(DataError, match="rows of shape"):
        hwq.quantize(model, data=np.zeros((5, 3)))
    with pytest.raises(DataError, match="NaN"):
        hwq.quantize(model, data=np.full((5, 4, 3), np.nan))
    model.get_layer("first").kernel.assign(np.zeros((3, 3)))
    with pytest.raises(TrainingError, match="first"):
        hwq.quantize(model)


def test_importing_hwq_loads_no_framework() -> None:
    code = "import sys, hwq; hwq.QuantizeConfig; assert 'keras' not in sys.modules; assert callable(hwq.quantize)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300)
    with pytest.raises(AttributeError, match="nothing"):
        hwq.nothing  # noqa: B018


def test_a_loss_on_probabilities_is_the_float_models() -> None:
    """The twin of a model that ends in a softmax answers with probabilities; the design has none, and the same argmax."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax")])
    x = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    y = x[:, :3].argmax(axis=1)
    twin = hwq.quantize(model, data=x)
    report = twin.report
    assert any("argmax" in note for _, note in report.skipped)
    twin.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    twin.fit(x, y, batch_size=50, epochs=15, verbose=0)
    scores = twin.predict(x, verbose=0)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert (scores.argmax(axis=1) == y).mean() > 0.9
    design = hwq.compile(twin, data=x).predict(x)
    assert (design.argmax(axis=1) == scores.argmax(axis=1)).mean() > 0.98


@pytest.mark.slow  # a second framework starts
def test_keras_on_jax_trains_and_converts_too() -> None:
    pytest.importorskip("jax", reason="jax is an optional backend")
    script = Path(__file__).parents[1] / "jax_smoke.py"
    env = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, cwd=ROOT, timeout=600)
    assert "backend=jax fell=True moved=True same=True" in done.stdout, done.stderr[-2000:]
