"""RTL simulation: the generated Verilog through Yosys CXXRTL and g++ (or Verilator where it is installed), a row every clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build
from hwq.fixed.arithmetic import IntArray
from hwq.sim.csim import drive
from hwq.tools.gxx import compile_program
from hwq.tools.yosys import cxxrtl_headers, find_yosys, run_script

FLAGS = ("-std=c++17", "-O0", "-w")  # a model this size compiles for longer than it runs


def rtlsim(build: Build, folder: Path, inputs: IntArray, *, notice: Callable[[str], None] | None = None) -> npt.NDArray[np.int64]:
    """Outputs (rows, elements) of the Verilog in `folder` (where the plan has been written) for `inputs` (rows, elements).

    Raises:
        ToolMissingError: no Yosys or g++.
        ToolError: one of them fails, or the program does.
    """
    model = f"sim/{build.plan.top}_rtl.cpp"
    run_script("sim/cxxrtl.ys", cwd=folder, log=folder / "sim" / "cxxrtl.log", outputs=[model], notice=notice)
    flags = [*FLAGS, "-I", str(cxxrtl_headers(find_yosys())), "-I", "sim"]
    compile_program(["sim/rtl_main.cpp"], "sim/rtl", cwd=folder, flags=flags, log=folder / "sim" / "rtl_build.log")
    return drive("sim/rtl", "rtl", build, folder, inputs)
