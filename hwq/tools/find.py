"""Finding programs: the HWQ_<TOOL> variable, else PATH. What each program is and which versions will do is not known here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import ToolMissingError


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that is there.

    Attributes:
        argv: how it is started.
        version: "" where it does not say.
        package: the Python package that carries it as WebAssembly (`hwq.tools.wasm`); "" for a native program.
    """

    name: str
    argv: tuple[str, ...]
    version: str
    package: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?(?:\.\d+)?(?:\+\d+)?)")


def variable(name: str) -> str:
    """The environment variable that overrides where `name` is."""
    return "HWQ_" + re.sub(r"\W", "_", name.replace("++", "XX")).upper()


def path_of(name: str) -> str | None:
    """Where the program `name` is, or None; the HWQ_ variable may say "none", for a program that is not to be used.

    Raises:
        ToolMissingError: the HWQ_ variable names something that is no program.
    """
    override = os.environ.get(variable(name))
    if override == "none":  # as if it were not installed
        return None
    if override:
        found = shutil.which(override)
        if found is None:
            raise ToolMissingError(
                f"{variable(name)} is {override!r}, which is no program", hint=f"correct it, or unset it to search PATH for {name}"
            )
        return found
    return shutil.which(name)


def find(name: str, asked: str = "--version") -> Tool | None:
    """The program `name`, or None.

    Args:
        asked: the argument by which it tells its version.
    """
    path = path_of(name)
    return None if path is None else Tool(name, (path,), version_of((path,), asked))


def require(name: str, *, purpose: str, install: str) -> Tool:
    """The tool `name`.

    Raises:
        ToolMissingError: not there; says what it is for and both ways out.
    """
    tool = find(name)
    if tool is None:
        raise ToolMissingError(
            f"{name} is not installed; it is needed {purpose}", hint=f"{install}, or point {variable(name)} to it"
        )
    return tool


def version_of(argv: tuple[str, ...], asked: str = "--version") -> str:
    """The version in the program's own banner; "" when it prints none in 60 s.

    Programs are asked each time: a launcher script starts another version without a change of its own file.
    """
    try:
        done = subprocess.run(
            [*argv, asked], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, cwd=Path.home(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return banner_version(done.stdout + done.stderr)


def banner_version(text: str) -> str:
    """The first version in a banner: `2023.2.1`, or `0.33+34` of a build between releases; "" where there is none.

    What is built between releases keeps its suffix, since it may make other netlists than the release. The generated `run.sh` cuts it
    out in the same way.
    """
    match = _VERSION.search(text)
    return match[1] if match else ""
