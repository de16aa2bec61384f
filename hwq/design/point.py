"""A point of a run as a design for a board and clock: generated once, simulated once, found again by the digest of its inputs."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

import hwq
from hwq.boards import Board
from hwq.codegen.build import Build, Form
from hwq.codegen.stream import StreamBuild, build_stream
from hwq.cost.features import VERSION, features
from hwq.design.feeding import Feeding, is_fed, preprocess_of, write_feeding
from hwq.design.target import Io, Target
from hwq.design.verdict import Verdict, judged_inputs
from hwq.errors import RunError, UsageError
from hwq.events import Notice, quiet
from hwq.files import read_fields, sha256_of
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, digest, parse, verify
from hwq.places import directory
from hwq.run.directory import Point, RunDir
from hwq.sim.compare import Comparison, compare, mantissas_of, to_types
from hwq.sim.compiled_verilog import COMPILED
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator_of
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate, quantize_inputs
from hwq.sim.routed import compare_routed, random_inputs
from hwq.sim.rtlsim import NETLIST, affordable, rtlsim
from hwq.sim.vectors import write_rows
from hwq.styles.choice import build_at
from hwq.synthesis.single import build_features
from hwq.toolchains.manifest import BUILD, Manifest
from hwq.toolchains.nextpnr import ROUTED_NETLIST
from hwq.toolchains.registry import makers, program
from hwq.toolchains.runner import record_path
from hwq.toolchains.steps import MAPPED, ROUTED
from hwq.toolchains.synthesiser import Synthesiser
from hwq.units import Period

VERDICT = "sim.json"
# evaluator -> what it evaluates
NETLISTS = {MAPPED: NETLIST, ROUTED: ROUTED_NETLIST, **{name: compiled.verilog for name, compiled in COMPILED.items()}}
# the code that decides what a plan holds; tests/test_architecture.py compares it with what the generator imports
GENERATING = (
    "codegen",
    "styles",
    "toolchains",
    "passes",
    "ir",
    "fixed",
    "design/feeding.py",
    "templates.py",
    "boards.py",
    "units.py",
    "tensors.py",
)
STREAMED_CLOCKS = 1 << 16  # simulated of a stream
TEST_DATA, TEST_ROWS = "tb_data", 200


def code_digest() -> str:
    """Over everything that decides what is generated: the templates and the generating code."""
    whole = hashlib.sha256(hwq.__version__.encode())
    root = Path(hwq.__file__).parent
    for place in (directory("hls_templates"), *(root / name for name in GENERATING)):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in (".py", ".j2", ".cpp"):
                whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


@dataclass
class PointDesign:
    """One point for one board and clock, in its own folder below the run."""

    run: RunDir
    point: Point
    target: Target
    code: str

    @property
    def board(self) -> Board:
        return self.target.board

    @property
    def period(self) -> Period:
        return self.target.clock

    @cached_property
    def graph_text(self) -> str:
        """Raises RunError: the point's graph is not the one that it was written with."""
        return self.point.graph_text()

    @cached_property
    def folder(self) -> Path:
        inputs = "\0".join((self.code, self.graph_text, repr(self.board), repr(self.period.ns), self.target.style, self.target.io))
        inputs += f"\0terms {self.terms}" if self.terms > 1 else ""
        inputs += "\0registered inputs" if self.target.registered_inputs else ""
        operands = self.board.operands(self.target.adders)
        inputs += f"\0adders of {operands}" if operands != self.board.operands() else ""
        inputs += f"\0interval {self.target.interval}" if self.target.interval > 1 else ""
        inputs += f"\0fold {self.target.fold}" if self.target.fold != "auto" else ""
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:12]
        return self.run.path / "synth" / f"{self.point.id}-{self.board.name}-{digest}"

    @cached_property
    def terms(self) -> int:
        """Signed powers of two that the weights of this point were trained to consist of; 1 where nothing is said."""
        return self.point.terms

    @cached_property
    def graph(self) -> Graph:
        return verify(parse(self.graph_text))

    @cached_property
    def build(self) -> Build | StreamBuild:
        """All inputs at once and a result every so many clocks, or a pixel a clock.

        Raises:
            GraphError: it cannot be generated, or not be streamed.
            UsageError: a stream in the style "adders", with registered inputs, or with an interval; or an interval with registered inputs.
        """
        asked = self.target
        if asked.io == "stream":
            if asked.style != "multiply":
                raise UsageError(f"a stream has no C++ in the style {asked.style}", hint="leave --style out")
            if asked.registered_inputs:
                raise UsageError("a stream's inputs go through its window first", hint="leave --register-inputs out")
            if asked.interval > 1:
                raise UsageError("a stream takes a pixel a clock", hint="leave --interval or --io stream out")
            return build_stream(self.graph, self.board, self.period, adders=asked.adders)
        form = Form(asked.style, self.terms, asked.registered_inputs, asked.adders, asked.fold)
        return build_at(self.graph, self.board, self.period, form, asked.interval)

    def summary(self, notice: Notice = quiet) -> Manifest:
        """What was generated (digests, features, latency).

        The files are written when they are not there yet, and again when one is missing or was changed: each is hashed before it is believed.
        """
        found = self._written(notice) if (self.folder / BUILD).is_file() else None
        if found is None:
            made = self.build
            made.plan.write(self.folder)
            found = self._facts(None)
            found.write(self.folder)
            if (self.folder / TEST_DATA).is_dir():
                found = self.with_test_data(found)  # nothing says that its files are as they were written
        elif found.features.get("counted") != VERSION:
            found = replace(found, group=self.group, features=features_of(self.build))
            found.write(self.folder)
        known = preprocess_of(self.run)
        if not is_fed(self.folder, found, known):
            told = Feeding.of(self.build, self.graph, known)
            found = replace(found, feeding=write_feeding(self.folder, told, str(self.run.path), self.point.id))
            found.write(self.folder)
        if rows := found.changed_rows(self.folder):
            notice(f"{rows[0]} is missing or was changed: written again")
            found = self.with_test_data(found)
        return found

    def _facts(self, before: Manifest | None) -> Manifest:
        """What build.json says, by the design itself; of `before` what that does not decide."""
        made = self.build
        found = Manifest.of_plan(made.plan, features_of(made), interval=made.interval, group=self.group)
        found = replace(found, point=self.point.id, files=tuple(sorted(made.plan.files)))
        kept = {} if before is None else {name: getattr(before, name) for name in ("feeding", "test_data", "more")}
        return replace(found, **kept)

    def _corrected(self, summary: Manifest, notice: Notice) -> Manifest:
        """build.json as the design is: its files' digest says nothing of latency and features. The design is compiled for its proof anyway."""
        right = self._facts(summary)
        wrong = [field.name for field in fields(Manifest) if getattr(summary, field.name) != getattr(right, field.name)]
        if not wrong:
            return summary
        notice(f"build.json told another {wrong[0]} than the design has: it is written again")
        right.write(self.folder)
        return right

    def _written(self, notice: Notice) -> Manifest | None:
        """build.json, where it and every file that it names are as they were written; None where they must be generated again."""
        try:
            found = Manifest.read(self.folder, sealed=True)
            changed = found.changed(self.folder) if found.files is not None else BUILD
            if changed is None and found.design == digest(self.graph):
                return found
            what = changed or "build.json, which is of another design,"
        except RunError as error:
            what = f"build.json ({error})"
        notice(f"{what} is missing or was changed: generating again")
        return None

    @property
    def group(self) -> str:
        """What the points of all runs on the same data have in common: cost models are tested on groups that they have not seen."""
        told = self.run.record().dataset
        return told.name if told else ""

    def with_test_data(self, summary: Manifest) -> Manifest:
        """Write `tb_data/`: rows of the run with the reference's answers, for the test bench, whatever stage is run first."""
        inputs = quantize_inputs(self.graph, self.run.vectors()[0][:TEST_ROWS])
        # answers in the steps of the design itself, which may drop fractional bits that are always zero
        answers = to_types(evaluate(self.graph, inputs), self.graph, self.build.graph)
        digests = {}
        for name, rows in (("inputs", inputs), ("expected", answers)):
            place = f"{TEST_DATA}/{name}.dat"
            write_rows(self.folder / place, rows)
            digests[place] = sha256_of(self.folder / place)
        found = replace(summary, test_data=digests)
        found.write(self.folder)
        return found

    def simulation(self, notice: Notice = quiet, *, fresh: bool = False) -> Verdict:
        """The comparisons of all evaluators and the simulated accuracy: from disk where they are of the files as they are, or made now."""
        summary = self.summary(notice)
        known = None if fresh else self._judged(summary, notice)
        if known is not None:
            return known
        summary = self._corrected(summary, notice)
        verdict = self._simulate(summary, notice)
        verdict.write(self.folder / VERDICT)
        return self._with_netlists(verdict, summary, notice, fresh)

    def _judged(self, summary: Manifest, notice: Notice) -> Verdict | None:
        """The stored verdict, without what it says of netlists that are others by now; None where it is of other files."""
        if not (self.folder / VERDICT).is_file():
            return None
        try:
            verdict = Verdict.read(self.folder / VERDICT)
        except RunError as error:
            notice(f"{error.message}: proving again")
            return None
        if not verdict.holds_for(self._inputs(summary)):
            notice("files have changed since they were proven: proving again")
            return None
        x, labels = self.run.vectors()
        if not verdict.covers(len(x), self.point.accuracy_by_answers(labels), stream=summary.streamed):
            notice("the proof leaves out an evaluator or rows: proving again")
            return None
        for stage in NETLISTS:
            if verdict.of(stage) is not None and not verdict.judged.items() >= self._evaluated(stage).items():
                verdict = verdict.without(stage)
        return verdict

    def _evaluated(self, stage: str) -> dict[str, str]:
        """The files behind a netlist's evaluation -> SHA-256; the name alone where they are missing."""
        name = NETLISTS[stage]
        return (COMPILED[stage].sources(self.folder) if stage in COMPILED else {}) or {name: sha256_of(self.folder / name) or ""}

    def forget(self, stage: str) -> None:
        """Take what an evaluator said out of the stored verdict, where there is one."""
        with suppress(RunError):
            Verdict.read(self.folder / VERDICT).without(stage).write(self.folder / VERDICT)

    def _inputs(self, summary: Manifest) -> dict[str, str]:
        return judged_inputs(summary, self.point, self.run)

    def compare_mapped(self, notice: Notice = quiet, *, fresh: bool = False) -> Verdict:
        """Add what the mapped and the routed netlist and another compiler's Verilog compute, where there are any that were not compared yet.

        Args:
            fresh: the mapped netlist goes through Yosys' own models of its cells as well, which takes longer (`hwq.sim.rtlsim`).

        Raises:
            ReportError: a netlist that cannot be followed.
            ToolError: it does not compile, or its report counts other cells.
        """
        summary = self.summary()
        verdict = self._judged(summary, notice)
        return self.simulation(notice) if verdict is None else self._with_netlists(verdict, summary, notice, fresh)

    def _with_netlists(self, verdict: Verdict, summary: Manifest, notice: Notice, fresh: bool) -> Verdict:
        inputs = quantize_inputs(self.graph, self.run.vectors()[0])
        for stage in NETLISTS:
            if verdict.of(stage) is None and self._own(stage, notice):
                found = self._netlist(stage, inputs, summary, notice, fresh)
                if found is not None:
                    verdict = verdict.adding(found, self._evaluated(stage))
                    verdict.write(self.folder / VERDICT)
        return verdict

    def _own(self, stage: str, notice: Notice) -> bool:
        """Whether a netlist is there as its step left it. What was changed since is of no design: its step runs again next time."""
        record = self._record(stage)
        if record is None or not record.is_file() or not (self.folder / NETLISTS[stage]).exists():
            return False
        if not self._changed(stage):
            return True
        record.unlink(missing_ok=True)
        notice(f"{NETLISTS[stage]} was changed after it was made, and is not looked at")
        return False

    def _changed(self, stage: str) -> bool:
        """Whether a netlist is another one than the record of its step says, or of another plan."""
        record = self._record(stage)
        if record is None or not record.is_file() or not (self.folder / NETLISTS[stage]).exists():
            return False
        try:
            told = read_fields(record)
            made = told.texts_by_name("outputs").get(NETLISTS[stage])
            if told.text("plan") != Manifest.read(self.folder).plan:
                return True
        except RunError:
            return True
        return made != sha256_of(self.folder / NETLISTS[stage])

    def _record(self, stage: str) -> Path | None:
        """Where the step that makes a netlist leaves its record; None where no tool for the board makes one."""
        step = makers(self.board).get(stage)
        return None if step is None else record_path(self.folder, step.name)

    def intact(self) -> bool:
        """Whether no netlist was changed after its step made it."""
        return not any(self._changed(stage) for stage in NETLISTS)

    def _netlist(self, stage: str, inputs: IntArray, summary: Manifest, notice: Notice, fresh: bool) -> Comparison | None:
        """What one netlist computes; None where nothing here can say it."""
        made = self.build
        if isinstance(made, Build):
            # a changed cell may matter in none of the run's rows: all of the inputs' range is looked at as well
            inputs = np.concatenate([inputs, random_inputs(self.graph)])
        if stage == ROUTED:
            if summary.interval > 1:
                return None  # it keeps a state, which is not followed there
            return compare_routed(self.folder, summary.latency_cycles, inputs)
        if stage in COMPILED:
            return COMPILED[stage].compare(self.folder, inputs, notice)
        rows = self._simulated_rows(len(inputs))
        expected = evaluate(self.graph, inputs)[rows]
        found = evaluate_mapped(made, self.folder, inputs[rows], models=fresh, notice=notice)
        return None if found is None else compare(self.graph, "reference", expected, stage, to_types(found, made.graph, self.graph))

    def _simulate(self, summary: Manifest, notice: Notice) -> Verdict:
        judged = self._inputs(summary)
        x, labels = self.run.vectors()
        inputs = quantize_inputs(self.graph, x)
        reference = evaluate(self.graph, inputs)
        # the design may drop fractional bits that are always zero: bring every result to the steps of the network as trained
        rows = self._simulated_rows(len(inputs))
        code = to_types(csim(self.build, self.folder, inputs[rows]), self.build.graph, self.graph)
        rtl = to_types(rtlsim(self.build, self.folder, inputs[rows], notice=notice), self.build.graph, self.graph)
        comparisons = [compare(self.graph, "reference", reference, "keras", mantissas_of(self.point.logits(), self.graph))]
        if isinstance(self.build, Build):
            native = to_types(emulator_of(self.build).evaluate(inputs), self.build.graph, self.graph)
            comparisons.append(compare(self.graph, "reference", reference, "emulator", native))
        comparisons += [
            compare(self.graph, "reference", reference[rows], "csim", code),
            compare(self.graph, "reference", reference[rows], "rtl", rtl),
        ]
        # what the hardware's bits say, where they have been simulated, with steps that may differ between outputs
        answers = reference.copy()
        answers[rows] = rtl
        scores = np.ldexp(answers[: len(labels)].astype(np.float64), -self._output_frac())
        task = self.point.record.task
        accuracy = task.value(scores, labels) if len(labels) else None
        return Verdict(tuple(comparisons), len(x), accuracy, judged, "" if task.plain else task.metric)

    def _simulated_rows(self, count: int) -> npt.NDArray[np.int64]:
        """All rows; where a row takes many clocks, as many as there is time for, spread over all."""
        made = self.build
        most = affordable(made, count) if isinstance(made, Build) else max(64, STREAMED_CLOCKS // made.interval)
        return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))

    def _output_frac(self) -> np.ndarray:
        return np.concatenate([self.graph[name].type.frac.ravel() for name in self.graph.outputs]).astype(np.int64)


def features_of(made: Build | StreamBuild) -> dict[str, float]:
    """What the design consists of (`hwq.cost.features`); a stream is the sum of its stages, without the line buffers."""
    if isinstance(made, Build):
        return build_features(made)
    parts = [features(s.stage.graph, s.circuit) for s in made.stages]
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    # the longest way is that of the slowest stage
    longest = {name: max(part[name] for part in parts) for name in total if name.startswith("clocked_") or name == "fan_out"}
    return {**total, **longest, "latency_cycles": float(made.plan.latency_cycles), "counted": VERSION}


def require_streamable(io: Io, synthesiser: Synthesiser) -> None:
    """Raises UsageError: a stream is asked of a step that knows designs with all inputs at once only."""
    found = [why for s in synthesiser.steps if (why := program(s.program).unstreamed) is not None]
    if io == "stream" and found:
        raise UsageError(f"a streamed design does not go through {found[0].what}", hint=found[0].instead)
