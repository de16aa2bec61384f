"""The examples of the public names run as their docstrings show them."""

from __future__ import annotations

import doctest
import inspect
import json
import re
import shutil
from pathlib import Path

import pytest

import hwq

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "fixtures" / "0.1.0" / "run"
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


def require_examples(found: object, name: str) -> None:
    """The docstring has an example, and it gives what it shows."""
    tests = doctest.DocTestFinder(recurse=False).find(found, name, globs={})
    assert sum(len(test.examples) for test in tests) > 1, f"hwq.{name} has no example"
    told: list[str] = []
    for test in tests:
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize("name", hwq.__all__)
def test_every_public_name_has_an_example_that_runs(name: str, place: Path) -> None:
    found: object = hwq
    for part in BESIDES.get(name, name).split("."):
        found = getattr(found, part)
    assert inspect.getdoc(getattr(hwq, name)), name
    require_examples(found, name)


LAYERS = re.findall(
    r'^    "(Q(?!uantized)\w+|Quantize|Rearrange)",$', (ROOT / "hwq" / "layers" / "__init__.py").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_tells_its_shapes_its_errors_and_an_example(name: str) -> None:
    layer = getattr(hwq.layers, name)
    told = inspect.getdoc(layer) or ""
    assert re.search(r"^Shapes: .*(in and out|in[,;] .*out)", told, re.MULTILINE), (
        f"{name} does not say what goes in and what comes out"
    )
    assert re.search(r"^Raises:\n    \w+Error: ", told, re.MULTILINE), f"{name} does not say what it refuses"
    require_examples(layer, name)


def test_the_layers_are_found() -> None:
    assert len(LAYERS) > 35 and {"QDense", "Quantize"} <= {*LAYERS} <= {*hwq.layers.__all__}
