"""From the interval that a user asks for to a style: the whole word a clock, a few bits a clock, or products in lanes."""

from __future__ import annotations

from hwq.boards import Board
from hwq.codegen.build import Build, Form, build
from hwq.errors import GraphError, UsageError
from hwq.ir import Graph
from hwq.ir.windows import LINEAR, blocks, constants
from hwq.styles.mac.mac import Mac
from hwq.styles.serial import PLAIN, Serial, tables_of
from hwq.toolchains.plan import TOP
from hwq.units import Period, whole_clocks

MOST_EXPANDED = (
    50_000  # products that are written out as adders to count them: 16 384 take a minute, and are 120 000 tables in parallel
)


def build_at(
    graph: Graph,
    board: Board,
    period: Period | None = None,
    form: Form = PLAIN,
    interval: int = 1,
    *,
    top: str = TOP,
) -> Build:
    """Every file of `graph` for `board`, in a style that takes a row at least every `interval` clocks.

    Args:
        period: the clock target; the board's default when None.
        form: `form.fold` asks for a style; "auto" takes the one whose sums and products are the fewest look-up tables by count. A network of
            more than 50 000 products is not written out as adders to count them: it is folded.
        interval: 1: the parallel form. Above, the serial form of the fewest bits a clock, or products folded into the fewest
            lanes; or the parallel form, whose interval is 1.

    Raises:
        GraphError: an operation or width that has no C++ or Verilog form, or none in the style asked for.
        UsageError: an interval that is no whole number from 1 on, or of 1 and a style for more; or of the forms.

    Example:
        >>> import numpy as np
        >>> from hwq import boards
        >>> from hwq.fixed import TypeArray
        >>> from hwq.ir import Constant, Graph, make_node, verify
        >>> x = make_node("x", "input", type=TypeArray.of(0, [4, 4], 0))
        >>> kernel, none = (Constant(np.array(v), TypeArray.of(0, np.array(w), 0)) for v, w in (([[3], [5]], [[2], [3]]), ([0], [0])))
        >>> y = make_node("y", "dense", [x], attrs={"kernel": kernel, "bias": none})
        >>> made = build_at(verify(Graph((x, y), ("x",), ("y",))), boards.load("xcvu9p"), interval=4)
        >>> made.plan.hardware, made.interval
        ('serial:2', 4)
    """
    interval, asked = whole_clocks(interval), form.fold
    if interval == 1 and asked in ("serial", "mac"):
        raise UsageError(f"the style {asked} takes no row every clock", hint="give an interval above 1, or leave fold out")
    if interval == 1 or asked == "parallel":
        return build(graph, board, period, form, top=top)
    folded = _folded(graph, board, period, interval) if asked == "auto" and _foldable(form) else None
    if asked == "mac" or (folded is not None and products_of(folded.optimised) > MOST_EXPANDED):
        return (folded or Mac.of(graph, board, period, interval)).build(form, top=top)
    serial = Serial.of(graph, board, period)
    digit = serial.digit_for(interval)
    if asked == "serial" and digit >= serial.word:
        raise GraphError("a design with nothing to add up has no serial form", hint="leave fold out")
    if asked == "serial":
        return serial.build(digit, form, top=top)
    counts = {"parallel": float(serial.parallel_lut())}
    if digit < serial.word:
        counts["serial"] = float(serial.lut(digit))
    if folded is not None:
        counts["mac"] = folded.lut + tables_of(folded.between.circuit, board)
    least = min(counts, key=lambda style: (counts[style], style != "parallel"))
    if folded is not None and least == "mac":
        return folded.build(form, top=top)
    return serial.build(digit, form, top=top) if least == "serial" else build(graph, board, period, form, top=top)


def _foldable(form: Form) -> bool:
    """Whether a folded design has this form."""
    return not form.registered_inputs and form.style != "adders" and form.adders != "three"


def _folded(graph: Graph, board: Board, period: Period | None, interval: int) -> Mac | None:
    try:
        return Mac.of(graph, board, period, interval)
    except GraphError:
        return None  # nothing to fold: the other styles say what they do not have


def products_of(graph: Graph) -> int:
    """Products with constants that are not zero, of all places where a kernel is used."""
    found = 0
    nodes = graph.by_name()
    for node in graph.nodes:
        if node.op in LINEAR:
            kernel = constants(node)[0].mantissas.ravel()
            for block in blocks(node, nodes[node.inputs[0]].shape):
                found += int((kernel[block.weights] != 0).sum()) * len(block.windows)
    return found
