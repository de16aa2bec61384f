"""`hwq synth`: generate, prove, run the steps of a stage, parse and store each point; what is stored already is not measured again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from hwq.design.point import PointDesign, code_digest, require_streamable
from hwq.design.target import Target, Work
from hwq.design.verdict import Verdict
from hwq.errors import MismatchError, ReportError, ToolError
from hwq.events import Notice
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import Store
from hwq.run.directory import Point, RunDir
from hwq.run.record import Link
from hwq.synthesis.preflight import Preflight
from hwq.synthesis.step_measurement import key_of, options_before
from hwq.synthesis.step_reports import from_archive, reread
from hwq.synthesis.storing import PlanFolder, Ran, store_all
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.registry import makers
from hwq.toolchains.runner import Record, read_record, record_path
from hwq.toolchains.steps import Step
from hwq.toolchains.synthesiser import Synthesiser, choose, finished, synthesise
from hwq.tools.gxx import require_gxx


@dataclass(frozen=True, slots=True)
class SynthResult:
    """One point, proven and measured.

    Attributes:
        measurements: one for each stage on the way that measures the design; empty for a C-simulation alone.
        files: what the last step made.
        reused: no tool was started: everything was in the store already.
    """

    point: Point
    folder: Path
    measurements: tuple[Measurement, ...]
    simulation: Verdict
    files: tuple[Path, ...]
    reused: bool

    @property
    def measurement(self) -> Measurement | None:
        """That of the stage itself."""
        return self.measurements[-1] if self.measurements else None


def synth(
    run: Path,
    target: Target | str,
    *,
    point: str = "best",
    store_path: Path | str | None = None,
    work: Work = Work(),  # noqa: B008  (frozen)
) -> tuple[Synthesiser, list[SynthResult]]:
    """Take points of a run to a stage, cheapest first in the result.

    Args:
        target: what they are for; a board's name stands for that board at its own clock.
        point: best, all, or a point's number.

    Raises:
        RunError, BoardError, ToolError, ReportError, StoreError.
        UsageError: the tool does not take the board, or has no such stage.
        PreflightError: a design will not fit, or a tool will refuse it; no tool has been started for it.
        MismatchError: an evaluator disagrees; nothing of that point is measured.
    """
    target = Target.of(target)
    require_gxx()  # nothing is proven without it, and without the compiled search sums take minutes to be chosen
    directory = RunDir.open(run)
    points, code = directory.select(point), code_digest()
    synthesiser = choose(target.tool, target.board, stage=target.stage, period_ns=target.clock.ns, adders=target.adders)
    require_streamable(target.io, synthesiser)
    store = Store.open(store_path)
    designs = [PointDesign(directory, p, target, code) for p in points]
    job = _Job(synthesiser, store, Preflight(target.board, synthesiser, store), work)
    results: dict[str, SynthResult] = {}
    # the largest first: it takes longest, and the small ones fill the time beside it
    order = sorted(designs, key=lambda design: -design.point.ebops)
    pool = ThreadPoolExecutor(max(1, work.jobs))
    try:
        waiting = {pool.submit(_one, design, job): design for design in order}
        for future in as_completed(waiting):
            results[waiting[future].point.id] = future.result()
            write_link(directory, synthesiser, waiting[future])
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)  # the caller leaves, and the tools end with it
        raise
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)  # what runs already is finished and kept
        raise
    pool.shutdown()
    return synthesiser, [results[p.id] for p in points]


@dataclass(frozen=True, slots=True)
class _Job:
    """What all points of one call share."""

    synthesiser: Synthesiser
    store: Store
    preflight: Preflight
    work: Work


def _one(design: PointDesign, job: _Job) -> SynthResult:
    point, synthesiser = design.point.id, job.synthesiser
    say = job.work.events.of(point)
    say("generating")
    summary = design.summary(say)
    intact = design.intact()
    known = [job.store.get(_key(design, synthesiser, step, summary)) for step in synthesiser.steps if step.measures]
    found = [m for m in known if m is not None]
    if len(found) < len(known) or not known:
        forecast = job.preflight.forecast(design.folder, summary, job.work.timeout_s)
        say(str(forecast))
        if not job.work.force:
            job.preflight.check(f"point {point}", forecast)
    say("proving")
    _proven(design, lambda: design.simulation(say), makers(design.board))
    summary = design.summary()  # the proof corrects what a changed record told
    # files are asked for only where the last step makes some beyond its reports: a bitstream, an exported core
    complete = len(found) == len(known) and intact
    if complete and (synthesiser.steps[-1].measures or finished(synthesiser, design.folder, summary.plan)):
        verdict = _proven(design, lambda: design.compare_mapped(say), makers(design.board))
        reported = _as_reported(design, job, summary, found)
        if reported is not None:
            say("done: measured before")
            return SynthResult(design.point, design.folder, tuple(reported), verdict, _files(design, synthesiser), True)
    summary = design.with_test_data(summary)
    say(f"synthesising with {synthesiser.tool}")
    records = synthesise(
        synthesiser,
        design.folder,
        summary.plan,
        timeout_s=job.work.timeout_s,
        notice=say,
        progress=lambda line: job.work.events.line(point, line),
    )
    say("proving the netlist")
    verdict = prove_netlists(design, records, say)
    ran = [Ran(step, records[step.name], options_before(synthesiser, step)) for step in synthesiser.steps]
    stored = store_all(ran, PlanFolder(design.folder, design.board, summary), job.store)
    say("done")
    for warning in (*stored.doubts, *job.preflight.surprises(summary, stored.measurements)):
        say(f"warning: {warning}")
    return SynthResult(design.point, design.folder, stored.measurements, verdict, _files(design, synthesiser), False)


def _as_reported(design: PointDesign, job: _Job, summary: Manifest, stored: list[Measurement]) -> list[Measurement] | None:
    """Stored measurements, corrected where the reports that they came from are there and tell other numbers; None where one must be made again.

    Raises:
        ReportError: a report that cannot be believed.
    """
    say = job.work.events.of(design.point.id)
    out = []
    for step, known in zip([s for s in job.synthesiser.steps if s.measures], stored, strict=True):
        told = reread(step, design.folder, design.board, summary, counted=True)
        if told is None and not _archived(design, job, step, known, summary):
            say(f"warning: the store tells other numbers than the reports of {step.name} that it archived")
            return None
        if told is not None and told != (known.resources, known.timing, known.latency):
            say(f"warning: the store told other numbers than the reports of {step.name}: corrected")
            record = read_record(design.folder, step)
            if record is not None:
                ran = Ran(step, record, options_before(job.synthesiser, step))
                (known,) = store_all([ran], PlanFolder(design.folder, design.board, summary), job.store).measurements
        out.append(known)
    return out


def _archived(design: PointDesign, job: _Job, step: Step, known: Measurement, summary: Manifest) -> bool:
    """Whether a stored measurement, whose reports are no longer in the folder, says what the reports say that were archived with it."""
    try:
        told = from_archive(step, job.store.artefacts(known.key), design.board, summary)
    except ReportError:
        return False
    if told is None:
        job.work.events.point(design.point.id, f"from the store alone: no report of {step.name} is here or archived")
    return told in (None, (known.resources, known.timing, known.latency))


def _require_equal(design: PointDesign, verdict: Verdict) -> None:
    for comparison in verdict.comparisons:
        if comparison.mismatches:
            raise MismatchError(
                f"point {design.point.id}: {comparison}", hint=f"please report it with {design.folder / 'graph.hwq'}"
            )


def prove_netlists(design: PointDesign, records: Mapping[str, Record], notice: Notice) -> Verdict:
    """Evaluate netlists mapped and routed, and another compiler's Verilog, before anything that was counted in them is believed.

    Raises:
        MismatchError: one differs from the reference; the step that made it runs again next time.
        ReportError, ToolError: a netlist that cannot be read or followed; likewise.
    """
    ran = {stage: step for stage, step in makers(design.board).items() if step.name in records}
    return _proven(design, lambda: design.compare_mapped(notice), ran)


def _proven(design: PointDesign, look: Callable[[], Verdict], steps: Mapping[str, Step]) -> Verdict:
    """The verdict of `look`, where nothing differs.

    Args:
        steps: evaluator -> the step whose netlist it looks at; each runs again next time where something is wrong.
    """
    try:
        verdict = look()
        _require_equal(design, verdict)
    except (MismatchError, ReportError, ToolError):
        for stage, step in steps.items():
            record_path(design.folder, step.name).unlink(missing_ok=True)
            design.forget(stage)  # the design itself is as good as before
        raise
    return verdict


def _files(design: PointDesign, synthesiser: Synthesiser) -> tuple[Path, ...]:
    last = synthesiser.steps[-1]
    return () if last.measures else tuple(p for o in last.outputs for a in o.split("|") for p in sorted(design.folder.glob(a)))


def _key(design: PointDesign, synthesiser: Synthesiser, step: Step, summary: Manifest) -> Key:
    tool = synthesiser.tool_of(step)
    return key_of(design.board, step, tool.name, tool.version, options_before(synthesiser, step), summary)


def write_link(directory: RunDir, synthesiser: Synthesiser, design: PointDesign) -> None:
    """Remember what was asked last and where a point's files are, so that `hwq report` shows it whatever becomes of hwq's code."""
    measuring = [s for s in synthesiser.steps if s.measures]
    if measuring:
        tool, step = synthesiser.tool, measuring[-1]
        link = Link(
            design.board.name,
            synthesiser.kind,
            tool.name,
            tool.version,
            step.stage,
            design.period.ns,
            options_before(synthesiser, step),
        )
        directory.link(link, design.point.id, design.folder.name)
