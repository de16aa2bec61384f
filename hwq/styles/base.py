"""What a style is to those who take one: the choice among them, the command line, and the import of its plans. No style is known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from hwq.boards import Board
from hwq.codegen.build import Build, Form
from hwq.ir import Circuit, Graph
from hwq.passes import optimise
from hwq.passes.lower import lower
from hwq.units import Period


@dataclass(frozen=True)
class PacedNetwork:
    """A network, and what for: what a style is asked with. Its adders are written out once, and only for those that look at them.

    Attributes:
        graph: as it was given.
        interval: clocks from one row to the next, at most.
    """

    graph: Graph
    board: Board
    period: Period
    interval: int

    @cached_property
    def optimised(self) -> Graph:
        """The graph as it is built."""
        return optimise(self.graph)

    @cached_property
    def circuit(self) -> Circuit:
        """Its operations, all products as adders of two operands: for a large network a matter of minutes."""
        return lower(self.optimised)


class Styled(Protocol):
    """A network in a style, for its interval, before any file is written."""

    @property
    def tables(self) -> float:
        """Look-up tables of sums and products, as counted: what the choice compares."""

    def build(self, form: Form = ..., *, top: str = ...) -> Build:
        """Every file of the design.

        Raises:
            GraphError: a width that has no C++ or Verilog form.
            UsageError: a form that the style does not have.
        """


@dataclass(frozen=True, slots=True)
class Timed:
    """What a plan in a style must say of itself: `hardware` is "<name>:<size>", and `features` are those of `hwq.cost`, all of them exact."""

    hardware: str
    latency: int
    interval: int
    features: Mapping[str, float]


def any_form(form: Form) -> bool:
    """Every form: one that the style does not have is refused when it is built."""
    return True


@dataclass(frozen=True, slots=True)
class Style:
    """A kind of hardware for a whole network that takes a row every few clocks.

    Attributes:
        candidate: the network in this style. Raises GraphError where it has no such form, and says why.
        again: of a network whose graph is optimised already, what a plan of a size says. Raises GraphError where there is none of that size.
        takes: which forms it has, as far as the choice goes.
        expands: it needs `PacedNetwork.circuit`; one that does not can have networks of any size.
    """

    name: str
    candidate: Callable[[PacedNetwork], Styled]
    again: Callable[[PacedNetwork, int], Timed]
    takes: Callable[[Form], bool] = any_form
    expands: bool = True
