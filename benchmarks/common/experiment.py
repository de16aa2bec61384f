"""What an experiment is: parts that make rows, settings that change them, and how the driver finds them."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from benchmarks.common.row import Row

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


class BenchmarkError(Exception):
    """A benchmark that cannot be run here: data, a peer or a tool is missing. The message says what to do."""


@dataclass(frozen=True, slots=True)
class NoSettings:
    """The settings of an experiment that has none."""


S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Context(Generic[S]):
    """What a part is given: a folder of its own for runs, which a second call finds again, its settings, and where to tell progress."""

    work: Path
    settings: S
    quick: bool = False

    def say(self, line: str) -> None:
        """Progress, for people."""
        print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Part(Generic[S]):
    """One function of an experiment that makes rows. `quick` tells whether it belongs to --quick where no part is named."""

    run: Callable[[Context[S]], Iterable[Row]]
    name: str
    help: str
    quick: bool


@dataclass(frozen=True, slots=True)
class Experiment(Generic[S]):
    """An experiment; `EXPERIMENT` in its module, with functions under `@EXPERIMENT.part`.

    Args:
        help: one line of --list.
        cpu: about how much CPU time the whole of it takes, and the quick variant: "20 min", "1 min".
        settings: a frozen dataclass instance with what `--set` may change; `quick` the one for --quick, where that differs.
        tools: the programs whose versions belong to the results.
    """

    help: str
    cpu: tuple[str, str]
    settings: S
    quick: S | None = None
    tools: tuple[str, ...] = ()
    parts: dict[str, Part[S]] = field(default_factory=dict)
    summaries: list[Callable[[Sequence[Row]], Iterable[Row]]] = field(default_factory=list)

    def part(self, run: Callable[[Context[S]], Iterable[Row]]) -> Callable[[Context[S]], Iterable[Row]]:
        """Decorator: a function whose rows belong to the experiment; its name is the part's, its docstring's first line the help."""
        return self._add(run, quick=True)

    def full_part(self, run: Callable[[Context[S]], Iterable[Row]]) -> Callable[[Context[S]], Iterable[Row]]:
        """As `part`, but --quick leaves it out unless it is named."""
        return self._add(run, quick=False)

    def _add(self, run: Callable[[Context[S]], Iterable[Row]], *, quick: bool) -> Callable[[Context[S]], Iterable[Row]]:
        name = run.__name__.strip("_").replace("_", "-")
        if not run.__doc__:
            raise BenchmarkError(f"part {name} of {run.__module__} has no docstring, whose first line --list shows")
        if name in self.parts:
            raise BenchmarkError(f"{run.__module__} has two parts {name}")
        self.parts[name] = Part(run, name, run.__doc__.strip().splitlines()[0].rstrip("."), quick)
        return run

    def summary(self, run: Callable[[Sequence[Row]], Iterable[Row]]) -> Callable[[Sequence[Row]], Iterable[Row]]:
        """Decorator: a function of all rows of the parts that were run, which makes rows over them."""
        self.summaries.append(run)
        return run

    def chosen(self, names: Iterable[str], *, quick: bool) -> list[Part[S]]:
        """The parts of these names in the order of the module; all, or all quick ones, where none is named."""
        wanted = set(names) or {part.name for part in self.parts.values() if part.quick or not quick}
        unknown = sorted(wanted - set(self.parts))
        if unknown:
            raise BenchmarkError(f"there is no part {unknown[0]!r}; there are {', '.join(self.parts)}")
        return [part for part in self.parts.values() if part.name in wanted]

    def with_settings(self, given: Mapping[str, str], *, quick: bool) -> S:
        """The settings, as changed by the texts of --set."""
        base = self.quick if quick and self.quick is not None else self.settings
        kinds = get_type_hints(type(base))
        unknown = sorted(set(given) - set(kinds))
        if unknown:
            raise BenchmarkError(f"there is no setting {unknown[0]!r}; there are {', '.join(kinds) or 'none'}")
        values = {key: parsed(key, text, kinds[key]) for key, text in given.items()}
        return dataclasses.replace(base, **values)  # type: ignore[type-var]


def parsed(key: str, text: str, kind: Any) -> Any:
    """The text of a setting as its field's type: bool, a number, text, a tuple of these with commas, or one of them or None."""
    if get_origin(kind) is types.UnionType:
        (kind,) = (k for k in get_args(kind) if k is not types.NoneType)
    if get_origin(kind) is tuple:
        return tuple(parsed(key, one, get_args(kind)[0]) for one in text.split(","))
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise BenchmarkError(f"setting {key}: {text!r} is no {kind.__name__}") from None


def names(folder: Path = EXPERIMENTS) -> list[str]:
    """The experiments of a folder: its files."""
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def load(name: str, folder: Path = EXPERIMENTS) -> Experiment[Any]:
    """The experiment of a file.

    Raises:
        BenchmarkError: there is no such file, or it holds no experiment with parts.
    """
    path = folder / f"{name}.py"
    if name not in names(folder):
        raise BenchmarkError(f"there is no benchmark {name!r}; there are {', '.join(names(folder))}")
    module = _imported(f"benchmarks.experiments.{name}", path)
    found = getattr(module, "EXPERIMENT", None)
    if not isinstance(found, Experiment) or not found.parts:
        raise BenchmarkError(f"{path.name} has no EXPERIMENT with parts: see docs/how-to/add-a-benchmark.md")
    return found


def _imported(name: str, path: Path) -> types.ModuleType:
    """The module of a file, loaded once for each file."""
    known = sys.modules.get(name)
    if known is not None and Path(known.__file__ or "") == path:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of the module look themselves up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
