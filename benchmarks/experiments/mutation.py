"""How many small defects the fast tests notice: mutants of the core, one at a time, against the tests of their package.

A mutant is one change of one expression: a comparison made strict or not, an integer constant one off, a sum made a difference, a shift
turned round, a minimum made a maximum, `and` made `or`, a `not` or a minus left out. Texts of errors and annotations are left alone. Each
mutant lies in a copy of the source tree and meets, in a fork of a process that has imported everything else, those tests of its package that
run its line, the quickest first; a test that fails has killed it, and nothing else has. A mutant whose test goes on for ten times the CPU
time that it takes unchanged is stopped, told apart, and counted as alive: how loaded the machine is kills nothing. No mutant profits from
the examples that Hypothesis found of another. What survives the tests of its package meets those of the simulators, which compare whole
networks in every evaluator.
"""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.common.experiment import BenchmarkError, Context, Experiment
from benchmarks.common.processes import ROOT, THREADS, WORKERS
from benchmarks.common.row import Row


@dataclass(frozen=True, slots=True)
class Settings:
    """How many mutants of each package, which, and after how many minutes a package is left; the CPU seconds of tests, unchanged, that a
    mutant meets at most in each of two steps, and whether there is the second, the tests of the simulators."""

    mutants: int = 24
    seed: int = 0
    minutes: float = 30.0
    test_s: float = 90.0
    wider: bool = True


EXPERIMENT = Experiment(
    "Small defects that the fast tests notice: mutants of the core, one at a time",
    cpu=("1 h", "10 min"),
    settings=Settings(),
    quick=Settings(mutants=2, wider=False),
)
KILLED = "mutants killed"
STOPPED = "of the others, stopped"
MOST_S = 3600  # of CPU time, for tests that were not measured
SLOWER, SPARE_S = 10, 20  # a test may take so many times the CPU time that it takes unchanged, and so many seconds more
# as hwq.backend and tests/conftest.py have it: the process that forks imports TensorFlow before either
ENVIRONMENT = {
    **dict.fromkeys(THREADS, "1"),
    **{"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
    "PYTHONDONTWRITEBYTECODE": "1",
}
FAILED = (1, 2)  # how pytest ends where a test failed, or a file of tests could not be imported
IR = [
    "tests/fixed",
    *(
        f"tests/ir/test_{name}.py"
        for name in ("intervals", "builder", "graph_parts", "word_sizes", "ops", "graph_text", "limits", "exact_bounds")
    ),
]
PASSES = [
    "tests/passes/test_exhaustive.py",
    "tests/passes/test_stages.py",
    "tests/passes/test_postpone.py",
    "tests/passes/test_small_circuits.py",
    "tests/passes/test_lowering.py",
    "tests/ir/test_rows.py",
    "tests/passes/test_passes.py",
    "tests/passes/test_cones.py",
    "tests/passes/test_pipeline.py",
    "tests/passes/test_adders.py",
    "tests/passes/test_problem.py",
    "tests/passes/test_choices.py",
]
GRAPHS = ["tests/sim/test_random_graphs.py::test_a_hundred_graphs_in_python"]
REFUSED = ["tests/sim/test_stream.py::test_what_changes_over_the_image_is_refused"]
TESTS = {
    "fixed": [*IR, *GRAPHS],
    "ir": [*IR, *PASSES, *GRAPHS, "tests/conversion/test_graph_model.py"],
    "passes": [*PASSES, *GRAPHS, *REFUSED, "tests/codegen/test_golden.py"],
    "reports": ["tests/reports"],
    "measure": ["tests/measure"],
}
NETWORKS = ["tests/conversion/test_graph_model.py", "tests/sim", "tests/styles", "tests/codegen", "tests/importers", "tests/cost"]
WIDER = {
    **{package: NETWORKS for package in ("fixed", "ir", "passes")},
    "measure": ["tests/measure/test_store.py", "tests/synthesis", "tests/flow/test_plans.py", "tests/faults/test_swapped.py"],
}
SWAPS: dict[type, type] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.And: ast.Or, ast.Or: ast.And},
}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Place:
    """An expression that can be changed: the file, its number in the file's walk, and which change."""

    path: Path
    number: int
    kind: str


def expressions(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those in annotations, errors, decorators, texts and docstrings, always in the same order."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)):
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue
                yield child
                yield from expressions(child)


def kinds(node: ast.AST) -> list[str]:
    """The changes that `change` can make of a node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        return ["swap"]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return ["up", "down"]
    if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
        texts = [n for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        return [] if texts or (isinstance(node, ast.BinOp) and isinstance(node.left, (ast.List, ast.Tuple))) else ["swap"]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        return ["drop"]
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return ["name"] if name in NAMES else []
    return []


def change(node: ast.AST, kind: str) -> str:
    """Change a node in place; what was done."""
    before = ast.unparse(node)
    if isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        node.value += 1 if kind == "up" else -1
    elif isinstance(node, (ast.BinOp, ast.BoolOp)):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Call):
        target = node.func
        if isinstance(target, ast.Attribute):
            target.attr = NAMES[target.attr]
        elif isinstance(target, ast.Name):
            target.id = NAMES[target.id]
    return f"{before} -> {ast.unparse(node)}"


def places(package: str) -> list[Place]:
    found = []
    for path in sorted((ROOT / "hwq" / package).rglob("*.py")):
        tree = ast.parse(path.read_text())
        same = open_axes(tree)
        for number, node in enumerate(expressions(tree)):
            found += [
                Place(path.relative_to(ROOT), number, kind) for kind in kinds(node) if not (kind == "up" and id(node) in same)
            ]
    return found


def open_axes(tree: ast.AST) -> set[int]:
    """The ones of every `reshape(..., -1)`: NumPy takes any number below 0 for the axis that is left open, so that -2 says the same."""
    found = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "reshape":
            sizes = [n for a in call.args for n in (a.elts if isinstance(a, ast.Tuple) else [a])]
            found |= {id(n.operand) for n in sizes if isinstance(n, ast.UnaryOp) and isinstance(n.op, ast.USub)}
    return found


def mutated(place: Place) -> tuple[str, str, range | None]:
    """(source of the mutant, what was done and where, the lines it is in: see `lines_of`)."""
    tree = ast.parse((ROOT / place.path).read_text())
    node = next(n for i, n in enumerate(expressions(tree)) if i == place.number)
    lines = lines_of(tree, node)
    done = change(node, place.kind)
    return ast.unparse(tree), f"{place.path}:{getattr(node, 'lineno', 0)}: {done}", lines


@dataclass(slots=True)
class Tests:
    """The tests of some paths in a copy of the source tree: which lines of a package each runs, and for how long."""

    host: subprocess.Popen[str]
    paths: list[str]
    package: str
    tests: dict[str, tuple[float, dict[str, list[int]]]] = field(default_factory=dict)
    fixtures: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def trace(self) -> Tests:
        """Run them all, unchanged.

        Raises:
            BenchmarkError: they fail, or are not there: then they tell nothing of mutants.
        """
        answer = self._ask(self.paths, MOST_S, traced=[f"hwq/{self.package}"])
        if answer["ends"]:
            raise BenchmarkError(f"the tests of {self.package} do not pass as it is: {answer['failed'] or ' '.join(self.paths)}")
        self.tests, self.fixtures = answer["tests"], answer["fixtures"]
        return self

    def run(self, path: Path, lines: range | None, most_s: float) -> tuple[int, str]:
        """How pytest ends with those that run one of these lines of a file, all without any, and the test that failed.

        The quickest come first, as many as take `most_s` together.
        """
        spent, chosen = 0.0, dict[str, int]()
        for name, (cpu_s, found) in sorted(self.tests.items(), key=lambda item: item[1][0]):
            known = {*found.get(str(path), ()), *self.fixtures.get(name.partition("::")[0], {}).get(str(path), ())}
            if lines is None or not known.isdisjoint(lines):
                spent += cpu_s
                chosen |= {name: int(SLOWER * cpu_s) + SPARE_S} if spent <= most_s else {}
        if not chosen:
            return 0, "no test runs it"
        files = list(dict.fromkeys(name.partition("::")[0] for name in chosen))
        answer = self._ask(files, SPARE_S, chosen=chosen)
        return answer["ends"], answer["failed"] or f"{len(chosen)} tests run it"

    def _ask(self, paths: list[str], limit_s: int, **more: list[str] | dict[str, int]) -> dict[str, Any]:
        assert self.host.stdin is not None
        assert self.host.stdout is not None
        self.host.stdin.write(json.dumps({"paths": paths, "limit_s": limit_s, **more}) + "\n")
        self.host.stdin.flush()
        answer: dict[str, Any] = json.loads(
            self.host.stdout.readline() or '{"ends": -1, "failed": "the process of the tests ended"}'
        )
        return answer


def lines_of(tree: ast.AST, node: ast.AST) -> range | None:
    """The lines of the innermost statement around a node, without its body; None where it runs when the module is imported."""
    line, inside, found = getattr(node, "lineno", 0), False, None
    for one in ast.walk(tree):
        if not isinstance(one, ast.stmt) or not one.lineno <= line <= (one.end_lineno or 0):
            continue
        body = getattr(one, "body", None)
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = inside or line >= one.body[0].lineno
        elif not isinstance(one, ast.ClassDef):
            found = range(one.lineno, max(body[0].lineno, one.lineno + 1) if body else (one.end_lineno or 0) + 1)
    return found if inside else None


@contextmanager
def copied(package: str) -> Iterator[tuple[Path, Iterator[Tests]]]:
    """A copy of the source tree, and in it the tests of a package, then the wider ones, each traced when it is asked for."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".venv", ".git", "build", "__pycache__"))
        env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tests'}"}
        argv = [sys.executable, str(WORKERS / "fork_worker.py")]
        with subprocess.Popen(argv, cwd=copy, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
            paths = [TESTS[package]] + ([WIDER[package]] if package in WIDER else [])
            yield copy, (Tests(host, some, package).trace() for some in paths)
            assert host.stdin is not None
            host.stdin.close()


def measured(context: Context[Settings], package: str) -> Iterator[Row]:
    """Mutants of one package, in a copy of the source tree, in the order that the seed gives.

    Raises:
        BenchmarkError: the package's tests fail, or are not there, without any change: then they tell nothing of mutants.
    """
    settings = context.settings
    every, end = places(package), time.monotonic() + 60 * settings.minutes
    chosen = random.Random(f"{settings.seed} {package}").sample(every, min(settings.mutants, len(every)))
    killed = stopped = tried = 0
    with copied(package) as (copy, more):
        steps = [next(more)]
        for place in chosen:
            if time.monotonic() > end:
                break
            source, what, lines = mutated(place)
            for number in range(2):
                if number == len(steps) and settings.wider:
                    steps += [*islice(more, 1)]
                if number == len(steps):
                    break
                (copy / place.path).write_text(source)
                ends, who = steps[number].run(place.path, lines, settings.test_s)
                shutil.copyfile(ROOT / place.path, copy / place.path)
                if ends:
                    break
            killed, stopped, tried = killed + (ends in FAILED), stopped + (ends < 0), tried + 1
            context.say(f"{'killed  ' if ends in FAILED else 'SURVIVED' if ends == 0 else f'ended {ends}'} {what}  [{who}]")
    yield from counted(package, killed, stopped, tried)


def counted(case: str, killed: int, stopped: int, tried: int) -> Iterator[Row]:
    yield Row("mutation", case, KILLED, killed, f"of {tried}")
    yield Row("mutation", case, STOPPED, stopped, f"of {tried - killed}")
    if tried:
        yield Row("mutation", case, "share killed", 100 * killed / tried, "%")


@EXPERIMENT.part
def fixed(context: Context[Settings]) -> Iterator[Row]:
    """Types and rounding."""
    yield from measured(context, "fixed")


@EXPERIMENT.part
def ir(context: Context[Settings]) -> Iterator[Row]:
    """Graphs, circuits and their text."""
    yield from measured(context, "ir")


@EXPERIMENT.part
def passes(context: Context[Settings]) -> Iterator[Row]:
    """Passes over graphs, adders, tables, pipelines."""
    yield from measured(context, "passes")


@EXPERIMENT.part
def reports(context: Context[Settings]) -> Iterator[Row]:
    """Parsers of tools' reports."""
    yield from measured(context, "reports")


@EXPERIMENT.part
def measure(context: Context[Settings]) -> Iterator[Row]:
    """Measurements and their store."""
    yield from measured(context, "measure")


@EXPERIMENT.summary
def together(rows: Sequence[Row]) -> Iterator[Row]:
    """All packages."""
    found = [row for row in rows if row.figure == KILLED]
    killed, tried = sum(int(row.value) for row in found), sum(int(row.unit.split()[-1]) for row in found)
    yield from counted("together", killed, sum(int(row.value) for row in rows if row.figure == STOPPED), tried)
