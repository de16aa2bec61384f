"""What hwq knows of an external program: what it is for, which versions will do, how to get it. Which there are is not known here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hwq.errors import ToolError, ToolMissingError
from hwq.tools.find import Tool, find, variable
from hwq.tools.wasm import PREFIX, find_packaged


@dataclass(frozen=True, slots=True)
class Unstreamed:
    """Why a program takes no streams: what a stream does not go through, and what to do instead."""

    what: str
    instead: str


def _nothing(_: Tool) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Program:
    """One external program.

    Attributes:
        name: as steps and `hwq doctor` call it.
        purpose: what hwq uses it for.
        oldest, newest: the range that hwq has been written for; an older one is refused, a newer one is only mentioned.
        fallback: what happens without it.
        obtain: how to get it.
        finder: where it is looked for, if not by its names, then in its package.
        licence: the environment variable that names its licence, "" where it needs none.
        names: the programs that may stand for it, the usual one first; () where there is only its own name.
        asked: by what argument a name tells its version, where that is not --version.
        package: the Python package that carries it as WebAssembly (`hwq.tools.wasm`), "" where none does.
        lead: what the program that was found wants before a step's arguments.
        needed: whether hwq can do nothing useful without it.
        compiles: whether it makes Verilog of the C++, so that what is measured after it is not hwq's own.
        by_yosys_family: whether it maps alike for all parts of what Yosys calls a family, so that their measurements compare.
        reports_clock: whether its reports tell the clock of what it made.
        unstreamed: why it takes no streams; None where it does.
    """

    name: str
    purpose: str
    oldest: str
    newest: str
    fallback: str
    obtain: str
    finder: Callable[[], Tool | None] | None = None
    licence: str = ""
    names: tuple[str, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)
    package: str = ""
    lead: Callable[[Tool], tuple[str, ...]] = _nothing
    needed: bool = False
    compiles: bool = False
    by_yosys_family: bool = False
    reports_clock: bool = True
    unstreamed: Unstreamed | None = None

    @property
    def called(self) -> tuple[str, ...]:
        """The names of the programs that may stand for it."""
        return self.names or (self.name,)

    @property
    def leads(self) -> dict[str, tuple[str, ...]]:
        """What each of its names wants before a step's arguments."""
        return {name: self.lead(Tool(name, (name,), "")) for name in self.called}

    def look(self) -> Tool | None:
        """The program here, of any version, or None."""
        if self.finder is not None:
            return self.finder()
        for name in self.called:
            tool = find(name, self.asked.get(name, "--version"))
            if tool is not None:
                return tool
        return self.look_packaged()

    def look_packaged(self) -> Tool | None:
        """That of the Python package; None where the HWQ_ variable of either build says "none"."""
        refused = "none" in (os.environ.get(variable(self.name)), os.environ.get(variable(PREFIX + self.name)))
        return None if refused or not self.package else find_packaged(self.name, self.package)

    def locate(self) -> Tool:
        """The program here.

        Raises:
            ToolMissingError: not there; says both ways out and the fallback.
            ToolError: older than what hwq's scripts are written for.
        """
        tool = self.look()
        if tool is None:
            override = " or ".join(variable(name) for name in self.called[:2])
            raise ToolMissingError(
                f"{_either(self.called)} is not installed; it is needed for {self.purpose}",
                hint=f"{self.obtain}; put it on PATH or point {override} to it; without it {self.fallback}",
            )
        if numbers(tool.version) and numbers(tool.version) < numbers(self.oldest):
            raise ToolError(
                f"{tool} is too old: hwq needs {self.oldest} or newer",
                hint=f"{self.obtain}, or point {variable(tool.name.removeprefix(PREFIX))} to a newer one",
            )
        return tool


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def numbers(version: str) -> tuple[int, ...]:
    """`2023.2.1` -> (2023, 2, 1); () for what is no version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
