"""What is installed, what is missing, what then happens instead, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from hwq.errors import HwqError
from hwq.tools import gxx, verilator
from hwq.tools.find import Tool, find, variable
from hwq.tools.gxx import ap_types
from hwq.tools.programs import Program, numbers


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """One line of `hwq doctor`; `needed` tools missing make it exit non-zero.

    Attributes:
        usable: found, and of a version that hwq can work with.
        supported: the versions that hwq has been written for, "" where any will do.
        licence: the environment variable that names its licence and whether it is set, "" where it needs none.
        override: the environment variable that points to it.
        fallback: what happens without it; obtain: how to get it.
        otherwise: what to do or know, "" where all is well.
    """

    name: str
    purpose: str
    found: bool
    version: str
    path: str
    needed: bool
    otherwise: str
    usable: bool = True
    supported: str = ""
    licence: str = ""
    override: str = ""
    fallback: str = ""
    obtain: str = ""


_MAKE = Program("make", "the Makefile's targets", "", "", "run the commands by hand", "apt-get install make", lambda: find("make"))


def examine(programs: Iterable[Program]) -> list[ToolStatus]:
    """Every program and package that hwq can use, needed ones first.

    Args:
        programs: those of the toolchains.
    """
    known = (gxx.PROGRAM, _MAKE, verilator.PROGRAM, *programs)
    return [
        _python(),
        *(_program(p) for p in known if p.needed),
        _package("tensorflow", "training", "synth, sim and report work without it", "pip install tensorflow"),
        _package("keras", "training", "synth, sim and report work without it", "pip install keras"),
        _headers(),
        *(_program(p) for p in known if not p.needed),
        _package("sqlalchemy", "a store on a server", "measurements are kept in a file", "pip install 'hwq[team]'", needed=False),
    ]


def _python() -> ToolStatus:
    version = platform.python_version()
    return ToolStatus("python", "runs hwq", True, version, sys.executable, True, "", supported="3.11 - 3.13")


def _program(program: Program) -> ToolStatus:
    override, needed = variable(program.called[0]), program.needed
    supported = " - ".join(v for v in (program.oldest, program.newest) if v)
    supported = supported if program.newest or not supported else f"{supported} or newer"
    set_to = next((os.environ[v] for v in program.licence.split(" or ") if v and os.environ.get(v)), "")
    licence = program.licence and f"{program.licence} ({'set' if set_to else 'not set'})"
    common = (supported, licence, override, program.fallback, program.obtain)
    missing = f"{program.obtain}; without it {program.fallback}"
    try:
        tool = program.look()
    except HwqError as error:
        hint = f"{error.message}; {error.hint or missing}"
        return ToolStatus(program.name, program.purpose, False, "", "", needed, hint, False, *common)
    if tool is None:
        return ToolStatus(program.name, program.purpose, False, "", "", needed, missing, False, *common)
    problem, usable = _judge(program, tool)
    return ToolStatus(tool.name, program.purpose, True, tool.version, tool.argv[0], needed, problem, usable, *common)


def _judge(program: Program, tool: Tool) -> tuple[str, bool]:
    """What to say of a tool that is there, and whether it can be used."""
    found = numbers(tool.version)
    if not found:
        return "it does not say its version", True
    if found < numbers(program.oldest):
        return f"too old: hwq needs {program.oldest} or newer; {program.obtain}", False
    if program.newest and found[: len(numbers(program.newest))] > numbers(program.newest):
        return f"newer than {program.newest}, the last that hwq has been written for", True
    return "", True


def _package(name: str, purpose: str, fallback: str, obtain: str, *, needed: bool = True) -> ToolStatus:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        otherwise = f"{obtain}; {fallback}"
        return ToolStatus(name, purpose, False, "", "", needed, otherwise, False, fallback=fallback, obtain=obtain)
    return ToolStatus(name, purpose, True, version, "Python package", needed, "", fallback=fallback, obtain=obtain)


def _headers() -> ToolStatus:
    name, purpose, obtain = "ap_types", "headers of the C-simulation", "pip install hls4ml"
    try:
        return ToolStatus(name, purpose, True, importlib.metadata.version("hls4ml"), str(ap_types()), True, "", obtain=obtain)
    except HwqError as error:
        return ToolStatus(name, purpose, False, "", "", True, error.hint or error.message, False, obtain=obtain)
