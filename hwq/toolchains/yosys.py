"""Yosys: synthesis of the Verilog for AMD's parts and for ECP5, and the scripts of the simulations that go through it."""

from __future__ import annotations

import json

from hwq.toolchains.base import Auto, Request, Script, Toolchain
from hwq.toolchains.steps import MAPPED, Finished, Reading, Stamp, Step
from hwq.tools.find import banner_version
from hwq.tools.yosys import PROGRAM

MEMORIES = "sim/block_memory.v"  # models of AMD's block memories, in the folder of a plan that may have some
NETLIST = "yosys/netlist.v"  # the mapped netlist in a plan's folder
SYNTH = "yosys-synth"


def map_step(name: str, stage: str, folder: str, *more: str, measured: bool = True, proves: str = "") -> Step:
    """Yosys runs `folder`'s script, and leaves its counts and the files `more` there."""
    outputs = tuple(f"{folder}/{file}" for file in ("stat.json", *more))
    arguments, read = ("-q", f"{folder}/synth.ys"), read_mapped if measured else None
    return Step(name, stage, PROGRAM.name, arguments, outputs, f"{folder}/synth.log", read, proves, STAMP)


def synth_step(request: Request) -> Step:
    """For ECP5 it leaves a netlist for place and route as well."""
    more = ("netlist.json",) if is_ecp5(request) else ()
    return map_step(SYNTH, "synth", "yosys", "netlist.v", *more, proves=MAPPED)


def is_ecp5(request: Request) -> bool:
    return request.board.yosys_family == "ecp5"


def read_mapped(finished: Finished) -> Reading:
    """The counts of the mapped netlist; Yosys knows no clock."""
    from hwq.reports.types import Timing
    from hwq.reports.yosys import read_stat
    from hwq.toolchains.believing import require_same

    path = finished.outputs["stat.json"]
    resources, modules = read_stat(path), json.loads(path.read_text()).get("modules", {})
    require_same(path, "top", next((name.lstrip("\\") for name in modules), finished.top), finished.top)
    return Reading(path, resources, Timing(), finished.pipeline)


def _creator(text: str) -> str:
    return banner_version(str(json.loads(text).get("creator", "")))


STAMP = Stamp("stat.json", _creator)


def synth_scripts(request: Request) -> tuple[Script, ...]:
    template = "yosys/ecp5.ys.j2" if is_ecp5(request) else "yosys/xilinx.ys.j2"
    return (Script("yosys/synth.ys", template, values_of(request)),)


def values_of(request: Request) -> dict[str, object]:
    """What Yosys' scripts for synthesis are told."""
    board = request.board
    return {"top": request.top, "part": board.part, "family": board.yosys_family}


def simulation_scripts(request: Request) -> tuple[Script, ...]:
    """For `hwq.sim`, whatever the tool: the Verilog and the mapped netlist as C++ models, and the proofs that both are equal.

    The proofs let the pipeline's latency pass; for a design that is no pipeline there are none.
    """
    cells = "-DNO_INCLUDES +/ecp5/cells_sim.v" if is_ecp5(request) else "+/xilinx/cells_sim.v"
    values: dict[str, object] = {"top": request.top, "latency": request.latency, "cells": cells}
    modelled = request.memories and bool(request.board.yosys_family) and not is_ecp5(request)
    values["memories"] = MEMORIES if modelled else ""
    names = ["cxxrtl"]
    if request.board.yosys_family:
        names += ["mapped", *(() if request.latency is None else ("prove_parts", "prove_whole"))]
    models = (Script(MEMORIES, "verilog/block_memory.v.j2", values),) if modelled else ()
    return (*(Script(f"sim/{name}.ys", f"yosys/{name}.ys.j2", values) for name in names), *models)


TOOLCHAIN = Toolchain(
    name="yosys",
    listed="yosys",
    programs=(PROGRAM,),
    chains={"synth": (SYNTH,)},
    default_stage="synth",
    steps=lambda request: (synth_step(request),),
    scripts=synth_scripts,
    contents={"yosys/": "synthesis with Yosys"},
    auto=Auto.OPEN,
)
