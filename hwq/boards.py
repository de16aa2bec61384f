"""Boards: what boards/*.toml say of a part, checked. Nothing here runs a tool."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hwq.errors import BoardError, UsageError
from hwq.places import directory
from hwq.units import Period

DEFAULT_BOARD = "xcvu9p"  # where neither the caller nor a synthesis names one
YOSYS_FAMILIES = ("xcup", "xcu", "xc7", "ecp5", "")
LUT6_FAMILIES = ("xcup", "xcu", "xc7")  # whose tables have two outputs before a carry chain, and so add three numbers

Adders = Literal["auto", "two", "three"]  # operands of a sum, as asked for
Operands = Literal["two", "three"]


@dataclass(frozen=True, slots=True)
class Harness:
    """What the serial harness of a board needs: its oscillator, the pins as the FPGA sees them, and their voltage standard."""

    clock: Period
    clock_pin: str
    rx_pin: str
    tx_pin: str
    io: str


@dataclass(frozen=True, slots=True)
class Board:
    """A board or bare part.

    Attributes:
        part: the vendor's full part name.
        yosys_family: what Yosys calls the family; "" where it has no mapping for it.
        lut, ff, dsp, bram36, uram: how many the part has.
        tools: those that can take the part, as toolchains go by (`hwq.toolchains.registry` knows which there are).
        adder_level_ns: delay of one adder with the routing to it, for choosing pipeline stages.
        overhead_ns: what a clock period loses to registers and uncertainty.
        harness: pins for a bitstream that talks to a host; None where the file has no such table.
    """

    name: str
    title: str
    part: str
    family: str
    yosys_family: str
    lut: int
    ff: int
    dsp: int
    bram36: int
    uram: int
    default_clock: Period
    tools: tuple[str, ...]
    adder_level_ns: float
    overhead_ns: float
    harness: Harness | None = None

    @property
    def lut_inputs(self) -> int:
        """Inputs of a look-up table: any function of so many bits is one."""
        return 4 if self.yosys_family == "ecp5" else 6

    def operands(self, adders: Adders = "auto") -> Operands:
        """How many operands a sum has on this part: "auto" is three where its look-up tables add up three as they add up two.

        Raises:
            UsageError: three on a part whose look-up tables have four inputs.
        """
        if adders == "three" and self.lut_inputs < 6:
            raise UsageError(
                f"{self.name} adds two numbers in a row of look-up tables of four inputs", hint="leave adders out, or ask for two"
            )
        if adders == "auto":
            return "three" if self.yosys_family in LUT6_FAMILIES else "two"
        return adders


def names() -> list[str]:
    """All boards, sorted."""
    return sorted(path.stem for path in directory("boards").glob("*.toml"))


def load_all() -> list[Board]:
    return [load(name) for name in names()]


def load(name: str) -> Board:
    """The board `name`.

    Raises:
        BoardError: no such board (with the nearest names), or a file that breaks the schema.

    Example:
        >>> import hwq
        >>> hwq.boards.load("pynq-z2").lut
        53200
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known boards: {', '.join(known)}"
        raise BoardError(f"there is no board {name!r}", hint=hint)
    return read(directory("boards") / f"{name}.toml")


def read(path: Path) -> Board:
    """Read and check one board file.

    Raises:
        BoardError: names the file, the key, what was found and what was expected.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no TOML, or no UTF-8
        raise BoardError(f"{path.name}: {error}", hint="docs/how-to/add-a-board.md shows a whole file") from error
    top = _Table(path, content, "")
    capacity, timing = top.table("capacity"), top.table("timing")
    period = top.clock("default_clock")
    board = Board(
        name=path.stem,
        title=top.text("title"),
        part=top.text("part"),
        family=top.text("family"),
        yosys_family=top.text("yosys_family", one_of=YOSYS_FAMILIES),
        lut=capacity.count("lut"),
        ff=capacity.count("ff"),
        dsp=capacity.count("dsp"),
        bram36=capacity.count("bram36"),
        uram=capacity.count("uram"),
        default_clock=period,
        tools=top.texts("tools"),
        adder_level_ns=timing.positive("adder_level_ns"),
        overhead_ns=timing.positive("overhead_ns"),
        harness=_harness(top.table("harness")) if "harness" in content else None,
    )
    for table in (capacity, timing, top):
        table.no_more()
    return board


def _harness(table: _Table) -> Harness:
    texts = {key: table.text(key) for key in ("clock_pin", "rx_pin", "tx_pin", "io")}
    harness = Harness(clock=table.clock("clock"), **texts)
    table.no_more()
    return harness


class _Table:
    """A TOML table that is read key by key and complains by name."""

    def __init__(self, path: Path, content: Mapping[str, object], prefix: str) -> None:
        self.path, self.content, self.prefix, self.seen = path, content, prefix, set[str]()

    def _fail(self, key: str, expected: str) -> BoardError:
        found = repr(self.content[key]) if key in self.content else "missing"
        return BoardError(
            f"{self.path.name}: {self.prefix}{key} is {found}, expected {expected}",
            hint="docs/how-to/add-a-board.md shows a whole file",
        )

    def _get(self, key: str) -> object:
        self.seen.add(key)
        return self.content.get(key)

    def table(self, key: str) -> _Table:
        value = self._get(key)
        if not isinstance(value, dict):
            raise self._fail(key, "a table")
        return _Table(self.path, value, f"{self.prefix}{key}.")

    def text(self, key: str, one_of: tuple[str, ...] | None = None) -> str:
        value = self._get(key)
        if not isinstance(value, str) or (one_of is None and not value) or (one_of and value not in one_of):
            raise self._fail(key, f"one of {', '.join(map(repr, one_of))}" if one_of else "a text")
        return value

    def clock(self, key: str) -> Period:
        text = self.text(key)
        try:
            return Period.parse(text)
        except UsageError as error:
            raise BoardError(f"{self.path.name}: {self.prefix}{key} is {text!r}", hint=error.hint) from error

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
            raise self._fail(key, "a list of texts")
        return tuple(value)

    def count(self, key: str) -> int:
        value = self._get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._fail(key, "a whole number, 0 or more")
        return value

    def positive(self, key: str) -> float:
        value = self._get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
            raise self._fail(key, "a number greater than 0")
        return float(value)

    def no_more(self) -> None:
        extra = sorted(set(self.content) - self.seen)
        if extra:
            near = difflib.get_close_matches(extra[0], self.seen, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/how-to/add-a-board.md shows a whole file"
            raise BoardError(f"{self.path.name}: unknown key {self.prefix}{extra[0]}", hint=hint)


def of(board: str | Board) -> Board:
    """A board by its name, or the board itself.

    Raises:
        BoardError: no such board, or neither.
    """
    if isinstance(board, Board):
        return board
    if isinstance(board, str):
        return load(board)
    raise BoardError(f"{board!r} is no board", hint="give a name of hwq boards, or a hwq.boards.Board")
