"""The rules of the house, walked over the source: who may import whom, where heavy libraries load, how long files are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "hwq").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 80

# What each package may import from hwq besides itself: packages, or single modules where only those are meant.
_GRAPHS = {"ir", "fixed", "errors"}
_PLACED = _GRAPHS | {"boards", "units"}
_DESIGNED = _PLACED | {"design", "sim", "codegen", "toolchains", "cost", "run", "files", "fields", "locks", "measure", "passes"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "units": {"errors"},
    "places": {"errors"},
    "locks": {"errors"},
    "events": set(),
    "fields": {"errors"},
    "files": {"errors", "fields", "locks"},
    "templates": {"places"},
    "backend": {"errors"},
    "tensors": set(),
    "fixed": {"errors"},
    "boards": {"errors", "units", "places"},
    "reports": {"errors"},
    "tools": {"errors", "events", "locks", "places"},
    "measure": {"reports", "places", "errors"},
    "data": {"errors", "events", "files", "fields", "places", "tensors"},
    "ir": {"errors", "fixed", "tensors"},
    "passes": _PLACED | {"places"},
    "frontend": _GRAPHS | {"tensors"},
    "importers": _GRAPHS | {"places", "backend", "tensors"},
    "exporters": _GRAPHS | {"backend", "importers", "passes", "places", "sim", "tensors", "tools"},
    "toolchains": {"tools", "reports", "boards", "templates", "files", "fields", "locks", "units", "errors", "events"},
    "codegen": _PLACED | {"toolchains.plan", "toolchains.scripts", "passes", "templates"},
    "styles": _PLACED | {"codegen", "toolchains.plan", "toolchains.scripts", "passes", "templates"},
    "sim": _GRAPHS | {"codegen", "toolchains", "tools", "passes", "files", "places", "templates", "tensors", "events"},
    "cost": _PLACED | {"passes", "measure", "reports", "places", "tensors", "toolchains.registry"},
    "run": {"files", "fields", "locks", "errors", "data"},
    "quantizers": {"backend", "tensors", "errors"},
    "callbacks": {"layers"},
    "layers": {"quantizers", "backend", "tensors", "registration", "errors", "frontend", "ir"},
    "conversion": _GRAPHS | {"layers", "quantizers", "backend", "tensors", "frontend", "importers.keras_files"},
    "train": _GRAPHS
    | {"conversion", "tensors", "layers", "cost", "data", "run", "files", "fields", "events", "locks", "frontend", "backend"},
    "design": _PLACED
    | {
        "conversion",
        "synthesis",
        "sim",
        "styles",
        "codegen",
        "toolchains",
        "cost",
        "run",
        "files",
        "fields",
        "locks",
        "data",
        "events",
        "measure",
        "templates",
        "places",
        "exporters",
        "__init__",
    },
    "synthesis": _DESIGNED - {"design", "fields"} | {"events", "tools", "reports", "styles"},
    "posttraining": _DESIGNED | {"events", "synthesis", "train", "conversion", "data", "frontend", "tensors"},
    "views": {"templates", "reports.types"},
    "flow": {"*"},
    "registration": set(),  # names modules and loads them by name, when Keras is there
    "__init__": {
        "registration",
        "design",
        "boards",
        "callbacks",
        "errors",
        "layers",
        "ir",
        "measure",
        "reports",
        "cost",
        "conversion.convert",
        "conversion.config",
        "importers",
    },
    "cli": {"flow", "events", "cost.predict", "views", "run", "files", "boards", "units", "errors", "posttraining", "__init__"}
    | {
        "design.budget",
        "design.plans",
        "design.target",
        "tools.doctor",
        "styles.registry",
        "synthesis.importing",
        "toolchains.registry",
        "toolchains.steps",
        "train.config",
    },
}

# Third-party libraries: at import time, and only inside functions.
EAGER: dict[str, set[str]] = {
    **{
        key: {"numpy"}
        for key in (
            "fixed",
            "ir",
            "passes",
            "codegen",
            "sim",
            "cost",
            "data",
            "run",
            "files",
            "frontend",
            "design",
            "importers",
            "exporters",
        )
    },
    **{
        key: {"numpy"}
        for key in ("layers", "quantizers", "conversion", "train", "synthesis", "posttraining", "flow", "tensors", "styles")
    },
    "templates": {"jinja2"},
    "views": {"rich"},
    "cli": {"click"},
}
LAZY: dict[str, set[str]] = {
    "passes": {"da4ml"},
    "importers": {"h5py", "onnx", "google"},
    "exporters": {"onnx", "onnxruntime", "qonnx", "hls4ml"},
    "data": {"sklearn", "pandas"},
    "measure": {"pandas", "pyarrow", "sqlalchemy"},
    "cost": {"scipy"},
    "posttraining": {"scipy"},
    "views": {"pandas"},
    "cli": {"rich"},
    "tools": {"platformdirs"},
    "backend": {"tensorflow", "keras"},
    **{key: {"tensorflow", "keras"} for key in ("layers", "quantizers", "conversion", "train")},
}
KERAS = {  # modules, or packages, that may load TensorFlow
    "hwq.backend",
    "hwq.layers",
    "hwq.quantizers",
    "hwq.conversion",
    "hwq.train",
    "hwq.frontend.keras",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module; `lazy` where it is loaded inside a function or for type checking only."""

    module: str
    line: int
    lazy: bool


@cache
def tree_of(path: Path) -> ast.Module:
    """Each file is parsed once for all tests, none of which changes a tree."""
    return ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[Import]:
    """Every module that `tree` names in an import statement; relative ones keep their dots, and so are breaches."""
    top = {id(node) for node in eager_statements(tree)}
    for node in ast.walk(tree):
        lazy = id(node) not in top
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if is_package(base):
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield Import(full if is_module(full) else base, node.lineno, lazy)
            else:
                yield Import(base, node.lineno, lazy)


def eager_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            pending += statement.orelse
        elif not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement
            for field in ("body", "orelse", "finalbody"):
                pending += getattr(statement, field, [])
            for handler in getattr(statement, "handlers", []):
                pending += handler.body


def is_package(name: str) -> bool:
    return (ROOT.joinpath(*name.split(".")) / "__init__.py").is_file()


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or is_package(name)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    """`hwq.ir.ops` -> `ir`; the root package itself is `__init__`."""
    return module.split(".")[1] if "." in module else "__init__"


def breaches(module: str, source: str) -> list[str]:
    """What `source`, as `module`, imports against the tables above."""
    package = package_of(module)
    if package not in MAY_IMPORT and package != "__init__":
        return [f"{module}: the package {package!r} is not in the table"]
    allowed = MAY_IMPORT.get(package, set())
    found = []
    for item in imports(ast.parse(source)):
        first, _, rest = item.module.partition(".")
        where = f"{module}:{item.line}: imports {item.module}"
        if first == "hwq":
            target = package_of(item.module)
            fine = target == package or "*" in allowed or target in allowed
            if not fine and not any(rest == a or rest.startswith(a + ".") for a in allowed):
                found.append(where)
            if package == "flow" and target == "cli":
                found.append(where)
        elif first not in sys.stdlib_module_names:
            fine = first in EAGER.get(package, set()) or (item.lazy and first in LAZY.get(package, set()))
            if first in ("tensorflow", "keras"):
                fine = any(module == m or module.startswith(m + ".") for m in KERAS)
            if not fine:
                found.append(where + (" (inside a function)" if item.lazy else " at import time"))
    return found


@pytest.mark.parametrize("path", FILES, ids=[module_of(p) for p in FILES])
def test_imports_follow_the_table(path: Path) -> None:
    assert breaches(module_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hwq.ir.ops", "from hwq.codegen import cpp"),
        ("hwq.fixed.types", "import hwq.ir.graph"),
        ("hwq.ir.ops", "def f():\n    from hwq.layers import QDense"),
        ("hwq.tools.yosys", "from hwq.codegen.cpp import emit"),
        ("hwq.flow.train", "from hwq.cli.common import note"),
        ("hwq.flow.synth", "import tensorflow as tf"),
        ("hwq.data.load", "import pandas as pd"),
        ("hwq.reports.csynth", "def f():\n    import pandas"),
        ("hwq.cli.train", "import rich"),
        ("hwq.train.trainer", "from ..codegen import cpp"),
        ("hwq.ir.ops", "try:\n    import scipy\nexcept ImportError:\n    pass"),
        ("hwq.strange", "import os"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert breaches(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hwq.ir.ops", "import numpy as np\nfrom hwq.fixed import FixedType\nfrom hwq.ir.graph import Graph"),
        ("hwq.toolchains.runner", "from hwq.tools.process import run"),
        ("hwq.data.load", "def f():\n    import pandas as pd"),
        ("hwq.layers", "import keras"),
        ("hwq.cli.train", "from hwq import __version__"),
    ],
)
def test_what_is_allowed_is_not_reported(module: str, source: str) -> None:
    assert breaches(module, source) == []


def test_packages_do_not_import_in_circles() -> None:
    """No two packages depend on each other, lazily or not."""
    uses: dict[str, set[str]] = {}
    for path in FILES:
        module = module_of(path)
        for item in imports(tree_of(path)):
            if item.module.startswith("hwq.") and package_of(item.module) != package_of(module):
                uses.setdefault(package_of(module), set()).add(package_of(item.module))
    circles = [(a, b) for a in uses for b in uses[a] if a < b and a in uses.get(b, set())]
    assert circles == []


def closure(module: str) -> set[str]:
    """The modules of hwq that `module` imports, and those that they import."""
    found: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name in found or not name.startswith("hwq."):
            continue
        found.add(name)
        path = ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        pending += [item.module for item in imports(tree_of(path))]
    return found


def test_a_change_of_the_generator_makes_new_plans() -> None:
    """`code_digest` covers every module that decides what a plan holds: a forgotten one would let stale plans be taken."""
    from hwq.design.point import GENERATING
    from hwq.styles.registry import STYLES

    covered = tuple("hwq." + name.removesuffix(".py").replace("/", ".") for name in GENERATING)
    starts = [f"hwq.{start}" for start in ("codegen.build", "codegen.stream", "styles.choice", "toolchains.scripts")]
    used = {m for start in (*starts, *(module for module, _ in STYLES.values())) for m in closure(start)}
    outside = {m for m in used if not any(m == c or m.startswith(c + ".") for c in covered)}
    # neither errors nor what runs, finds, reads or stores decides what is written
    assert {package_of(m) for m in outside} <= {"errors", "events", "fields", "files", "locks", "places", "reports", "tools"}, (
        outside
    )


@pytest.mark.parametrize("path", FILES, ids=[module_of(p) for p in FILES])
def test_files_say_what_they_are_and_stay_small(path: Path) -> None:
    text = path.read_text()
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    assert text.count("\n") <= LONGEST_FILE
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def type_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Classes wherever they are defined, and what a module calls a type otherwise: `X = Literal[...]`, `X: TypeAlias = ...`, `type X = ...`.

    Such a name is in CapWords (PEP 8); a variable of one letter belongs to the function that it stands in.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        targets = list(getattr(statement, "targets", []))
        targets += [getattr(statement, "target", None), getattr(statement, "name", None)]  # `type X = ...` has a name
        for target in targets:
            if isinstance(target, ast.Name) and not target.id.isupper() and re.match("_?[A-Z]", target.id):
                yield target.id, statement.lineno
        for field in ("body", "orelse", "finalbody"):
            pending += getattr(statement, field, [])


def twice(sources: dict[str, ast.Module]) -> dict[str, list[str]]:
    """The names of types that more than one statement gives."""
    places: dict[str, list[str]] = {}
    for module, tree in sources.items():
        for name, line in type_names(tree):
            places.setdefault(name, []).append(f"{module}:{line}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_name_of_a_type_means_two_things() -> None:
    """One word, one thing, said in one place: whoever reads a name needs no import to know what it is."""
    assert twice({module_of(path): tree_of(path) for path in FILES}) == {}


@pytest.mark.parametrize(
    "source",
    [
        "Style = Literal['a', 'b']",
        "Style: TypeAlias = Callable[[int], int]",
        "Style = NamedTuple('Style', [('a', int)])",
        "if TYPE_CHECKING:\n    Style = int | str",
        "def f():\n    class Style: ...",
        pytest.param("type Style = int", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695")),
    ],
)
def test_a_second_meaning_is_found(source: str) -> None:
    assert twice({"a": ast.parse("class Style: ...\nT = 1\nSTYLES = 2"), "b": ast.parse(source + "\nT = 2\nSTYLES = 3")}) == {
        "Style": ["a:1", f"b:{source.count(chr(10)) + 1}"]
    }


def test_no_module_has_the_name_of_a_room() -> None:
    """But for the commands, a file each: elsewhere the name of a room, or of its own folder, says nothing of what is in a file."""
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "hwq").iterdir()} - {"__init__"}
    inside = [
        path for path in FILES if package_of(module_of(path)) not in ("cli", "flow", "__init__") and path.parent != ROOT / "hwq"
    ]
    assert [module_of(path) for path in inside if path.stem in rooms | {path.parent.name}] == []


def test_identifiers_say_quantize() -> None:
    """As Keras does; texts for people stay British."""
    spelled = re.compile("quanti[s]", re.IGNORECASE)
    found = [
        f"{module_of(path)}:{getattr(node, 'lineno', 0)}: {name}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        for name in (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname"))
        if isinstance(name, str) and spelled.search(name)
    ]
    assert found == []


def test_one_place_names_the_default_board() -> None:
    from hwq.boards import DEFAULT_BOARD

    found = [
        f"{module_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and node.value == DEFAULT_BOARD
    ]
    assert len(found) == 1 and found[0].startswith("hwq.boards:")


# (module, name) of what is given a function that returns nothing: it does something, and is not told something
ACTIONS = {
    ("hwq.cli.common", "command"),
    ("hwq.files", "write"),
    ("hwq.conversion.freeze", "action"),
    ("hwq.ir.spec", "verify"),
    ("hwq.posttraining.runs", "vectors"),
    ("hwq.synthesis.single", "begun"),
}


def callbacks(module: str, tree: ast.Module) -> set[tuple[str, str]]:
    """Parameters and fields of `module` that take a function which returns nothing, by a type of their own."""
    given = [(node.arg, node.annotation) for node in ast.walk(tree) if isinstance(node, ast.arg)]
    given += [
        (node.target.id, node.annotation)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    return {
        (module, name)
        for name, said in given
        if said is not None and re.match(r"(Optional\[)?Callable\[(\[.*\]|\.\.\.), None\]", ast.unparse(said))
    }


def test_what_a_command_tells_has_one_protocol() -> None:
    """Whoever tells something while it works takes the types of `hwq.events`, and `Events` alone gathers them."""
    found = set().union(*(callbacks(module_of(path), tree_of(path)) for path in FILES))
    assert found == ACTIONS
    gathers = {
        node.name
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and any(re.match(r"(\w+\.)*Events$", ast.unparse(base)) for base in node.bases)
    }
    assert gathers == set()


@pytest.mark.parametrize(
    "source",
    [
        "def f(say: Callable[[str], None]) -> None: ...",
        "def f(*, progress: Callable[[int, int], None] | None = None) -> None: ...",
        "class C:\n    step: Callable[[str, RefineStep], None] = quiet",
        "def f(tell: Callable[..., None]) -> None: ...",
    ],
)
def test_a_second_protocol_is_found(source: str) -> None:
    assert callbacks("hwq.flow.x", ast.parse(source))


def test_one_place_writes_measurements() -> None:
    """What is stored was read, checked and doubted in the same way, whoever ran the tool."""
    found = {
        module_of(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("put", "put_all")
    }
    assert found == {"hwq.synthesis.storing", "hwq.measure.store"}  # whose put is put_all of one


MOST_ARGUMENTS = 6  # of a function, self left out
MOST_UNTYPED = 15  # dict[str, Any]: where an object of Keras, of TOML or of a tool's JSON comes in
MOST_ANY = 8  # in quantizers, layers, conversion and train: where Keras, or a file of Keras, hands an object through


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The named arguments of a function; `*args` and a typed dictionary of keywords stand for themselves."""
    given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return len([one for one in given if one.arg not in ("self", "cls")])


def test_functions_have_few_arguments() -> None:
    """More is an options dataclass; a command gathers its options in some (`hwq.cli.common.gathers`)."""
    long = {
        f"{module_of(path)}.{node.name}": arguments(node)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and arguments(node) > MOST_ARGUMENTS
    }
    assert long == {}


def test_records_have_types() -> None:
    """What a file or a caller says is a record with checked members, not a dictionary of anything."""
    found = [
        f"{module_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Subscript) and ast.unparse(node) == "dict[str, Any]"
    ]
    assert len(found) <= MOST_UNTYPED, found


def test_any_stands_at_the_border_of_keras_only() -> None:
    found = [
        f"{module_of(path)}:{node.lineno}"
        for path in FILES
        if package_of(module_of(path)) in ("quantizers", "layers", "conversion", "train")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert len(found) <= MOST_ANY, found


def runs_the_command(source: str) -> bool:
    """Whether a test runs `hwq ...` by itself: it imports click's runner, or starts the module as a process."""
    if not any(word in source for word in ("click", "hwq.cli")):
        return False
    tree = ast.parse(source)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return "CliRunner" in imported or "click.testing" in {item.module for item in imports(tree)} or "hwq.cli" in said


def test_one_file_of_the_tests_runs_the_command_line() -> None:
    """`tests/command_line.py`; what an installed wheel's `hwq` does is tests/packaging's, and an interpreter's imports are this file's."""
    found = {path.name for path in (ROOT / "tests").rglob("*.py") if runs_the_command(path.read_text())}
    assert found - {Path(__file__).name} == {"command_line.py"}


@pytest.mark.parametrize(
    "source", ["from click.testing import CliRunner", "import click.testing", 'run([sys.executable, "-m", "hwq.cli", "boards"])']
)
def test_a_second_way_to_run_it_is_found(source: str) -> None:
    assert runs_the_command(source)


@pytest.mark.parametrize("path", FILES, ids=[module_of(p) for p in FILES])
def test_no_print_no_assert_no_chdir_no_bare_exceptions(path: Path) -> None:
    banned_calls = {"print", "os.system", "os.chdir"}
    found = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in banned_calls:
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}()")
        if isinstance(node, ast.Assert):
            found.append(f"line {node.lineno}: assert")
        if isinstance(node, ast.Raise) and node.exc is not None and re.match(r"(Base)?Exception\b", ast.unparse(node.exc)):
            found.append(f"line {node.lineno}: raises a bare exception")
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"line {node.lineno}: bare except")
    assert found == []


def test_nothing_is_left_to_do_and_no_machine_is_named() -> None:
    """Marks of unfinished work, and paths of one machine, in anything that is shipped."""
    banned = re.compile(r"\b(TODO|FIXME|XXX)\b|/(home|work|root|Users)/\w")
    shipped = [
        *FILES,
        *(p for folder in ("hls_templates", "boards", "cost_models", "docs") for p in (ROOT / folder).rglob("*") if p.is_file()),
    ]
    shipped += [
        ROOT / name
        for name in ("README.md", "CHANGES.md", "CONTRIBUTING.md", "noxfile.py", "Makefile", "pyproject.toml", "requirements.lock")
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in shipped
        if "__pycache__" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if banned.search(line)
    ]
    assert found == []


HEAVY = (
    "numpy",
    "tensorflow",
    "keras",
    "pandas",
    "jinja2",
    "rich",
    "scipy",
    "sklearn",
    "pyarrow",
    "sqlite3",
    "asyncio",
    "requests",
)


def loaded_by(statement: str) -> set[str]:
    """Which heavy libraries a fresh interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nsys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_help_loads_nothing_heavy() -> None:
    """What keeps `hwq --help` under half a second."""
    assert loaded_by("import hwq.cli") == set()
    shown = (
        "sys.argv = ['hwq', '--help']\nimport hwq.cli\ntry:\n    hwq.cli.main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert loaded_by(shown) == set()


def test_the_names_of_tools_load_nothing_heavy() -> None:
    """Every --help that lists them asks the registry; reports and templates are loaded when they are needed."""
    assert loaded_by("from hwq.toolchains.registry import kinds\nkinds()") == set()


def test_synth_sim_and_report_do_without_tensorflow() -> None:
    """They run on a tool server that has none."""
    modules = "hwq.flow.synth, hwq.flow.simulate, hwq.flow.report, hwq.views.html, hwq.views.terminal, hwq.views.frame"
    found = loaded_by(f"import {modules}")
    assert not found & {"tensorflow", "keras", "pandas", "sklearn"}, found


@pytest.mark.parametrize("command", ["train", "refine", "codesign", "synth", "sim", "report", "calibrate", "boards", "doctor"])
def test_the_help_of_each_command_is_quick_too(command: str) -> None:
    found = loaded_by(
        f"sys.argv = ['hwq', {command!r}, '--help']\nimport hwq.cli\n"
        "try:\n    hwq.cli.main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert not found & {"tensorflow", "keras", "pandas", "sklearn", "scipy"}, found
