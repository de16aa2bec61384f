"""The options that say what a design is for: one group for all commands, read into one `hwq.Target`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from hwq.cli.common import ClockOption
from hwq.styles.registry import STYLES, choices
from hwq.toolchains.registry import default_stages, kinds
from hwq.toolchains.steps import STAGES
from hwq.units import Period

if TYPE_CHECKING:
    from hwq.design.target import Target

BOARD = "A board of hwq boards, for example xcvu9p."
CLOCK = "Clock target, for example 200MHz or 5ns; default the board's."
C = TypeVar("C", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class TargetAsked:
    """What a design is for, as it was typed; what a command does not ask stays as `hwq.Target` has it."""

    board: str = ""
    clock: Period | None = None
    tool: str = "auto"
    stage: str | None = None
    style: Literal["multiply", "adders"] = "multiply"
    io: Literal["parallel", "stream"] = "parallel"
    register_inputs: bool = False
    adders: Literal["auto", "two", "three"] = "auto"
    interval: int = 1
    fold: str = "auto"

    def target(self, otherwise: str = "") -> Target:
        """The target.

        Args:
            otherwise: the board where none was given.
        """
        from hwq.design.target import Target

        return Target.of(
            self.board or otherwise,
            self.clock,
            tool=self.tool,
            stage=self.stage,
            style=self.style,
            io=self.io,
            registered_inputs=self.register_inputs,
            adders=self.adders,
            interval=self.interval,
            fold=self.fold,
        )


@dataclass(frozen=True, slots=True)
class BoardOption:
    """What a command says of its --board; a default of "" is worked out later."""

    text: str = BOARD
    required: bool = False
    default: str | None = None


REQUIRED = BoardOption(required=True)


def target_options(*names: str, board: BoardOption = REQUIRED, clock: str = CLOCK) -> Callable[[C], C]:
    """The options `names`, in this order in the help; each is a field of `TargetAsked`."""
    chosen = click.option("--board", required=board.required, help=board.text)
    if board.default is not None:
        chosen = click.option("--board", default=board.default, show_default=bool(board.default), help=board.text)
    options = {
        **_OPTIONS,
        "board": chosen,
        "clock": click.option("--clock", type=ClockOption(), help=clock),
    }

    def decorate(command: C) -> C:
        for name in reversed(names):
            command = options[name](command)
        return command

    return decorate


_OPTIONS = {
    "tool": click.option("--tool", type=click.Choice(["auto", *kinds()]), default="auto", show_default=True),
    "stage": click.option("--stage", type=click.Choice(STAGES), help=f"Where to stop; default {default_stages()}."),
    "style": click.option(
        "--style",
        type=click.Choice(["multiply", "adders"]),
        default="multiply",
        show_default=True,
        help="Of the C++: a product for each weight, or the shared adder graph.",
    ),
    "io": click.option(
        "--io",
        type=click.Choice(["parallel", "stream"]),
        default="parallel",
        show_default=True,
        help="All inputs at once, or, for an image network, a pixel a clock.",
    ),
    "interval": click.option(
        "--interval",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Clocks from one row to the next, at most; above 1 a design does with fewer LUTs.",
    ),
    "fold": click.option(
        "--fold",
        type=click.Choice(choices()),
        default="auto",
        show_default=True,
        help=f"Above an interval of 1: {', '.join(what for _, what in STYLES.values())}, or neither; auto: the least.",
    ),
    "register_inputs": click.option(
        "--register-inputs", is_flag=True, help="A register behind each input: all logic is timed; a clock more."
    ),
    "adders": click.option(
        "--adders",
        type=click.Choice(["auto", "two", "three"]),
        default="auto",
        show_default=True,
        help="Operands of a sum; auto: three where a row of look-up tables adds them, as on AMD's parts.",
    ),
}
