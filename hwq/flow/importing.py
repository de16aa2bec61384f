"""`hwq import`: take the records and reports of a plan that ran on another machine back into its run and the store.

Nothing is taken on trust: the plan's files must be the ones that its digest names, every log is read for errors again, and every report
must be the one that its step hashed when it ended.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hwq.boards import Board, load, names
from hwq.cost.features import VERSION, features
from hwq.design.point import changed_files
from hwq.errors import MismatchError, RunError, ToolError
from hwq.files import inside, is_sealed, read_json, write_json
from hwq.fixed.arithmetic import IntArray
from hwq.ir import parse, verify
from hwq.locks import explain
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.passes.compiling import circuit_of
from hwq.run.directory import RunDir
from hwq.sim.compare import Comparison
from hwq.sim.compiled import COMPILED, Compiled
from hwq.sim.reference import quantize_inputs
from hwq.sim.routed import compare_mapped, compare_routed, random_inputs
from hwq.synthesis.measuring import measure, options_of
from hwq.synthesis.readings import version_doubt
from hwq.toolchains.faults import diagnose
from hwq.toolchains.plan import TOP
from hwq.toolchains.registry import kinds, kinds_for, stages_for, steps_for, toolchain
from hwq.toolchains.runner import Record, changed_outputs, read_record, record_path
from hwq.toolchains.steps import MAPPED, ROUTED, Step
from hwq.units import Period


@dataclass(frozen=True, slots=True)
class Imported:
    """What came back.

    Attributes:
        steps: names of the finished steps.
        folder: where the files are in the run; the plan's own folder where no run was given.
        warnings: what is odd about it, as sentences.
    """

    point: str
    steps: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    folder: Path
    warnings: tuple[str, ...] = ()


def import_plan(folder: Path, *, run: Path | None = None, store_path: Path | str | None = None) -> Imported:
    """Check what a plan's folder brings, store its measurements, and copy logs and reports into the run.

    Args:
        run: the run that the plan is of; None leaves the files where they are.

    Raises:
        RunError: no plan, changed files, no finished step, or a run that does not know the plan.
        ToolError: a step whose log or files contradict its record.
        ReportError: a report that cannot be believed.
        MismatchError: a routed netlist that is not the plan's design.
    """
    summary = _summary(folder)
    board = load(summary["board"])
    records = _records(folder, board, summary)
    if not records:
        raise RunError(f"no step of {folder} has finished", hint="run it first: ./run.sh KIND STAGE")
    target = folder if run is None else _home(RunDir.open(run), folder, summary)
    if target != folder:
        summary = read_json(target / "build.json")  # what this run says of the plan, not what came back
    _require_facts(folder, board, summary)
    _prove(folder, run, summary, records)
    chains = _chains(board, summary["period_ns"])
    measurements = []
    options, adders = "", summary.get("adders", "two")
    for name, (step, record) in records.items():
        before = next(chain[: [s.name for s in chain].index(name)] for chain in chains if name in [s.name for s in chain])
        missing = [s.name for s in before if s.name not in records]
        if missing:
            raise RunError(f"{folder} has a record of {name} but none of {missing[0]}, which comes before it")
        if step.measures:
            options = options_of(
                step, {s: f"{records[s.name][1].tool} {records[s.name][1].version}".strip() for s in before}, adders
            )
            measurements.append(measure(step, record, folder, board, summary, options))
    store = Store.open(store_path)
    for measurement, artefacts in measurements:
        store.put(measurement, artefacts)
    if run is not None and target != folder:
        _copy(folder, target, records)
    if run is not None and measurements:
        _link(RunDir.open(run), options, board, summary, records, chains, target)
    doubts = [version_doubt(step, record, folder) for step, record in records.values()]
    return Imported(summary["point"], tuple(records), tuple(m for m, _ in measurements), target, tuple(filter(None, doubts)))


def streamed(folder: Path) -> bool:
    """Whether a plan's design takes a pixel a clock, by its Verilog."""
    return "x_valid" in (folder / "rtl" / f"{TOP}.v").read_text()


def _require_facts(folder: Path, board: Board, summary: Mapping[str, Any]) -> None:
    """What build.json says of the design must be what the plan's files say, which its digest covers.

    Raises:
        RunError: it is something else.
    """
    stream, hint = streamed(folder), "give the run that it was generated from: --run RUN"
    if not str(summary["point"]).isalnum() or not re.fullmatch("[0-9a-f]{16}", str(summary["design"])):
        raise RunError(f"{folder / 'build.json'} names no point and design as hwq does", hint=hint)
    parts = {board.part for board in map(load, names())}
    scripts = [(folder / str(name)).read_text() for name in summary["files"] if str(name).endswith((".tcl", ".cfg", ".sh"))]
    if board.part not in "".join(scripts) and any(part in text for part in parts for text in scripts):
        raise RunError(f"{folder / 'build.json'} tells the board {board.name}, its scripts are for another part", hint=hint)
    if stream != (summary.get("interval", 1) != 1):
        raise RunError(f"{folder / 'build.json'} tells another interval than the Verilog has", hint=hint)
    told = summary["features"]
    if stream or told.get("counted") != VERSION:
        return
    graph = verify(parse((folder / "graph.hwq").read_text()))
    circuit = circuit_of(graph, board, Period(float(summary["period_ns"])), summary.get("adders", "two"))
    if summary["latency_cycles"] not in (circuit.latency, circuit.latency + 1):  # one more with registered inputs
        raise RunError(
            f"{folder / 'build.json'} tells {summary['latency_cycles']} cycles, its graph takes {circuit.latency}", hint=hint
        )
    found = features(graph, circuit)
    differing = [name for name in sorted({*found, *told}) if abs(found.get(name, 0.0) - float(told.get(name, 0.0))) > 1e-9]
    if differing and circuit.latency == summary["latency_cycles"]:
        name = differing[0]
        raise RunError(f"{folder / 'build.json'} tells {told.get(name)} {name}, its graph has {found.get(name)}", hint=hint)


def _prove(folder: Path, run: Path | None, summary: Mapping[str, Any], records: Mapping[str, tuple[Step, Record]]) -> None:
    """The mapped and the routed netlist must compute what the plan's graph says: on the run's rows, or on random ones."""
    latency = int(summary["latency_cycles"])
    evaluators: dict[str, Callable[[Path, int, IntArray], Comparison | None]] = {
        ROUTED: compare_routed,
        **{name: partial(_compare_compiled, compiled) for name, compiled in COMPILED.items()},
    }
    if not streamed(folder):  # a stream's netlist keeps a state
        evaluators[MAPPED] = compare_mapped
    proven = [step.proves for step, _ in records.values() if step.proves in evaluators]
    if not proven:
        return
    graph = parse((folder / "graph.hwq").read_text())
    inputs = random_inputs(graph)
    if run is not None:
        inputs = np.concatenate([inputs, quantize_inputs(graph, RunDir.open(run).vectors()[0])])
    for name in proven:
        comparison = evaluators[name](folder, latency, inputs)
        if comparison is not None and comparison.mismatches:
            hint = "the netlist is not that of the plan; please report it with graph.hwq"
            raise MismatchError(f"{folder}: {comparison}", hint=hint)


def _compare_compiled(compiled: Compiled, folder: Path, _: int, inputs: IntArray) -> Comparison:
    return compiled.compare(folder, inputs, None)


def _summary(folder: Path) -> dict[str, Any]:
    """build.json, after checking that the generated files are the ones that it names."""
    if not (folder / "build.json").is_file():
        raise RunError(
            f"{folder} holds no plan: it has no build.json",
            hint="make one with: hwq synth RUN --board xcvu9p --dry-run --out FOLDER",
        )
    summary = read_json(folder / "build.json")
    try:
        changed = changed_files(folder, summary)
        numbers = int(summary["latency_cycles"]), float(summary["period_ns"]), dict(summary["features"]), str(summary["design"])
        del numbers
    except OSError as error:
        raise RunError(f"{folder} is not complete: {error.strerror} ({error.filename})", hint="copy the whole folder") from error
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / 'build.json'} is of no plan: {error}", hint="hwq synth --dry-run writes plans") from error
    if changed is not None and not (folder / changed).is_file() and changed != "a file":
        raise RunError(f"{folder} is not complete: {changed} is missing", hint="copy the whole folder")
    if changed is not None:
        raise RunError(
            f"the files of {folder} do not have the digest {summary['plan']}: they were changed",
            hint="run the plan as it was generated",
        )
    return summary


def _chains(board: Board, period_ns: float) -> list[tuple[Step, ...]]:
    return [
        steps_for(kind, stage, board, TOP, period_ns)
        for kind in kinds()
        if kind in kinds_for(board)
        for stage in stages_for(kind, board)
    ]


def _records(folder: Path, board: Board, summary: Mapping[str, Any]) -> dict[str, tuple[Step, Record]]:
    """The finished steps, in the order of their chains, each checked as if it had run here."""
    found: dict[str, tuple[Step, Record]] = {}
    sealed = is_sealed(folder / "build.json")  # plans of hwq 0.1.0 are not
    for step in (s for chain in _chains(board, summary["period_ns"]) for s in chain):
        record = read_record(folder, step, sealed=sealed) if step.name not in found else None
        if record is None:
            continue
        if record.plan != summary["plan"]:
            raise RunError(f"{record_path(folder, step.name)} is of another plan", hint="remove steps/ and run the plan again")
        _require_own(folder, step, record)
        log = folder / step.log
        if not log.is_file():
            raise ToolError(f"the log of {step.name} is missing", hint=f"bring {step.log} back as well", log=log)
        fault = diagnose(record.returncode, log.read_text(errors="replace"))
        if fault is not None:
            raise ToolError(f"{record.tool} failed at {step.stage} ({fault.status}): {fault.line}", hint=fault.remedy, log=log)
        changed = changed_outputs(record, folder)
        if changed or not record.outputs:
            what = changed[0] if changed else "every output"
            raise ToolError(
                f"{what} of {step.name} is missing or was changed after the run", hint="copy the whole folder again", log=log
            )
        inputs = {name: r.fingerprint for name, (_, r) in found.items() if name in _before(step, board, summary)}
        found[step.name] = step, Record(**{**asdict(record), "inputs": inputs})
    return found


def _require_own(folder: Path, step: Step, record: Record) -> None:
    """Raises RunError: the record names files that its step does not make, or that lie outside the plan's folder."""
    if record.log != step.log or record.stage != step.stage:
        raise RunError(f"the record of {step.name} names another log or stage", hint="copy the whole folder again")
    patterns = [alternative for pattern in (*step.outputs, *step.optional) for alternative in pattern.split("|")]
    made = {path.relative_to(folder).as_posix() for pattern in patterns for path in folder.glob(pattern)}
    for name in (record.log, *record.outputs):
        inside(folder, name)
        if name != record.log and name not in made and not any(PurePosixPath(name).match(pattern) for pattern in patterns):
            raise RunError(
                f"the record of {step.name} names {name!r}, which that step does not make", hint="copy the whole folder again"
            )


def _before(step: Step, board: Board, summary: Mapping[str, Any]) -> list[str]:
    """The names of the steps ahead of `step` in the shortest chain that has it."""
    names = [[s.name for s in chain] for chain in _chains(board, summary["period_ns"])]
    chain = min((n for n in names if step.name in n), key=len)
    return chain[: chain.index(step.name)]


def _home(run: RunDir, folder: Path, summary: Mapping[str, Any]) -> Path:
    """The folder of the plan in the run."""
    for path in sorted(run.path.glob("synth/*/build.json")):
        if read_json(path).get("plan") == summary["plan"]:
            return folder if path.parent.resolve() == folder.resolve() else path.parent
    raise RunError(f"{run.path} has no plan {summary['plan']}", hint="give the run that it was generated from")


def _copy(folder: Path, target: Path, records: Mapping[str, tuple[Step, Record]]) -> None:
    for step, record in records.values():
        for name in (step.log, *record.outputs):
            try:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / name, target / name)
            except OSError as error:
                raise explain(error, target / name) from error
        write_json(record_path(target, step.name), asdict(record))


def _link(
    run: RunDir,
    options: str,
    board: Board,
    summary: Mapping[str, Any],
    records: Mapping[str, tuple[Step, Record]],
    chains: list[tuple[Step, ...]],
    target: Path,
) -> None:
    """Make `hwq report` show what came back: the last measuring step."""
    step, record = next((s, r) for s, r in reversed(list(records.values())) if s.measures)
    kind = next(
        k for k in kinds_for(board) for chain in chains if step in chain and step.name in sum(toolchain(k).chains.values(), ())
    )
    from hwq.flow.synth import Link, add_link

    add_link(
        run,
        Link(board.name, kind, record.tool, record.version, step.stage, summary["period_ns"], options),
        summary["point"],
        target.name,
    )
