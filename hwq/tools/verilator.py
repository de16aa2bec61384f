"""Verilator: a faster and independent simulation of the Verilog, where it is installed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hwq.errors import ToolError
from hwq.places import is_own, libraries
from hwq.tools.find import Tool, find
from hwq.tools.gxx import find_gxx, first_error
from hwq.tools.process import ToolRun, run
from hwq.tools.programs import Program

FLAGS = ("-O3", "-Wno-fatal", "-CFLAGS", "-DHWQ_VERILATOR -O1 -std=c++17")
_PLACE = "sim/verilated"
_RUNTIME = "verilated*.o"  # Verilator's own objects, the same for every design: two thirds of the time that a small design takes


def find_verilator() -> Tool | None:
    return find("verilator")


PROGRAM = Program(
    "verilator",
    "faster RTL simulation",
    "4.2",
    "",
    "the RTL is simulated with Yosys CXXRTL",
    "apt-get install verilator",
    find_verilator,
)


def compile_model(tool: Tool, top: str, folder: Path, log: Path) -> None:
    """Compile `rtl/<top>.v` and `sim/rtl_main.cpp` in `folder` to the program `sim/rtl`; Verilator's own objects are kept in the cache.

    Raises:
        ToolMissingError: no g++.
        ToolError: Verilator, make or g++ fails; the message holds the first error.
    """
    # C++ sources are looked up from the build folder
    sources = [f"rtl/{top}.v", "../rtl_main.cpp"]
    place = folder / _PLACE
    shutil.rmtree(place, ignore_errors=True)
    _checked(
        tool,
        run(
            [*tool.argv, "--cc", "--exe", *FLAGS, "--top-module", top, "--Mdir", _PLACE, "-o", "../rtl", *sources],
            cwd=folder,
            log=log,
            tool=tool,
        ),
        log,
    )
    log = log.with_name("verilator_build.log")
    make = ["make", "-C", _PLACE, "-f", f"V{top}.mk"]
    objects = _objects(tool)
    known = _copy(objects, place)
    built = run(make, cwd=folder, log=log, tool=tool)
    if built.returncode and known:  # perhaps by a damaged object of the cache
        for path in [*objects.glob(_RUNTIME), *place.glob(_RUNTIME)]:
            path.unlink(missing_ok=True)
        built = run(make, cwd=folder, log=log, tool=tool)
        known = False
    _checked(tool, built, log)
    if not known:
        with suppress(OSError):
            _copy(place, objects)


def _checked(tool: Tool, done: ToolRun, log: Path) -> None:
    if done.returncode:
        raise ToolError(f"Verilator failed ({done.ended}): {first_error(log)}", hint=f"see {log}", log=log)


def _objects(tool: Tool) -> Path:
    """Where the objects of this Verilator, compiled by this g++ with these flags, are kept."""
    gxx = find_gxx()
    key = hashlib.sha256("\0".join((*FLAGS, *tool.argv, tool.version, *gxx.argv, gxx.version)).encode()).hexdigest()[:16]
    return libraries(f"verilator-{key}")


def _copy(source: Path, target: Path) -> bool:
    """Copy the objects that belong to this user, each whole or not at all; whether there were any."""
    found = [path for path in sorted(source.glob(_RUNTIME)) if is_own(path)]
    for path in found:
        with tempfile.NamedTemporaryFile(dir=target, delete=False) as part:
            part.write(path.read_bytes())
        Path(part.name).replace(target / path.name)
    return bool(found)
