"""Scripts that drive the tools over a generated design: Yosys, Vivado HLS / Vitis HLS (one Tcl for all), Vivado.

Every tool is started in the build folder; scripts use relative paths only.
"""

from __future__ import annotations

from hwq.boards import Board
from hwq.templates import render
from hwq.toolchains.steps import CHAINS, kinds_for, stages_for, steps_for
from hwq.toolchains.vivado import STAGES
from hwq.units import Period

UNCERTAINTY = 0.125  # share of the period that HLS keeps for routing: the default of Vivado HLS
OUTSIDE = 0.1  # share of the period that the registers around a design out of context take: clock to output, or set-up
JITTER_NS = 0.1  # of the clock, as a clock manager of these families has it
TEST_DATA = ("tb_data/inputs.dat", "tb_data/expected.dat")
PORTS = {  # of the Verilog, as Vivado names them
    "parallel": (("x[*]",), ("y[*]",)),
    "stream": (("rst", "x_data[*]", "x_valid", "y_ready"), ("x_ready", "y_data[*]", "y_valid")),
}


def script_files(top: str, board: Board, period: Period, latency: int | None = None) -> dict[str, str]:
    """Relative path -> text of every script; those for tools that cannot take the board's part are left out.

    Args:
        latency: clock cycles of the Verilog's pipeline, which the proofs of its netlist let pass; None for a design that is no
            pipeline, and then there are none.
    """
    inputs, outputs = PORTS["stream" if latency is None else "parallel"]
    values: dict[str, object] = {
        "top": top,
        "part": board.part,
        "family": board.yosys_family,
        "period_ns": f"{period.ns:g}",
        "latency": latency,
        "cells": "-DNO_INCLUDES +/ecp5/cells_sim.v" if board.yosys_family == "ecp5" else "+/xilinx/cells_sim.v",
        "uncertainty_ns": f"{period.ns * UNCERTAINTY:g}",
        "jitter_ns": f"{JITTER_NS:g}",
        "outside_ns": f"{period.ns * OUTSIDE:g}",
        "inputs": inputs,
        "outputs": outputs,
    }
    kinds = kinds_for(board)
    names = {"sim/cxxrtl.ys": "yosys/cxxrtl.ys.j2"}
    if board.yosys_family:
        proofs = () if latency is None else ("prove_parts", "prove_whole")
        names |= {f"sim/{name}.ys": f"yosys/{name}.ys.j2" for name in ("mapped", *proofs)}
    if board.yosys_family == "ecp5":
        names["yosys/synth.ys"] = "yosys/ecp5.ys.j2"
        if board.harness is not None:
            names["board/synth.ys"] = "yosys/ecp5_board.ys.j2"
    elif board.yosys_family:
        names["yosys/synth.ys"] = "yosys/xilinx.ys.j2"
    if "bambu" in kinds:
        names |= {"bambu/synth.ys": "yosys/bambu.ys.j2", "bambu/sim.ys": "yosys/bambu_sim.ys.j2"}
    if "vivado" in kinds:
        names["vivado/clock.xdc"] = "tcl/clock.xdc.j2"
    files = {path: render(template, **values) for path, template in names.items()}
    if "vivado" in kinds:
        files |= {f"vivado/{name}.tcl": _vivado(name, top, board) for name in STAGES}
    if "vitis" in kinds:
        files["hls/run_hls.tcl"] = render("tcl/run_hls.tcl.j2", **values)
        for stage in CHAINS["vitis"]:
            files[f"hls/{stage}.tcl"] = render("tcl/hls_stage.tcl.j2", **{**values, "stage": stage})
        for name, flow, data in (("hls", "", ()), ("hls_sim", "", TEST_DATA), ("hls_syn", "syn", ()), ("hls_impl", "impl", ())):
            file = f"{name}_config.cfg"
            files[file] = render("tcl/hls_config.cfg.j2", **{**values, "flow": flow, "data": data, "config": file})
    chains = [
        (kind, [(stage, steps_for(kind, stage, board, top, period.ns)) for stage in stages_for(kind, board)]) for kind in kinds
    ]
    files["run.sh"] = render("shell/run.sh.j2", chains=chains)
    return files


def _vivado(name: str, top: str, board: Board) -> str:
    """The script of one stage, from the table that its reports are checked against."""
    stage = STAGES[name]
    commands = [command.tcl.format(top=top, part=board.part) for command in stage.commands]
    return render("tcl/vivado.tcl.j2", stage=stage, commands=commands, top=top)
