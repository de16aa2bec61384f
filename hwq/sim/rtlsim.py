"""RTL simulation, rows as often as the design takes them: the generated Verilog, or the netlist synthesised from it, in CXXRTL and g++.

Where Verilator is installed it simulates the Verilog.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build
from hwq.codegen.stream import StreamBuild
from hwq.errors import MismatchError, ToolError
from hwq.events import Notice, quiet
from hwq.fixed.arithmetic import IntArray
from hwq.sim.csim import drive
from hwq.toolchains import yosys
from hwq.tools.find import Tool
from hwq.tools.gxx import compile_program
from hwq.tools.headers import Headers
from hwq.tools.verilator import compile_model, find_verilator
from hwq.tools.yosys import cxxrtl_headers, find_yosys, run_script

NETLIST = yosys.NETLIST  # what synthesis with Yosys leaves in the build folder
MAPS = f"hwq synth --tool {yosys.TOOLCHAIN.name} makes one"
GAPS, GAPPED = "gaps", 500  # the test bench's word for rows that come late, and how many of them do
FLAGS = ("-std=c++17", "-O0", "-w")  # a model of a pipeline compiles for longer than it runs
INCLUDES = ("cxxrtl/cxxrtl.h", "fstream", "iostream", "sstream", "string", "vector")
MANY = 50_000  # clocks from which on a model runs for longer than its optimisation takes: three times as long to compile, 60 times as fast

AFFORDED, FEWEST = 1 << 18, 20  # clocks that are simulated of a design that takes a row every few, and rows at least


def affordable(build: Build, count: int) -> int:
    """How many of `count` rows a simulation clock by clock has time for: all of a pipeline, fewer where a row takes thousands of clocks."""
    return count if build.interval == 1 else min(count, max(FEWEST, AFFORDED // build.interval))


def rtlsim(build: Build | StreamBuild, folder: Path, inputs: IntArray, *, notice: Notice = quiet) -> npt.NDArray[np.int64]:
    """Outputs (rows, elements) of the Verilog in `folder` (where the plan has been written) for `inputs` (rows, elements).

    Raises:
        ToolMissingError: no Yosys or g++.
        ToolError: one of them fails, or the program does: a result that comes too early or late, for one.
        MismatchError: a design that takes a row every few clocks computes something else when rows come later.
    """
    verilator = find_verilator()
    if verilator is not None:
        return _verilated(verilator, build, folder, inputs)
    return _cxxrtl(_RTL, build, folder, inputs, notice)


def _driven(program: str, name: str, build: Build | StreamBuild, folder: Path, inputs: IntArray) -> npt.NDArray[np.int64]:
    """Rows as often as the design takes them; where that is not every clock, some of them with gaps between as well."""
    found = drive(program, name, build, folder, inputs)
    if isinstance(build, Build) and build.interval > 1 and len(inputs):
        late = drive(program, name, build, folder, inputs[:GAPPED], GAPS)
        differs = np.flatnonzero((late != found[:GAPPED]).any(axis=1))
        if len(differs):
            row = int(differs[0])
            raise MismatchError(
                f"{name}: row {row} gives {found[row].tolist()} back to back, {late[row].tolist()} with gaps between the rows",
                hint=f"please report it with {folder / 'graph.hwq'}",
            )
    return found


def mapped(build: Build | StreamBuild, folder: Path, inputs: IntArray, *, notice: Notice = quiet) -> npt.NDArray[np.int64]:
    """Outputs (rows, elements) of the netlist that Yosys mapped to the part's cells in `folder`, with Yosys' models of those cells.

    Raises:
        ToolMissingError: no Yosys or g++.
        ToolError: there is no netlist yet, one of them fails, or the program does.
    """
    if not (folder / NETLIST).is_file():
        raise ToolError(f"there is no mapped netlist at {folder / NETLIST}", hint=MAPS)
    return _cxxrtl(_MAPPED, build, folder, inputs, notice)


@dataclass(frozen=True, slots=True)
class _Model:
    """What CXXRTL makes a program of: its name, the script that writes its C++, and what the test bench is told."""

    name: str
    script: str
    defines: tuple[str, ...] = ()


_RTL, _MAPPED = _Model("rtl", "sim/cxxrtl.ys"), _Model("mapped", "sim/mapped.ys", ("-DHWQ_MAPPED",))


def _cxxrtl(model: _Model, build: Build | StreamBuild, folder: Path, inputs: IntArray, notice: Notice) -> npt.NDArray[np.int64]:
    name, log = model.name, folder / "sim" / f"{Path(model.script).stem}.log"
    run_script(model.script, cwd=folder, log=log, outputs=[f"sim/{build.plan.top}_{name}.cpp"], notice=notice)
    clocks = len(inputs) * (build.interval if isinstance(build, Build) else 1)
    runtime, built = cxxrtl_headers(find_yosys()), folder / "sim" / f"{name}_build.log"
    flags = [*FLAGS, *(("-O1",) if clocks > MANY else ()), *model.defines, "-I", str(runtime), "-I", "sim"]
    # of a long simulation the reading of headers is a small part
    headers = None if clocks > MANY else Headers("cxxrtl", INCLUDES, runtime, FLAGS)
    compile_program(["sim/rtl_main.cpp"], f"sim/{name}", cwd=folder, flags=flags, log=built, headers=headers)
    return _driven(f"sim/{name}", name, build, folder, inputs)


def _verilated(tool: Tool, build: Build | StreamBuild, folder: Path, inputs: IntArray) -> npt.NDArray[np.int64]:
    """As `rtlsim`, through Verilator: a longer build, a faster and independent model."""
    compile_model(tool, build.plan.top, folder, folder / "sim" / f"{tool.name}.log")
    return _driven("sim/rtl", "rtl", build, folder, inputs)
