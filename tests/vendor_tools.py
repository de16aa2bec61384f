"""Launchers of the stubs (tests/stubs), as tests put them in place of vendor tools."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hwq.tools import find
from hwq.tools.gxx import ap_types

TESTS = Path(__file__).parent


def require_tcl() -> None:
    """Skip where Python has no Tcl: the stubs interpret the generated scripts."""
    tkinter = pytest.importorskip("tkinter", reason="the stubs of vendor tools need Python's Tcl (Debian: python3-tk)")
    try:
        tkinter.Tcl()
    except tkinter.TclError as error:
        pytest.skip(f"Python's Tcl does not start: {error}")


def launcher(folder: Path, program: str, version: str) -> Path:
    """An executable that is `program` in `version`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cache").mkdir(exist_ok=True)
    path = folder / program
    environment = f"PYTHONPATH='{TESTS}' STUB_CACHE=\"${{STUB_CACHE:-{folder / 'cache'}}}\" STUB_AP_TYPES='{ap_types()}'"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> "{folder}/starts"\n{environment} exec {sys.executable} -m stubs {program} {version} "$@"\n'
    )
    path.chmod(0o755)
    return path


def install(patch: pytest.MonkeyPatch, folder: Path, **versions: str) -> None:
    """Put programs in hwq's way: `vivado="2024.2"`, `vitis_run=`, `vpp=`."""
    names = {"vitis_run": "vitis-run", "vpp": "v++"}
    patch.setenv("HWQ_CACHE", str(folder / "hwq-cache"))
    for key, version in versions.items():
        program = names.get(key, key)
        patch.setenv(find.variable(program), str(launcher(folder / version, program, version)))
