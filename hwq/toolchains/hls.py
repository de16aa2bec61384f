"""Vivado HLS, Vitis HLS and vitis-run by Tcl: simulation, synthesis, co-simulation and export of the C++, one script for all generations."""

from __future__ import annotations

from hwq.toolchains.base import Auto, Request, Script, Toolchain
from hwq.toolchains.steps import Finished, Reading, Step
from hwq.toolchains.vivado import LICENCE, OBTAIN
from hwq.tools.find import Tool
from hwq.tools.programs import Program

UNCERTAINTY = 0.125  # share of the period that HLS keeps for routing: the default of Vivado HLS
WRAPPER = "vitis-run"
# what a design may be called after each stage of an HLS compiler's export: its own reports know no finer states
_EXPORTED = {"synth": frozenset({"synthesised"}), "route": frozenset({"routed"})}


def lead(tool: Tool) -> tuple[str, ...]:
    """What a generation wants before a Tcl script."""
    return ("--mode", "hls", "--tcl") if tool.name == WRAPPER else ("-f",)


PROGRAM = Program(
    "hls",
    "AMD's C synthesis",
    "2018.1",
    "2025.2",
    "the C++ is simulated with g++",
    OBTAIN,
    licence=LICENCE,
    names=("vitis_hls", "vivado_hls", WRAPPER),  # the classic programs first: the wrapper is around them where both are there
    asked={"vitis_hls": "-version", "vivado_hls": "-version"},
    lead=lead,
    compiles=True,
)


def steps(request: Request) -> tuple[Step, ...]:
    top, impl = request.top, "hls_prj/**/impl/report/verilog/"

    def step(stage: str, *outputs: str) -> Step:
        return Step(f"hls-{stage}", stage, PROGRAM.name, (f"hls/{stage}.tcl",), outputs, f"hls/{stage}.log", READERS.get(stage))

    # Vivado HLS names one report <top>_export.xml for both depths, Vitis HLS one each
    return (
        step("csim", f"hls_csim/**/csim/report/{top}_csim.log"),
        step("csynth", "hls_prj/**/syn/report/csynth.xml"),
        step("cosim", f"hls_prj/**/sim/report/{top}_cosim.rpt"),
        step("export", "hls_prj/**/impl/export.zip|hls_prj/**/impl/ip/*.zip"),
        step("synth", f"{impl}export_syn.xml|{impl}{top}_export.xml"),
        step("route", f"{impl}export_impl.xml|{impl}{top}_export.xml"),
    )


def read_csynth(finished: Finished) -> Reading:
    """The compiler's own estimate."""
    from hwq.reports import csynth
    from hwq.toolchains.believing import require_part, require_same

    path = next(iter(finished.outputs.values()))
    found = csynth.read_csynth(path)
    require_same(path, "top", found.top, finished.top)
    require_part(path, found.part, finished.board.part)
    return Reading(path, found.resources, found.timing, found.latency)


def read_export(finished: Finished) -> Reading:
    """What Vivado said of the exported design; only the report of C synthesis knows its latency."""
    from hwq.reports import parse
    from hwq.reports.types import Latency
    from hwq.toolchains.believing import believe, require_design, timing_of

    path = next(iter(finished.outputs.values()))
    report = believe(path, parse(path))
    require_design(path, report, finished, _EXPORTED[finished.step.stage])
    return Reading(path, report.resources, timing_of(report), Latency())


READERS = {"csynth": read_csynth, "synth": read_export, "route": read_export}


def scripts(request: Request) -> tuple[Script, ...]:
    values = {"top": request.top, **values_of(request)}
    stages = (
        Script(f"hls/{stage}.tcl", "tcl/hls_stage.tcl.j2", {"top": request.top, "stage": stage}) for stage in TOOLCHAIN.chains
    )
    return (Script("hls/run_hls.tcl", "tcl/run_hls.tcl.j2", values), *stages)


def values_of(request: Request) -> dict[str, object]:
    """Part and clock, as every flow of these compilers is told them."""
    period = request.period_ns
    return {"part": request.board.part, "period_ns": f"{period:g}", "uncertainty_ns": f"{period * UNCERTAINTY:g}"}


TOOLCHAIN = Toolchain(
    name="vitis",
    listed="vitis",
    programs=(PROGRAM,),
    chains={
        "csim": ("hls-csim",),
        "csynth": ("hls-csynth",),
        "cosim": ("hls-csynth", "hls-cosim"),
        "export": ("hls-csynth", "hls-export"),
        "synth": ("hls-csynth", "hls-synth"),
        "route": ("hls-csynth", "hls-route"),
    },
    default_stage="csynth",
    steps=steps,
    scripts=scripts,
    contents={"hls/": "C++ for Vitis HLS or Vivado HLS, with its test bench"},
    auto=Auto.VENDOR,
    compiles=True,
    multiplies=True,
)
