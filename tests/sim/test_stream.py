"""Image networks as streams: C++ and Verilog equal the reference on every frame, at a pixel a clock, also when both sides make it wait."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_chains import Chain
from networks import random_constant, random_rows

from hwq import boards
from hwq.codegen.stream import StreamBuild, build_stream, slide_of
from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, make_node
from hwq.ir.windows import window_grid
from hwq.passes.stream import Window, stages
from hwq.sim.compare import compare, to_types
from hwq.sim.csim import csim, drive
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim


def classifier() -> Graph:
    """Two padded convolutions, a pool, a dense layer."""
    net = Chain((6, 8, 2))
    net.conv((3, 3), 3, (1, 1, 1, 1))
    net.add("relu")
    net.quantize()
    net.pool("max_pool2d", (2, 2), (2, 2))
    net.conv((3, 3), 2, (1, 1, 1, 1))
    net.add("relu")
    net.quantize()
    net.flatten()
    net.dense(3)
    return net.graph()


def image_to_image() -> Graph:
    """Odd windows, pads and strides; depthwise, pointwise, a table, constants by channel; the result is an image."""
    net = Chain((5, 7, 2), signed=True)
    net.add("leaky_relu", shift=1)
    net.conv((2, 3), 4, (1, 0, 2, 0), groups=2, strides=(1, 2))
    net.quantize()
    shape = net.nodes[-1].shape
    net.add("table", values=random_constant(net.rng, (2, 16), 4, 0.2), index=tuple(i % 2 for i in range(int(np.prod(shape)))))
    net.pool("sum_pool2d", (2, 2), (1, 1), (0, 1, 1, 0))
    factor = random_constant(net.rng, (1, 1, 4), 3, 0.0)
    shape = net.nodes[-1].shape
    each = [np.broadcast_to(a, shape) for a in (factor.mantissas, factor.types.signed, factor.types.width, factor.types.frac)]
    net.add("scale", factor=Constant(each[0], TypeArray.of(*each[1:])))
    net.dense(2)
    return net.graph()


def signal() -> Graph:
    """One dimension, by reshapes, with a dilated window that pads the past alone."""
    net = Chain((12, 1), bits=4)
    net.add("reshape", shape=(1, 12, 1))
    net.conv((1, 3), 2, (0, 0, 4, 0), dilation=(1, 2))
    net.add("reshape", shape=(12, 2))
    net.quantize()
    net.flatten()
    net.dense(2)
    return net.graph()


def prove(graph: Graph, x: np.ndarray, folder: Path) -> StreamBuild:
    made = build_stream(graph, boards.load("xcvu9p"))
    made.plan.write(folder)
    want = evaluate(graph, x)
    runs: dict[str, Callable[[], np.ndarray]] = {
        "csim": lambda: csim(made, folder, x),
        "rtl": lambda: rtlsim(made, folder, x),
        "rtl with stalls": lambda: drive("sim/rtl", "rtl_stalls", made, folder, x, "stalls"),
    }
    for name, run in runs.items():
        result = compare(graph, "reference", want, name, to_types(run(), made.graph, graph))
        assert result.mismatches == 0, str(result)
    return made


@pytest.mark.parametrize("network", [classifier, pytest.param(image_to_image, marks=pytest.mark.slow), signal])
def test_streams(network: Callable[[], Graph], tmp_path: Path) -> None:
    graph = network()
    frames = 40
    made = prove(graph, random_rows(graph, frames), tmp_path)
    found = re.search(r"(\d+) clocks for (\d+) frames", (tmp_path / "sim" / "rtl.log").read_text())
    assert found is not None
    clocks, pixels = int(found[1]), made.stages[0].slide.area
    waits = sum(s.patience for s in made.stages if s.slide.flushes)  # once, behind the last frame
    assert int(found[2]) == frames and clocks <= frames * pixels + made.plan.latency_cycles + waits + len(made.stages) * pixels


@pytest.mark.slow
def test_an_image_network_of_32_by_32(tmp_path: Path) -> None:
    """Three convolutions and two dense layers on 32 x 32 x 3: a pixel a clock."""
    net = Chain((32, 32, 3), bits=6)
    for outputs in (8, 8, 12):
        net.conv((3, 3), outputs, (1, 1, 1, 1))
        net.add("relu")
        net.quantize()
        net.pool("max_pool2d", (2, 2), (2, 2))
    net.flatten()
    net.dense(16)
    net.add("relu")
    net.quantize()
    net.dense(10)
    graph = net.graph()
    frames = 10
    made = prove(graph, random_rows(graph, frames), tmp_path)
    clocks = int((tmp_path / "sim" / "rtl.log").read_text().split()[0])
    assert clocks <= (frames + 2) * 1024 + made.plan.latency_cycles


@st.composite
def windows(draw: st.DrawFn) -> Window:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    reach = [d * (s - 1) + 1 for d, s in zip(dilation, size, strict=True)]
    pads: list[int] = []
    for n, r in zip((rows, columns), reach, strict=True):
        total = draw(st.integers(min(max(0, r - n), r - 1), r - 1))
        before = draw(st.integers(0, total))
        pads += [before, total - before]
    return Window(rows, columns, size, draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), tuple(pads), dilation)  # type: ignore[arg-type]


@given(windows())
def test_the_counters_see_the_windows_of_the_graph(window: Window) -> None:
    """The control of the Verilog, step by step over two frames in a row, against the windows that define the ops."""
    if window.reach[0] > window.rows + sum(window.pads[:2]) or window.reach[1] > window.columns + sum(window.pads[2:]):
        return
    try:
        slide = slide_of(window)
    except GraphError as error:
        assert "reaches beyond" in str(error)
        return
    row, column = slide.start
    seen = []
    history: list[int] = []
    for step in range(2 * slide.area + slide.lag):
        history.append(step)
        valid = step >= slide.lag and bit(slide.row_emits, row) and bit(slide.column_emits, column)
        if valid:
            inside = [(not r or bit(r, row)) and (not c or bit(c, column)) for _, r, c in slide.taps]
            seen.append(
                [history[-1 - d] % slide.area if i else -1 for ((_, _, d), _, _), i in zip(slide.taps, inside, strict=True)]
            )
        column = (column + 1) % window.columns
        row = (row + (column == 0)) % window.rows
    _, want = window_grid((window.rows, window.columns), window.size, window.strides, window.pads, window.dilation)
    assert seen == want.tolist() * 2


def bit(bits: str, place: int) -> bool:
    return bits.split("b")[1][::-1][place] == "1"


def branch() -> Graph:
    net = Chain((4, 4, 1))
    net.quantize()
    net.nodes.append(make_node("sum", "add", [net.nodes[0], net.nodes[1]]))
    return net.graph()


def uneven_types() -> Graph:
    net = Chain((2, 2, 1))
    net.add("quantize", TypeArray.of(0, [[[3], [2]], [[3], [3]]], 1))
    return net.graph()


def uneven_constants() -> Graph:
    net = Chain((2, 2, 1))
    net.add("bias", bias=Constant(np.arange(4).reshape(2, 2, 1), TypeArray.of(0, np.full((2, 2, 1), 3), 0)))
    return net.graph()


def uneven_tables() -> Graph:
    net = Chain((2, 2, 1))
    net.add("table", values=random_constant(net.rng, (2, 8)), index=(0, 1, 0, 0))
    return net.graph()


def turned() -> Graph:
    net = Chain((2, 3, 1))
    net.add("permute", dims=(1, 0, 2))
    return net.graph()


def padded_maximum() -> Graph:
    net = Chain((4, 4, 1), signed=True)
    net.pool("max_pool2d", (2, 2), (1, 1), (1, 0, 0, 0))
    return net.graph()


def vector() -> Graph:
    net = Chain((4,))
    net.dense(2)
    return net.graph()


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (branch, "more than one reader"),
        (uneven_types, "other types at other places"),
        (uneven_constants, "other constants at other places"),
        (uneven_tables, "other tables at other places"),
        (turned, "permute cannot be streamed"),
        (padded_maximum, "padded maximum"),
        (vector, "is no image"),
    ],
)
def test_what_changes_over_the_image_is_refused(network: Callable[[], Graph], why: str) -> None:
    with pytest.raises(GraphError, match=why) as caught:
        stages(network())
    assert "io=parallel" in str(caught.value.hint)
