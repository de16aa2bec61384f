"""C-simulation: the generated ap_fixed C++ itself, compiled with g++ against AMD's headers and run on integer vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build
from hwq.codegen.stream import StreamBuild
from hwq.errors import ToolError
from hwq.fixed.arithmetic import IntArray
from hwq.sim.vectors import read_rows, write_rows
from hwq.tools.gxx import ap_types, compile_program
from hwq.tools.headers import Headers
from hwq.tools.process import run

# -Og inlines the headers' many small functions, which makes the program seven times as fast as -O0, at -O0's price in memory
FLAGS = ("-std=c++14", "-Og", "-fno-exceptions", "-w")
# the compiler tidies its memory earlier, a twelfth less of it for a twelfth more time: worth it where there is much of it
LARGE, TIDY = 1 << 18, ("--param=ggc-min-expand=60", "--param=ggc-min-heapsize=131072")
# what a design and its test bench begin with
INCLUDES = ("ap_fixed.h", "ap_int.h", "cstdio", "fstream", "iostream", "sstream", "string")


def csim(build: Build | StreamBuild, folder: Path, inputs: IntArray) -> npt.NDArray[np.int64]:
    """Outputs (rows, elements) of the C++ in `folder` (where the plan has been written) for `inputs` (rows, elements).

    Raises:
        ToolMissingError: no g++, or no ap_fixed headers.
        ToolError: it does not compile, or the program fails.
    """
    top, program = build.plan.top, "sim/csim"
    (folder / "sim").mkdir(parents=True, exist_ok=True)
    sources, flags = compiler_input(top, folder)
    built, headers = folder / "sim" / "csim_build.log", None
    # types wider than the headers' own limit are asked for by a definition in front of them
    if not _large(top, folder) and "AP_INT_MAX_W" not in (folder / "hls" / f"{top}.h").read_text():
        headers = Headers("csim", INCLUDES, ap_types(), FLAGS)
    compile_program(sources, program, cwd=folder, flags=flags, log=built, headers=headers)
    return drive(program, "csim", build, folder, inputs)


def compiler_input(top: str, folder: Path) -> tuple[list[str], list[str]]:
    """The sources for g++, in the folder of the plan, and its flags: the design goes in front of the test bench.

    One reading of AMD's headers instead of two, a sixth of the time.

    Raises:
        ToolMissingError: no ap_fixed headers.
    """
    tidy = TIDY if _large(top, folder) else ()
    return [f"hls/{top}_tb.cpp"], [*FLAGS, *tidy, "-I", str(ap_types()), "-include", f"hls/{top}.cpp"]


def _large(top: str, folder: Path) -> bool:
    return (folder / "hls" / f"{top}.cpp").stat().st_size > LARGE


def drive(
    program: str, name: str, build: Build | StreamBuild, folder: Path, inputs: IntArray, *arguments: str
) -> npt.NDArray[np.int64]:
    """Run a compiled test bench on `inputs` and read what it wrote."""
    source, sink = f"sim/{name}_inputs.dat", f"sim/{name}_outputs.dat"
    write_rows(folder / source, inputs)
    argv = [str((folder / program).resolve()), source, sink, *arguments]
    done = run(argv, cwd=folder, log=folder / "sim" / f"{name}.log", tool=name)
    if done.returncode:
        raise ToolError(f"the {name} program failed ({done.ended})", hint=f"see {done.log}", log=done.log)
    rows = read_rows(folder / sink, len(inputs), len(build.ports.outputs))
    for path in (source, sink):
        (folder / path).unlink()
    return rows
