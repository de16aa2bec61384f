"""What a design may use: limits on what a tool measures of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwq.boards import Board
from hwq.errors import UsageError
from hwq.measure.measurement import Measurement
from hwq.toolchains.registry import program_of, toolchains_for
from hwq.toolchains.synthesiser import Synthesiser

CELLS = ("lut", "ff", "dsp", "bram36", "uram", "carry")
NAMES = (*CELLS, "latency", "fmax")  # latency in clock cycles, at most; fmax in MHz, at least
_ALIASES = {"bram": "bram36", "latency_cycles": "latency", "fmax_mhz": "fmax"}


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits by name; that on `lut` is what a search goes to, the others are kept or not."""

    limits: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `lut=6000,dsp=0,latency=8,fmax=200`.

        Raises:
            UsageError: no such limit, no number, or none on lut.
        """
        limits: dict[str, float] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, value = part.partition("=")
            name = _ALIASES.get(name.strip().lower(), name.strip().lower())
            if name not in NAMES:
                raise UsageError(f"there is no budget of {name!r}", hint=f"one of: {', '.join(NAMES)}; as lut=6000,dsp=0")
            if name in limits:
                raise UsageError(f"two budgets of {name}")
            try:
                limits[name] = float(value)
            except ValueError as error:
                raise UsageError(f"{part!r} is not like lut=6000") from error
        if not limits.get("lut", 0) > 0:
            raise UsageError("a budget of LUTs above 0 is missing", hint="as lut=6000,dsp=0")
        if any(not value >= 0 or value == float("inf") for value in limits.values()):
            raise UsageError(f"a budget is a number of 0 or more: {text!r}")
        return cls(limits)

    @property
    def lut(self) -> float:
        return self.limits["lut"]

    def missed(self, values: Mapping[str, float | None]) -> list[str]:
        """The limits that a measured design breaks, as sentences.

        Raises:
            UsageError: the tool does not report one of them.
        """
        found = []
        for name, limit in self.limits.items():
            value = values.get(name)
            if value is None:
                raise UsageError(f"the tool reports no {name}", hint="leave that budget out, or choose another --tool or --stage")
            if value < limit if name == "fmax" else value > limit:
                found.append(f"{name} {value:g}, the budget is {limit:g}")
        return found

    def require(self, board: Board, synthesiser: Synthesiser) -> None:
        """Refuse before anything is trained what can never be met or measured.

        Raises:
            UsageError: more than the board has, or a clock from a tool that reports none.
        """
        for name in ("lut", "ff", "dsp", "bram36", "uram"):
            if name in self.limits and self.limits[name] > getattr(board, name):
                has = getattr(board, name)
                raise UsageError(f"{name}={self.limits[name]:g} is more than {board.name} has, {has}", hint="a smaller budget")
        program = program_of(synthesiser.tool.name)
        if "fmax" in self.limits and program is not None and not program.reports_clock:
            raise UsageError(
                f"{program.name} reports no clock, so that fmax cannot be measured",
                hint=f"{_clocked(board)}; or leave fmax out",
            )

    def __str__(self) -> str:
        return ", ".join(f"{name} {limit:g}" for name, limit in self.limits.items())


def _clocked(board: Board) -> str:
    """What measures a clock on the board, for people."""
    names = [t.name for t in toolchains_for(board) if any(p.reports_clock for p in t.programs)]
    return f"--tool {' or '.join(names)}" if names else "another board"


def values_of(measurement: Measurement) -> dict[str, float | None]:
    """What a measurement says of each limit; None where the tool does not report it."""
    cells: dict[str, float | None] = {name: getattr(measurement.resources, name) for name in CELLS}
    return {**cells, "latency": measurement.latency.max_cycles, "fmax": measurement.timing.fmax_mhz}
