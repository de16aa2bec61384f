"""Scripts that drive the tools over a generated design: Yosys, Vivado HLS / Vitis HLS (one Tcl for all), Vivado.

Every tool is started in the build folder; scripts use relative paths only.
"""

from __future__ import annotations

from hwq.boards import Board
from hwq.codegen.templates import render
from hwq.units import Period

UNCERTAINTY = 0.125  # share of the period that HLS keeps for routing: the default of Vivado HLS


def script_files(top: str, board: Board, period: Period, latency: int) -> dict[str, str]:
    """Relative path -> text of every script; those for tools that cannot take the board's part are left out.

    Args:
        latency: clock cycles of the Verilog's pipeline, which the proofs let pass.
    """
    values: dict[str, object] = {
        "top": top,
        "part": board.part,
        "family": board.yosys_family,
        "period_ns": f"{period.ns:g}",
        "latency": latency,
        "cells": "-DNO_INCLUDES +/ecp5/cells_sim.v" if board.yosys_family == "ecp5" else "+/xilinx/cells_sim.v",
        "uncertainty_ns": f"{period.ns * UNCERTAINTY:g}",
    }
    names = {"sim/cxxrtl.ys": "yosys/cxxrtl.ys.j2"}
    if board.yosys_family:
        names |= {f"sim/{name}.ys": f"yosys/{name}.ys.j2" for name in ("mapped", "prove_parts", "prove_whole")}
        names["yosys/synth.ys"] = "yosys/ecp5.ys.j2" if board.yosys_family == "ecp5" else "yosys/xilinx.ys.j2"
    if "vitis" in board.tools:
        names["hls/run_hls.tcl"] = "tcl/run_hls.tcl.j2"
        names["hls/hls_config.cfg"] = "tcl/hls_config.cfg.j2"
    if "vivado" in board.tools:
        names["vivado/synth.tcl"] = "tcl/vivado.tcl.j2"
        names["vivado/clock.xdc"] = "tcl/clock.xdc.j2"
    return {path: render(template, **values) for path, template in names.items()}
