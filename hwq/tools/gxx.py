"""g++: compiling generated C++ against the ap_types headers that hls4ml ships, and CXXRTL models."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hwq.errors import ToolError, ToolMissingError
from hwq.tools.find import Tool, find, path_of, require
from hwq.tools.headers import Headers, discard, precompiled
from hwq.tools.process import ToolRun, run
from hwq.tools.programs import Program

PROGRAM = Program(
    "g++",
    "compiles the simulations",
    "7",
    "",
    "nothing can be simulated",
    "apt-get install g++",
    lambda: find("g++"),
    needed=True,
)


def find_gxx() -> Tool:
    """Raises ToolMissingError: no g++."""
    return require("g++", purpose="to compile the simulations", install="apt-get install g++")


def require_gxx() -> None:
    """Raises ToolMissingError: no g++. No program is started."""
    if path_of("g++") is None:
        find_gxx()


def ap_types() -> Path:
    """The folder with ap_fixed.h (AMD's open headers, in the hls4ml package).

    Raises:
        ToolMissingError: hls4ml is not installed.
    """
    spec = importlib.util.find_spec("hls4ml")
    for root in spec.submodule_search_locations or () if spec else ():
        found = sorted(Path(root).glob("templates/*/ap_types/ap_fixed.h"))
        if found:
            return found[0].parent
    raise ToolMissingError("the ap_fixed headers are missing; the C-simulation needs them", hint="pip install hls4ml")


def compile_program(
    sources: Sequence[str], output: str, *, cwd: Path, flags: Sequence[str], log: Path, headers: Headers | None = None
) -> ToolRun:
    """Compile `sources` (relative to `cwd`) to the program `output`.

    Args:
        headers: what the one source begins with, which is not read again where it was compiled before.

    Raises:
        ToolMissingError: no g++.
        ToolError: g++ failed; the message holds its first error.
    """
    gxx = find_gxx()
    first = None if headers is None else precompiled(headers, gxx)
    if first is not None:
        done = run([*gxx.argv, "-include", str(first), *flags, *sources, "-o", output], cwd=cwd, log=log, tool=gxx)
        if not done.returncode:
            return done
        discard(first)  # damaged, or the source is at fault: then it fails without as well
    done = run([*gxx.argv, *flags, *sources, "-o", output], cwd=cwd, log=log, tool=gxx)
    if done.returncode:
        raise ToolError(f"g++ failed ({done.ended}): {first_error(log)}", hint=f"see {log}", log=log)
    return done


def compile_library(
    sources: Sequence[str], output: str, *, cwd: Path, flags: Sequence[str], log: Path, jobs: int | None = None
) -> None:
    """Compile `sources` (relative to `cwd`) one by one, `jobs` at a time (default: one a core), and link them to a shared library.

    Raises:
        ToolMissingError: no g++.
        ToolError: g++ failed; the message holds its first error.
    """
    if len(sources) == 1:
        compile_program(sources, output, cwd=cwd, flags=[*flags, "-shared"], log=log)
        return

    def one(source: str) -> str:
        name = f"{source}.o"
        compile_program([source], name, cwd=cwd, flags=[*flags, "-c"], log=log.with_name(f"{source}.log"))
        return name

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        objects = list(pool.map(one, sources))
    compile_program(objects, output, cwd=cwd, flags=[*flags, "-shared"], log=log)


def first_error(log: Path) -> str:
    """The first line of a log that says "error", or its last line."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for line in lines:
        if "error" in line.lower():
            return line.strip()
    return lines[-1].strip() if lines else "it printed nothing"
