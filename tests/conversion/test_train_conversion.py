"""Conversion of networks with branches, reused and reloaded layers; what must fail before a run is written; exactness of finished points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwq.backend import deterministic, keras
from hwq.conversion import convert, freeze
from hwq.data import load
from hwq.errors import ModelError, RunError, TrainingError
from hwq.fixed import FixedType
from hwq.frontend.keras import from_keras
from hwq.ir import Graph, text
from hwq.layers import bit_variables
from hwq.run.directory import RunDir
from hwq.sim.reference import predict
from hwq.train import checkpoint, finish, models, trainer
from hwq.train.config import TrainConfig
from hwq.train.pareto import Candidate

layers = keras.layers
SMALL = TrainConfig(model="mlp:6", epochs=2, float_epochs=1, random_rows=50, max_points=2, population=1)


def branches_at_the_input() -> keras.Model:
    x = keras.Input((6,))
    sides = [layers.Dense(8, activation="relu")(x), layers.Dense(8, activation="relu")(x)]
    return keras.Model(x, layers.Dense(3)(layers.Add()(sides)))


def skip_from_the_input() -> keras.Model:
    x = keras.Input((2, 3))
    flat = layers.Flatten()(x)
    h = layers.Dense(6, activation="relu")(flat)
    return keras.Model(x, layers.Dense(3)(layers.Add()([h, flat])))


def relu_on_the_input() -> keras.Model:
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(3)(layers.ReLU()(x)))


def doubled() -> keras.Model:
    x = keras.Input((6,))
    h = layers.Dense(6)(x)
    return keras.Model(x, layers.Dense(3)(layers.Add()([h, h])))


def names_that_clash() -> keras.Model:
    x = keras.Input((6,))
    h = layers.Dense(6, name="d_relu")(layers.Dense(6, activation="relu", name="d")(x))
    return keras.Model(x, layers.Dense(3, name="1 + 1")(h))


def layers_of_another_model() -> keras.Model:
    first = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    x = y = keras.Input((6,))
    for layer in first.layers:
        y = layer(y)
    return keras.Model(x, y)


def called_twice() -> keras.Model:
    x = keras.Input((6,))
    again = layers.Dense(6, name="again")
    return keras.Model(x, layers.Dense(3)(again(layers.ReLU()(again(x)))))


def norm_beside_another_reader() -> keras.Model:
    x = keras.Input((6,))
    h = layers.Dense(6)(x)
    return keras.Model(x, layers.Dense(3)(layers.Add()([h, layers.BatchNormalization(name="beside")(h)])))


def grown_step_by_step() -> keras.Model:
    model = keras.Sequential()
    model.add(keras.Input((6,)))
    for layer in (layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2), layers.Dense(3)):
        model.add(layer)
    return model


def exact_and_graph(model: keras.Model, x: np.ndarray, dtype: str = "float32", **options: object) -> tuple[keras.Model, Graph]:
    twin, _ = convert.quantize_model(model, **options)
    freeze.initialise(twin, x)
    exact = freeze.freeze(twin, x, 1.125, dtype)
    return exact, from_keras(exact)[0]


def rows_like(model: keras.Model, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
@pytest.mark.parametrize(
    "make",
    [
        branches_at_the_input,
        skip_from_the_input,
        relu_on_the_input,
        doubled,
        names_that_clash,
        layers_of_another_model,
        called_twice,
        norm_beside_another_reader,
        grown_step_by_step,
    ],
)
def test_every_network_equals_its_graph(make: Callable[[], keras.Model], overflow: str) -> None:
    deterministic(0)
    model = make()
    x = rows_like(model, 200)
    exact, graph = exact_and_graph(model, x, overflow=overflow)
    assert len(graph.inputs) == 1
    wide = np.random.default_rng(1).uniform(-16, 16, (3000, *x.shape[1:])).astype(np.float32)
    rows = np.concatenate([x, wide, np.round(wide * 8) / 8])  # the last ones are full of ties
    assert np.array_equal(freeze.logits(exact, rows), predict(graph, rows))


def test_a_network_is_frozen_anew_as_it_changes() -> None:
    """What an earlier state has left in the copy says nothing of a later one: ranges, tables, weights that have died."""
    deterministic(0)
    x = keras.Input((6,))
    h = layers.Activation("tanh")(layers.Dense(5)(x))
    h = layers.ReLU()(layers.BatchNormalization()(layers.Dense(6)(h)))
    twin, _ = convert.quantize_model(keras.Model(x, layers.Dense(3)(h)))
    rows = np.random.default_rng(2).normal(size=(300, 6)).astype(np.float32)
    freeze.initialise(twin, rows)
    freezer, seen = freeze.Freezer(twin), set()
    bits = {id(variable) for variable in bit_variables(twin)}
    for factor, fewer in ((1.0, 0), (3.0, 1), (0.1, 0), (1.0, 3)):
        for variable in twin.trainable_variables:
            variable.assign(variable - fewer if id(variable) in bits else variable * factor)
        fresh = text(from_keras(freeze.freeze(twin, rows, 1.125))[0])
        assert text(freezer.graph(rows, 1.125)) == fresh
        seen.add(fresh)
    assert len(seen) >= 3


def test_a_reloaded_sequential_converts_as_the_saved_one(tmp_path: Path) -> None:
    deterministic(0)
    saved = grown_step_by_step()
    saved.save(tmp_path / "model.keras")
    loaded = models.build(str(tmp_path / "model.keras"), (6,), 3)
    x = rows_like(saved, 100)
    a, b = (exact_and_graph(model, x)[0] for model in (saved, loaded))
    assert np.array_equal(freeze.logits(a, x), freeze.logits(b, x))
    kinds = [kind for _, kind in convert.quantize_model(loaded)[1].converted]
    assert kinds == ["Dense", "BatchNormalization", "ReLU", "Dense"]


def test_an_input_that_one_dense_reads_has_no_quantiser_of_its_own() -> None:
    single, _ = convert.quantize_model(grown_step_by_step())
    several, _ = convert.quantize_model(branches_at_the_input())
    assert not [layer for layer in single.layers if type(layer).__name__ == "Quantize"]
    own = [layer for layer in several.layers if type(layer).__name__ == "Quantize" and layer.name.startswith("input")]
    assert [layer.overflow for layer in own] == ["SAT"]
    dense = [layer for layer in several.layers if type(layer).__name__ == "QDense"]
    assert {layer.quantizer.overflow for layer in dense} == {"WRAP"}  # saturating in the design would cost comparators


def test_batch_norm_over_another_axis_is_one_over_the_last() -> None:
    x = keras.Input((4, 4))
    h = layers.BatchNormalization(axis=1, name="rows")(layers.Dense(4)(x))
    twin, report = convert.quantize_model(keras.Model(x, layers.Dense(3)(layers.Flatten()(h))))
    assert ("rows", "BatchNormalization") in report.converted
    assert "QBatchNormalization" in [type(layer).__name__ for layer in twin.layers]


def test_a_layer_class_cannot_pick_one_of_the_converters_own_methods() -> None:
    class Overflow(keras.layers.Layer):
        def call(self, x: object) -> object:
            return x

    x = keras.Input((6,))
    _, report = convert.quantize_model(keras.Model(x, layers.Dense(3)(Overflow(name="same")(x))))
    assert report.skipped == (("same", "overflow does nothing at inference"),)


def test_a_model_without_weights_has_widths_all_the_same() -> None:
    twin, _ = convert.quantize_model(keras.Sequential([keras.Input((3,)), layers.ReLU()]))
    assert [type(layer).__name__ for layer in twin.layers] == ["InputLayer", "Quantize", "ReLU"]


@pytest.mark.parametrize("bits", [6, 12])
def test_wide_sums_need_float64_and_are_exact_in_it(bits: int) -> None:
    deterministic(0)
    model = models.build("mlp:24", (40,), 4)
    x = rows_like(model, 300)
    exact, graph = exact_and_graph(model, x, "float64", bits=bits)
    assert (graph.widest > finish.FLOAT32_BITS) == (bits == 12)
    rows = np.concatenate([x, 16 * rows_like(model, 2000, 1)])
    assert np.array_equal(freeze.logits(exact, rows), predict(graph, rows))
    if bits == 12:  # the reason for the rule
        assert not np.array_equal(freeze.logits(exact_and_graph(model, x, bits=bits)[0], rows), predict(graph, rows))


def test_weights_have_types_of_their_own_and_zeros_have_none() -> None:
    deterministic(0)
    model = models.build("mlp:8", (6,), 3)
    x = rows_like(model, 50)
    twin, _ = convert.quantize_model(model)
    freeze.initialise(twin, x)
    layer = twin.get_layer("dense_1")
    f = np.asarray(layer.kernel_f).copy()
    f[0, :] = -3.0  # too coarse for any of these weights
    f[1, 0] += 4
    layer.kernel_f.assign(f)
    graph, _ = from_keras(freeze.freeze(twin, x, 1.0))
    kernel = graph["dense_1"].constant("kernel")
    assert (kernel.types.width[0] == 0).all() and (kernel.mantissas[0] == 0).all()
    assert kernel.types.frac[1, 0] == round(float(f[1, 0]))
    for mantissa, kind in zip(kernel.mantissas.ravel(), kernel.types, strict=True):
        assert kind.signed == (mantissa < 0)
        tight = FixedType(kind.signed, max(kind.width - 1, 0), kind.frac)
        assert mantissa == 0 or not tight.lowest <= mantissa <= tight.highest  # no narrower type would hold it


def test_dead_channels_have_width_zero_and_stay_zero() -> None:
    deterministic(0)
    model = models.build("mlp:8", (6,), 3)
    x = rows_like(model, 100)
    x[:, 2] = 0
    exact, graph = exact_and_graph(model, x)
    assert graph[graph.inputs[0]].type.width[2] == 0
    loud = rows_like(model, 500, 3) * 50
    assert np.array_equal(freeze.logits(exact, loud), predict(graph, loud))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("unbuilt", "no symbolic inputs"),
        ("raises", "RuntimeError: one line$"),
        ("two_inputs", "2 inputs"),
        ("volume", "Conv3D"),
        ("narrow", "shape \\(3,\\)"),
        ("too_few", "10 classes"),
        ("not_a_model", "int"),
    ],
)
def test_a_bad_model_leaves_no_run(make: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_zoo_of_bad_models.py").write_text(ZOO)
    monkeypatch.syspath_prepend(tmp_path)
    config = TrainConfig(model=f"a_zoo_of_bad_models:{make}", epochs=1, float_epochs=0)
    with pytest.raises(ModelError, match=message) as caught:
        trainer.train(load("digits", seed=0), config, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


ZOO = """
import keras
from keras import layers as L

def unbuilt(): return keras.Sequential([L.Dense(10)])
def raises(): raise RuntimeError("one line\\nand more")
def two_inputs():
    a, b = keras.Input((64,)), keras.Input((64,))
    return keras.Model([a, b], L.Dense(10)(L.Add()([a, b])))
def volume(): return keras.Sequential([keras.Input((64,)), L.Reshape((4, 4, 4, 1)), L.Conv3D(10, 4), L.Flatten()])
def narrow(): return keras.Sequential([keras.Input((3,)), L.Dense(10)])
def too_few(): return keras.Sequential([keras.Input((64,)), L.Dense(9)])
def not_a_model(): return 7
"""


def test_a_call_killed_at_its_very_beginning_does_not_block_the_next(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "vectors.npz").write_bytes(b"")
    (run / ".run.json.123.part").write_text("{")
    summary = trainer.train(load("digits", seed=0), SMALL, run)
    assert not summary.resumed and RunDir.open(run).record().trained
    with np.load(run / "vectors.npz") as vectors:
        assert len(vectors["x"]) == 360 + 50
    before = (run / "run.json").read_bytes()
    assert trainer.train(load("digits", seed=0), SMALL, run).resumed
    assert (run / "run.json").read_bytes() == before  # finished: nothing is done again


def some_state(size: int = 1) -> tuple[object, ...]:
    rng = np.random.default_rng(0)
    params, mean, square, average = (rng.normal(size=(size, 30)).astype("float32") for _ in range(4))
    return params, (rng.normal(size=(size, 5)).astype("float32"),), mean, square, np.float32(3), average


@pytest.mark.parametrize("damage", [lambda size: 0, lambda size: 9, lambda size: size // 2, lambda size: size - 30])
def test_a_damaged_checkpoint_is_named(damage: Callable[[int], int], tmp_path: Path) -> None:
    state, archive, control = some_state(2), [Candidate(1, 0.5, 100.0, 1e-5, 1)], {"betas": [1e-5, 2e-5]}
    checkpoint.save_state(tmp_path, state, phase="settle", epoch=7, archive=archive, control=control)
    found = checkpoint.load_state(tmp_path, some_state(1))
    assert found is not None
    assert (found.phase, found.epoch, found.archive, found.control) == ("settle", 7, archive, control)
    assert all(np.array_equal(a, b) for a, b in zip(found.state, state, strict=True))
    path = tmp_path / "state.npz"
    path.write_bytes(path.read_bytes()[: damage(path.stat().st_size)])
    with pytest.raises(RunError, match=r"state\.npz is damaged"):
        checkpoint.load_state(tmp_path, some_state(1))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint.save_state(tmp_path, some_state(), phase="bits", epoch=1, archive=[], control={})
    params, _, *rest = some_state()
    with pytest.raises(RunError, match=r"the model \[\(30,\), \(4,\)\]"):
        checkpoint.load_state(tmp_path, (params, (np.zeros((1, 4)),), *rest))


def test_numbers_that_no_float_holds_are_an_error(tmp_path: Path) -> None:
    config = TrainConfig(model="mlp:6", epochs=1, float_epochs=0, initial_bits=28, random_rows=10)
    with pytest.raises(TrainingError, match="exactly up to 52"):
        trainer.train(load("digits", seed=0), config, tmp_path / "run")


def test_a_cut_off_keras_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    grown_step_by_step().save(path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"cannot (load|read)"):
            models.build(str(path), (6,), 3)
