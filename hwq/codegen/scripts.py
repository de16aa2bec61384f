"""Scripts that drive the tools over a generated design: Yosys, Vivado HLS / Vitis HLS (one Tcl for all), Vivado.

Every tool is started in the build folder; scripts use relative paths only.
"""

from __future__ import annotations

from hwq.boards import Board
from hwq.codegen.steps import CHAINS, kinds_for, stages_for, steps_for
from hwq.codegen.templates import render
from hwq.units import Period

UNCERTAINTY = 0.125  # share of the period that HLS keeps for routing: the default of Vivado HLS


def script_files(top: str, board: Board, period: Period, latency: int | None = None) -> dict[str, str]:
    """Relative path -> text of every script; those for tools that cannot take the board's part are left out.

    Args:
        latency: clock cycles of the Verilog's pipeline, which the proofs of its netlist let pass; None for a design that is no
            pipeline, and then there are none.
    """
    values: dict[str, object] = {
        "top": top,
        "part": board.part,
        "family": board.yosys_family,
        "period_ns": f"{period.ns:g}",
        "latency": latency,
        "cells": "-DNO_INCLUDES +/ecp5/cells_sim.v" if board.yosys_family == "ecp5" else "+/xilinx/cells_sim.v",
        "uncertainty_ns": f"{period.ns * UNCERTAINTY:g}",
        "flow": "",
    }
    kinds = kinds_for(board)
    names = {"sim/cxxrtl.ys": "yosys/cxxrtl.ys.j2"}
    if board.yosys_family and latency is not None:
        names |= {f"sim/{name}.ys": f"yosys/{name}.ys.j2" for name in ("mapped", "prove_parts", "prove_whole")}
    if board.yosys_family == "ecp5":
        names["yosys/synth.ys"] = "yosys/ecp5.ys.j2"
        if board.harness is not None:
            names["board/synth.ys"] = "yosys/ecp5_board.ys.j2"
    elif board.yosys_family:
        names["yosys/synth.ys"] = "yosys/xilinx.ys.j2"
    if "bambu" in kinds:
        names["bambu/synth.ys"] = "yosys/bambu.ys.j2"
    if "vivado" in kinds:
        names |= {f"vivado/{stage}.tcl": f"tcl/vivado_{stage}.tcl.j2" for stage in CHAINS["vivado"]}
        names["vivado/clock.xdc"] = "tcl/clock.xdc.j2"
    files = {path: render(template, **values) for path, template in names.items()}
    if "vitis" in kinds:
        files["hls/run_hls.tcl"] = render("tcl/run_hls.tcl.j2", **values)
        for stage in CHAINS["vitis"]:
            files[f"hls/{stage}.tcl"] = render("tcl/hls_stage.tcl.j2", **{**values, "stage": stage})
        # the rows of the test bench are there only where a simulation was asked for
        for name, flow, data in (("hls", "", False), ("hls_sim", "", True), ("hls_syn", "syn", False), ("hls_impl", "impl", False)):
            files[f"hls/{name}_config.cfg"] = render("tcl/hls_config.cfg.j2", **{**values, "flow": flow, "data": data})
    chains = [
        (kind, [(stage, steps_for(kind, stage, board, top, period.ns)) for stage in stages_for(kind, board)]) for kind in kinds
    ]
    files["run.sh"] = render("shell/run.sh.j2", chains=chains)
    return files
