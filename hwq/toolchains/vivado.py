"""Vivado: synthesis, placement and routing of the Verilog out of context.

One table says what each stage does to the design and what Vivado calls the design afterwards: for the scripts and for the check of the reports.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwq.toolchains.base import Auto, Request, Script, Toolchain
from hwq.toolchains.steps import Finished, Reading, Step
from hwq.tools.programs import Program

OUTSIDE = 0.1  # share of the period that the registers around a design out of context take: clock to output, or set-up
JITTER_NS = 0.1  # of the clock, as a clock manager of these families has it
PORTS = {  # of the Verilog, as Vivado names them
    "parallel": (("x[*]",), ("y[*]",)),
    "stream": (("rst", "x_data[*]", "x_valid", "y_ready"), ("x_ready", "y_data[*]", "y_valid")),
}
LICENCE = "XILINXD_LICENSE_FILE or LM_LICENSE_FILE"
OBTAIN = "get Vivado or Vitis from AMD's download page"
PROGRAM = Program(
    "vivado",
    "AMD's synthesis and routing",
    "2018.1",
    "2025.2",
    "synthesis falls back to Yosys, which needs no licence",
    OBTAIN,
    asked={"vivado": "-version"},
    licence=LICENCE,
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that changes the design.

    Attributes:
        states: what reports made after it say of the design, as `hwq.reports.states` names it.
    """

    tcl: str
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VivadoStage:
    """A script: it opens what `after` left, runs the commands in order and reports.

    Attributes:
        reports: kind of report -> arguments of its command; the file is <stage>_<kind>.rpt.
    """

    name: str
    after: str
    commands: tuple[Command, ...]
    reports: dict[str, str]

    @property
    def states(self) -> frozenset[str]:
        """What the design may be called in the reports of this stage: what one of its own commands made of it.

        Not only the last: whether a command that found nothing to do leaves the name as it was differs between versions.
        """
        return frozenset(state for command in self.commands for state in command.states)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that the script leaves, without their folder."""
        return (f"{self.name}.dcp", *(f"{self.name}_{kind}.rpt" for kind in self.reports))


_UTILISATION = {"utilization": "report_utilization"}
_HIERARCHY = {"utilization_hierarchical": "report_utilization -hierarchical"}
_TIMING = {"timing": "report_timing_summary"}
STAGES: dict[str, VivadoStage] = {
    s.name: s
    for s in (
        VivadoStage(
            "synth",
            "",
            (
                Command("synth_design -mode out_of_context -top {top} -part {part} -max_dsp 0", ("synthesised",)),
                Command("opt_design", ("optimised",)),
            ),
            _UTILISATION | _HIERARCHY | _TIMING,
        ),
        VivadoStage("place", "synth", (Command("place_design", ("placed",)),), _UTILISATION | _TIMING),
        VivadoStage(
            "route",
            "place",
            (Command("route_design", ("routed",)),),
            _UTILISATION | _HIERARCHY | _TIMING | {"power": "report_power"},
        ),
    )
}


def steps(_: Request) -> tuple[Step, ...]:
    return tuple(_step(stage) for stage in STAGES.values())


def _step(stage: VivadoStage) -> Step:
    name = stage.name
    arguments = ("-mode", "batch", "-nojournal", "-log", f"vivado/{name}_vivado.log", "-source", f"vivado/{name}.tcl")
    outputs = tuple(f"vivado/{file}" for file in stage.outputs)
    return Step(f"vivado-{name}", name, PROGRAM.name, arguments, outputs, f"vivado/{name}.log", read)


def read(finished: Finished) -> Reading:
    """Counts and clock from two reports of the stage; both must be of the design in the state that the stage leaves."""
    from hwq.reports import parse
    from hwq.toolchains.believing import believe, require_design, timing_of

    stage = STAGES[finished.step.stage]
    path = finished.outputs[f"{stage.name}_utilization.rpt"]
    report, timing = parse(path), parse(finished.outputs[f"{stage.name}_timing.rpt"])
    for found in (report, timing):
        require_design(path, found, finished, stage.states)
    return Reading(path, believe(path, report).resources, timing_of(believe(path, timing)), finished.pipeline)


def scripts(request: Request) -> tuple[Script, ...]:
    inputs, outputs = PORTS["stream" if request.latency is None else "parallel"]
    clock: dict[str, object] = {
        "period_ns": f"{request.period_ns:g}",
        "jitter_ns": f"{JITTER_NS:g}",
        "outside_ns": f"{request.period_ns * OUTSIDE:g}",
        "inputs": inputs,
        "outputs": outputs,
    }
    return (Script("vivado/clock.xdc", "tcl/clock.xdc.j2", clock), *(_script(stage, request) for stage in STAGES.values()))


def _script(stage: VivadoStage, request: Request) -> Script:
    commands = [command.tcl.format(top=request.top, part=request.board.part) for command in stage.commands]
    values = {"stage": stage, "commands": commands, "top": request.top}
    return Script(f"vivado/{stage.name}.tcl", "tcl/vivado.tcl.j2", values)


TOOLCHAIN = Toolchain(
    name="vivado",
    listed="vivado",
    programs=(PROGRAM,),
    chains={
        "synth": ("vivado-synth",),
        "place": ("vivado-synth", "vivado-place"),
        "route": ("vivado-synth", "vivado-place", "vivado-route"),
    },
    default_stage="synth",
    steps=steps,
    scripts=scripts,
    contents={"vivado/": "synthesis and place and route with Vivado"},
    auto=Auto.VENDOR,
)
