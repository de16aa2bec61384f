"""`hwq import`: take the records and reports of a plan that ran on another machine back into its run and the store.

Nothing is taken on trust: the plan's files must be the ones that its digest names, every log is read for errors again, and every report
must be the one that its step hashed when it ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwq.boards import Board, load
from hwq.codegen.plan import TOP, digest_of
from hwq.codegen.steps import CHAINS, Step, kinds_for, stages_for, steps_for
from hwq.errors import MismatchError, RunError, ToolError
from hwq.flow.measuring import measure, options_of
from hwq.flow.routed import compare_routed, random_inputs
from hwq.ir import parse
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.rundir import RunDir, explain, read_json, write_json
from hwq.sim.reference import quantize_inputs
from hwq.tools.faults import diagnose
from hwq.tools.runner import Record, changed_outputs, read_record, record_path


@dataclass(frozen=True, slots=True)
class Imported:
    """What came back.

    Attributes:
        steps: names of the finished steps.
        folder: where the files are in the run; the plan's own folder where no run was given.
    """

    point: str
    steps: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    folder: Path


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
    if "nextpnr-route" in records:
        _prove(folder, run, summary)
    target = folder if run is None else _home(RunDir.open(run), folder, summary)
    chains = _chains(board, summary["period_ns"])
    measurements = []
    for name, (step, record) in records.items():
        before = next(chain[: [s.name for s in chain].index(name)] for chain in chains if name in [s.name for s in chain])
        missing = [s.name for s in before if s.name not in records]
        if missing:
            raise RunError(f"{folder} has a record of {name} but none of {missing[0]}, which comes before it")
        if step.measures:
            options = options_of(step, {s: f"{records[s.name][1].tool} {records[s.name][1].version}".strip() for s in before})
            measurements.append(measure(step, record, folder, board, summary, options))
    store = Store.open(store_path)
    for measurement, artefacts in measurements:
        store.put(measurement, artefacts)
    if run is not None and target != folder:
        _copy(folder, target, records)
    if run is not None and measurements:
        _link(RunDir.open(run), board, summary, records, chains, target)
    return Imported(summary["point"], tuple(records), tuple(m for m, _ in measurements), target)


def _prove(folder: Path, run: Path | None, summary: Mapping[str, Any]) -> None:
    """The routed netlist must compute what the plan's graph says: on the run's rows, or on random ones."""
    inputs = random_inputs(folder)
    if run is not None:
        graph = parse((folder / "graph.hwq").read_text())
        with np.load(RunDir.open(run).vectors_path) as vectors:
            inputs = np.concatenate([inputs, quantize_inputs(graph, vectors["x"])])
    comparison = compare_routed(folder, summary["latency_cycles"], inputs)
    if comparison.mismatches:
        raise MismatchError(f"{folder}: {comparison}", hint="the netlist is not that of the plan; please report it with graph.hwq")


def _summary(folder: Path) -> dict[str, Any]:
    """build.json, after checking that the generated files are the ones that it names."""
    summary = read_json(folder / "build.json")
    try:
        files = {name: (folder / name).read_bytes() for name in summary["files"]}
        found, wanted = digest_of(files), summary["plan"]
    except OSError as error:
        raise RunError(f"{folder} is not complete: {error.strerror} ({error.filename})", hint="copy the whole folder") from error
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / 'build.json'} is of no plan: {error}", hint="hwq synth --dry-run writes plans") from error
    if found != wanted:
        raise RunError(
            f"the files of {folder} have digest {found}, expected {wanted}: they were changed",
            hint="run the plan as it was generated",
        )
    return summary


def _chains(board: Board, period_ns: float) -> list[tuple[Step, ...]]:
    return [
        steps_for(kind, stage, board, TOP, period_ns)
        for kind in CHAINS
        if kind in kinds_for(board)
        for stage in stages_for(kind, board)
    ]


def _records(folder: Path, board: Board, summary: Mapping[str, Any]) -> dict[str, tuple[Step, Record]]:
    """The finished steps, in the order of their chains, each checked as if it had run here."""
    found: dict[str, tuple[Step, Record]] = {}
    for step in (s for chain in _chains(board, summary["period_ns"]) for s in chain):
        record = read_record(folder, step) if step.name not in found else None
        if record is None:
            continue
        if record.plan != summary["plan"]:
            raise RunError(f"{record_path(folder, step.name)} is of another plan", hint="remove steps/ and run the plan again")
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
    board: Board,
    summary: Mapping[str, Any],
    records: Mapping[str, tuple[Step, Record]],
    chains: list[tuple[Step, ...]],
    target: Path,
) -> None:
    """Make `hwq report` show what came back: the last measuring step."""
    step, record = next((s, r) for s, r in reversed(list(records.values())) if s.measures)
    kind = next(k for k in kinds_for(board) for chain in chains if step in chain and step.name in sum(CHAINS[k].values(), ()))
    from hwq.flow.synth import link

    link(run, board.name, kind, record.tool, record.version, step.stage, summary["period_ns"], summary["point"], target.name)
