"""`hwq import`: take the records and reports of a plan that ran on another machine back into its run and the store.

Nothing is taken on trust: the plan's files must be the ones that its digest names, every log is read for errors again, and every report
must be the one that its step hashed when it ended.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from hwq.boards import DEFAULT_BOARD, Board, load, names
from hwq.cost.features import VERSION, features
from hwq.errors import GraphError, MismatchError, RunError, ToolError
from hwq.events import quiet
from hwq.files import inside, is_sealed, read_json, write_json
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, parse, verify
from hwq.locks import explain
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.passes.compiling import circuit_of
from hwq.run.directory import RunDir
from hwq.run.record import Link
from hwq.sim.compare import Comparison
from hwq.sim.compiled_verilog import COMPILED, Compiled
from hwq.sim.reference import quantize_inputs
from hwq.sim.routed import compare_mapped, compare_routed, random_inputs
from hwq.styles.base import PacedNetwork
from hwq.styles.registry import split_hardware, style
from hwq.synthesis.imported_netlist import compare_simulated
from hwq.synthesis.step_measurement import options_of
from hwq.synthesis.storing import PlanFolder, Ran, store_all
from hwq.toolchains.faults import diagnose
from hwq.toolchains.manifest import BUILD, Manifest
from hwq.toolchains.plan import TOP
from hwq.toolchains.registry import kinds, kinds_for, program_of, stages_for, steps_for, toolchain
from hwq.toolchains.runner import Record, changed_outputs, read_record, record_path
from hwq.toolchains.steps import MAPPED, ROUTED, Step
from hwq.units import Period

AGAIN = "copy the whole folder again"
DAY_S = 86_400.0  # the clocks of two machines may differ by so much
LONGEST_S = 100 * DAY_S


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
        ToolMissingError: of designs that take a row every few clocks, no Yosys or g++ to simulate their netlist with.
        MismatchError: a mapped or routed netlist that is not the plan's design.
    """
    manifest = _manifest(folder)
    target = folder if run is None else _home(RunDir.open(run), folder, manifest)
    if target != folder:
        manifest = Manifest.read(target)  # what this run says of the plan, not what came back
    board = load(manifest.board)
    records = _records(folder, board, manifest)
    if not records:
        raise RunError(f"no step of {folder} has finished", hint="run it first: ./run.sh KIND STAGE")
    if rows := [name for name in manifest.changed_rows(folder) if (folder / name).is_file()]:
        raise RunError(f"{folder / rows[0]} was changed after hwq wrote it", hint="run the plan with the rows that came with it")
    _require_facts(folder, board, manifest)
    unproven = _prove(folder, run, manifest, records)
    chains = _chains(board, manifest.period_ns)
    ran = []
    options = ""
    for name, (step, record) in records.items():
        before = next(chain[: [s.name for s in chain].index(name)] for chain in chains if name in [s.name for s in chain])
        missing = [s.name for s in before if s.name not in records]
        if missing:
            raise RunError(f"{folder} has a record of {name} but none of {missing[0]}, which comes before it")
        tools = {s: f"{records[s.name][1].tool} {records[s.name][1].version}".strip() for s in before}
        ran.append(Ran(step, record, options_of(step, tools, manifest.adders)))
        options = ran[-1].options if step.measures else options
    stored = store_all(ran, PlanFolder(folder, board, manifest), Store.open(store_path), again=False)
    if run is not None and target != folder:
        _copy(folder, target, records)
    if run is not None and stored.measurements:
        _link(RunDir.open(run), options, manifest, records, target)
    return Imported(manifest.point or "", tuple(records), stored.measurements, target, (*unproven, *stored.doubts))


def streamed(folder: Path) -> bool:
    """Whether a plan's design takes a pixel a clock, by its Verilog."""
    return "x_valid" in _text(folder / "rtl" / f"{TOP}.v")


def timed(folder: Path) -> bool:
    """Whether a plan's design says when it takes a row, by its Verilog."""
    return "input  wire start," in _text(folder / "rtl" / f"{TOP}.v")


def _require_style(folder: Path, board: Board, manifest: Manifest, graph: Graph) -> None:
    """As `_require_facts`, of a design that takes a row every few clocks.

    Raises:
        RunError: build.json tells other clocks, or other features, than the graph has in that style.
    """
    hint = "give the run that it was generated from: --run RUN"
    name, size = split_hardware(manifest.hardware) or ("", 0)
    try:
        found = style(name).again(PacedNetwork(graph, board, Period(manifest.period_ns), manifest.interval), size)
    except GraphError as error:
        raise RunError(f"{folder / 'build.json'} tells {manifest.hardware}: {error}", hint=hint) from error
    if found.hardware != manifest.hardware:
        raise RunError(f"{folder / 'build.json'} tells {manifest.hardware}, its graph has {found.hardware}", hint=hint)
    told = manifest.latency_cycles, manifest.interval, dict(manifest.features)
    if told != (found.latency, found.interval, {**found.features, "counted": float(VERSION)}):
        raise RunError(
            f"{folder / 'build.json'} tells {manifest.latency_cycles} cycles and a row every {manifest.interval}, or features that "
            f"are not those of {manifest.hardware}: its graph takes {found.latency} and {found.interval}",
            hint=hint,
        )


def _text(path: Path) -> str:
    """Raises RunError: it cannot be read, or is no text."""
    try:
        return path.read_text()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}", hint=AGAIN) from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is no text: {error.reason}", hint=AGAIN) from error


def _require_facts(folder: Path, board: Board, manifest: Manifest) -> None:
    """What build.json says of the design must be what the plan's files say, which its digest covers.

    Raises:
        RunError: it is something else.
    """
    stream, hint = streamed(folder), "give the run that it was generated from: --run RUN"
    # the design's digest is of the graph as trained, of which graph.hwq is the optimised form: only the run can check it
    if not re.fullmatch("[0-9a-zA-Z]{1,16}", manifest.point or "") or not re.fullmatch("[0-9a-f]{16}", manifest.design):
        raise RunError(f"{folder / 'build.json'} names no point and design as hwq does", hint=hint)
    graph = verify(parse(_text(folder / "graph.hwq")))
    parts = {board.part for board in map(load, names())}
    scripts = [_text(folder / name) for name in manifest.files or () if name.endswith((".tcl", ".cfg", ".sh"))]
    if board.part not in "".join(scripts) and any(part in text for part in parts for text in scripts):
        raise RunError(f"{folder / 'build.json'} tells the board {board.name}, its scripts are for another part", hint=hint)
    styled = split_hardware(manifest.hardware) is not None
    if stream != manifest.streamed or styled != timed(folder) or (manifest.hardware is not None and not styled):
        raise RunError(f"{folder / 'build.json'} tells another interval than the Verilog has", hint=hint)
    told = manifest.features
    if stream or told.get("counted") != VERSION:
        return
    if styled:
        _require_style(folder, board, manifest, graph)
        return
    circuit = circuit_of(graph, board, Period(manifest.period_ns), manifest.adders)
    if manifest.latency_cycles not in (circuit.latency, circuit.latency + 1):  # one more with registered inputs
        raise RunError(
            f"{folder / 'build.json'} tells {manifest.latency_cycles} cycles, its graph takes {circuit.latency}", hint=hint
        )
    found = features(graph, circuit)
    differing = [name for name in sorted({*found, *told}) if abs(found.get(name, 0.0) - told.get(name, 0.0)) > 1e-9]
    if differing and circuit.latency == manifest.latency_cycles:
        name = differing[0]
        raise RunError(f"{folder / 'build.json'} tells {told.get(name)} {name}, its graph has {found.get(name)}", hint=hint)


def _prove(folder: Path, run: Path | None, manifest: Manifest, records: Mapping[str, tuple[Step, Record]]) -> list[str]:
    """The mapped and the routed netlist must compute what the plan's graph says: on the run's rows, or on random ones.

    Returns:
        What could not be proven, as sentences.

    Raises:
        MismatchError: a netlist computes something else.
        ReportError, ToolError: it cannot be read or simulated.
    """
    evaluators: dict[str, Callable[[Path, int, IntArray], Comparison | None]] = {
        ROUTED: compare_routed,
        **{name: partial(_compare_compiled, compiled) for name, compiled in COMPILED.items()},
    }
    pipeline = manifest.interval == 1 and not streamed(folder)
    if not pipeline:  # its netlist keeps a state: it is simulated clock by clock
        del evaluators[ROUTED]
    graph, doubts = parse(_text(folder / "graph.hwq")), list[str]()

    def simulated(place: Path, latency: int, rows: IntArray) -> Comparison | None:
        followed = compare_mapped(place, latency, rows) if pipeline else None
        return followed or compare_simulated(place, graph, manifest, rows, doubts.append)

    evaluators[MAPPED] = simulated
    proven = [step.proves for step, _ in records.values() if step.proves in evaluators]
    if not proven:
        return doubts
    inputs = random_inputs(graph)
    if run is not None:
        inputs = np.concatenate([inputs, quantize_inputs(graph, RunDir.open(run).vectors()[0])])
    for name in proven:
        comparison = evaluators[name](folder, manifest.latency_cycles, inputs)
        if comparison is not None and comparison.mismatches:
            hint = "the netlist is not that of the plan; please report it with graph.hwq"
            raise MismatchError(f"{folder}: {comparison}", hint=hint)
    return doubts


def _compare_compiled(compiled: Compiled, folder: Path, _: int, inputs: IntArray) -> Comparison:
    return compiled.compare(folder, inputs, quiet)


def _manifest(folder: Path) -> Manifest:
    """build.json, after checking that the generated files are the ones that it names."""
    if not (folder / BUILD).is_file():
        raise RunError(
            f"{folder} holds no plan: it has no build.json",
            hint=f"make one with: hwq synth RUN --board {DEFAULT_BOARD} --dry-run --out FOLDER",
        )
    manifest = Manifest.read(folder, sealed=_sealed(folder))
    if manifest.files is None or manifest.point is None:
        raise RunError(f"{folder / BUILD} is of no plan of a run", hint="hwq synth --dry-run writes plans")
    try:
        changed = manifest.changed(folder)
    except OSError as error:
        raise RunError(f"{folder} is not complete: {error.strerror} ({error.filename})", hint="copy the whole folder") from error
    if changed is not None and not (folder / changed).is_file() and changed != "a file":
        raise RunError(f"{folder} is not complete: {changed} is missing", hint="copy the whole folder")
    if changed is not None:
        raise RunError(
            f"the files of {folder} do not have the digest {manifest.plan}: they were changed",
            hint="run the plan as it was generated",
        )
    return manifest


def _sealed(folder: Path) -> bool:
    """Whether records must have seals: where one has. Those of a plan of hwq 0.1.0 have none."""
    return any(map(is_sealed, [folder / BUILD, *(folder / "steps").glob("*.json")]))


def _chains(board: Board, period_ns: float) -> list[tuple[Step, ...]]:
    return [
        steps_for(kind, stage, board, TOP, period_ns)
        for kind in kinds()
        if kind in kinds_for(board)
        for stage in stages_for(kind, board)
    ]


def _records(folder: Path, board: Board, manifest: Manifest) -> dict[str, tuple[Step, Record]]:
    """The finished steps, in the order of their chains, each checked as if it had run here."""
    found: dict[str, tuple[Step, Record]] = {}
    sealed = _sealed(folder)
    for step in (s for chain in _chains(board, manifest.period_ns) for s in chain):
        record = read_record(folder, step, sealed=sealed) if step.name not in found else None
        if record is None:
            continue
        if record.plan != manifest.plan:
            raise RunError(f"{record_path(folder, step.name)} is of another plan", hint="remove steps/ and run the plan again")
        _require_own(folder, step, record)
        log = folder / step.log
        if not log.is_file():
            raise ToolError(f"the log of {step.name} is missing", hint=f"bring {step.log} back as well", log=log)
        fault = diagnose(record.returncode, log.read_text(errors="replace"))
        if fault is not None:
            raise ToolError(f"{record.tool} failed at {step.stage} ({fault.status}): {fault.line}", hint=fault.remedy, log=log)
        changed = changed_outputs(record, folder)
        if changed:
            raise ToolError(f"{changed[0]} of {step.name} is missing or was changed after the run", hint=AGAIN, log=log)
        inputs = {name: r.fingerprint for name, (_, r) in found.items() if name in _before(step, board, manifest)}
        found[step.name] = step, replace(record, inputs=inputs)
    return found


def _require_own(folder: Path, step: Step, record: Record) -> None:
    """Raises RunError: the record names files that its step does not make, or that lie outside the plan's folder."""
    if record.log != step.log or record.stage != step.stage:
        raise RunError(f"the record of {step.name} names another log or stage", hint=AGAIN)
    ran = program_of(record.tool)
    if ran is None or ran.name != step.program:
        raise RunError(f"the record of {step.name} names the tool {record.tool!r}, the step runs {step.program}", hint=AGAIN)
    if record.began > time.time() + DAY_S or record.seconds > LONGEST_S:
        raise RunError(f"the record of {step.name} tells a time that cannot be", hint=AGAIN)
    patterns = [alternative for pattern in (*step.outputs, *step.optional) for alternative in pattern.split("|")]
    made = {path.relative_to(folder).as_posix() for pattern in patterns for path in folder.glob(pattern)}
    for name in (record.log, *record.outputs):
        inside(folder, name)
        if name != record.log and name not in made and not any(PurePosixPath(name).match(pattern) for pattern in patterns):
            raise RunError(f"the record of {step.name} names {name!r}, which that step does not make", hint=AGAIN)


def _before(step: Step, board: Board, manifest: Manifest) -> list[str]:
    """The names of the steps ahead of `step` in the shortest chain that has it."""
    names = [[s.name for s in chain] for chain in _chains(board, manifest.period_ns)]
    chain = min((n for n in names if step.name in n), key=len)
    return chain[: chain.index(step.name)]


def _home(run: RunDir, folder: Path, manifest: Manifest) -> Path:
    """The folder of the plan in the run."""
    for path in sorted(run.path.glob("synth/*/build.json")):
        if read_json(path).get("plan") == manifest.plan:
            return folder if path.parent.resolve() == folder.resolve() else path.parent
    raise RunError(f"{run.path} has no plan {manifest.plan}", hint="give the run that it was generated from")


def _copy(folder: Path, target: Path, records: Mapping[str, tuple[Step, Record]]) -> None:
    for step, record in records.values():
        for name in (step.log, *record.outputs):
            try:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / name, target / name)
            except OSError as error:
                raise explain(error, target / name) from error
        write_json(record_path(target, step.name), asdict(record))


def _link(run: RunDir, options: str, manifest: Manifest, records: Mapping[str, tuple[Step, Record]], target: Path) -> None:
    """Make `hwq report` show what came back: the last measuring step."""
    step, record = next((s, r) for s, r in reversed(list(records.values())) if s.measures)
    board = load(manifest.board)
    chains = [chain for chain in _chains(board, manifest.period_ns) if step in chain]
    kind = next(k for k in kinds_for(board) for _ in chains if step.name in sum(toolchain(k).chains.values(), ()))
    link = Link(board.name, kind, record.tool, record.version, step.stage, manifest.period_ns, options)
    run.link(link, manifest.point or "", target.name)
