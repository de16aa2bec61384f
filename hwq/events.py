"""What a command tells while it works, and to whom: one protocol for everything that takes long. Nothing is shown here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Notice: TypeAlias = Callable[[str], None]  # a sentence
Told: TypeAlias = Callable[[str, str], None]  # (point or design, what is happening to it, or what a program printed for it)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long piece of work is: `step` of `steps`, counted from 1.

    Of a training, phase is "float", "bits", "settle" or "finish", and steps are epochs or points; of other work, phase says what is
    counted. `of` says which training, where a command has several.
    """

    phase: str
    step: int
    steps: int
    val_accuracy: float | None = None
    ebops: float | None = None
    beta: float | None = None
    kept: int = 0
    metric: str = "accuracy"  # what val_accuracy is of
    lower: bool = False  # whether less of it is better
    of: str = ""


Watch: TypeAlias = Callable[[Progress], None]  # how far it is


def quiet(*_: object) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Events:
    """Who is told; nobody where nothing is given.

    Attributes:
        note: told a sentence.
        point: told a point, or a design, and what is happening to it.
        line: told a point, and what a program or a search that works on it has to say, line by line; few of them need be shown.
        progress: told how far a long piece of work is.
    """

    note: Notice = quiet
    point: Told = quiet
    line: Told = quiet
    progress: Watch = quiet

    def of(self, point: str) -> Notice:
        """What happens to one point, as sentences."""
        return lambda text: self.point(point, text)


QUIET = Events()
