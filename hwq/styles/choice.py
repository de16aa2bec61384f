"""From the interval that a user asks for to a style: the whole word a clock, or as few bits a clock as keep the interval."""

from __future__ import annotations

from hwq.boards import Board
from hwq.codegen.build import Build, Form, build
from hwq.errors import UsageError
from hwq.ir import Graph
from hwq.styles.serial import PLAIN, Serial
from hwq.toolchains.plan import TOP
from hwq.units import Period


def build_at(
    graph: Graph,
    board: Board,
    period: Period | None = None,
    form: Form = PLAIN,
    interval: int = 1,
    *,
    top: str = TOP,
) -> Build:
    """Every file of `graph` for `board`, in the style that takes a row at least every `interval` clocks.

    Args:
        period: the clock target; the board's default when None.
        interval: 1: the parallel form. Above, the serial form of the fewest bits a clock; where its sums take
            as many full adders as the parallel form, or a whole word a clock, that form, whose interval is 1.

    Raises:
        GraphError: an operation or width that has no C++ or Verilog form.
        UsageError: an interval below 1; or of the forms.

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
    if interval < 1:
        raise UsageError(f"an interval of {interval} clocks", hint="1 takes a row every clock")
    if interval > 1:
        serial = Serial.of(graph, board, period)
        digit = serial.digit_for(interval)
        if digit < serial.word and serial.adds_less(digit):
            return serial.build(digit, form, top=top)
    return build(graph, board, period, form, top=top)
