"""A point of a run as a design for a board and clock: generated once, simulated once, found again by the digest of its inputs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import hwq
from hwq.boards import Board
from hwq.codegen.build import Build, Style, build
from hwq.codegen.stream import StreamBuild, build_stream
from hwq.cost.features import VERSION, features
from hwq.errors import UsageError
from hwq.flow.routed import compare_routed
from hwq.ir import Graph, parse, verify
from hwq.resources import directory
from hwq.rundir import Point, RunDir, read_json, write_json
from hwq.sim.compare import Comparison, Mismatch, compare, mantissas_of, to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate, quantize_inputs
from hwq.sim.rtlsim import NETLIST, mapped, rtlsim
from hwq.sim.vectors import write_rows
from hwq.tools.synthesis import Synthesiser
from hwq.units import Period

Notice = Callable[[str], None]
Io = Literal["parallel", "stream"]
STREAMED_CLOCKS = 1 << 16  # simulated of a stream


def code_digest() -> str:
    """Over everything that decides what is generated: the templates and the generating packages."""
    whole = hashlib.sha256(hwq.__version__.encode())
    root = Path(hwq.__file__).parent
    folders = [directory("hls_templates"), *(root / name for name in ("codegen", "passes", "ir", "fixed"))]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".j2", ".cpp"):
                whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


@dataclass
class Design:
    """One point for one board and clock, in its own folder below the run."""

    run: RunDir
    point: Point
    board: Board
    period: Period
    code: str
    style: Style = "multiply"
    io: Io = "parallel"
    registered_inputs: bool = False

    @cached_property
    def graph_text(self) -> str:
        return self.point.graph_path.read_text()

    @cached_property
    def folder(self) -> Path:
        inputs = "\0".join((self.code, self.graph_text, repr(self.board), repr(self.period.ns), self.style, self.io))
        inputs += f"\0terms {self.terms}" if self.terms > 1 else ""
        inputs += "\0registered inputs" if self.registered_inputs else ""
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:12]
        return self.run.path / "synth" / f"{self.point.id}-{self.board.name}-{digest}"

    @cached_property
    def terms(self) -> int:
        """Signed powers of two that the weights of this point were trained to consist of; 1 where nothing is said."""
        return int(read_json(self.point.folder / "point.json").get("terms", 1))

    @cached_property
    def graph(self) -> Graph:
        return verify(parse(self.graph_text))

    @cached_property
    def build(self) -> Build | StreamBuild:
        """All inputs at once and a result a clock, or a pixel a clock.

        Raises:
            GraphError: it cannot be generated, or not be streamed.
            UsageError: a stream in the style "adders", or with registered inputs.
        """
        if self.io == "stream":
            if self.style != "multiply":
                raise UsageError(f"a stream has no C++ in the style {self.style}", hint="leave --style out")
            if self.registered_inputs:
                raise UsageError("a stream's inputs go through its window first", hint="leave --register-inputs out")
            return build_stream(self.graph, self.board, self.period)
        options: dict[str, Any] = {"style": self.style, "terms": self.terms, "registered_inputs": self.registered_inputs}
        return build(self.graph, self.board, self.period, **options)

    def summary(self) -> dict[str, Any]:
        """What was generated (digests, features, latency), writing the files when they are not there yet."""
        path = self.folder / "build.json"
        if path.is_file():
            content = read_json(path)
            if content["features"].get("counted") != VERSION:
                content |= {"group": self.group, "features": features_of(self.build)}
                write_json(path, content)
            return content
        made = self.build
        made.plan.write(self.folder)
        content = {
            "design": made.plan.design,
            "plan": made.plan.digest,
            "files": sorted(made.plan.files),
            "point": self.point.id,
            "board": self.board.name,
            "top": made.plan.top,
            "latency_cycles": made.plan.latency_cycles,
            "period_ns": made.plan.period_ns,
            "interval": made.interval if isinstance(made, StreamBuild) else 1,
            "features": features_of(made),
            "group": self.group,
        }
        write_json(path, content)
        return content

    @property
    def group(self) -> str:
        """What the points of all runs on the same data have in common: cost models are tested on groups that they have not seen."""
        return str(self.run.meta().get("dataset", {}).get("name", ""))

    def write_test_data(self, rows: int = 200) -> None:
        """`tb_data/`: rows of the run with the reference's answers, for the test bench, whatever stage is run first."""
        data = self.folder / "tb_data"
        if (data / "expected.dat").is_file():
            return
        with np.load(self.run.vectors_path) as vectors:
            inputs = quantize_inputs(self.graph, vectors["x"][:rows])
        write_rows(data / "inputs.dat", inputs)
        # in the steps of the design itself, which may drop fractional bits that are always zero
        write_rows(data / "expected.dat", to_types(evaluate(self.graph, inputs), self.graph, self.build.graph))

    def simulation(self, notice: Notice | None = None, *, fresh: bool = False) -> dict[str, Any]:
        """The comparisons of all evaluators and the simulated accuracy: from disk, or by running them now."""
        path = self.folder / "sim.json"
        if path.is_file() and not fresh:
            return read_json(path)
        self.summary()
        content = self._simulate(notice)
        write_json(path, content)
        if (self.folder / "steps" / "nextpnr-route.json").is_file():
            self.compare_routed()
            content = read_json(path)
        return content

    def compare_routed(self) -> Comparison:
        """The routed netlist (nextpnr/netlist.json) against the reference, added to sim.json.

        Raises:
            ReportError: a netlist that cannot be followed.
        """
        with np.load(self.run.vectors_path) as vectors:
            inputs = quantize_inputs(self.graph, vectors["x"])
        comparison = compare_routed(self.folder, self.summary()["latency_cycles"], inputs)
        content = self.simulation()
        comparisons = [*(c for c in content["comparisons"] if c["stage_b"] != "routed"), asdict(comparison)]
        total = sum(c["mismatches"] for c in comparisons)
        write_json(self.folder / "sim.json", {**content, "comparisons": comparisons, "mismatches": total})
        return comparison

    def _simulate(self, notice: Notice | None) -> dict[str, Any]:
        with np.load(self.run.vectors_path) as vectors:
            x, labels = vectors["x"], vectors["y"]
        with np.load(self.point.keras_path) as stored:
            logits = stored["logits"]
        inputs = quantize_inputs(self.graph, x)
        reference = evaluate(self.graph, inputs)
        # the design may drop fractional bits that are always zero: bring every result to the steps of the network as trained
        rows = self._simulated_rows(len(inputs))
        code = to_types(csim(self.build, self.folder, inputs[rows]), self.build.graph, self.graph)
        rtl = to_types(rtlsim(self.build, self.folder, inputs[rows], notice=notice), self.build.graph, self.graph)
        comparisons = [compare(self.graph, "reference", reference, "keras", mantissas_of(logits, self.graph))]
        if isinstance(self.build, Build):
            native = to_types(emulator(self.build.graph, self.build.circuit).evaluate(inputs), self.build.graph, self.graph)
            comparisons.append(compare(self.graph, "reference", reference, "emulator", native))
        comparisons += [
            compare(self.graph, "reference", reference[rows], "csim", code),
            compare(self.graph, "reference", reference[rows], "rtl", rtl),
        ]
        if isinstance(self.build, Build) and (self.folder / NETLIST).is_file():
            netlist = to_types(mapped(self.build, self.folder, inputs, notice=notice), self.build.graph, self.graph)
            comparisons.append(compare(self.graph, "reference", reference, "netlist", netlist))
        # what the hardware's bits say, where they have been simulated, with steps that may differ between outputs
        answers = reference.copy()
        answers[rows] = rtl
        scores = np.ldexp(answers[: len(labels)].astype(np.float64), -self._output_frac())
        return {
            "comparisons": [asdict(c) for c in comparisons],
            "mismatches": sum(c.mismatches for c in comparisons),
            "samples": len(x),
            "accuracy": float((scores.argmax(axis=1) == labels).mean()),
        }

    def _simulated_rows(self, count: int) -> npt.NDArray[np.int64]:
        """All rows; of a stream, which takes a clock a pixel, as many as there is time for, spread over all."""
        most = count if isinstance(self.build, Build) else max(64, STREAMED_CLOCKS // self.build.interval)
        return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))

    def _output_frac(self) -> np.ndarray:
        return np.concatenate([self.graph[name].type.frac.ravel() for name in self.graph.outputs]).astype(np.int64)


def features_of(made: Build | StreamBuild) -> dict[str, float]:
    """What the design consists of (`hwq.cost.features`); a stream is the sum of its stages, without the line buffers."""
    if isinstance(made, Build):
        return features(made.graph, made.circuit)
    parts = [features(s.stage.graph, s.circuit) for s in made.stages]
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    # the longest way is that of the slowest stage
    longest = {name: max(part[name] for part in parts) for name in total if name.startswith("clocked_") or name == "fan_out"}
    return {**total, **longest, "latency_cycles": float(made.plan.latency_cycles), "counted": VERSION}


def require_streamable(io: Io, synthesiser: Synthesiser) -> None:
    """Raises UsageError: a stream is asked of a step that knows designs with all inputs at once only."""
    closed = {"nextpnr-ecp5": "placement by nextpnr", "bambu": "Bambu"}
    found = [closed[s.program] for s in synthesiser.steps if s.program in closed]
    if io == "stream" and found:
        raise UsageError(f"a streamed design does not go through {found[0]}", hint="stop at --stage synth, or use --io parallel")


def comparisons_of(content: Mapping[str, Any]) -> list[Comparison]:
    """The comparisons in a sim.json."""
    out = []
    for c in content["comparisons"]:
        first = Mismatch(**c["first"]) if c["first"] else None
        out.append(Comparison(**{**c, "first": first}))
    return out
