"""The examples of the public names run as their docstrings show them."""

from __future__ import annotations

import doctest
import inspect
import json
import shutil
from pathlib import Path

import pytest

import hwq

RUN = Path(__file__).resolve().parents[1] / "fixtures" / "0.1.0" / "run"
PEER = RUN.parents[1] / "imports" / "hgq2_dense.keras"
BESIDES = {"Store": "Store.open", "boards": "boards.load", "callbacks": "callbacks.BetaSchedule", "errors": "errors.HwqError"}
BESIDES |= {"layers": "layers.QDense", "Design": "compile", "QuantizeConfig": "quantize"}  # where the example of a name stands


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples find the files that they name."""
    shutil.copytree(RUN, tmp_path / "run")
    shutil.copy(PEER, tmp_path)
    modules = {"top": {"num_cells": 3, "num_cells_by_type": {"LUT2": 3}}}
    (tmp_path / "stat.json").write_text(json.dumps({"creator": "Yosys 0.60", "modules": modules, "design": modules["top"]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", hwq.__all__)
def test_every_public_name_has_an_example_that_runs(name: str, place: Path) -> None:
    found: object = hwq
    for part in BESIDES.get(name, name).split("."):
        found = getattr(found, part)
    assert inspect.getdoc(getattr(hwq, name)), name
    tests = doctest.DocTestFinder(recurse=False).find(found, name, globs={})
    assert sum(len(test.examples) for test in tests) > 1, f"hwq.{name} has no example"
    told: list[str] = []
    for test in tests:
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=told.append)
    assert not told, "".join(told)
