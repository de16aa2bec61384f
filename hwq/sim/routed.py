"""The routed ECP5 netlist that nextpnr wrote, evaluated cell by cell: does the placed and routed design still compute the reference?

Values are bit planes: one bit a row, 64 rows a word. A pipeline without feedback is followed once: registers pass their data on, and
the number of registers on the way to every cell is checked on the side, so that rows of different clocks can never meet.
Cells and their unconnected inputs (high in a LUT, low at a reset) behave as Project Trellis documents them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.codegen.ports import Element, Ports, ports_of
from hwq.errors import ReportError
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, parse, verify
from hwq.sim.cells import Unsupported
from hwq.sim.compare import Comparison, compare
from hwq.sim.netlist import MappedNetlist
from hwq.sim.planes import ONES, Plane, lut, pack, unpack
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST
from hwq.toolchains.nextpnr import MAPPED_NETLIST, NEXTPNR, ROUTED_NETLIST
from hwq.toolchains.plan import TOP


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell: its driven nets by port, its parameters."""

    name: str
    kind: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, int | str]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RoutedNetlist:
    """The cells in an order in which each follows those that drive it, and the nets of the ports."""

    path: Path
    cells: tuple[_Cell, ...]
    x: tuple[int | str, ...]
    y: tuple[int | str, ...]

    @classmethod
    def read(cls, path: Path, synthesised: Path) -> RoutedNetlist:
        """The netlist at `path`, routed from `synthesised`: out of context, output bits that are constant are left to the surroundings.

        Raises:
            ReportError: no netlist of nextpnr-ecp5, or one with feedback.
        """
        try:
            (module,) = json.loads(path.read_text())["modules"].values()
            ports = {name: tuple(port["bits"]) for name, port in module["ports"].items()}
            cells = [part for name, c in module["cells"].items() for part in _parts(name, c)]
            before = json.loads(synthesised.read_text())["modules"].values()
            (mapped,) = (
                m["ports"]["y"]["bits"] for m in before if "y" in m["ports"] and not m.get("attributes", {}).get("blackbox")
            )
            x = ports["x"]
            y = tuple(old if isinstance(old, str) else new for old, new in zip(mapped, ports["y"], strict=True))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReportError(path, f"no netlist of {NEXTPNR.name}: {type(error).__name__} {error}") from error
        driver = {net: i for i, c in enumerate(cells) for net in c.outputs.values()}
        graph = {i: {driver[n] for n in c.inputs.values() if n in driver} for i, c in enumerate(cells)}
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise ReportError(path, "the netlist has a feedback loop", hint="only pipelines can be followed") from error
        return cls(path, tuple(cells[i] for i in order), x, y)

    def evaluate(self, ports: Ports, inputs: IntArray, latency: int) -> npt.NDArray[np.int64]:
        """Output mantissas (rows, elements) for input mantissas (rows, elements).

        Raises:
            ReportError: a cell that a pipeline has no use for, or registers that do not add up to `latency` everywhere.
        """
        rows = len(inputs)
        planes: dict[int | str, Plane] = {}
        depth: dict[int | str, int | None] = {}
        words = -(-rows // 64)
        planes["0"], planes["1"] = np.zeros(words, np.uint64), np.full(words, ONES)
        depth["0"] = depth["1"] = None
        for e, column in zip(ports.inputs, np.asarray(inputs).T, strict=True):
            for bit in range(e.width):
                net = self.x[e.offset + bit]
                planes[net], depth[net] = pack(column, bit, words), 0
        for cell in self.cells:
            self._step(cell, planes, depth, words)
        for e in ports.outputs:
            for net in self.y[e.offset : e.offset + e.width]:
                if depth.get(net, latency) not in (latency, None):
                    raise ReportError(
                        self.path, f"element {e.index} of {e.node} is behind {depth[net]} registers, expected {latency}"
                    )
        return np.stack([self._element(e, planes, rows) for e in ports.outputs], axis=1)

    def _step(self, cell: _Cell, planes: dict[int | str, Plane], depth: dict[int | str, int | None], words: int) -> None:
        used = {port: net for port, net in cell.inputs.items() if port not in ("CLK", "WCK")}
        depths = {d for d in (depth.get(net) for net in used.values()) if d is not None}
        if len(depths) > 1:
            raise ReportError(self.path, f"cell {cell.name} mixes values behind {sorted(depths)} registers")
        at = next(iter(depths)) if depths else None
        values = {port: planes[net] for port, net in used.items() if net in planes}
        if len(values) != len(used):
            missing = next(p for p, n in used.items() if n not in planes)
            raise ReportError(self.path, f"input {missing} of cell {cell.name} has no driver")
        if cell.kind == "TRELLIS_FF":
            results = {"Q": _register(self.path, cell, values, words)}
            at = None if at is None else at + 1
        elif cell.kind == "TRELLIS_COMB":
            results = _combine(self.path, cell, values, words)
        elif not cell.outputs:
            return
        else:
            raise ReportError(
                self.path, f"cell {cell.name} is a {cell.kind}, which a pipeline of LUTs and registers has no use for"
            )
        for port, net in cell.outputs.items():
            planes[net], depth[net] = results[port], at

    def _element(self, e: Element, planes: Mapping[int | str, Plane], rows: int) -> npt.NDArray[np.int64]:
        def plane(bit: int) -> Plane:
            found = planes.get(self.y[e.offset + bit])
            if found is None:
                raise ReportError(self.path, f"bit {bit} of element {e.index} of {e.node} has no driver")
            return found

        return unpack(plane, e.width, e.signed, rows)


def compare_routed(folder: Path, latency: int, inputs: IntArray) -> Comparison:
    """The routed netlist in a plan's folder against the plan's own graph (`graph.hwq`), for input mantissas (rows, elements).

    Raises:
        ReportError: a netlist that cannot be followed.
    """
    graph = verify(parse((folder / "graph.hwq").read_text()))
    netlist = RoutedNetlist.read(folder / ROUTED_NETLIST, folder / MAPPED_NETLIST)
    found = netlist.evaluate(ports_of(graph), inputs, latency)
    return compare(graph, "reference", evaluate(graph, inputs), "routed", found)


def compare_mapped(folder: Path, latency: int, inputs: IntArray) -> Comparison | None:
    """As `compare_routed`, the mapped netlist; None where it has to be simulated clock by clock."""
    graph = verify(parse((folder / "graph.hwq").read_text()))
    try:
        found = MappedNetlist.read(folder / NETLIST, TOP).evaluate(ports_of(graph), inputs, latency)
    except Unsupported:
        return None
    return compare(graph, "reference", evaluate(graph, inputs), "netlist", found)


def random_inputs(graph: Graph, rows: int = 2000) -> npt.NDArray[np.int64]:
    """Input mantissas (rows, elements) over the whole range of every input, the extremes first."""
    low, high = (
        np.concatenate([getattr(graph[n].type, end).ravel() for n in graph.inputs]).astype(np.int64)
        for end in ("lowest", "highest")
    )
    x = np.random.default_rng(0).integers(low, high + 1, (rows, len(low)))
    x[0], x[1] = low, high
    return x


def _parts(name: str, content: Mapping[str, Any]) -> list[_Cell]:
    """A cell; the wide multiplexer of a LUT is one of its own, since its result may come back to the LUT's neighbour."""
    directions = content["port_directions"]
    nets = {port: bits[0] for port, bits in content["connections"].items() if bits}
    parameters = {key: str(value).strip() for key, value in content["parameters"].items()}
    inputs = {p: n for p, n in nets.items() if directions[p] == "input"}
    outputs = {p: n for p, n in nets.items() if directions[p] == "output"}
    kind = content["type"]
    if kind != "TRELLIS_COMB" or "OFX" not in outputs:
        return [_Cell(name, kind, parameters, inputs, outputs)]
    wide = ("M", "FXA", "FXB") if "FXA" in inputs or "FXB" in inputs else ("M", "F1", "A", "B", "C", "D")
    return [
        _Cell(name, kind, parameters, _only(inputs, ("A", "B", "C", "D", "FCI")), {p: n for p, n in outputs.items() if p != "OFX"}),
        _Cell(name, kind, parameters, _only(inputs, wide), {"OFX": outputs["OFX"]}),
    ]


def _only(nets: Mapping[str, int | str], ports: tuple[str, ...]) -> dict[str, int | str]:
    return {port: net for port, net in nets.items() if port in ports}


def _register(path: Path, cell: _Cell, values: Mapping[str, Plane], words: int) -> Plane:
    """The data input, or the reset value where the synchronous reset is high."""
    wanted = {"CLKMUX": "CLK", "LSRMUX": "LSR"}
    odd = next((f"{k}={cell.parameters[k]}" for k, v in wanted.items() if cell.parameters.get(k, v) != v), None)
    if odd is None and ("CE" in values or cell.parameters.get("CEMUX", "1") != "1"):
        odd = "a clock enable"
    if odd is not None or ("LSR" in values and cell.parameters.get("SRMODE") == "ASYNC"):
        raise ReportError(path, f"register {cell.name} has {odd or 'an asynchronous reset'}, which no pipeline of hwq uses")
    port = "DI" if cell.parameters.get("SD") == "1" else "M"
    data = values[port] if port in values else np.zeros(words, np.uint64)
    if "LSR" not in values:
        return data
    reset = values["LSR"]
    return data | reset if cell.parameters.get("REGSET") == "SET" else data & ~reset


def _combine(path: Path, cell: _Cell, values: Mapping[str, Plane], words: int) -> dict[str, Plane]:
    """F, the carry and the wide multiplexer of a LUT."""
    high, low = np.full(words, ONES), np.zeros(words, np.uint64)
    table = int(cell.parameters.get("INITVAL", "0"), 2)
    a, b, c, d = (values.get(port, high) for port in "ABCD")
    whole = lut(table, (a, b, c, d), low, high)
    mode = cell.parameters.get("MODE", "LOGIC")
    if mode == "CCU2":
        inject = cell.parameters.get("CCU2_INJECT1") == "YES"
        carry = values.get("FCI", low)
        generate = low if inject else lut(table & 15, (a, b), low, high)
        return {"F": whole if inject else whole ^ carry, "FCO": (whole & carry) | (~whole & generate)}
    if mode != "LOGIC":
        raise ReportError(path, f"cell {cell.name} is in mode {mode}, which no pipeline of hwq uses")
    results = {"F": whole}
    if "OFX" in cell.outputs:
        select = values.get("M", low)
        zero, one = (
            (values.get("FXA", low), values.get("FXB", low))
            if "FXA" in values or "FXB" in values
            else (whole, values.get("F1", low))
        )
        results["OFX"] = (select & one) | (~select & zero)
    return results
