"""Stages of a stream in Python: what slides over the image, window by window, computes what the graph does; and what is no stream."""

from __future__ import annotations

import numpy as np
import pytest
from image_chains import Chain
from networks import random_constant, random_rows

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph
from hwq.ir.windows import window_grid
from hwq.passes.stream import Stage, Window, stages
from hwq.sim.reference import evaluate

FRAMES = 12


def slid(stage: Stage, images: np.ndarray) -> np.ndarray:
    """The result (frames, rows, columns, channels) of a stage, from mantissas of the same shape."""
    w = stage.window
    assert images.shape[1:3] == (w.rows, w.columns)
    results, pixels = window_grid((w.rows, w.columns), w.size, w.strides, w.pads, w.dilation)
    flat = images.reshape(len(images), -1, images.shape[3])
    padded = np.concatenate([flat, np.zeros_like(flat[:, :1])], axis=1)  # taken for -1
    rows = padded[:, pixels].reshape(len(images) * len(pixels), -1)
    return evaluate(stage.graph, rows).reshape(len(images), *results, -1)


def prove(graph: Graph, seed: int = 0) -> list[Stage]:
    found = stages(graph)
    x = random_rows(graph, FRAMES, seed)
    shape = graph[graph.inputs[0]].shape
    images = x.reshape(FRAMES, *((1,) * (3 - len(shape))), *shape)
    for stage, after in zip(found, [*found[1:], None], strict=True):
        images = slid(stage, images)
        if after is not None:
            t, u = (g.type for g in (stage.graph[stage.graph.outputs[0]], after.graph[after.graph.inputs[0]]))
            channels = t.size
            for mine, theirs in ((t.signed, u.signed), (t.width, u.width), (t.frac, u.frac)):
                assert (theirs.reshape(-1, channels) == mine.ravel()).all()
            assert stage.window.results == images.shape[1:3]
    last, size = found[-1].graph, graph[graph.outputs[0]].type.size
    assert (exact(last, images.reshape(FRAMES, size)) == exact(graph, evaluate(graph, x))).all()
    return found


def exact(graph: Graph, mantissas: np.ndarray) -> np.ndarray:
    """Results as multiples of 2^-40, in which every step here is whole; a graph of one place has them for all places."""
    up = 40 - graph[graph.outputs[0]].type.frac.astype(np.int64).ravel()
    return mantissas.astype(object) * (1 << np.tile(up, mantissas.shape[1] // up.size).astype(object))


def a_chain(seed: int) -> Graph:
    """A signal or an image, layers of every kind that a stream takes, and at the end an image or what follows its pixels as a vector."""
    rng = np.random.default_rng(seed)
    rows, columns, channels = (int(n) for n in (1 if seed % 3 == 0 else rng.integers(3, 7), rng.integers(3, 7), rng.integers(1, 4)))
    net = Chain((columns, channels) if rows == 1 else (rows, columns, channels), seed=seed, signed=bool(rng.random() < 0.5))
    if rows == 1:
        each_pixel(net, rng)
        net.add("reshape", shape=(1, *net.nodes[-1].shape))
    for _ in range(int(rng.integers(0 if seed % 5 == 0 else 1, 4))):
        shape = net.nodes[-1].shape
        size = tuple(int(rng.integers(1, min(3, n) + 1)) for n in shape[:2])
        pads = tuple(int(n) for s in size for n in rng.multinomial(rng.integers(0, s), [0.4, 0.6]))
        strides = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        kind = int(rng.integers(4))
        if kind == 0:
            groups = shape[2] if rng.random() < 0.3 else 1
            dilation = tuple(2 if n >= 2 * s - 1 and rng.random() < 0.5 else 1 for n, s in zip(shape[:2], size, strict=True))
            net.conv((size[0], size[1]), groups * int(rng.integers(1, 3)), pads, groups, strides=strides, dilation=dilation)
        elif kind < 3:
            negative = int(net.nodes[-1].type.lowest.min()) < 0
            net.pool("sum_pool2d" if kind == 1 or negative else "max_pool2d", (size[0], size[1]), strides, pads)
        each_pixel(net, rng)
    if rng.random() < 0.6:
        net.flatten()
        net.dense(2)
        if rng.random() < 0.5:
            net.quantize(3)
            net.add("table", values=random_constant(rng, (2, 8), 4, 0.2), index=(1, 0))
    return net.graph()


def each_pixel(net: Chain, rng: np.random.Generator) -> None:
    """One or two layers that work on each pixel alike."""
    for kind in rng.permutation(6)[: int(rng.integers(1, 3))]:
        shape = net.nodes[-1].shape
        if kind == 0:
            net.quantize(int(rng.integers(2, 5)))
        elif kind == 1:
            net.quantize(3)
            index = np.broadcast_to(rng.integers(0, 2, shape[-1]), shape)
            net.add("table", values=random_constant(rng, (2, 8), 4, 0.2), index=tuple(int(i) for i in index.ravel()))
        elif kind == 2:
            net.add("relu")
        elif kind == 3:
            net.add("leaky_relu", shift=1)
        elif kind == 4:
            net.add("scale", factor=spread(random_constant(rng, (shape[-1],), 3, 0.2), shape))
        else:
            net.add("bias", bias=spread(random_constant(rng, (shape[-1],), 3, 0.2), shape))


def spread(constant: Constant, shape: tuple[int, ...]) -> Constant:
    """The constant of a pixel at every place."""
    t = constant.types
    one, signed, width, frac = (np.broadcast_to(a, shape) for a in (constant.mantissas, t.signed, t.width, t.frac))
    return Constant(one, TypeArray.of(signed, width, frac))


@pytest.mark.parametrize("seed", range(24))
def test_stages_compute_the_graph(seed: int) -> None:
    prove(a_chain(seed), seed)


@pytest.mark.parametrize("signed", [False, True])
def test_a_padded_maximum_of_what_is_never_negative(signed: bool) -> None:
    net = Chain((4, 4, 1), signed=signed)
    if signed:
        net.add("relu")
    net.pool("max_pool2d", (2, 3), (1, 1), (1, 0, 0, 2))
    (*_, last) = prove(net.graph())
    assert last.window == Window(4, 4, (2, 3), (1, 1), (1, 0, 0, 2))


@pytest.mark.parametrize("pads", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_a_maximum_of_negative_values_takes_no_padding(pads: tuple[int, ...]) -> None:
    net = Chain((4, 4, 1), signed=True)
    net.pool("max_pool2d", (2, 2), (1, 1), pads)
    with pytest.raises(GraphError, match="padded maximum"):
        stages(net.graph())


PADS = [
    ((1, 1, 0, 0), True),
    ((2, 1, 0, 0), False),
    ((0, 3, 0, 0), False),
    ((0, 0, 2, 2), True),
    ((0, 0, 1, 4), False),
    ((2, 0, 4, 0), True),
]


@pytest.mark.parametrize(("pads", "fits"), PADS)
def test_pads_are_less_than_a_window_reaches(pads: tuple[int, ...], fits: bool) -> None:
    net = Chain((6, 6, 1))
    net.conv((3, 3), 1, pads, dilation=(1, 2))
    if fits:
        prove(net.graph())
        return
    with pytest.raises(GraphError, match="pads by as much"):
        stages(net.graph())


def test_a_reshape_that_moves_pixels_ends_the_image() -> None:
    """What follows it is a last stage, on the whole image; its convolution is none of the stream's."""
    net = Chain((4, 2))
    net.add("relu")
    net.add("reshape", shape=(1, 2, 4))
    net.conv((1, 2), 1)
    first, last = prove(net.graph())
    assert first.window == Window(1, 4) and last.window == Window(1, 4, (1, 4)) and last.name == "reshape_2"


def test_an_image_that_is_only_flattened() -> None:
    net = Chain((3, 2, 2))
    net.flatten()
    (only,) = prove(net.graph())
    assert only.window == Window(3, 2, (3, 2)) and only.name == "reshape_1"


def test_an_input_that_is_the_output() -> None:
    (only,) = prove(Chain((3, 2, 2)).graph())
    assert only.window == Window(3, 2, (3, 2)) and only.name == "image"
