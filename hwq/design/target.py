"""What a design is for, and how much work may be done for it at once. No network is known here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, get_args

from hwq.boards import Adders, Board
from hwq.boards import of as board_of
from hwq.codegen.build import Form, ProductForm
from hwq.errors import UsageError
from hwq.events import QUIET, Events
from hwq.styles.registry import require_choice
from hwq.toolchains.registry import kinds
from hwq.toolchains.steps import STAGES
from hwq.units import Period, limit_s, whole_clocks

Io = Literal["parallel", "stream"]


class Choices(TypedDict, total=False):
    """What a target may say beside its board and clock: the attributes of `Target`."""

    tool: str
    stage: str | None
    style: ProductForm
    io: Io
    registered_inputs: bool
    adders: Adders
    interval: int
    fold: str


@dataclass(frozen=True, slots=True)
class Target:
    """A board and clock, the tool and stage that measure there, and how the design is built.

    Attributes:
        tool: a kind of `hwq.toolchains.registry`; "auto" takes the vendor's where it is installed, else an open one.
        stage: one of `hwq.toolchains.steps.STAGES`; None: the tool's own default.
        style: of the C++: "multiply", a product for each weight, or "adders", the shared adder graph.
        io: "parallel", all inputs at once, or "stream", a pixel of an image a clock (`hwq.codegen.stream`).
        registered_inputs: of the Verilog: a register behind each input, so that all logic is timed; a clock more.
        adders: operands of a sum: "two", "three", or "auto", what the board's fabric has.
        interval: clocks from one row to the next, at most (`hwq.styles`).
        fold: how a design does with less hardware where the interval is above 1: "serial", sums go some bits a clock; "mac", products in
            lanes with weights in memories; "parallel", neither; "auto", the least by count.

    Example:
        >>> import hwq
        >>> str(hwq.Target.of("xcvu9p", "200MHz", tool="yosys").clock)
        '5 ns (200 MHz)'
    """

    board: Board
    clock: Period
    tool: str = "auto"
    stage: str | None = None
    style: ProductForm = "multiply"
    io: Io = "parallel"
    registered_inputs: bool = False
    adders: Adders = "auto"
    interval: int = 1
    fold: str = "auto"

    def __post_init__(self) -> None:
        """Raises UsageError: a word that is none of those the attribute takes, or an interval that is no whole number from 1 on.

        A board or clock of another type is one, too: `of` takes what a person writes.
        """
        for name, kind in (("board", Board), ("clock", Period)):
            if not isinstance(told := getattr(self, name), kind):
                raise UsageError(f"a target has no {name}={told!r}", hint='hwq.Target.of("xcvu9p", "200MHz") takes names')
        words: dict[str, tuple[object, ...]] = {
            "tool": ("auto", *kinds()),
            "stage": (None, *STAGES),
            "style": get_args(ProductForm),
            "io": get_args(Io),
            "adders": get_args(Adders),
            "registered_inputs": (False, True),
        }
        for name, known in words.items():
            if (told := getattr(self, name)) not in known:
                listed = ", ".join("none" if word is None else str(word) for word in known)
                raise UsageError(f"a target has no {name}={told!r}", hint=f"one of: {listed}")
        require_choice(self.fold)
        whole_clocks(self.interval)

    @classmethod
    def of(cls, board: str | Board | Target, clock: str | float | Period | None = None, **choices: Unpack[Choices]) -> Target:
        """From what a person writes: `Target.of("xcvu9p", "200MHz", tool="yosys")`.

        Args:
            board: a name of `hwq boards`, or a Board; a Target stays as it is.
            clock: "200MHz", "5ns", a number of hertz or a Period; None: the board's default.

        Raises:
            BoardError: no such board.
            UsageError: no such clock, or style.
        """
        if isinstance(board, Target):
            return board
        chosen = board_of(board)
        return cls(chosen, chosen.default_clock if clock is None else Period.of(clock), **choices)

    @classmethod
    def of_design(cls, board: str | Board | Target, clock: str | float | Period | None, choices: Choices) -> Target:
        """As `of`, for one design in Python, which takes all inputs at once.

        Raises:
            BoardError: no such board.
            UsageError: no such clock or style; a target and something else beside it; or a stream.
        """
        for name in choices:
            if name not in Choices.__annotations__:
                raise TypeError(f"a target has no {name!r}; it has {', '.join(Choices.__annotations__)}")
        if isinstance(board, Target) and (clock is not None or choices):
            beside = "clock" if clock is not None else next(iter(choices))
            raise UsageError(
                f"a target says its {beside} itself", hint=f"dataclasses.replace(target, {beside}=...), or loose options alone"
            )
        target = cls.of(board, clock, **choices)
        if target.io != "parallel":
            raise UsageError(f"io={target.io!r} is no design in Python", hint="hwq synth --io stream makes one of a run's point")
        return target

    def form(self, terms: int = 1) -> Form:
        """How the files are written.

        Args:
            terms: layers all of whose weights are sums of at most so many signed powers of two have no products in the C++.
        """
        return Form(self.style, terms, self.registered_inputs, self.adders, self.fold)


@dataclass(frozen=True, slots=True)
class Work:
    """How much is done at once, for how long, and who is told.

    Attributes:
        jobs: points at a time.
        timeout_s: limit for each program; None: none.
        force: go on with designs that will not fit or exceed a tool's limits.
        events: told what happens to each point, and every line that a program prints for it.
    """

    jobs: int = 2
    timeout_s: float | None = None
    force: bool = False
    events: Events = QUIET

    def __post_init__(self) -> None:
        """Raises UsageError: a limit that is no number above 0."""
        limit_s(self.timeout_s)
