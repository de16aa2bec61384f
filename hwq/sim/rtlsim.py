"""RTL simulation: the generated Verilog through Yosys CXXRTL and g++ (or Verilator where it is installed), a row every clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build
from hwq.codegen.stream import StreamBuild
from hwq.errors import ToolError
from hwq.fixed.arithmetic import IntArray
from hwq.sim.csim import drive
from hwq.tools.find import Tool, find
from hwq.tools.gxx import compile_program, first_error
from hwq.tools.process import run
from hwq.tools.yosys import cxxrtl_headers, find_yosys, run_script

FLAGS = ("-std=c++17", "-O0", "-w")  # a model this size compiles for longer than it runs


def rtlsim(
    build: Build | StreamBuild, folder: Path, inputs: IntArray, *, notice: Callable[[str], None] | None = None
) -> npt.NDArray[np.int64]:
    """Outputs (rows, elements) of the Verilog in `folder` (where the plan has been written) for `inputs` (rows, elements).

    Raises:
        ToolMissingError: no Yosys or g++.
        ToolError: one of them fails, or the program does.
    """
    verilator = find("verilator")
    if verilator is not None:
        return _verilated(verilator, build, folder, inputs)
    model = f"sim/{build.plan.top}_rtl.cpp"
    run_script("sim/cxxrtl.ys", cwd=folder, log=folder / "sim" / "cxxrtl.log", outputs=[model], notice=notice)
    flags = [*FLAGS, "-I", str(cxxrtl_headers(find_yosys())), "-I", "sim"]
    compile_program(["sim/rtl_main.cpp"], "sim/rtl", cwd=folder, flags=flags, log=folder / "sim" / "rtl_build.log")
    return drive("sim/rtl", "rtl", build, folder, inputs)


def _verilated(tool: Tool, build: Build | StreamBuild, folder: Path, inputs: IntArray) -> npt.NDArray[np.int64]:
    """As `rtlsim`, through Verilator: a longer build, a faster and independent model."""
    top, log = build.plan.top, folder / "sim" / "verilator.log"
    flags = ["--cc", "--exe", "--build", "-O3", "-Wno-fatal", "-CFLAGS", "-DHWQ_VERILATOR -O1 -std=c++17", "--top-module", top]
    sources = [f"rtl/{top}.v", "../rtl_main.cpp"]  # C++ sources are looked up from the build folder
    argv = [*tool.argv, *flags, "--Mdir", "sim/verilated", "-o", "../rtl", *sources]
    done = run(argv, cwd=folder, log=log, tool=tool.name, version=tool.version)
    if done.returncode:
        raise ToolError(f"Verilator failed ({done.ended}): {first_error(log)}", hint=f"see {log}", log=log)
    return drive("sim/rtl", "rtl", build, folder, inputs)
