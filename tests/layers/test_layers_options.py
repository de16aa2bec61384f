"""Options of the layers and quantisers: granularities, signs, rounding, overflow; their costs; what they refuse."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_harness import frozen, mismatches, wide_rows

from hwq.backend import deterministic, keras, ops, tf
from hwq.conversion import freeze
from hwq.cost.features import graph_features
from hwq.cost.multiplications import ebops, multiplications
from hwq.errors import ModelError, UnsupportedLayerError, UsageError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.frontend.keras import constant, from_keras, quantizer_types
from hwq.ir import Node, make_node
from hwq.layers import (
    QActivation,
    QConv2D,
    QDense,
    QDepthwiseConv2D,
    QEinsumDense,
    QMaxPooling2D,
    QMultiply,
    QSeparableConv2D,
    QSoftmax,
    Quantize,
    Rearrange,
    total_costs,
)
from hwq.layers.factor import Factor
from hwq.quantizers.rounding import fake_round, mantissas
from hwq.sim.reference import predict

L = keras.layers


def rows(shape: tuple[int, ...], count: int = 150, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def small_network(**options: object) -> keras.Model:
    deterministic(1)
    x = keras.Input((5, 5, 2))
    y = QConv2D(3, 2, activation="relu", bits=5, **options)(x)
    y = L.Flatten()(y)
    return keras.Model(x, QDense(3, bits=5, **options)(y))


@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM"])
@pytest.mark.parametrize("rounding", ["RND", "TRN", "RND_CONV"])
@pytest.mark.parametrize("granularity", ["element", "channel", "tensor"])
def test_keras_equals_the_graph_for_every_mode(overflow: str, rounding: str, granularity: str) -> None:
    model = small_network(
        overflow=overflow, rounding=rounding, granularity=granularity, weight_granularity=granularity, weight_rounding=rounding
    )
    x = rows((5, 5, 2))
    freeze.initialise(model, x)
    for quantizer in freeze.quantizers(model):  # bitwidths of their own
        quantizer.f.assign(np.asarray(quantizer.f) + np.random.default_rng(2).integers(-2, 2, quantizer.f.shape))
    exact, graph = frozen(model, x)
    assert mismatches(exact, graph, wide_rows(x)) == 0
    kinds = {(node.type.rounding, node.type.overflow) for node in graph.nodes if node.op in ("input", "quantize")}
    assert kinds == {(Rounding(rounding), Overflow(overflow))}
    codes = predict(graph, wide_rows(x) * 10)
    assert (codes != predict(graph, x)[0]).any()


def test_granularity_is_the_shape_of_the_bitwidths() -> None:
    for granularity, shape in (("element", (5, 4, 3)), ("channel", (1, 1, 3)), ("tensor", (1, 1, 1))):
        quantizer = Quantize(granularity=granularity)
        quantizer(np.zeros((2, 5, 4, 3), np.float32))
        assert tuple(quantizer.f.shape) == shape
        assert quantizer.widths().shape == (5, 4, 3)
    for granularity, shape in (("element", (2, 2, 3, 4)), ("channel", (1, 1, 1, 4)), ("tensor", (1, 1, 1, 1))):
        layer = QConv2D(4, 2, weight_granularity=granularity)
        layer.build((None, 5, 5, 3))
        assert tuple(layer.kernel_f.shape) == shape
    layer = QDepthwiseConv2D(2, depth_multiplier=2, weight_granularity="channel")
    layer.build((None, 5, 5, 3))
    assert tuple(layer.kernel_f.shape) == (1, 1, 3, 2)


def test_a_shared_bitwidth_has_its_price_scaled_by_the_root_of_its_sharers() -> None:
    quantizer = Quantize(granularity="tensor")
    quantizer(np.zeros((1, 4, 4), np.float32))
    with tf.GradientTape() as tape:
        total = ops.sum(quantizer.widths())
    assert float(np.squeeze(tape.gradient(total, quantizer.f.value))) == pytest.approx(16 / 4)


@pytest.mark.parametrize("rounding", ["TRN", "RND_CONV"])
def test_gradients_of_the_other_roundings_are_those_of_the_paper(rounding: str) -> None:
    rng = np.random.default_rng(0)
    x, f, g = rng.normal(size=(64, 5)), rng.uniform(-2, 5, 5), rng.normal(size=(64, 5))
    tx, t_f = tf.constant(x), tf.constant(f)
    with tf.GradientTape() as tape:
        tape.watch([tx, t_f])
        q = fake_round(tx, t_f, rounding)
    dx, df = tape.gradient(q, [tx, t_f], output_gradients=tf.constant(g))
    scaled = x * 2 ** np.round(f)
    want = (np.floor(scaled) if rounding == "TRN" else np.rint(scaled)) / 2 ** np.round(f)
    assert np.array_equal(q.numpy(), want)
    assert np.array_equal(dx.numpy(), g)
    assert np.abs(df.numpy() + np.log(2) * (g * (want - x)).sum(axis=0)).max() < 1e-6


@pytest.mark.parametrize(("signed", "low"), [(None, -8), (False, 0), (True, -8)])
def test_signs(signed: bool | None, low: int) -> None:
    quantizer = Quantize(bits=4, overflow="SAT", exact=True, signed=signed)
    x = np.array([[-1.9], [1.2]], np.float32)
    quantizer(x)
    quantizer.f.assign([2.0])
    quantizer.trace(x, 1.0)
    types = quantizer_types(quantizer)
    assert types[0].lowest == low and types[0].highest == 7
    got = np.asarray(quantizer(np.array([[-5.0], [-0.3], [0.3], [9.0]], np.float32)))
    assert got.ravel().tolist() == [low / 4, max(-0.25, low / 4), 0.25, 7 / 4]
    trained = Quantize(bits=4, overflow="SAT", signed=signed)
    trained(x)
    trained.f.assign([2.0])
    assert np.asarray(trained(np.array([[-1.0]], np.float32)))[0, 0] == (0 if signed is False else -1)


def test_a_sign_bit_can_be_asked_for() -> None:
    quantizer = Quantize(bits=4, signed=True, exact=True)
    x = np.array([[0.2], [1.2]], np.float32)
    quantizer(x)
    quantizer.f.assign([2.0])
    quantizer.trace(x, 1.0)
    assert quantizer_types(quantizer)[0].signed


@pytest.mark.parametrize(
    ("top", "f", "bits"), [(1.0, 0, 1), (1.0, 1, 2), (3.3, -2, 1), (5.5, -2, 2), (1.4, 0, 2), (0.75, 2, 2), (0.79, 2, 3)]
)
def test_the_margin_is_on_values_not_on_codes(top: float, f: float, bits: int) -> None:
    """One bit stays one bit where the widened value rounds to the same code."""
    quantizer = Quantize(bits=4, exact=True)
    x = np.array([[0.0], [top]], np.float32)
    quantizer(x)
    quantizer.f.assign([f])
    quantizer.trace(x, 1.125)
    assert quantizer_types(quantizer)[0].width == bits


@settings(max_examples=50)
@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=5),
    st.integers(-3, 4),
    st.sampled_from(["RND", "TRN", "RND_CONV"]),
    st.sampled_from([1.0, 1.125, 1.5]),
)
def test_nothing_within_the_margin_overflows(values: list[float], f: int, rounding: str, margin: float) -> None:
    x = np.array(values, np.float32)[:, None]
    quantizer = Quantize(bits=4, exact=True, rounding=rounding)
    quantizer(x)
    quantizer.f.assign([float(f)])
    quantizer.trace(x, margin)
    if not np.asarray(mantissas(x, np.float32(f), rounding)).any():
        return  # nothing is left of it, whatever the margin
    ends = np.array([[x.min() * margin], [x.max() * margin], [x.min()], [x.max()]], np.float32)
    ends = np.concatenate([ends, x])
    assert np.array_equal(np.asarray(quantizer(ends)), np.asarray(mantissas(ends, np.float32(f), rounding)) / 2.0**f)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Quantize(overflow="wrap"),
        lambda: Quantize(rounding="up"),
        lambda: Quantize(granularity="row"),
        lambda: Quantize(signed=False),
        lambda: Quantize(most_integer=3),
        lambda: QDense(3, weight_granularity="all"),
    ],
)
def test_options_that_cannot_be_meant(make: object) -> None:
    with pytest.raises(UsageError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: QDense(3, activation="tanh"), "tanh"),
        (lambda: QConv2D(3, 2, data_format="channels_first"), "channels_first"),
        (lambda: QActivation("softmax"), "one number"),
        (lambda: QSoftmax(axis=1), "axis 1"),
        (lambda: QEinsumDense("abc,cd->bad", (3, 4)).build((None, 3, 5)), "batch axis"),
        (lambda: QEinsumDense("abc,bd->adc", (4, 5), batch_norm=True).build((None, 3, 5)), "no output axis"),
        (lambda: QMultiply()([np.zeros((1, 3)), np.zeros((1, 2))]), "shapes"),
        (lambda: QMultiply()([np.zeros((1, 3))]), "1 inputs"),
        (lambda: QDense(3)(keras.Input((None, 3))), "unknown length"),
        (lambda: QConv2D(4, 2, groups=3).build((None, 5, 5, 3)), "groups"),
    ],
)
def test_what_layers_refuse(make: object, word: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=word):
        make()  # type: ignore[operator]


def test_a_mask_is_refused() -> None:
    x = keras.Input((4, 3))
    with pytest.raises(UnsupportedLayerError, match="mask"):
        QDense(2, name="late")(L.Masking()(x))


def declared_bits(values: np.ndarray, f: float) -> np.ndarray:
    """From the first bit of a constant to its last step."""
    whole = np.abs(np.rint(values * 2**f)).astype(int)
    return np.array([int(v).bit_length() for v in whole.ravel()]).reshape(values.shape)


def test_the_cost_of_a_convolution_counts_every_position() -> None:
    layer = QConv2D(2, 2, padding="same", strides=(2, 1), bits=4)
    x = keras.Input((3, 4, 2))
    model = keras.Model(x, layer(x))
    data = rows((3, 4, 2))
    freeze.initialise(model, data)
    bits = np.asarray(layer.quantizer.widths())
    kernel = np.asarray(layer.quantized(*layer.folded())[0])
    weights = declared_bits(kernel, float(np.asarray(layer.kernel_f)[0, 0, 0, 0]))
    padded = np.pad(bits, [pair for pair in layer.pads()] + [(0, 0)])
    want = 0.0
    for i, j, o in itertools.product(range(2), range(4), range(2)):
        want += (padded[2 * i : 2 * i + 2, j : j + 2, :] * weights[..., o]).sum()
    assert float(layer.costs()["ebops"]) == pytest.approx(want)


def test_exact_costs_are_at_most_the_declared_ones_and_near() -> None:
    model = small_network()
    x = rows((5, 5, 2))
    freeze.initialise(model, x)
    model(x, training=True)
    declared = {name: float(value) for name, value in total_costs(model).items()}
    exact = graph_features(from_keras(freeze.freeze(model, x, 1.0))[0])
    for name in ("ebops", "weight_bits", "activation_bits"):
        assert 0.5 * declared[name] < exact[name] <= declared[name] * 1.01, name


def node_of(op: str, widths: list[int], attrs: dict[str, object], count: int = 1) -> tuple[Node, list[TypeArray]]:
    types = TypeArray.of(0, np.array(widths), 0)
    sources = [make_node(f"x{i}", "input", type=types) for i in range(count)]
    return make_node("y", op, sources, attrs=attrs), [types] * count


def test_exact_costs_by_hand() -> None:
    kernel = constant(np.array([[3.0, 0.0], [-4.0, 5.0]]), np.zeros((2, 2)))  # enclosed bits 2, 0, 1, 3
    bias = constant(np.zeros(2), np.zeros(2))
    dense, types = node_of("dense", [4, 6], {"kernel": kernel, "bias": bias})
    assert ebops(dense, types) == 4 * 2 + 6 * 1 + 6 * 3
    assert multiplications(dense, types) == 4
    product, types = node_of("multiply", [4, 6], {}, 2)
    assert ebops(product, types) == 16 + 36
    scale, types = node_of("scale", [4, 6], {"factor": constant(np.array([0.25, 0.75]), np.full(2, 2.0))})
    assert ebops(scale, types) == 4 * 1 + 6 * 2
    values = constant(np.arange(256.0)[None], np.zeros((1, 256)))
    table, types = node_of("table", [0, 5, 8], {"values": values, "index": (0, 0, 0)})
    assert ebops(table, types) == 0 + 5 * 1 + 8 * 4  # bits of the result x 6-input LUTs for each
    pool, types = node_of("relu", [4, 6], {})
    assert ebops(pool, types) == 0


def test_a_layer_called_twice_costs_twice() -> None:
    x = keras.Input((4,))
    layer = QDense(4)
    once, twice = keras.Model(x, layer(x)), keras.Model(x, layer(layer(x)))
    a, b = (float(total_costs(model)["ebops"]) for model in (once, twice))
    assert b == 2 * a > 0


def test_a_frozen_table_is_looked_up() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, QActivation("tanh", bits=6, output_bits=7, name="table")(x))
    data = rows((3,))
    freeze.initialise(model, data)
    exact, graph = frozen(model, data)
    table = exact.get_layer("table").table
    values = np.asarray(table)
    steps = 2.0 ** -np.round(float(np.asarray(model.get_layer("table").output_quantizer.f).ravel()[0]))
    codes = np.arange(values.shape[1]) + float(np.asarray(exact.get_layer("table").quantizer.low).ravel()[0])
    want = np.tanh(codes * 2.0 ** -float(np.asarray(exact.get_layer("table").quantizer.f).ravel()[0]))
    assert np.abs(values[0] - want).max() <= 1.01 * max(steps / 2, 1 - np.abs(values).max())
    before = freeze.logits(exact, data)
    table.assign(values + steps)
    assert (freeze.logits(exact, data) == before + steps).all()
    assert mismatches(exact, graph, data) == len(data)  # the graph has the table that was there
    assert mismatches(exact, from_keras(exact)[0], data) == 0


def test_elements_with_types_of_their_own_have_tables_of_their_own() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, QActivation("sigmoid", granularity="element", name="table")(x))
    data = rows((3,)) * np.array([1, 8, 1], np.float32)
    freeze.initialise(model, data)
    exact, graph = frozen(model, data)
    assert exact.get_layer("table").table.shape[0] >= 2
    assert mismatches(exact, graph, wide_rows(data)) == 0


def test_a_table_with_too_many_codes_is_an_error() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, QActivation("tanh", bits=16, name="wide")(x))
    freeze.initialise(model, rows((3,)))
    with pytest.raises(ModelError, match="wide"):
        freeze.freeze(model, rows((3,)), 1.0)


def test_softmax_keeps_the_argmax() -> None:
    x = keras.Input((10,))
    model = keras.Model(x, QSoftmax(bits=8)(x))
    data = 3 * rows((10,), 3000)
    freeze.initialise(model, data)
    exact, graph = frozen(model, data)
    fresh = 3 * rows((10,), 3000, seed=9)
    got = freeze.logits(exact, fresh)
    assert (got.argmax(axis=1) == fresh.argmax(axis=1)).mean() >= 0.97  # the input itself is rounded to 8 bits
    rounded = np.asarray(exact.layers[1].quantizer(fresh))
    assert (got.argmax(axis=1) == rounded.argmax(axis=1)).mean() >= 0.99
    want = np.exp(rounded - rounded.max(axis=1, keepdims=True))
    assert np.abs(got - want / want.sum(axis=1, keepdims=True)).max() < 0.01
    assert mismatches(exact, graph, fresh) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 9, 49, 64])
def test_reciprocals_are_near_and_exact_for_powers_of_two(count: int) -> None:
    factor = Factor.reciprocal(np.full((2,), count), 8)
    error = abs(factor.values[0] * count - 1)
    assert error <= 2.0**-8 and (error == 0 or count & (count - 1))
    constant(factor.values, factor.f)  # a multiple of its step


def test_a_constant_that_is_no_multiple_of_its_step_is_refused() -> None:
    with pytest.raises(ModelError, match="multiple"):
        constant(np.array([0.3]), np.array([2.0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Quantize(6, "SAT", signd=True),
        lambda: QDense(2, weight_term=1),
        lambda: QEinsumDense("ab,bc->ac", 2, epsilo=1e-3),
        lambda: QConv2D(2, 3, dilation=2),
        lambda: QDepthwiseConv2D(3, depthwise_initialiser="zeros"),
        lambda: QSeparableConv2D(2, 3, weight_level=3),
        lambda: QMaxPooling2D(2, keepdim=True),
        lambda: QActivation("tanh", outputbits=3),
    ],
)
def test_an_option_that_a_layer_does_not_have_is_refused(make: Callable[[], object]) -> None:
    """The options are gathered by name: none may be dropped on the way."""
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        make()


def test_an_index_has_a_place_for_each_element() -> None:
    with pytest.raises(UsageError, match=r"has 3 places for 4 elements of \(2, 2\)"):
        Rearrange([0, 1, 2], (2, 2))
