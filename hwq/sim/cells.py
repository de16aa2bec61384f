"""What the cells of mapped netlists compute, on bit planes: LUTs, carry chains, wide multiplexers and registers of AMD's parts and ECP5.

Written from the vendors' library guides (AMD UG974 and UG953, Lattice's ECP5 libraries). A register passes its data on; clock enables other
than "always" and asynchronous resets other than "never" are refused, since no pipeline of hwq uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwq.sim.planes import Plane, lut

CellOutputs = dict[str, tuple[Plane, ...]]


class Unsupported(Exception):  # noqa: N818 - no error: another evaluator takes the netlist
    """A netlist that cannot be followed once from inputs to outputs."""


@dataclass(frozen=True, slots=True)
class Planes:
    """What a cell sees: its ports' planes, its parameters, and the planes of all zeros and all ones."""

    ports: Mapping[str, tuple[Plane, ...]]
    parameters: Mapping[str, int | str]
    low: Plane
    high: Plane

    def bit(self, port: str, default: Plane | None = None) -> Plane:
        """The only bit of a port; what is not connected is low unless `default` says otherwise."""
        found = self.ports.get(port, ())
        return found[0] if found else self.low if default is None else default

    def bits(self, port: str, width: int) -> tuple[Plane, ...]:
        found = self.ports.get(port, ())
        return (*found, *(self.low,) * (width - len(found)))

    def number(self, name: str) -> int:
        found = self.parameters.get(name, 0)
        return found if isinstance(found, int) else int(found, 2)

    def text(self, name: str, default: str) -> str:
        return str(self.parameters.get(name, default))

    def table(self, name: str, inputs: tuple[Plane, ...]) -> Plane:
        return lut(self.number(name), inputs, self.low, self.high)


@dataclass(frozen=True, slots=True)
class CellFunction:
    """A kind of cell: its output ports, and what they are."""

    outputs: tuple[str, ...]
    evaluate: Callable[[Planes], CellOutputs]


def _amd_lut(inputs: int) -> CellFunction:
    def evaluate(p: Planes) -> CellOutputs:
        return {"O": (p.table("INIT", tuple(p.bit(f"I{i}") for i in range(inputs))),)}

    return CellFunction(("O",), evaluate)


def _lut6_2(p: Planes) -> CellOutputs:
    inputs = tuple(p.bit(f"I{i}") for i in range(6))
    table = p.number("INIT")
    return {"O6": (lut(table, inputs, p.low, p.high),), "O5": (lut(table & 0xFFFFFFFF, inputs[:5], p.low, p.high),)}


def _carry(width: int) -> CellFunction:
    """CARRY4 and CARRY8: O is S xor the carry, CO the carry out of each bit."""

    def evaluate(p: Planes) -> CellOutputs:
        if width == 8 and p.text("CARRY_TYPE", "SINGLE_CY8") != "SINGLE_CY8":
            raise Unsupported("a CARRY8 of two halves")
        carry = p.bit("CI") | p.bit("CYINIT") if width == 4 else p.bit("CI")
        sums, carries = [], []
        for data, select in zip(p.bits("DI", width), p.bits("S", width), strict=True):
            sums.append(select ^ carry)
            carry = (select & carry) | (~select & data)
            carries.append(carry)
        return {"O": tuple(sums), "CO": tuple(carries)}

    return CellFunction(("O", "CO"), evaluate)


def _mux(select: str, zero: str, one: str, output: str) -> CellFunction:
    def evaluate(p: Planes) -> CellOutputs:
        chosen = p.bit(select)
        return {output: ((chosen & p.bit(one)) | (~chosen & p.bit(zero)),)}

    return CellFunction((output,), evaluate)


def _same(plane: Plane, other: Plane) -> bool:
    return bool((plane == other).all())


def _amd_register(reset: str, value: int, *, asynchronous: bool) -> CellFunction:
    def evaluate(p: Planes) -> CellOutputs:
        inverted = [name for name in p.parameters if name.startswith("IS_") and p.number(name)]
        if inverted or not _same(p.bit("CE", p.high), p.high):
            raise Unsupported("a register with a clock enable or inverted inputs")
        forced = p.bit(reset)
        if asynchronous and not _same(forced, p.low):
            raise Unsupported("a register with an asynchronous reset")
        return {"Q": (p.bit("D") | forced if value else p.bit("D") & ~forced,)}

    return CellFunction(("Q",), evaluate)


def _trellis_register(p: Planes) -> CellOutputs:
    plain = {"CLKMUX": "CLK", "LSRMUX": "LSR"}
    if any(p.text(name, wanted) != wanted for name, wanted in plain.items()):
        raise Unsupported("a register with inverted inputs")
    enable = p.text("CEMUX", "1")
    if enable != "1" and not (enable == "CE" and _same(p.bit("CE", p.high), p.high)):
        raise Unsupported("a register with a clock enable")
    reset = p.bit("LSR")
    if p.text("SRMODE", "LSR_OVER_CE") == "ASYNC" and not _same(reset, p.low):
        raise Unsupported("a register with an asynchronous reset")
    return {"Q": (p.bit("DI") | reset if p.text("REGSET", "RESET") == "SET" else p.bit("DI") & ~reset,)}


def _ccu2c(p: Planes) -> CellOutputs:
    """Two LUTs on a carry chain: each gives its table xor the carry in, and hands the carry or its two-input table on."""
    carry, sums = p.bit("CIN"), []
    for half in "01":
        inputs = tuple(p.bit(f"{port}{half}") for port in "ABCD")
        whole = p.table(f"INIT{half}", inputs)
        plain = p.text(f"INJECT1_{half}", "YES") == "YES"
        generate = p.low if plain else lut(p.number(f"INIT{half}") & 15, inputs[:2], p.low, p.high)
        sums.append(whole if plain else whole ^ carry)
        carry = (whole & carry) | (~whole & generate)
    return {"S0": (sums[0],), "S1": (sums[1],), "COUT": (carry,)}


FUNCTIONS: dict[str, CellFunction] = {
    **{f"LUT{n}": _amd_lut(n) for n in range(1, 7)},
    "LUT6_2": CellFunction(("O6", "O5"), _lut6_2),
    "INV": CellFunction(("O",), lambda p: {"O": (~p.bit("I"),)}),
    "BUF": CellFunction(("O",), lambda p: {"O": (p.bit("I"),)}),
    "GND": CellFunction(("G",), lambda p: {"G": (p.low,)}),
    "VCC": CellFunction(("P",), lambda p: {"P": (p.high,)}),
    "CARRY4": _carry(4),
    "CARRY8": _carry(8),
    **{f"MUXF{n}": _mux("S", "I0", "I1", "O") for n in (5, 6, 7, 8, 9)},
    "FDRE": _amd_register("R", 0, asynchronous=False),
    "FDSE": _amd_register("S", 1, asynchronous=False),
    "FDCE": _amd_register("CLR", 0, asynchronous=True),
    "FDPE": _amd_register("PRE", 1, asynchronous=True),
    "CCU2C": CellFunction(("S0", "S1", "COUT"), _ccu2c),
    "PFUMX": _mux("C0", "BLUT", "ALUT", "Z"),
    "L6MUX21": _mux("SD", "D0", "D1", "Z"),
    "TRELLIS_FF": CellFunction(("Q",), _trellis_register),
}
_LATTICE_LUT4 = ("A", "B", "C", "D")
REGISTERS = ("FDRE", "FDSE", "FDCE", "FDPE", "TRELLIS_FF")
CLOCKS = ("C", "CLK", "CLKARDCLK", "CLKBWRCLK")


def _lut4(p: Planes) -> CellOutputs:
    """LUT4 is AMD's with I0 to I3 and O, and Lattice's with A to D and Z."""
    if "A" in p.ports:
        return {"Z": (p.table("INIT", tuple(p.bit(port) for port in _LATTICE_LUT4)),)}
    return {"O": (p.table("INIT", tuple(p.bit(f"I{i}") for i in range(4))),)}


FUNCTIONS["LUT4"] = CellFunction(("O", "Z"), _lut4)
