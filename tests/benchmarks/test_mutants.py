"""The process that meets mutants with tests: which lines a test runs, what fails, what is stopped; and where a mutant's lines are."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.processes import WORKERS
from benchmarks.experiments.mutation import Place, expressions, lines_of, mutated, places

SOURCE = """LIMIT = 3

def twice(x):
    return 2 * x

def small(x):
    if (
        x < LIMIT
    ):
        return True
    return False
"""
TESTS = """import pytest
from core import small, twice

@pytest.fixture(scope="module")
def four():
    return twice(2)

def test_twice(four):
    assert twice(1) == 2

def test_four(four):
    assert four == 4

def test_small():
    assert small(2)
"""
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text(SOURCE)
    (tmp_path / "test_core.py").write_text(TESTS)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, str(WORKERS / "fork_worker.py")]
    with subprocess.Popen(argv, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdin is not None and host.stdout is not None
        given, answers = host.stdin, host.stdout

        def asked(**request: object) -> dict[str, Any]:
            given.write(json.dumps({"paths": ["test_core.py"], "limit_s": 60, **request}) + "\n")
            given.flush()
            return dict(json.loads(answers.readline()))

        yield asked
        given.close()


def test_mutants_meet_the_tests_that_run_their_line(ask: Ask, tmp_path: Path) -> None:
    found = ask(traced=["core"])
    assert found["ends"] == 0
    lines = {name.partition("::")[2]: run.get("core/__init__.py") for name, (_, run) in found["tests"].items()}
    assert lines == {"test_twice": [3, 4], "test_four": None, "test_small": [6, 8, 10]}
    assert found["fixtures"]["test_core.py"] == {"core/__init__.py": [3, 4]}  # which the other tests of the file may share
    source = tmp_path / "core" / "__init__.py"
    both = {"test_core.py::test_small": 20, "test_core.py::test_twice": 20}
    source.write_text(SOURCE.replace("2 * x", "3 * x"))
    assert ask(chosen=both) == {"ends": 1, "failed": "test_core.py::test_twice"}
    source.write_text(SOURCE.replace("return False", "while True: pass").replace("x < LIMIT", "x > LIMIT"))
    assert ask(chosen={"test_core.py::test_small": 1}) == {"ends": -24, "failed": None}  # SIGXCPU
    source.write_text("no python")
    assert ask(chosen=both)["ends"] == 2
    source.write_text(SOURCE)
    assert ask(chosen=both) == {"ends": 0, "failed": None}


def test_the_lines_of_a_mutant() -> None:
    tree = ast.parse(SOURCE)
    found = {
        ast.unparse(node): lines_of(tree, node)
        for node in expressions(tree)
        if isinstance(node, (ast.BinOp, ast.Compare, ast.Constant))
    }
    assert found == {
        "3": None,
        "2 * x": range(4, 5),
        "2": range(4, 5),
        "x < LIMIT": range(7, 10),
        "True": range(10, 11),
        "False": range(11, 12),
    }


def test_every_mutant_is_another_source() -> None:
    every = places("fixed")
    assert len(every) > 100 and all(isinstance(place, Place) for place in every)
    for place in every[:: len(every) // 10]:
        source, what, _ = mutated(place)
        before, after = what.split(": ", 1)[1].split(" -> ", 1)
        assert before != after and source != ast.unparse(ast.parse((WORKERS.parents[1] / place.path).read_text()))
