"""Widths of single channels: equal ones are a layer's, each channel is what it would be in a layer of its width, and sums are the layer's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwq.errors import UsageError
from hwq.fixed import TypeArray
from hwq.ir import Graph, Node, make_node, text, verify
from hwq.posttraining import sensitivity
from hwq.posttraining.channels import Group, by_divergence, by_roundoff, column, divided, groups_of, layer_numbers, together
from hwq.posttraining.milp import ChoiceTable, solve
from hwq.posttraining.multipoint import multipoint
from hwq.posttraining.quantize import Bits, channels_of, coarse_rows, per_channel, quantized, rounded_bias, uniform
from hwq.posttraining.ranges import retraced
from hwq.posttraining.rebuild import exact, real
from hwq.posttraining.rounding import adaptive, with_constants
from hwq.posttraining.sensitivity import answers, divergence, part_of
from hwq.posttraining.statistics import linear_nodes
from hwq.sim.reference import evaluate_nodes


def weights(rng: np.random.Generator, *shape: int) -> dict[str, object]:
    """A kernel of 13 bits whose channels differ in size."""
    scale = np.exp(rng.normal(0, 1, shape[-1])) * np.prod(shape[:-1]) ** -0.5
    return {"kernel": exact(np.round(rng.normal(0, 1, shape) * scale * 4096) / 4096)}


def bias(rng: np.random.Generator, *shape: int) -> dict[str, object]:
    return {"bias": exact(np.round(rng.normal(0, 0.1, shape) * 4096) / 4096)}


def after(nodes: list[Node], name: str) -> list[Node]:
    """relu and quantize."""
    relu = make_node(f"relu_{name}", "relu", [nodes[-1]])
    return [*nodes, relu, make_node(f"q_{name}", "quantize", [relu], type=TypeArray.of(0, np.full(relu.shape, 14), 10))]


def network(seed: int = 0) -> Graph:
    """A depthwise and a plain convolution, an einsum whose bias has the shape of its result, a dense layer."""
    rng = np.random.default_rng(seed)
    nodes = [make_node("x", "input", type=TypeArray.of(1, np.full((4, 4, 2), 12), 10))]
    form = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilation": (1, 1)}
    for name, shape, groups in (("deep", (3, 3, 1, 4), 2), ("conv", (2, 2, 4, 3), 1)):
        attrs = weights(rng, *shape) | bias(rng, shape[-1]) | form | {"groups": groups}
        nodes = after([*nodes, make_node(name, "conv2d", [nodes[-1]], attrs=attrs)], name)
        form = {**form, "pads": (0, 0, 0, 0)}
    attrs = weights(rng, 3, 2) | bias(rng, 3, 3, 2) | {"equation": "abc,cd->abd"}
    nodes = after([*nodes, make_node("ein", "einsum", [nodes[-1]], attrs=attrs)], "ein")
    nodes.append(make_node("flat", "reshape", [nodes[-1]], attrs={"shape": (18,)}))
    nodes.append(make_node("dense", "dense", [nodes[-1]], attrs=weights(rng, 18, 4) | bias(rng, 4)))
    return verify(Graph(tuple(nodes), ("x",), ("dense",)))


@pytest.fixture(scope="module")
def fine() -> Graph:
    return network()


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(5).integers(-1024, 1024, (60, 32))


def of_channels(fine: Graph, pattern: tuple[int, ...], activations: int = 8) -> dict[str, Bits]:
    """Widths in turn for the channels of every layer."""
    out = {}
    for node in linear_nodes(fine):
        turn = itertools.cycle(pattern)
        out[node.name] = Bits(tuple(next(turn) for _ in range(node.constant("kernel").shape[-1])), activations)
    return out


@pytest.mark.parametrize("made", [quantized, adaptive])
@pytest.mark.parametrize("bits", [2, 5])
def test_equal_widths_are_those_of_the_layer(made, bits: int, fine: Graph, rows: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    together = verify(made(fine, uniform(fine, bits, 8), rows))
    assert text(verify(made(fine, of_channels(fine, (bits,)), rows))) == text(together)
    assert text(verify(made(fine, of_channels(fine, (bits, bits + 1)), rows))) != text(together)


@pytest.mark.parametrize("made", [quantized, adaptive])
def test_each_channel_is_what_a_layer_of_its_width_has(made, fine: Graph, rows: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    """Of the first layer, which reads the same whatever the widths; of the others where weights alone decide."""
    mixed = verify(made(fine, of_channels(fine, (2, 6, 3)), rows))
    for node in linear_nodes(fine)[: 1 if made is adaptive else None]:
        of = channels_of(node, fine[node.inputs[0]].shape)
        assert of is not None
        for bits, wide in ((2, 0), (6, 1), (3, 2)):
            plain = made(fine, uniform(fine, bits, 8), rows)[node.name]
            kernel, wanted = (real(n.constant("kernel")) for n in (mixed[node.name], plain))
            assert (kernel[..., wide::3] == wanted[..., wide::3]).all()
            kernel, wanted = (real(n.constant("bias")).ravel() for n in (mixed[node.name], plain))
            assert (kernel[of[1] % 3 == wide] == wanted[of[1] % 3 == wide]).all()
    assert len({n.constant("kernel").types.width.max() for n in (mixed["deep"], fine["deep"])}) == 2


def test_points_follow_the_width_of_their_channel(rows: np.ndarray) -> None:
    fine = network(1)
    mixed, low, high = (
        multipoint(fine, {"deep": Bits(wide, 8)}, rows, count=1)[0]["deep"] for wide in ((2, 5, 2, 5), (2,) * 4, (5,) * 4)
    )
    kernel, least, most = (real(node.constant("kernel")) for node in (mixed, low, high))
    assert (kernel[..., ::2] == least[..., ::2]).all() and (kernel[..., 1::2] == most[..., 1::2]).all()
    assert not (least == most).all()


def test_the_channel_of_every_result(fine: Graph) -> None:
    """A result follows the weights of its channel, and of no other."""
    inputs = np.random.default_rng(1).integers(-1024, 1024, (5, 32))
    values = evaluate_nodes(fine, inputs)
    for node in linear_nodes(fine):
        of = channels_of(node, fine[node.inputs[0]].shape)
        assert of is not None
        for j in range(node.constant("kernel").shape[-1]):
            kernel = real(node.constant("kernel")).copy()
            kernel[..., j] *= 2
            found = evaluate_nodes(with_constants(fine, {node.name: (kernel, real(node.constant("bias")))}), inputs)[node.name]
            changed = (found != values[node.name]).any(axis=0).ravel()
            assert changed[of[0] == j].any() and not changed[of[0] != j].any()


def test_an_operation_that_sums_over_its_channels_is_one_group(rows: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    x = make_node("x", "input", type=TypeArray.of(1, np.full((16, 2), 12), 10))
    ein = make_node("ein", "einsum", [x], attrs=weights(rng, 3, 2) | bias(rng, 16, 3) | {"equation": "ac,dc->ad"})
    graph = verify(Graph((x, ein), ("x",), ("ein",)))
    assert channels_of(ein, x.shape) is None and groups_of(graph, ["ein"]) == [Group("ein")]
    with pytest.raises(UsageError, match="sums over the last axis"):
        quantized(graph, {"ein": Bits((2, 3), 6)}, rows)
    choices = [Bits(2, 6), Bits(5, 6)]
    assert by_divergence(graph, [Group("ein")], choices, rows).shape == (1, 2)
    assert column(graph, Group("ein")) == graph


def test_as_many_widths_as_channels(fine: Graph, rows: np.ndarray) -> None:
    with pytest.raises(UsageError, match="2 widths for 4 channels"):
        quantized(fine, {"dense": Bits((2, 3), 6)}, rows)


def test_groups_make_a_choice(fine: Graph) -> None:
    groups = [*groups_of(fine, ["ein"]), Group("dense")]
    assert groups == [Group("ein", 0), Group("ein", 1), Group("dense")] and layer_numbers(groups).tolist() == [0, 0, 1]
    choice = together(groups, [Bits(2, 4), Bits(5, 4), Bits(3, 6)])
    assert choice == {"ein": Bits((2, 5), 4), "dense": Bits(3, 6)}


def test_what_is_divided_sums_to_the_whole() -> None:
    total, parts = np.array([[6.0, 4.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [2.0, 0.0], [7.0, 7.0]])
    assert divided(total, parts, np.array([0, 0, 1])).tolist() == [[2.0, 2.0], [4.0, 2.0], [1.0, 0.0]]


@pytest.mark.parametrize("seed", range(4))
def test_the_best_choice_of_channels_is_no_worse_than_that_of_layers(seed: int) -> None:
    """By brute force over the channels: two layers, of two and three channels, of two weight widths at two activation widths."""
    rng = np.random.default_rng(seed)
    loss, cost = np.sort(rng.exponential(1, (2, 4)))[:, ::-1], np.sort(rng.uniform(10, 200, (2, 4)))
    layer, shared = np.array([0, 0, 1, 1, 1]), np.tile([0, 0, 1, 1], (5, 1))
    parts = [divided(of, rng.exponential(1, (5, 4)), layer) for of in (loss, cost)]
    table, budget = ChoiceTable(*parts, shared, layer), float(cost.min(axis=1).sum() * 1.5)
    number = np.arange(5)
    every = [
        float(table.loss[number, c].sum())
        for c in itertools.product(range(4), repeat=5)
        if table.cost[number, c].sum() <= budget and len({(n, k >= 2) for n, k in zip(layer, c, strict=True)}) == 2
    ]
    found, plain = solve(table, budget=budget)[0], solve(ChoiceTable(loss, cost), budget=budget)[0]
    assert found.loss == pytest.approx(min(every)) and found.loss <= plain.loss * (1 + 1e-9)


def test_roundoff_of_channels_sums_to_that_of_the_layer(fine: Graph) -> None:
    layers, choices = ["deep", "ein", "dense"], [Bits(w, a) for w in (2, 4) for a in (4, 6)]
    groups = groups_of(fine, layers)
    found, sums = by_roundoff(fine, groups, choices), np.zeros((3, 4))
    np.add.at(sums, layer_numbers(groups), found)
    assert sums == pytest.approx(sensitivity.by_roundoff(fine, layers, choices)) and (found > 0).all()


@pytest.mark.parametrize("name", ["deep", "ein", "dense"])
def test_the_loss_of_a_channel_is_that_of_the_network_with_it_alone_quantised(name: str, fine: Graph, rows: np.ndarray) -> None:
    groups, choices = groups_of(fine, [name]), [Bits(2, 11), Bits(4, 11), Bits(2, 4)]
    found = by_divergence(fine, groups, choices, rows)
    node, wanted = fine[name], answers(fine, rows)
    of = channels_of(node, fine[node.inputs[0]].shape)
    assert of is not None
    for c, bits in enumerate(choices):
        kept = quantized(fine, {name: Bits(24, bits.activations)}, rows)
        activations = divergence(wanted, answers(kept, coarse_rows(fine, kept, rows)))
        for j in range(len(groups)):
            kernel, own = real(node.constant("kernel")).copy(), real(node.constant("bias")).ravel().copy()
            kernel[..., j] = per_channel(node, bits.weights)[..., j]
            own[of[1] == j] = rounded_bias(node, bits.weights).ravel()[of[1] == j]
            alone = retraced(with_constants(fine, {name: (kernel, own.reshape(node.constant("bias").shape))}), rows)
            weight = divergence(wanted, answers(alone, rows))
            assert found[j, c] == pytest.approx(max(weight, 0) + activations / len(groups), rel=1e-6, abs=1e-9)


def test_a_column_computes_its_channel_of_the_layer(fine: Graph, rows: np.ndarray) -> None:
    graph = verify(quantized(fine, uniform(fine, 4, 6), rows))
    values = evaluate_nodes(graph, coarse_rows(fine, graph, rows))
    for group in groups_of(fine, ["deep", "conv", "ein", "dense"]):
        part = part_of(graph, group.layer)
        alone, source = verify(column(part, group)), graph[group.layer].inputs[0]
        found = evaluate_nodes(alone, values[source].reshape(len(rows), -1))[part.outputs[0]]
        of = channels_of(graph[group.layer], graph[source].shape)
        assert of is not None
        mine = (of[0] == group.channel).reshape(found.shape[1:])
        assert (found[:, mine] == values[part.outputs[0]][:, mine]).all() and not found[:, ~mine].any()
