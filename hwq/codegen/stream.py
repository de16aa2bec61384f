"""A design that works on a stream of pixels: C++ with hls::stream ports, Verilog with valid/ready, their test benches.

The arithmetic of each stage is a design of its own, as `hwq.codegen.build` makes them, from one window to one result; here stand the line
buffers and the handshakes around it. The Verilog takes a pixel a clock, frame after frame: what a padded window still has to
give when a frame ends comes out while the next one goes in, or by itself when none follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwq.boards import Adders, Board
from hwq.codegen.cpp import ap_int_limit, has_products, sections_of
from hwq.codegen.names import require_name
from hwq.codegen.ports import Element, Ports, ports_of
from hwq.codegen.verilog import verilog_text
from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.ir import Circuit, Graph, digest, make_node, text
from hwq.passes.compiling import circuit_of
from hwq.passes.stream import Stage, Window, stages
from hwq.templates import render
from hwq.toolchains.plan import BuildPlan
from hwq.toolchains.scripts import script_files
from hwq.units import Period


@dataclass(frozen=True, slots=True)
class Slide:
    """The control of a sliding window in the Verilog: pixels come in row-major order, one a step.

    The window's last tap is the pixel that comes in; its anchor, the first tap moved by the top and left pads, lags `lag` pixels behind.

    Attributes:
        area: pixels of a frame.
        depth: pixels before the newest one that are kept.
        start: row and column of the anchor when a frame's first pixel comes in.
        row_emits, column_emits: where the anchor has a result, as bits, the first lowest.
        taps: for each tap of the window where it is found, as (row of the window's reach, columns before the newest, pixels before the newest),
            and the rows and the columns of the anchor where it lies inside the image (nothing: wherever there is a result).
        memory: rows above the newest are kept in a memory with an entry a column; else all pixels in one shift register.
        flushes: whether results are left when a frame ends.
        gap: the longest way from one result to the next, in pixels.
    """

    area: int
    lag: int
    depth: int
    start: tuple[int, int]
    row_emits: str
    column_emits: str
    taps: tuple[tuple[tuple[int, int, int], str, str], ...]
    memory: bool
    flushes: bool
    gap: int


@dataclass(frozen=True, slots=True)
class StageBuild:
    """One stage with what was made of it; `name` is that of its module and function."""

    name: str
    stage: Stage
    circuit: Circuit
    ports: Ports
    slide: Slide
    in_bits: int
    patience: int  # clocks that the stage waits for another frame before it flushes

    @property
    def window(self) -> Window:
        return self.stage.window


@dataclass(frozen=True, slots=True)
class StreamBuild:
    """A plan with what it was made from.

    Attributes:
        graph: nothing but the result of a frame, with the types that the stream gives it (equal at all places).
        stages: in order.
        ports: the elements of a whole frame, of what goes in and of what comes out; offsets are those in a pixel's word.
    """

    plan: BuildPlan
    graph: Graph
    stages: tuple[StageBuild, ...]
    ports: Ports

    @property
    def interval(self) -> int:
        """Clocks from one frame to the next: a pixel a clock."""
        return self.stages[0].slide.area


def build_stream(
    graph: Graph, board: Board, period: Period | None = None, *, top: str = "hwq_top", adders: Adders = "auto"
) -> StreamBuild:
    """Generate every file of `graph`, an image network, as a stream.

    Args:
        graph: as the front end made it, not yet optimised.
        period: the clock target; the board's default when None.
        adders: operands of a sum, as in `hwq.codegen.build.Form`.

    Raises:
        GraphError: it cannot be streamed (`hwq.passes.stream`), or has no C++ or Verilog form.
        UsageError: `top` is a word of one of the languages.
    """
    require_name(top)
    period = period or board.default_clock
    made = _stage_builds(stages(graph), board, period, top, adders)
    first, last = made[0], made[-1]
    pixels = first.window.rows * first.window.columns
    results = int(np.prod(last.window.results))
    ports = Ports(_pixel(first) * pixels, last.ports.outputs * results)
    widths = [(b.in_bits, b.ports.input_bits, b.ports.output_bits) for b in made]
    sections = [sections_of(b.stage.graph, b.ports) for b in made]
    values = {
        "top": top,
        "stages": made,
        "pixels": pixels,
        "results": results,
        "pixel": _pixel(first),
        "result": last.ports.outputs,
        "sections": sections,
        "products": any(map(has_products, sections)),
        "cores": [verilog_text(b.circuit, b.ports, f"{b.name}_core", enable=True) for b in made],
        "in_bits": first.in_bits,
        "out_bits": last.ports.output_bits,
        "int_bits": ap_int_limit(*(width for three in widths for width in three)),
        "period_clocks": first.slide.area,
    }
    files = {
        "graph.hwq": text(graph),
        f"hls/{top}.h": render("cpp/stream.h.j2", **values),
        f"hls/{top}.cpp": render("cpp/stream.cpp.j2", **values),
        f"hls/{top}_tb.cpp": render("cpp/stream_tb.cpp.j2", **values),
        f"rtl/{top}.v": render("verilog/stream.v.j2", **values),
        "sim/rtl_main.cpp": render("sim/stream_main.cpp.j2", **values),
        **script_files(top, board, period),
    }
    latency = sum(b.circuit.latency + b.slide.lag for b in made)
    plan = BuildPlan(top, files, board.name, board.part, period.ns, latency, digest(graph), board.operands(adders))
    return StreamBuild(plan, _result(last, results, graph), tuple(made), ports)


def _stage_builds(found: list[Stage], board: Board, period: Period, top: str, adders: Adders) -> list[StageBuild]:
    made: list[StageBuild] = []
    gap = 1  # the longest time between two pixels of a frame, in clocks, when the source never waits
    for number, stage in enumerate(found):
        ports = ports_of(stage.graph)
        places = stage.window.size[0] * stage.window.size[1]
        slide = slide_of(stage.window)
        circuit = circuit_of(stage.graph, board, period, adders)
        in_bits = max(1, sum(e.width for e in ports.inputs) // places)
        made.append(StageBuild(f"{top}_{number}_{stage.name}", stage, circuit, ports, slide, in_bits, 2 * gap))
        gap *= slide.gap
    return made


def _pixel(first: StageBuild) -> tuple[Element, ...]:
    """The elements of one pixel of the input."""
    places = first.window.size[0] * first.window.size[1]
    return first.ports.inputs[: len(first.ports.inputs) // places]


def _result(last: StageBuild, results: int, graph: Graph) -> Graph:
    t = last.stage.graph[last.stage.graph.outputs[0]].type
    signed, width, frac = (np.tile(a.ravel(), results) for a in (t.signed, t.width, t.frac))
    node = make_node(graph.outputs[0], "input", type=TypeArray.of(signed, width, frac))
    return Graph((node,), (node.name,), (node.name,))


def slide_of(window: Window) -> Slide:
    """Counters and masks of a window that slides over a frame, pixel after pixel."""
    (kh, kw), (top, _, left, _) = window.reach, window.pads
    rows, columns = window.rows, window.columns
    area, depth = rows * columns, (kh - 1) * columns + kw - 1
    lag = (kh - 1 - top) * columns + kw - 1 - left
    anchors = [np.arange(n) for n in (rows, columns)]
    emits = [(a % s == 0) & (a // s < n) for a, s, n in zip(anchors, window.strides, window.results, strict=True)]
    taps = []
    for u in range(0, kh, window.dilation[0]):
        for v in range(0, kw, window.dilation[1]):
            inside = [
                (a + k - p >= 0) & (a + k - p < n) for a, k, p, n in zip(anchors, (u, v), (top, left), (rows, columns), strict=True)
            ]
            # a mask is left out where it is true wherever there is a result
            bits = ["" if (i | ~e).all() else _bits(i) for i, e in zip(inside, emits, strict=True)]
            taps.append(((u, kw - 1 - v, (kh - 1 - u) * columns + kw - 1 - v), bits[0], bits[1]))
    if lag > area:
        raise GraphError(f"a window of {kh} x {kw} pixels reaches beyond {rows} x {columns} twice", hint="use io=parallel")
    places = np.flatnonzero(np.logical_and.outer(*emits).ravel())
    start = -lag % area
    gap = int(np.diff(np.append(places, places[0] + area)).max())
    return Slide(
        area=area,
        lag=lag,
        depth=depth,
        start=divmod(start, columns),
        row_emits=_bits(emits[0]),
        column_emits=_bits(emits[1]),
        taps=tuple(taps),
        memory=kh > 1 and columns >= kw + 4,
        flushes=bool(places[-1] + lag >= area),
        gap=gap,
    )


def _bits(flags: np.ndarray) -> str:
    """A Verilog constant with one bit a flag, the first lowest."""
    return f"{len(flags)}'b" + "".join("1" if flag else "0" for flag in flags[::-1])
