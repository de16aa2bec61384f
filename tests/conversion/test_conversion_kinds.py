"""What users give beside plain float32 layers: policies, operators, functions, frozen layers, models that Keras has quantised itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_harness import frozen, mismatches, wide_rows

import hwq
from hwq.backend import deterministic, keras, ops, tf
from hwq.conversion import freeze
from hwq.errors import ModelError, TrainingError, UnsupportedLayerError
from hwq.sim.reference import predict

L = keras.layers
CONFIG = hwq.QuantizeConfig(bits=10)


def rows(shape: tuple[int, ...], count: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(np.float32)


@pytest.fixture(autouse=True)
def float32_afterwards() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")


def net(dtype: str | None = None) -> keras.Model:
    deterministic(0)
    layers = [L.Dense(8, activation="tanh", dtype=dtype), L.BatchNormalization(dtype=dtype), L.Dense(2, dtype=dtype)]
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize(("policy", "everywhere"), [("mixed_float16", True), ("bfloat16", False), ("float64", True)])
def test_a_policy_is_converted_in_float32_and_said(policy: str, everywhere: bool) -> None:
    if everywhere:
        keras.config.set_dtype_policy(policy)
    model, x = net(None if everywhere else policy), rows((4,))
    twin = hwq.quantize(model, CONFIG, data=x)
    report = twin.report
    assert any(name == model.layers[0].name and policy in note for name, note in report.notes)
    assert {str(v.dtype) for v in twin.variables} == {"float32"} and "converted in float32" in str(report)
    assert keras.config.dtype_policy().name == (policy if everywhere else "float32")
    exact, graph = frozen(twin, x)
    assert mismatches(exact, graph, wide_rows(x)) == 0
    assert np.abs(predict(graph, x)).max() > 0


def test_a_twin_trains_under_a_policy_for_small_floats() -> None:
    keras.config.set_dtype_policy("float16")
    x = rows((4,))
    twin = hwq.quantize(net(), CONFIG, data=x)
    twin.compile("sgd", "mse")
    history = twin.fit(x, np.zeros((60, 2)), epochs=1, verbose=0).history
    assert np.isfinite(history["ebops"]).all() and np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_an_input_of_another_float_type(dtype: str) -> None:
    deterministic(0)
    i = keras.Input((4,), dtype=dtype, name="x")
    model, x = keras.Model(i, L.Dense(2)(i)), rows((4,))
    twin = hwq.quantize(model, CONFIG, data=x)
    report = twin.report
    assert ("x", f"reads {dtype}; the twin reads float32") in report.notes
    assert np.abs(freeze.outputs(twin, x) - freeze.outputs(model, x)).max() < 0.05


def test_an_input_of_whole_numbers_is_refused_with_a_way_out() -> None:
    i = keras.Input((4,), dtype="int32", name="codes")
    with pytest.raises(UnsupportedLayerError, match="'codes' has dtype int32") as raised:
        hwq.quantize(keras.Model(i, L.Dense(2)(i)), data=rows((4,)))
    assert "float32" in str(raised.value.hint)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reloaded", [False, True])
def test_a_model_that_keras_has_quantised_is_refused(reloaded: bool, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, activation="relu"), L.Dense(2, name="last")])
    model.quantize("int8")
    if reloaded:
        model.save(tmp_path / "int8.keras")
        model = keras.saving.load_model(tmp_path / "int8.keras", compile=False)
    with pytest.raises(UnsupportedLayerError, match="quantised to int8 by Keras") as raised:
        hwq.quantize(model, data=rows((4,)))
    assert "float model" in str(raised.value.hint)


def test_what_is_frozen_stays_frozen_while_bits_are_learned() -> None:
    deterministic(0)
    i = keras.Input((4,))
    y = L.Dense(6, name="held")(i)
    y = L.BatchNormalization(name="norm")(y)
    model, x = keras.Model(i, L.Dense(2, name="free")(y)), rows((4,))
    model.get_layer("held").trainable = model.get_layer("norm").trainable = False
    twin = hwq.quantize(model, CONFIG, data=x)
    report = twin.report
    held = twin.get_layer("held")
    before = [np.array(v) for v in (held.kernel, held.gamma, held.beta, held.mean, held.variance)]
    bits, free = np.array(held.kernel_f), np.array(twin.get_layer("free").kernel)
    twin.price(beta=0.1)
    twin.compile(keras.optimizers.Adam(0.1), "mse")
    twin.fit(x, np.ones((60, 2)), epochs=2, verbose=0)
    after = [np.array(v) for v in (held.kernel, held.gamma, held.beta, held.mean, held.variance)]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert (np.array(held.kernel_f) != bits).any() and (np.array(twin.get_layer("free").kernel) != free).any()
    assert {name for name, note in report.notes if "trainable=False" in note} == {"held", "norm"}


def test_layers_called_with_training_true_are_told() -> None:
    deterministic(0)
    i = keras.Input((4,))
    y = L.Dropout(0.5, name="noise")(L.Dense(5)(i), training=True)
    y = L.BatchNormalization(name="batch")(y, training=True)
    report = hwq.quantize(keras.Model(i, L.Dense(2)(y)), CONFIG, data=rows((4,))).report
    told = dict(report.skipped)
    assert "training=True" in told["noise"] and "training=True" in told["batch"]
    assert "batch" in dict(report.converted)
    inner = keras.Model(i, L.Dense(2)(y))
    j = keras.Input((4,))
    report = hwq.quantize(keras.Model(j, inner(j)), CONFIG, data=rows((4,))).report
    assert "training=True" in dict(report.skipped)["noise"]


def test_statistics_stay_where_the_model_says_training_false() -> None:
    deterministic(0)
    i = keras.Input((4,))
    y = L.BatchNormalization(name="norm")(L.Dense(5, name="first")(i), training=False)
    twin = hwq.quantize(keras.Model(i, L.Dense(2)(y)), CONFIG, data=rows((4,)))
    twin.compile("sgd", "mse")
    twin.fit(rows((4,)), np.ones((60, 2)), epochs=1, verbose=0)
    first = twin.get_layer("first")
    assert (np.array(first.mean) == 0).all() and (np.array(first.gamma) != 1).any()


def clipped(x: Any) -> Any:
    return ops.clip(x, -1, 1)


def in_float32_alone(x: Any) -> Any:
    """A function that knows one type, as TensorFlow's own operators do."""
    return tf.multiply(x, tf.constant(0.3, tf.float32))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sign": ops.sign,
    "own": clipped,
    "lambda": lambda x: ops.abs(x) - 0.25,
    "float32": in_float32_alone,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_table_is_made_from_the_function_itself(name: str) -> None:
    deterministic(0)
    model = keras.Sequential([keras.Input((4,)), L.Dense(5), L.Activation(FUNCTIONS[name]), L.Dense(2)])
    x = rows((4,))
    twin = hwq.quantize(model, CONFIG, data=x)
    exact, graph = frozen(twin, x)
    assert mismatches(exact, graph, wide_rows(x)) == 0
    assert (freeze.outputs(twin, x) == predict(graph, x)).all()


def test_a_function_that_fails_is_named() -> None:
    def broken(x: Any) -> Any:
        raise RuntimeError("no")

    model = keras.Sequential([keras.Input((4,)), L.Dense(5), L.Dense(2)])
    model.layers[0].activation = broken
    with pytest.raises(UnsupportedLayerError, match="broken fails on numbers: RuntimeError: no"):
        hwq.quantize(model, data=rows((4,)))


ROW = np.array([[1, -2, 0.5, 3, 0.1]], "float32")
OPERATORS: dict[str, Callable[[Any, Any], list[Any]]] = {
    "joins": lambda a, b: [a + b, a - b, a * b, ops.maximum(a, b), ops.minimum(a, b), a + a],
    "constants": lambda a, b: [2 * a + (1.5 - b) / 4 - 0.25, (a - np.arange(5, dtype="float32") / 8) * ROW + b, -a],
    "tables": lambda a, b: [ops.tanh(a), 1 / (1 + ops.abs(b)), ops.clip(a, -0.5, 0.75), ops.square(a) + b**2, ops.relu6(a)],
    "activations": lambda a, b: [ops.relu(a), ops.leaky_relu(a, 0.25), ops.leaky_relu(b, 0.2), ops.softmax(a)],
    "shapes": lambda a, b: [
        ops.reshape(ops.transpose(ops.reshape(ops.concatenate([a, b], axis=-1), (-1, 2, 5)), (0, 2, 1)), (-1, 10)),
        ops.squeeze(ops.expand_dims(a, 1), 1),
    ],
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_of_the_functional_api_are_layers(name: str, tmp_path: Path) -> None:
    deterministic(0)
    i = keras.Input((4,))
    a, b = L.Dense(5, name="a")(i), L.Dense(5, activation="relu", name="b")(i)
    model, x = keras.Model(i, L.Dense(3, name="last")(L.Concatenate()(OPERATORS[name](a, b)))), rows((4,))
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=13, table_bits=12), data=x)
    report = twin.report
    assert not report.skipped
    want = freeze.outputs(model, x)
    assert np.abs(freeze.outputs(twin, x) - want).max() < 0.02 * np.abs(want).max()
    exact, graph = frozen(twin, x)
    assert mismatches(exact, graph, wide_rows(x)) == 0
    twin.save(tmp_path / "twin.keras")
    again = keras.saving.load_model(tmp_path / "twin.keras")
    assert (freeze.outputs(again, x) == freeze.outputs(twin, x)).all()


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "matmul": (lambda a, b: ops.matmul(ops.matmul(a, ops.transpose(b)), b), "Transpose|Matmul"),
    "sum of rows": (lambda a, b: ops.sum(a, axis=0, keepdims=True) + b, "joins rows"),
    "sum of all": (lambda a, b: ops.sum(a) + b, "Sum.*joins rows"),
    "no axis left": (lambda a, b: ops.reshape(ops.max(a, axis=1), (-1, 1)), "without an axis"),
    "three": (lambda a, b: ops.einsum("bi,bj,bk->bijk", a, b, b), "product of 3"),
    "outer": (lambda a, b: ops.einsum("bi,cj->bcij", a, b), "not the first axis"),
    "rows": (lambda a, b: ops.flip(a, axis=0), "Flip.*more than move"),
    "no axis": (lambda a, b: ops.reshape(a[:, 0], (-1, 1)), "GetItem.*without an axis"),
    "cast": (lambda a, b: ops.cast(ops.cast(a, "int32"), "float32"), "Cast"),
    "sort": (lambda a, b: ops.sort(a), "Sort|no function of one number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operations_without_hardware_are_refused_by_name(name: str) -> None:
    i = keras.Input((4,))
    function, words = REFUSED[name]
    model = keras.Model(i, L.Dense(3)(function(L.Dense(5)(i), L.Dense(5)(i))))
    with pytest.raises(UnsupportedLayerError, match=words) as raised:
        hwq.quantize(model, data=rows((4,)))
    assert raised.value.hint


class Net(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="own_net")
        self.first, self.second = L.Dense(4, activation="relu"), L.Dense(2)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


def test_a_model_class_is_traced_once_it_knows_its_shapes() -> None:
    model, x = Net(), rows((4,))
    with pytest.raises(ModelError, match="'own_net' is a class of its own") as raised:
        hwq.quantize(model, data=x)
    assert "call it once on data" in str(raised.value.hint)
    model(x)
    twin = hwq.quantize(model, CONFIG, data=x)
    report = twin.report
    assert np.abs(freeze.outputs(twin, x) - np.asarray(model(x))).max() < 0.1
    assert len(report.converted) == 2


class Hidden(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="hidden")
        self.first = L.Dense(4)

    def call(self, x: Any) -> Any:
        return self.first(tf.sort(x))


def test_a_model_class_that_cannot_be_traced_is_told_why() -> None:
    model, x = Hidden(), rows((4,))
    model(x)
    with pytest.raises(ModelError, match="'hidden' is a class of its own") as raised:
        hwq.quantize(model, data=x)
    assert "keras.ops" in str(raised.value.hint)


def test_a_class_derived_from_a_layer_computes_what_its_call_says() -> None:
    class Same(L.Dense):
        pass

    class Other(L.Dense):
        def call(self, inputs: Any, training: Any = None) -> Any:
            return super().call(inputs) * 2.0

    deterministic(0)
    model, x = keras.Sequential([keras.Input((4,)), Same(3), Other(2)]), rows((4,))
    twin = hwq.quantize(model, CONFIG, data=x)
    assert np.abs(freeze.outputs(twin, x) - freeze.outputs(model, x)).max() < 0.1


def test_a_class_derived_from_a_layer_is_told_which_layer_to_take() -> None:
    class MyDense(L.Dense):
        def call(self, inputs: Any, training: Any = None) -> Any:
            return tf.sort(super().call(inputs))

    with pytest.raises(UnsupportedLayerError) as raised:
        hwq.quantize(keras.Sequential([keras.Input((4,)), MyDense(3), L.Dense(2)]), data=rows((4,)))
    assert "keras.layers.Dense" in str(raised.value.hint)


def test_dead_normalisations_and_nan_are_named_by_layer() -> None:
    deterministic(0)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="d"), L.BatchNormalization(name="n"), L.Dense(2, name="e")])
    model.get_layer("n").gamma.assign(np.zeros(3))
    with pytest.raises(TrainingError, match="every gamma of the batch normalisation in layer 'd' is zero"):
        hwq.quantize(model, data=rows((4,)))
    model.get_layer("e").kernel.assign(np.full((3, 2), np.nan))
    with pytest.raises(TrainingError, match="layer 'e' has NaN or infinity in its kernel"):
        hwq.quantize(model, data=rows((4,)))


def test_a_layer_may_have_the_name_of_the_softmax_for_the_loss() -> None:
    deterministic(0)
    layers = [L.Dense(3, name="softmax_for_the_loss"), L.Dense(2, activation="softmax", name="softmax_for_the_loss_")]
    model, x = keras.Sequential([keras.Input((4,)), *layers]), rows((4,))
    twin = hwq.quantize(model, CONFIG, data=x)
    report = twin.report
    assert "logits" in dict(report.skipped)["softmax_for_the_loss_"]
    assert np.allclose(freeze.outputs(twin, x).sum(axis=1), 1, atol=1e-5)


def moved(function: Callable[[Any], Any], shape: tuple[int, ...]) -> keras.Model:
    """A network that moves the values of its input and of a hidden layer."""
    deterministic(0)
    inputs = keras.Input(shape)
    hidden = L.Dense(shape[-1], activation="relu")(function(L.Dense(shape[-1])(inputs)))
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(function(hidden))))


MOVES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "slice": (lambda x: x[:, 1:, :], (6, 4)),
    "every other": (lambda x: x[:, ::2], (8, 4)),
    "one place": (lambda x: x[..., 1:2], (4, 3)),
    "flip": (lambda x: ops.flip(x, axis=1), (4, 3)),
    "roll": (lambda x: ops.roll(x, 1, axis=1), (4, 3)),
    "repeat": (lambda x: ops.repeat(x, 2, axis=1), (3, 4)),
    "tile": (lambda x: ops.tile(x, (1, 2, 1)), (3, 4)),
    "split": (lambda x: ops.split(x, 2, axis=1)[1], (8, 3)),
    "stack": (lambda x: ops.stack([x, x], axis=1), (2, 3)),
    "swap": (lambda x: ops.swapaxes(x, 1, 2), (4, 4)),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0))), (4, 3)),
    "take": (lambda x: ops.take(x, [1, 0], axis=1), (4, 3)),
    "Cropping1D": (lambda x: L.Cropping1D((1, 0))(x), (6, 3)),
    "Cropping2D": (lambda x: L.Cropping2D(((1, 0), (0, 1)))(x), (4, 4, 2)),
    "UpSampling1D": (lambda x: L.UpSampling1D(2)(x), (3, 3)),
    "UpSampling2D": (lambda x: L.UpSampling2D((2, 1))(x), (2, 3, 2)),
}


DAILY_MOVES = ("slice", "every other", "flip", "repeat", "split", "pad", "Cropping2D", "UpSampling2D")


@pytest.mark.parametrize("name", [name if name in DAILY_MOVES else pytest.param(name, marks=pytest.mark.slow) for name in MOVES])
def test_what_only_moves_values_is_wires(name: str, tmp_path: Path) -> None:
    function, shape = MOVES[name]
    model, x = moved(function, shape), rows(shape)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=12), data=x)
    exact, graph = frozen(twin, x)
    assert mismatches(exact, graph, wide_rows(x)) == 0
    assert any(node.op == "take" for node in graph.nodes)
    assert np.allclose(predict(graph, x), ops.convert_to_numpy(model(x)).reshape(len(x), -1), atol=0.05)
    twin.save(tmp_path / "t.keras")
    again = keras.models.load_model(tmp_path / "t.keras")
    assert np.array_equal(ops.convert_to_numpy(again(x)), ops.convert_to_numpy(twin(x)))


def test_a_vector_is_repeated() -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(4, activation="relu"), L.RepeatVector(3), L.Dense(2), L.Flatten()])
    x = rows((3,))
    exact, graph = frozen(hwq.quantize(model, CONFIG, data=x), x)
    assert mismatches(exact, graph, wide_rows(x)) == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=1.0),
    ],
)
def test_what_does_more_than_move_values_is_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(UnsupportedLayerError):
        hwq.quantize(moved(lambda x: ops.reshape(function(x), (-1, 1, 4)), (4, 4)), data=rows((4, 4)))
