"""From the interval that a user asks for to a style of `hwq.styles.registry`, or to the parallel form."""

from __future__ import annotations

from contextlib import suppress

from hwq.boards import Board
from hwq.codegen.build import Build, Form, build
from hwq.errors import GraphError, UsageError
from hwq.ir import Graph
from hwq.ir.ops import blocks, constants, is_matrix
from hwq.styles.base import PacedNetwork, Style, Styled
from hwq.styles.count import tables_of
from hwq.styles.registry import require_choice, style, styles
from hwq.toolchains.plan import TOP
from hwq.units import Period, whole_clocks

PLAIN = Form()
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
        interval: 1: the parallel form. Above, a style as small as the interval lets it be; or the parallel form, whose interval is 1.

    Raises:
        GraphError: an operation or width that has no C++ or Verilog form, or none in the style asked for.
        UsageError: an interval that is no whole number from 1 on, or of 1 and a style for more; no such style; or of the forms.

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
    interval, asked = whole_clocks(interval), require_choice(form.fold)
    if interval == 1 and asked not in ("auto", "parallel"):
        raise UsageError(f"the style {asked} takes no row every clock", hint="give an interval above 1, or leave fold out")
    if interval == 1 or asked == "parallel":
        return build(graph, board, period, form, top=top)
    network = PacedNetwork(graph, board, period or board.default_clock, interval)
    if asked != "auto":
        return style(asked).candidate(network).build(form, top=top)
    least = _least(network, [one for one in styles() if one.takes(form)])
    return build(graph, board, period, form, top=top) if least is None else least.build(form, top=top)


def _least(network: PacedNetwork, found: list[Style]) -> Styled | None:
    """What takes the fewest tables as counted; None: the parallel form does, also where another takes as many."""
    direct = _candidates(network, [one for one in found if not one.expands])
    if direct and products_of(network.optimised) > MOST_EXPANDED:
        return min(direct, key=lambda one: one.tables)
    parallel = tables_of(network.circuit, network.board)
    every = [*_candidates(network, [one for one in found if one.expands]), *direct]
    least = min(every, key=lambda one: one.tables, default=None)
    return least if least is not None and least.tables < parallel else None


def _candidates(network: PacedNetwork, found: list[Style]) -> list[Styled]:
    candidates = []
    for one in found:
        with suppress(GraphError):  # it has no such form: the others say what they do not have
            candidates.append(one.candidate(network))
    return candidates


def products_of(graph: Graph) -> int:
    """Products with constants that are not zero, of all places where a kernel is used."""
    found = 0
    nodes = graph.by_name()
    for node in graph.nodes:
        if is_matrix(node):
            kernel = constants(node)[0].mantissas.ravel()
            for block in blocks(node, nodes[node.inputs[0]].shape):
                found += int((kernel[block.weights] != 0).sum()) * len(block.windows)
    return found
