"""Code of one's own is followed wherever its weights stand; what joins rows, or one layer on rows of two shapes, is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layer_harness import frozen, mismatches, wide_rows

import hwq
from hwq.backend import keras, ops
from hwq.conversion.following import weights_first
from hwq.errors import UnsupportedLayerError

L = keras.layers
FORMS: dict[str, Callable[[Any, Any], Any]] = {
    "w * x": lambda w, x: w * x,
    "w + x": lambda w, x: w + x,
    "w - x": lambda w, x: w - x,
    "w / x": lambda w, x: w / (2 + ops.abs(x)),
    "array * x": lambda w, x: np.array([1.0, 2.0, 0.5, 4.0], np.float32) * x,
}


class OwnForm(L.Layer):
    """A layer of the user's own: a form of a weight and a tensor."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1],), initializer="random_normal")

    def call(self, x: Any) -> Any:
        return FORMS[self.form](self.w, x)


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, *shape)).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMS)
def test_a_weight_may_stand_first(form: str) -> None:
    x = keras.Input((4,))
    with weights_first():  # NumPy's arrays Keras does not take there itself
        model = keras.Model(x, L.Dense(2)(OwnForm(form)(x)))
    data = rows(4)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=12, table_bits=12), data=data)
    assert np.abs(np.asarray(twin(data)) - np.asarray(model(data))).max() < 0.05
    exact, graph = frozen(twin, data)
    assert mismatches(exact, graph, wide_rows(data)) == 0


def test_nothing_of_keras_is_left_changed() -> None:
    kept = [keras.Variable.__mul__, vars(keras.KerasTensor).get("__array_ufunc__", "none")]
    with pytest.raises(ZeroDivisionError), weights_first(), weights_first():
        _ = 1 // 0
    assert kept == [keras.Variable.__mul__, vars(keras.KerasTensor).get("__array_ufunc__", "none")]
    assert float(keras.Variable(3.0) * 2.0) == 6.0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "layer", [lambda: L.AdditiveAttention(), lambda: L.Attention(score_mode="concat")], ids=["additive", "concat"]
)
def test_attention_by_sums(layer: Callable[[], Any]) -> None:
    x = keras.Input((3, 4))
    model = keras.Model(x, layer()([x, L.Dense(4)(x)]))
    data = rows(3, 4)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=12, table_bits=12), data=data)
    assert np.abs(np.asarray(twin(data)) - np.asarray(model(data))).max() < 0.05
    exact, graph = frozen(twin, data)
    assert mismatches(exact, graph, wide_rows(data)) == 0


@pytest.mark.parametrize(
    "form",
    [
        lambda x: ops.reshape(x, (-1, 2)),
        lambda x: ops.transpose(x, (1, 0, 2)),
        lambda x: ops.concatenate([x, x], axis=0),
        lambda x: ops.concatenate([x, x], axis=-3),
        lambda x: L.Concatenate(axis=0)([x, L.Dense(2)(x)]),
        lambda x: ops.flip(x, axis=0),
        lambda x: ops.softmax(x, axis=0),
    ],
    ids=["reshape", "transpose", "concatenate", "from the end", "layer", "flip", "softmax"],
)
def test_rows_stay_apart(form: Callable[[Any], Any]) -> None:
    x = keras.Input((4, 2))
    with pytest.raises(UnsupportedLayerError, match=r"rows|more than move values within a row") as raised:
        hwq.quantize(keras.Model(x, form(x)), data=rows(4, 2))
    assert raised.value.hint


def test_one_layer_reads_rows_of_one_shape() -> None:
    shared, a, b = L.Dense(3), keras.Input((4,)), keras.Input((2, 4))
    with pytest.raises(UnsupportedLayerError, match=r"rows of different shapes: .*4.* and "):
        hwq.quantize(keras.Model([a, b], [shared(a), shared(b)]), data=[rows(4), rows(2, 4)])
    moved = L.Flatten()  # which quantises nothing
    model = keras.Model([a, b], [L.Dense(2)(moved(a)), L.Dense(2)(moved(b))])
    hwq.quantize(model, data=[rows(4), rows(2, 4)])


@pytest.mark.parametrize(("axis", "keepdims"), [(1, False), (-1, True), ((1, 2), True)])
def test_products_over_axes(axis: Any, keepdims: bool) -> None:
    x = keras.Input((3, 2))
    model = keras.Model(x, ops.prod(x, axis=axis, keepdims=keepdims))
    data = rows(3, 2)
    twin = hwq.quantize(model, hwq.QuantizeConfig(bits=14), data=data)
    assert np.abs(np.asarray(twin(data)) - np.asarray(model(data))).max() < 0.05
