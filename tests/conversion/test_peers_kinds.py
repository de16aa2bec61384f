"""The kinds of models that test suites of other converters build: accepted, close to the float model, and equal to the integers, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peers_kinds
import pytest
from layer_harness import frozen, mismatches, wide_rows

import hwq
from hwq.backend import deterministic, keras
from hwq.conversion.rows import answers_of, checked_rows
from hwq.errors import UnsupportedLayerError
from hwq.sim.compare import compare
from hwq.sim.reference import evaluate, predict, quantize_inputs
from hwq.sim.rtlsim import rtlsim

FINE = hwq.QuantizeConfig(bits=13, table_bits=12)
REFUSED = {"conv3d": "Conv3D"}
NO_FLOAT = ("conv2dt_dilation",)  # Keras computes it with oneDNN alone: tests/layers has another way to compare
FAR = {"merge_dot_normalize": 0.2}  # a short vector's reciprocal length is beyond what a table of 12 bits can tell
# `make test` takes one of each kind that is taken apart, or has a layer of its own
QUICK = (
    *("softmax_axis", "logsoftmax", "prelu_shared", "relu_alone", "layernorm_axes", "unitnorm", "normalization", "rescaling"),
    *("conv1dt_same", "conv2dt_odd", "conv2dt_output_padding", "upsampling_bilinear", "resizing", "slice_integer"),
    *("merge_dot_inputs", "concat_conv_inputs", "op_matmul_constant", "op_var", "op_divide", "op_where", "op_min"),
    *("GRU_reset_before", "mha_causal", "attention_scaled"),
    *("time_conv", "embedding", "masking", "lambda_mix", "spectral", "conv3d", "inputs_and_outputs", "outputs_named"),
    *("outputs_shared", "own_model", "own_layer", "derived_layer", "interaction_network", "nested_models"),
)
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in peers_kinds.EVERY]
IN_HARDWARE = (
    "prelu",
    "conv2dt_odd",
    "op_min",
    "op_einsum",
    "embedding",
    "GRU_no_bias",
    "mha_inputs",
    "layernorm",
    "inputs_and_outputs",
)


def built(name: str) -> tuple[keras.Model, Any]:
    """A model of a kind, with weights that no initialiser gives, and rows for it."""
    deterministic(0)
    model = peers_kinds.EVERY[name]()
    rng = np.random.default_rng(5)
    for variable in model.variables:
        kind = variable.path.rsplit("/")[-1]
        if kind in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif kind in ("bias", "beta", "moving_mean"):
            variable.assign(rng.normal(size=variable.shape) * 0.3)
    return model, peers_kinds.rows(model)


def flat(answers: Any) -> np.ndarray:
    parts = [np.asarray(part) for part in keras.tree.flatten(answers)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EVERY)
def test_a_kind_is_close_to_the_float_model_and_equal_to_the_integers(name: str) -> None:
    model, data = built(name)
    if name in REFUSED:
        with pytest.raises(UnsupportedLayerError, match=REFUSED[name]) as raised:
            hwq.quantize(model, data=data)
        assert raised.value.hint
        return
    twin = hwq.quantize(model, FINE, data=data)
    if name not in NO_FLOAT:
        want, got = flat(model(data, training=False)), flat(twin(data, training=False))
        assert np.abs(got - want).max() < FAR.get(name, 0.03) * max(1.0, np.abs(want).max())
    rows = checked_rows(twin, data)
    exact, graph = frozen(twin, rows)
    assert [graph[node].source for node in graph.inputs] == [tensor._keras_history[0].name for tensor in twin.inputs]
    assert mismatches(exact, graph, wide_rows(rows)) == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in IN_HARDWARE[:1] else pytest.mark.slow) for n in IN_HARDWARE])
def test_a_kind_is_the_same_in_every_evaluator(name: str, tmp_path: Path) -> None:
    model, data = built(name)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=4, table_bits=5), data=data)
    design = hwq.compile(twin, data=data)
    assert design.comparison is not None and design.comparison.mismatches == 0
    graph = design.graph
    few = checked_rows(twin, data)[:40]
    inputs = quantize_inputs(graph, wide_rows(few)[:300])
    design.write(tmp_path)
    wanted = evaluate(graph, inputs)
    assert not compare(graph, "reference", wanted, "emulator", design.emulator.evaluate(inputs)).mismatches
    assert not compare(graph, "reference", wanted, "rtl", rtlsim(design.build, tmp_path, inputs)).mismatches
    assert np.array_equal(flat(design.csim(few)), predict(graph, few))


def test_several_inputs_are_given_in_every_form() -> None:
    model, data = built("inputs_and_outputs")
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=4), data=data)
    named = {"in_0": data[0], "in_1": data[1]}
    assert (checked_rows(twin, named) == checked_rows(twin, data)).all()
    design = hwq.compile(twin, data=named)
    answers = design.predict(data)
    assert (answers == design.predict(named)).all() and (answers == design.predict(checked_rows(twin, data))).all()
    assert (answers == np.asarray(answers_of(twin, checked_rows(twin, data)))).all()
    with pytest.raises(hwq.errors.DataError, match="1 arrays, the model 2 inputs"):
        hwq.quantize(model, data=data[:1])
    with pytest.raises(hwq.errors.DataError, match="no rows for the input 'in_1'"):
        hwq.quantize(model, data={"in_0": data[0]})
    with pytest.raises(hwq.errors.DataError, match="have 80, 40 rows"):
        hwq.quantize(model, data=[data[0], data[1][:40]])
    with pytest.raises(hwq.errors.DataError, match="do not fit the input 'in_1'"):
        design.predict({"in_0": data[0], "in_1": data[0]})
    with pytest.raises(hwq.errors.DataError, match="no rows for the input 'in_0'"):
        design.predict({"in_1": data[1]})


def test_a_twin_of_several_outputs_trains_as_the_float_model_does() -> None:
    model, data = built("outputs_named")
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=6), data=data)
    twin.compile("adam", {"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 0.5})
    target = {name: np.asarray(y) + 1 for name, y in model(data).items()}
    losses = twin.fit(data, target, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.filterwarnings("ignore")
def test_softmaxes_of_several_outputs_stay_for_the_loss() -> None:
    deterministic(0)
    x = keras.Input((4,))
    one, two = keras.layers.Dense(3, activation="softmax")(x), keras.layers.Dense(2)(x)
    model, data = keras.Model(x, [one, two]), np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    twin = hwq.quantize(model, FINE, data=data)
    report = twin.report
    assert len(report.skipped) == 1
    first, second = twin(data)
    assert np.allclose(np.asarray(first).sum(axis=1), 1, atol=1e-5)
    assert np.abs(np.asarray(second) - np.asarray(model(data)[1])).max() < 0.01
    assert hwq.compile(twin, data=data).predict(data).shape == (60, 5)


def test_a_softmax_that_is_read_again_is_not_left_out() -> None:
    deterministic(0)
    x = keras.Input((4,))
    chances = keras.layers.Dense(3, activation="softmax", name="chances")(x)
    model, data = keras.Model(x, [chances, keras.layers.Dense(2)(chances)]), np.random.default_rng(0).normal(size=(60, 4))
    twin = hwq.quantize(model, FINE, data=data)
    report = twin.report
    assert not report.skipped
    assert np.abs(flat(twin(data)) - flat(model(data))).max() < 0.02


def test_options_of_a_layer_made_of_others_reach_its_parts() -> None:
    model, data = built("GRU")
    name = model.layers[1].name
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=6, layers={name: {"bits": 3}}), data=data)
    report = twin.report
    assert {layer.bits for layer in twin.layers if hasattr(layer, "bits") and layer.name.startswith(name)} == {3}
    assert (name, "GRU") in report.converted and not any(n.startswith(f"{name}_") for n, _ in report.converted)


@pytest.mark.slow
def test_a_long_sequence_needs_no_deep_stack() -> None:
    deterministic(0)
    model = keras.Sequential([keras.Input((150, 1)), keras.layers.SimpleRNN(1)])
    data = np.random.default_rng(0).normal(size=(20, 150, 1)).astype(np.float32)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=4, table_bits=5), data=data)
    exact, graph = frozen(twin, data)
    assert mismatches(exact, graph, data) == 0


def test_weights_of_a_layer_of_the_users_own_are_trained() -> None:
    model, data = built("own_layer")
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=6), data=data)
    scale = next(layer for layer in twin.layers if type(layer).__name__ == "QAffine")
    assert any(v is scale.kernel for v in twin.trainable_variables)
    before = np.array(scale.kernel)
    twin.compile("adam", "mse")
    twin.fit(data, np.zeros((80, 3)), epochs=1, verbose=0)
    assert (np.array(scale.kernel) != before).any()
