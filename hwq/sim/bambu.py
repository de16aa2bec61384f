"""What Bambu made of the C++, simulated: its Verilog in Yosys CXXRTL and g++, a row after the other by its own protocol.

The module has the ports of `--generate-interface=INFER` with the C++'s `ap_none` arguments: clock, reset (active low), start_port for one
clock, done_port, x, which stays until the result is there, and y. Bambu's own test benches read y in the clock after done_port; a pipeline
may have left it there in the clock of done_port only where its next row is in already. Both are read; a design is right where one of
them is for all rows.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.codegen.ports import Ports, ports_of
from hwq.errors import ReportError, ToolError
from hwq.events import Notice, quiet
from hwq.files import sha256_of
from hwq.fixed.arithmetic import IntArray
from hwq.ir import parse, verify
from hwq.sim.compare import Comparison, compare
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import FLAGS
from hwq.sim.vectors import read_rows, write_rows
from hwq.templates import render
from hwq.toolchains.bambu import EVALUATOR, FOLDER
from hwq.toolchains.plan import TOP
from hwq.tools.gxx import compile_program
from hwq.tools.process import run
from hwq.tools.yosys import cxxrtl_headers, find_yosys, run_script

VERILOG = f"{FOLDER}/{TOP}.v"
MOST_CLOCKS = 100_000  # for one row
_PORT = re.compile(
    r"\b(input|output)\s+(?:wire\s+|reg\s+)?(?:signed\s+)?(?:\[\s*(\d+)\s*:\s*0\s*\]\s*)?(\w+(?:\s*,\s*(?!input\b|output\b)\w+)*)"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", re.DOTALL)


def sources(folder: Path) -> dict[str, str]:
    """What Bambu made, the Verilog and its tables: path in the plan -> SHA-256; empty where there is nothing."""
    if not (folder / VERILOG).is_file():
        return {}
    paths = [folder / VERILOG, *sorted((folder / FOLDER).glob("*.mem"))]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def require_interface(path: Path, ports: Ports, top: str = TOP) -> None:
    """Raises ReportError: the Verilog's top has not the ports that Bambu gives this design."""
    text = _COMMENT.sub("", path.read_text(errors="replace"))
    body = re.search(rf"^\s*module\s+{re.escape(top)}\b.*?^\s*endmodule\b", text, re.DOTALL | re.MULTILINE)
    if body is None:
        raise ReportError(path, f"there is no module {top} in it", hint="is it what Bambu wrote?")
    found = {
        name: (direction, int(high or 0) + 1)
        for direction, high, names in _PORT.findall(body[0])
        for name in re.split(r"\s*,\s*", names)
    }
    single = {name: ("input", 1) for name in ("clock", "reset", "start_port")}
    wanted = {**single, "done_port": ("output", 1), "x": ("input", ports.input_bits), "y": ("output", ports.output_bits)}
    if found != wanted:
        raise ReportError(
            path,
            f"the ports of {top} are {_told(found)}, expected {_told(wanted)}",
            hint="hwq simulates Bambu's Verilog before it believes its numbers, and does not know this interface: please report it",
        )


def _told(ports: dict[str, tuple[str, int]]) -> str:
    return ", ".join(f"{direction} {name}[{width}]" for name, (direction, width) in sorted(ports.items())) or "none"


def simulate(
    folder: Path, ports: Ports, inputs: IntArray, notice: Notice = quiet
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Outputs (rows, elements) in the clock of done_port, and in the one after, for `inputs` (rows, elements).

    Raises:
        ToolMissingError: no Yosys or g++.
        ReportError: the Verilog has another interface.
        ToolError: one of them fails, or a row is never done.
    """
    require_interface(folder / VERILOG, ports)
    sim = folder / "sim"
    sim.mkdir(exist_ok=True)
    run_script("sim.ys", cwd=folder / FOLDER, log=sim / "bambu.log", outputs=[f"{TOP}_sim.cpp"], notice=notice)
    (sim / "bambu_main.cpp").write_text(render("sim/bambu_main.cpp.j2", top=TOP, ports=ports, most_clocks=MOST_CLOCKS))
    flags = [*FLAGS, "-I", str(cxxrtl_headers(find_yosys()))]
    compile_program(["sim/bambu_main.cpp"], "sim/bambu", cwd=folder, flags=flags, log=sim / "bambu_build.log")
    names = [f"sim/bambu_{part}.dat" for part in ("inputs", "outputs", "after")]
    write_rows(folder / names[0], inputs)
    done = run([str((sim / "bambu").resolve()), *names], cwd=folder, log=sim / "bambu_run.log", tool="bambu's Verilog")
    if done.returncode:
        said = done.log.read_text(errors="replace").strip()
        raise ToolError(f"the simulation of Bambu's Verilog failed ({done.ended}): {said}", hint=f"see {done.log}", log=done.log)
    at_done, after = (read_rows(folder / name, len(inputs), len(ports.outputs)) for name in names[1:])
    for name in names:
        (folder / name).unlink()
    return at_done, after


def compare_compiled(folder: Path, inputs: IntArray, notice: Notice = quiet) -> Comparison:
    """Bambu's Verilog in a plan's folder against the plan's own graph (`graph.hwq`), for input mantissas (rows, elements).

    Raises:
        ToolMissingError, ReportError, ToolError: as `simulate`.
    """
    graph = verify(parse((folder / "graph.hwq").read_text()))
    expected = evaluate(graph, inputs)
    found = [compare(graph, "reference", expected, EVALUATOR, rows) for rows in simulate(folder, ports_of(graph), inputs, notice)]
    return min(reversed(found), key=lambda comparison: comparison.mismatches)
