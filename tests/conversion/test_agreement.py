"""The twin's own answers are the design's: ties, biases, batches as long as an axis, compiled or not; hwq.compile says where not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import hwq
from hwq.backend import deterministic, keras, ops, tf
from hwq.conversion import freeze
from hwq.conversion.graph_model import GraphModel
from hwq.design import networks
from hwq.errors import HwqWarning, MismatchError
from hwq.layers import QActivation, QAdd, QDense, Quantize
from hwq.sim.reference import predict

L = keras.layers


def near_ties(function: str, f: int, output_f: int) -> tuple[keras.Model, np.ndarray]:
    """A network that is one function, and rows at every step of 2^-f about zero."""
    x = keras.Input((1,))
    model = keras.Model(x, QActivation(function, bits=f, output_bits=output_f)(x))
    rows = (np.arange(-(1 << f), 1 << f) * 2.0**-f).astype(np.float32)[:, None]
    freeze.initialise(model, rows)
    layer = model.layers[-1]
    layer.quantizer.f.assign(np.full(layer.quantizer.f.shape, f))
    layer.output_quantizer.f.assign(np.full(layer.output_quantizer.f.shape, output_f))
    return model, rows


@pytest.mark.parametrize(
    ("function", "f", "output_f"), [("sigmoid", 7, 8), ("sigmoid", 9, 10), ("hard_sigmoid", 8, 6), ("tanh", 8, 7)]
)
def test_a_table_and_keras_decide_ties_alike(function: str, f: int, output_f: int) -> None:
    """sigmoid(2^-7) is 1e-8 below the middle of two steps of 2^-8, and float32 calls it the middle."""
    model, rows = near_ties(function, f, output_f)
    made = hwq.compile(model, data=rows)
    assert made.comparison is not None and made.comparison.mismatches == 0 and made.comparison.samples == len(rows)
    want = predict(made.graph, rows)
    compiled = tf.function(lambda x: model(x, training=False), jit_compile=True)
    assert (np.asarray(compiled(rows)) == want).all()
    for size in (1, 7, 64):
        assert (model.predict(rows[:64], batch_size=size, verbose=0) == want[:64]).all()


def test_the_greatest_float_below_a_half_rounds_down() -> None:
    x = keras.Input((1,))
    model = keras.Model(x, QDense(1, use_bias=False, kernel_initializer="ones")(Quantize()(x)))
    rows = np.array([[0.49999997], [0.5], [-0.5], [3.0]], np.float32)
    freeze.initialise(model, rows)
    for quantizer in freeze.quantizers(model):
        quantizer.f.assign(np.zeros(quantizer.f.shape))
    assert freeze.outputs(model, rows).ravel().tolist() == [0.0, 1.0, 0.0, 3.0]
    assert hwq.compile(model, data=rows).comparison.mismatches == 0


def test_a_bias_on_an_inner_axis_stays_there() -> None:
    """As long as the last axis, Keras on TensorFlow adds it along that one."""
    deterministic(0)
    model = keras.Sequential(
        [keras.Input((2, 2, 2, 1)), L.EinsumDense("...abcd,bcde->...aeb", output_shape=(2, 3, 2), bias_axes="a")]
    )
    model.layers[-1].bias.assign(np.array([1.0, -2.0]).reshape(2, 1, 1))
    rows = np.random.default_rng(0).normal(size=(30, 2, 2, 2, 1)).astype(np.float32)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=8), data=rows)
    report = twin.report
    made = hwq.compile(twin, data=rows)
    assert made.comparison.mismatches == 0
    bias = next(n for n in made.graph.nodes if n.op == "einsum").constant("bias")
    values = bias.mantissas * 2.0 ** -bias.types.frac.astype(float)
    assert (values.reshape(2, 3, 2) == np.array([1.0, -2.0]).reshape(2, 1, 1)).all()
    assert any("bias" in note for _, note in report.notes)


def test_a_batch_as_long_as_an_axis_is_no_bias() -> None:
    """ops.add takes (4, 1) beside (4, 4) for the bias of 4 channels."""
    deterministic(0)
    x = keras.Input((4,))
    y = Quantize(overflow="SAT")(x)
    model = keras.Model(x, QAdd()([QDense(4)(y), QDense(1)(y)]))
    rows = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    freeze.initialise(model, rows)
    made = hwq.compile(model, data=rows)
    want = predict(made.graph, rows)
    assert made.comparison.mismatches == 0 and (freeze.outputs(model, rows) == want).all()
    assert (GraphModel.of(made.graph).logits(rows) == want).all()


def wide(bits: int) -> tuple[Any, np.ndarray]:
    deterministic(0)
    rows = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    model = keras.Sequential([keras.Input((8,)), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax")])
    return hwq.quantize(model, hwq.QuantizeConfig(bits=bits), data=rows), rows


@pytest.mark.parametrize(("bits", "word"), [(20, "Keras computes in float32"), (30, "fit no float")])
def test_sums_that_no_float_holds_are_said(bits: int, word: str) -> None:
    twin, rows = wide(bits)
    with pytest.warns(HwqWarning, match=word):
        made = hwq.compile(twin, data=rows)
    assert made.comparison.mismatches > 0 and made.comparison.first is not None
    assert word in made.summary() and "mismatches" in repr(made)
    assert (made.predict(rows) == predict(made.graph, rows)).all()
    with pytest.raises(MismatchError, match="first at sample"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hwq.compile(twin, data=rows, strict=True)


def test_a_softmax_that_is_not_in_the_design_is_told_where_it_happens() -> None:
    twin, rows = wide(5)
    with pytest.warns(HwqWarning, match="the outputs are logits"):
        made = hwq.compile(twin, data=rows, strict=True)
    assert made.comparison.mismatches == 0 and networks.LOGITS in made.summary()
    assert not np.allclose(made.predict(rows), freeze.outputs(twin, rows))
    assert (made.predict(rows).argmax(1) == freeze.outputs(twin, rows).argmax(1)).all()


def test_a_graph_that_answers_otherwise_than_exact_keras_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twin, rows = wide(5)
    real = networks.evaluate
    monkeypatch.setattr(networks, "evaluate", lambda graph, x: real(graph, x) + (np.arange(len(x)) == 17)[:, None])
    with pytest.raises(MismatchError, match="first at sample 17"):
        hwq.compile(twin, data=rows)


@pytest.mark.filterwarnings("ignore")
def test_a_loss_and_metrics_of_the_users_own_are_no_matter(tmp_path: Any) -> None:
    def loss(y: Any, p: Any) -> Any:
        return ops.mean((y - p) ** 2)

    class Largest(keras.metrics.Metric):
        def __init__(self, words: object) -> None:
            super().__init__(name="largest")
            self.total = self.add_variable((), "zeros", name="total")

        def update_state(self, y: Any, p: Any, sample_weight: Any = None) -> None:
            self.total.assign(ops.max(p))

        def result(self) -> Any:
            return self.total.value

    deterministic(0)
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((4,)), L.Dense(3, kernel_initializer=lambda shape, dtype=None: ops.ones(shape, dtype)), L.Dense(2)]
    )
    twin = hwq.quantize(model, data=rows)
    twin.compile("adam", loss, metrics=[Largest(object())])
    twin.fit(rows, np.zeros((60, 2)), epochs=1, verbose=0)
    before = freeze.outputs(twin, rows)
    assert (hwq.compile(twin, data=rows).predict(rows) == before).all()
