"""`hwq.Run`: a run directory in one Python object, whose points are designs to predict with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from hwq.boards import DEFAULT_BOARD, Board
from hwq.data.preprocess import Preprocess
from hwq.design.compiled import Design
from hwq.design.feeding import preprocess_of
from hwq.design.target import Choices, Target
from hwq.errors import RunError
from hwq.ir import parse, verify
from hwq.places import as_path
from hwq.run.directory import Point, RunDir
from hwq.styles.choice import build_at
from hwq.units import Period


@dataclass(frozen=True)
class Run:
    """A run that a command of hwq has made.

    Args:
        path: its folder.

    Raises:
        RunError: there is no run, or one of another format.

    Example:
        >>> import hwq
        >>> run = hwq.Run("run")  # the folder that `hwq train --out run` has made
        >>> design = run.design("best", "xcvu9p")
        >>> design.predict([[0] * 13]).shape
        (1, 3)
    """

    path: str | Path

    def __post_init__(self) -> None:
        as_path(self.path)
        self.directory.record()

    @property
    def directory(self) -> RunDir:
        return RunDir.open(Path(self.path))

    @property
    def points(self) -> list[Point]:
        """The finished points, cheapest first."""
        return self.directory.points()

    @property
    def preprocess(self) -> Preprocess | None:
        """What was done to its rows before training; None for a run of hwq 0.1.0, which does not say."""
        return preprocess_of(self.directory)

    def design(
        self,
        point: str = "best",
        board: str | Board | Target | None = None,
        clock: str | float | Period | None = None,
        **choices: Unpack[Choices],
    ) -> Design:
        """A point as a design: `predict` takes rows as they were trained with, `predict_raw` rows of the user's own file.

        Args:
            point: best, or a point's number.
            board: a `hwq.Target`, a name of `hwq boards`, or a Board; None: the one that the run was last synthesised for, else xcvu9p.
            clock: "200MHz", "5ns", a number of hertz or a Period; None: the board's default.
            choices: style= of the C++; adders=, operands of a sum; interval=, clocks from one row to the next, at most; fold=, how: as of
                `hwq.compile`.

        Raises:
            RunError: no such point, or files that were changed.
            BoardError, UsageError: no such board or clock, or a target and a clock beside it.
            GraphError: it has no hardware form.
        """
        found = self.directory.select(str(point))
        if len(found) != 1:
            raise RunError("a design is of one point, not of all", hint="choose best, or one of: " + ", ".join(p.id for p in found))
        last = self.directory.synthesised()
        named = board if board is not None else last.link.board if last else DEFAULT_BOARD
        target = Target.of_design(named, clock, choices)
        graph = verify(parse(found[0].graph_text()))
        made = build_at(graph, target.board, target.clock, target.form(found[0].terms), target.interval)
        return Design(graph, target, made, preprocess=self.preprocess)
