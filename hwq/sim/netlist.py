"""The netlist that Yosys mapped to a part's cells: read from its Verilog, counted, and evaluated for rows of inputs.

What is read is the plain form that `write_verilog -noattr` gives a flat netlist: wires, assignments of wires, and cells. A pipeline without
feedback is followed once, bit planes from inputs to outputs (`hwq.sim.planes`): registers pass their data on, and the number of registers
on every way is checked on the side, so that rows of different clocks cannot meet. The cells' functions are written here from the vendors'
documents, not taken from Yosys' models: a second opinion. A design that keeps a state (a stream, a memory) is left to `hwq.sim.rtlsim.mapped`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build
from hwq.codegen.ports import Ports
from hwq.codegen.stream import StreamBuild
from hwq.errors import ReportError
from hwq.events import Notice, quiet
from hwq.fixed.arithmetic import IntArray
from hwq.sim import cells
from hwq.sim.cells import CLOCKS, Planes, Unsupported
from hwq.sim.memories import MEMORIES
from hwq.sim.planes import ONES, Plane, pack, unpack
from hwq.sim.rtlsim import NETLIST, mapped
from hwq.toolchains import yosys

FUNCTIONS = {**cells.FUNCTIONS, **MEMORIES}
REGISTERS = {*cells.REGISTERS, *MEMORIES}  # cells whose results come a clock later
OPAQUE = ("RAMB", "URAM", "DSP", "DP16K", "MULT18")  # cells that Yosys has no behaviour of

_Value = TypeVar("_Value")
Bit = int | str  # a net's number, or "0" or "1"
_TOKEN = re.compile(r'\\\S+|"[^"]*"|\d+\'s?[bodh][0-9a-fA-FxXzZ_]+|[\w$]+|/\*.*?\*/|//[^\n]*|\S', re.S)
_RADIX = {"b": 1, "o": 3, "h": 4}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: the bits of each port, lowest first, and its parameters as integers or texts."""

    kind: str
    name: str
    ports: Mapping[str, tuple[Bit, ...]]
    parameters: Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class MappedNetlist:
    """A flat netlist with one clock.

    Attributes:
        ports: the bits of the module's ports.
        aliases: net -> the bit that it is assigned from.
    """

    path: Path
    cells: tuple[Cell, ...]
    ports: Mapping[str, tuple[Bit, ...]]
    aliases: Mapping[Bit, Bit]

    @classmethod
    def read(cls, path: Path, top: str) -> MappedNetlist:
        """Raises ReportError: no such file, or not a flat netlist of `top`."""
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ReportError(path, f"cannot be read: {error}") from error
        return _NetlistReader(path, text).netlist(top)

    def counts(self) -> Counter[str]:
        """How many cells there are of each kind."""
        return Counter(cell.kind for cell in self.cells)

    def evaluate(self, ports: Ports, inputs: IntArray, latency: int) -> npt.NDArray[np.int64]:
        """Output mantissas (rows, elements) for input mantissas (rows, elements).

        Raises:
            Unsupported: a cell that is not known here, or feedback: the netlist must be simulated clock by clock.
            ReportError: a net without a driver, or registers that do not add up to `latency`.
        """
        return _Evaluation(self, ports, inputs, latency).outputs()

    def driver(self, bit: Bit) -> Bit:
        """The bit itself, or the one that it is assigned from."""
        seen = 0
        while bit in self.aliases:
            bit, seen = self.aliases[bit], seen + 1
            if seen > len(self.aliases):
                raise ReportError(self.path, "assignments go round in a circle")
        return bit


class _Evaluation:
    """One evaluation: the planes of every driven bit, and behind how many registers it is (None: a constant)."""

    def __init__(self, netlist: MappedNetlist, ports: Ports, inputs: IntArray, latency: int) -> None:
        self.netlist, self.ports, self.rows, self.latency = netlist, ports, len(inputs), latency
        words = -(-self.rows // 64)
        self.low, self.high = np.zeros(words, np.uint64), np.full(words, ONES)
        self.planes: dict[Bit, Plane] = {"0": self.low, "1": self.high}
        self.depth: dict[Bit, int | None] = {"0": None, "1": None}
        x, y = (netlist.ports.get(name, ()) for name in "xy")
        if (len(x), len(y)) != (ports.input_bits, ports.output_bits):
            raise ReportError(
                netlist.path, f"x and y have {len(x)} and {len(y)} bits, expected {ports.input_bits} and {ports.output_bits}"
            )
        for e, column in zip(ports.inputs, np.asarray(inputs).T, strict=True):
            for bit in range(e.width):
                self.planes[x[e.offset + bit]], self.depth[x[e.offset + bit]] = pack(column, bit, words), 0
        for cell in self._order():
            self._step(cell)

    def _order(self) -> Iterator[Cell]:
        cells = self.netlist.cells
        unknown = next((c.kind for c in cells if c.kind not in FUNCTIONS), None)
        if unknown is not None:
            raise Unsupported(f"{unknown} is simulated clock by clock")
        driver = {bit: i for i, c in enumerate(cells) for port in FUNCTIONS[c.kind].outputs for bit in c.ports.get(port, ())}
        graph: dict[int, set[int]] = {}
        for i, cell in enumerate(cells):
            reads = (self.netlist.driver(bit) for port, bits in cell.ports.items() if self._is_data(cell, port) for bit in bits)
            graph[i] = {driver[bit] for bit in reads if bit in driver}
        try:
            yield from (cells[i] for i in TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise Unsupported("the netlist keeps a state") from error

    def _is_data(self, cell: Cell, port: str) -> bool:
        clock = cell.kind in REGISTERS and port in CLOCKS
        return not clock and port not in FUNCTIONS[cell.kind].outputs

    def _step(self, cell: Cell) -> None:
        function = FUNCTIONS[cell.kind]
        values: dict[str, tuple[Plane, ...]] = {}
        depths = set()
        for port, bits in cell.ports.items():
            if not self._is_data(cell, port):
                continue
            drivers = [self.netlist.driver(bit) for bit in bits]
            missing = next((b for b in drivers if b not in self.planes), None)
            if missing is not None:
                raise ReportError(self.netlist.path, f"port {port} of cell {cell.name} has no driver")
            values[port] = tuple(self.planes[b] for b in drivers)
            depths |= {self.depth[b] for b in drivers}
        depths.discard(None)
        if len(depths) > 1:
            raise ReportError(self.netlist.path, f"cell {cell.name} mixes values behind {sorted(d or 0 for d in depths)} registers")
        at = next(iter(depths), None)
        if cell.kind in REGISTERS and at is not None:
            at += 1
        results = function.evaluate(Planes(values, cell.parameters, self.low, self.high))
        for port, planes in results.items():
            for bit, plane in zip(cell.ports.get(port, ()), planes, strict=False):
                self.planes[bit], self.depth[bit] = plane, at

    def outputs(self) -> npt.NDArray[np.int64]:
        y = [self.netlist.driver(bit) for bit in self.netlist.ports["y"]]
        for e in self.ports.outputs:
            for bit in y[e.offset : e.offset + e.width]:
                if bit not in self.planes:
                    raise ReportError(self.netlist.path, f"element {e.index} of {e.node} has no driver")
                if self.depth[bit] not in (self.latency, None):
                    raise ReportError(
                        self.netlist.path,
                        f"element {e.index} of {e.node} is behind {self.depth[bit]} registers, expected {self.latency}",
                    )
        columns = [
            unpack(lambda bit, e=e: self.planes[y[e.offset + bit]], e.width, e.signed, self.rows)  # type: ignore[misc]
            for e in self.ports.outputs
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((self.rows, 0), np.int64)


class _NetlistReader:
    """Reads the tokens of the Verilog; every net bit gets a number."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.tokens: list[str] = [t for t in _TOKEN.findall(text) if not t.startswith(("/*", "//"))]
        self.at = 0
        self.nets: dict[str, tuple[int, tuple[int, ...]]] = {}  # lowest index, bits
        self.count = 0

    def netlist(self, top: str) -> MappedNetlist:
        try:
            return self._module(top)
        except (IndexError, KeyError, ValueError) as error:
            raise ReportError(self.path, f"is no flat netlist: {type(error).__name__} {error}") from error

    def _module(self, top: str) -> MappedNetlist:
        self._expect("module")
        name = self._next().removeprefix("\\")
        if name != top:
            raise ReportError(self.path, f"its module is {name}, expected {top}")
        while self._next() != ";":
            pass
        ports: list[str] = []
        cells: list[Cell] = []
        aliases: dict[Bit, Bit] = {}
        while (token := self._next()) != "endmodule":
            if token in ("input", "output", "wire", "reg"):
                declared = self._declare()
                if token in ("input", "output"):
                    ports.append(declared)
            elif token == "assign":
                target = self._expression()
                self._expect("=")
                source = self._expression()
                if len(target) != len(source):
                    raise ValueError(f"an assignment of {len(source)} bits to {len(target)}")
                aliases.update((t, s) for t, s in zip(target, source, strict=True))
                self._expect(";")
            else:
                cells.append(self._cell(token.removeprefix("\\")))
        if self.at < len(self.tokens):
            raise ValueError("a second module")
        return MappedNetlist(self.path, tuple(cells), {name: self.nets[name][1] for name in ports}, aliases)

    def _declare(self) -> str:
        high = low = 0
        token = self._next()
        if token == "signed":
            token = self._next()
        if token == "[":
            high = int(self._next())
            self._expect(":")
            low = int(self._next())
            self._expect("]")
            token = self._next()
        if token not in self.nets:
            self.nets[token] = (low, tuple(range(self.count, self.count + high - low + 1)))
            self.count += high - low + 1
        self._expect(";")
        return token

    def _cell(self, kind: str) -> Cell:
        parameters: dict[str, int | str] = {}
        token = self._next()
        if token == "#":
            self._expect("(")
            parameters = {key: value for key, value in self._named(self._parameter)}
            token = self._next()
        self._expect("(")
        ports = dict(self._named(lambda: tuple(self._expression()) if self.tokens[self.at] != ")" else ()))
        self._expect(";")
        return Cell(kind, token, ports, parameters)

    def _named(self, value: Callable[[], _Value]) -> list[tuple[str, _Value]]:
        found: list[tuple[str, _Value]] = []
        while (token := self._next()) != ")":
            if token == ",":
                continue
            if token != ".":
                raise ValueError(f"{token!r} instead of a named port")
            name = self._next()
            self._expect("(")
            found.append((name, value()))
            self._expect(")")
        return found

    def _parameter(self) -> int | str:
        token = self._next()
        if token.startswith('"'):
            return token.strip('"')
        bits = self._constant(token)
        return sum(1 << i for i, bit in enumerate(bits) if bit == "1")

    def _constant(self, token: str) -> list[Bit]:
        width, _, digits = token.partition("'")
        if not digits:
            return list(reversed(f"{int(width):032b}"))
        radix = digits.lstrip("s")[0]
        text = digits.lstrip("s")[1:].replace("_", "").lower()
        if radix == "d":
            number = int(text)
            return ["1" if number >> i & 1 else "0" for i in range(int(width))]
        each = _RADIX[radix]
        # a bit that is undefined or not connected reads as 0: such a bit must not decide anything
        raw = "".join("0" * each if c in "xz" else f"{int(c, 16):0{each}b}" for c in text)
        return ["1" if b == "1" else "0" for b in reversed(raw.zfill(int(width))[-int(width) :])]

    def _expression(self) -> list[Bit]:
        token = self._next()
        if token == "{":
            parts: list[list[Bit]] = []
            if self.tokens[self.at + 1] == "{":
                times = int(self._next())
                inner = self._expression()
                self._expect("}")
                return inner * times
            while True:
                parts.append(self._expression())
                if self._next() == "}":
                    return [bit for part in reversed(parts) for bit in part]
        if token[0].isdigit():
            return self._constant(token)
        low, bits = self.nets[token]
        if self.at < len(self.tokens) and self.tokens[self.at] == "[":
            self._next()
            high = int(self._next())
            last = high
            if self._next() == ":":
                last = int(self._next())
                self._expect("]")
            if last < low or high < last:
                raise ValueError(f"bits {high}:{last} of {token}")
            return list(bits[last - low : high - low + 1])
        return list(bits)

    def _next(self) -> str:
        self.at += 1
        token: str = self.tokens[self.at - 1]
        return token

    def _expect(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise ValueError(f"{found!r} instead of {wanted!r}")


def require_counts(stat: Path, netlist: MappedNetlist) -> None:
    """Raises ReportError: Yosys' `stat -json` does not count the cells of the netlist beside it."""
    try:
        modules = json.loads(stat.read_text())["modules"]
        (counts,) = modules.values()
        reported = {str(kind): int(count) for kind, count in counts["num_cells_by_type"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(stat, f"is no stat -json: {type(error).__name__} {error}") from error
    found = netlist.counts()
    differing = [kind for kind in sorted({*found, *reported}) if found.get(kind, 0) != reported.get(kind, 0)]
    if differing:
        kind = differing[0]
        raise ReportError(
            stat,
            f"it tells {reported.get(kind, 0)} {kind}, the netlist beside it has {found.get(kind, 0)}",
            hint="the report is not of this netlist: run the tool again",
        )


def evaluate_mapped(
    build: Build | StreamBuild,
    folder: Path,
    inputs: IntArray,
    *,
    models: bool = False,
    notice: Notice = quiet,
) -> npt.NDArray[np.int64] | None:
    """Outputs (rows, elements) of the mapped netlist in `folder` for `inputs` (rows, elements); None where no simulator has its cells.

    Args:
        models: by Yosys' own models of the cells, compiled, which takes longer than following the netlist here.

    Raises:
        ReportError: no flat netlist, or one that cannot be followed.
        ToolError: it does not compile.
    """
    netlist = MappedNetlist.read(folder / NETLIST, build.plan.top)
    if isinstance(build, Build) and build.interval == 1 and not models:
        try:
            return netlist.evaluate(build.ports, inputs, build.plan.latency_cycles)
        except Unsupported:
            pass
    modelled = ("RAMB",) if (folder / yosys.MEMORIES).is_file() else ()
    opaque = sorted(kind for kind in netlist.counts() if kind.startswith(OPAQUE) and not kind.startswith(modelled))
    if opaque:
        notice(f"the mapped netlist is not simulated: no model of {opaque[0]} here")
        return None
    return mapped(build, folder, inputs, notice=notice)
