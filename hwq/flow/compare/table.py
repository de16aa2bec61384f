"""`hwq compare`: several methods on the same splits and seeds, each trained, proven and synthesised, in one table and one plot.

    OUT/compare.json                        what is compared
    OUT/seed-0/float.keras                  the float network from which every method starts
    OUT/seed-0/hgq/run/                     run directories, a folder for each method and seed
    OUT/seed-0/hgq/training.json            CPU seconds so far, and the finished runs
    OUT/comparison.json, .csv, .svg         the result

Every part is kept as soon as it is finished: the same command goes on after a kill, and one with more methods or seeds adds to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hwq.boards import load as load_board
from hwq.design.target import Target, Work
from hwq.errors import RunError, UsageError
from hwq.events import QUIET, Events, Notice, Progress
from hwq.files import inside, read_fields, read_json, write_json, write_text
from hwq.flow.compare.methods import Case, base_of, method_of, train_float
from hwq.flow.synth import SynthResult, synth
from hwq.flow.train import load_framework
from hwq.locks import LOCKS, one_writer
from hwq.units import Period
from hwq.views.comparison import Entry, MethodComparison, csv_text, svg

NOTED_S = 5.0  # between two notes of the CPU time; a kill forgets no more than that
FORMAT = 1


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What to compare.

    Attributes:
        methods: names of `hwq.flow.compare.methods.METHODS`, some with a variant behind a colon.
        seeds: of the splits: each is a split of its own.
        settings: fields of `TrainConfig` that all methods share.
        tool, clock: of the synthesis (`hwq.design.target.Target`).
        jobs: points at a time in synthesis.
    """

    data: str
    methods: tuple[str, ...]
    board: str
    seeds: tuple[int, ...]
    out: Path
    model: str = "mlp:64,32"
    store_path: Path | str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tool: str = "auto"
    clock: Period | None = None
    jobs: int = 2

    def __post_init__(self) -> None:
        if not self.methods or not self.seeds:
            raise UsageError("nothing to compare: give at least one method and one seed")
        for name in self.methods:
            method_of(name)
            base_of(name)
        doubled = [name for name in self.methods if self.methods.count(name) > 1]
        if doubled:
            raise UsageError(f"the method {doubled[0]!r} is given twice")

    def fixed(self) -> dict[str, object]:
        """What must be the same whenever this comparison goes on."""
        settings = {key: dict(v) if isinstance(v, Mapping) else v for key, v in self.settings.items()}
        synthesis = {"tool": self.tool, **({} if self.clock is None else {"clock": str(self.clock)})}
        return {"data": self.data, "model": self.model, "board": self.board, "settings": settings, "synthesis": synthesis}


@dataclass(slots=True)
class _Clock:
    """CPU seconds of one training, over all the calls that it took: `path` is written every few seconds."""

    path: Path
    before: float = 0.0
    started: float = 0.0
    noted: float = 0.0

    def __post_init__(self) -> None:
        self.before = _Done.read(self.path).cpu_s
        self.started = self.noted = time.process_time()

    @property
    def spent(self) -> float:
        return self.before + time.process_time() - self.started

    def tick(self) -> None:
        if time.process_time() - self.noted > NOTED_S:
            self.noted = time.process_time()
            self.save()

    def save(self, runs: Sequence[str] | None = None) -> None:
        write_json(self.path, {"cpu_s": self.spent, **({} if runs is None else {"runs": list(runs)})})


@dataclass(frozen=True, slots=True)
class _Done:
    """What a clock left: CPU seconds, and the finished runs once the training is over."""

    cpu_s: float = 0.0
    runs: tuple[str, ...] | None = None

    @classmethod
    def read(cls, path: Path) -> _Done:
        """Raises RunError: the file is damaged."""
        if not path.is_file():
            return cls()
        told = read_fields(path, hint="delete it and run the same command again")
        return cls(told.number("cpu_s", 0.0, least=0.0), told.texts("runs") if told.has("runs") else None)


@one_writer(lambda request: request.out, "compare.json")
def compare(request: CompareRequest, *, events: Events = QUIET) -> MethodComparison:
    """Train, prove and measure everything that is not there yet, and write the table and the plot.

    Args:
        events: told what happens, a line each, and how far each training is, with its name.

    Raises:
        UsageError: a method that does not exist.
        RunError: the folder holds another comparison, or something else.
        What `hwq.flow.train.train` and `hwq.flow.synth.synth` raise.
    """
    load_board(request.board)  # before hours have passed
    load_framework()  # before any clock runs
    _begin(request)
    say = events.note
    entries: list[Entry] = []
    for seed in request.seeds:
        for name in request.methods:
            case = _case(request, name, seed)
            label = f"seed {seed}, {name}"
            with _watched(case, label, events) as watched:
                float_s = _float(watched)
                runs, cpu_s = _train(request, watched, name, label, say)
            entries += _measure(request, name, seed, runs, float_s + cpu_s, partial(_labelled, say, label))
            _write(request, entries)  # so that a long comparison can be looked at while it goes on
    return _write(request, entries)


def _begin(request: CompareRequest) -> None:
    path, fixed = request.out / "compare.json", request.fixed()
    if path.is_file():
        found = read_json(path)
        differing = [key for key in fixed if found.get(key) != fixed[key]]
        if differing:
            key = differing[0]
            raise RunError(
                f"{request.out} compares with another {key}: {found.get(key)!r} there, {fixed[key]!r} now",
                hint="choose another --out",
            )
        return
    if request.out.is_file() or (request.out.is_dir() and any(p.name not in LOCKS for p in request.out.iterdir())):
        raise RunError(f"{request.out} is there already and is no comparison of hwq", hint="choose another --out")
    write_json(path, {**fixed, "format": FORMAT})


def _case(request: CompareRequest, name: str, seed: int) -> Case:
    shared = request.out / f"seed-{seed}"
    folder = shared / name.replace(":", "-")
    variant = name.partition(":")[2]
    return Case(
        request.data,
        request.model,
        request.board,
        seed,
        variant,
        folder,
        shared,
        store_path=request.store_path,
        settings=request.settings,
    )


@contextmanager
def _watched(case: Case, label: str, events: Events) -> Iterator[Case]:
    """The case with its reports led to the caller."""
    yield replace(
        case,
        events=Events(
            note=lambda text: events.note(f"{label}: {text}"),
            progress=lambda p: events.progress(replace(p, of=label)),
        ),
    )


def _ticking(case: Case, clock: _Clock) -> Case:
    """The case, noting CPU time with each report of progress."""
    told = case.events

    def report(p: Progress) -> None:
        clock.tick()
        told.progress(p)

    def notice(text: str) -> None:
        clock.tick()
        told.note(text)

    return replace(case, events=replace(told, progress=report, note=notice))


def _float(case: Case) -> float:
    """CPU seconds of the float network that all methods of a seed start from, trained here where it is not there yet."""
    path = case.shared / "float.json"
    if not case.float_path.is_file():
        clock = _Clock(path)
        train_float(_ticking(case, clock))
        clock.save()
    return _Done.read(path).cpu_s


def _train(request: CompareRequest, case: Case, name: str, label: str, say: Notice) -> tuple[list[Path], float]:
    """The finished runs of a method on a seed, and the CPU seconds that they took, those of a method that it works on included."""
    base, before = base_of(name), 0.0
    if base is not None:
        other = replace(_case(request, base, case.seed), events=case.events)
        sources, before = _train(request, other, base, f"{label} ({base})", say)
        case = replace(case, sources=tuple(sources))
    path = case.folder / "training.json"
    done = _Done.read(path)
    if done.runs is not None:
        return [inside(case.folder, name) for name in done.runs], before + done.cpu_s
    say(f"{label}: training")
    clock = _Clock(path)
    runs = method_of(name)(_ticking(case, clock))
    clock.save(runs=[str(run.relative_to(case.folder)) for run in runs])
    return runs, before + _Done.read(path).cpu_s


def _labelled(say: Notice, label: str, text: str) -> None:
    say(f"{label}: {text}")


def _measure(request: CompareRequest, name: str, seed: int, runs: Sequence[Path], cpu_s: float, say: Notice) -> list[Entry]:
    """Every point of the runs, synthesised: those that the store knows already cost nothing."""
    entries = []
    for run in runs:

        def told(point: str, what: str, run: Path = run) -> None:
            say(f"{run.name}, point {point}: {what}")

        target = Target.of(request.board, request.clock, tool=request.tool)
        _, results = synth(
            run, target, point="all", store_path=request.store_path, work=Work(request.jobs, events=Events(point=told))
        )
        entries += [_entry(name, seed, run, result, cpu_s) for result in results]
    return entries


def _entry(name: str, seed: int, run: Path, result: SynthResult, cpu_s: float) -> Entry:
    measured = result.measurement
    if measured is None:
        raise UsageError("this stage measures nothing", hint="compare at --stage synth")
    test = result.point.test_accuracy
    return Entry(
        method=name,
        seed=seed,
        run=run.name,
        point=result.point.id,
        val_accuracy=result.point.validated,
        test_accuracy=float("nan") if test is None else test,
        ebops=result.point.ebops,
        lut=measured.resources.lut,
        ff=measured.resources.ff,
        dsp=measured.resources.dsp,
        latency_cycles=measured.latency.max_cycles,
        mismatches=result.simulation.mismatches,
        training_cpu_s=cpu_s,
        tool=f"{measured.key.tool} {measured.key.version}".strip(),
    )


def _write(request: CompareRequest, entries: Sequence[Entry]) -> MethodComparison:
    found = MethodComparison(request.data, request.model, request.board, request.methods, request.seeds, tuple(entries))
    write_json(request.out / "comparison.json", found.to_json())
    write_text(request.out / "comparison.csv", csv_text(found))
    write_text(request.out / "comparison.svg", svg(found))
    return found
