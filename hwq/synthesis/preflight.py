"""What is known before any tool starts: does the design fit the board, does it keep within the HLS compiler's limits, how long will it take?

Everything comes from what was generated and from the store: no program runs, and it takes a fraction of a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from hwq.boards import Board
from hwq.cost.find import ModelSource, comparable, find_models, models_without, selection
from hwq.cost.model import CostModel
from hwq.errors import HwqError, PreflightError
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.synthesis.step_measurement import options_before
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.plan import TOP
from hwq.toolchains.steps import Step
from hwq.toolchains.synthesiser import Synthesiser
from hwq.tools.find import Tool

WIDEST_PORT = 4096  # bits of an ap_uint: AP_INT_MAX_W (AMD UG1399, "C++ Arbitrary Precision Integer Types")
LARGEST_ARRAY = 1024  # elements that Vivado HLS partitions completely (its message XFORM 203-101)
MANY_STATEMENTS = 50_000  # in one function: compilation then takes hours, whichever version
# what an unmeasured design needs at most and at least: a LUT a full adder and clamped bit, as carry chains map; sharing halves it
_UNMEASURED = {
    "lut": ("adder_bits", "clamp_bits", "serial_adders", "serial_requantizer_bits", "serial_fed_bits"),
    "ff": ("register_bits", "serial_register_bits"),
}
_UNMEASURED_ERROR = 0.5
FAR, FEW = 2.0, 10.0  # a measurement so many half intervals off is told; no interval counts as narrower than so many units


@dataclass(frozen=True, slots=True)
class Expectation:
    """One predicted number beside what the board has.

    Attributes:
        error: relative; the model's error on designs left out of its fit, or 50 % where nothing comparable has been measured.
        measured: whether a cost model stands behind it that has seen such designs.
        beyond: whether one does that has seen none so large, or of so much of a kind.
    """

    name: str
    value: float
    error: float
    available: int
    measured: bool
    beyond: bool = False

    @property
    def exceeds(self) -> bool:
        """Not even the lower end of the prediction fits."""
        return self.value * (1 - min(self.error, 0.9)) > self.available

    def __str__(self) -> str:
        basis = "" if not self.value or self.beyond else f" ± {self.error:.0%}" if self.measured else " at a guess"
        beyond = " (beyond what was measured)" if self.beyond else ""
        return f"{self.value:.0f} {self.name.upper()}{basis} of {self.available}{beyond}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of one design.

    Attributes:
        resources: LUT, FF and DSP; of a style that nobody can predict, DSP alone.
        latency_cycles: of the generated pipeline; the tool may choose another in C synthesis.
        seconds: of all steps, from comparable runs; None where there are none.
        limits: what stands against it, as sentences.
        fmax_mhz: the clock that it will reach, and the model's error; None where no model tells, or no way leads from register to register.
        unknown: the style, where neither a model nor a count of its parts tells LUT and FF.
    """

    resources: tuple[Expectation, ...]
    latency_cycles: int
    seconds: float | None
    limits: tuple[str, ...]
    fmax_mhz: tuple[float, float] | None = None
    unknown: str = ""

    def __str__(self) -> str:
        time = "" if self.seconds is None else f", about {duration(self.seconds)}"
        clock = "" if self.fmax_mhz is None else f", {self.fmax_mhz[0]:.0f} MHz ± {self.fmax_mhz[1]:.0%}"
        costs = [*([f"LUT and FF unknown (nothing predicts {self.unknown})"] if self.unknown else []), *map(str, self.resources)]
        return f"expecting {', '.join(costs)}, {self.latency_cycles} cycles{clock}{time}"


class Preflight:
    """The models and run times that all points of one call share."""

    def __init__(self, board: Board, synthesiser: Synthesiser, store: Store) -> None:
        """Raises StoreError: the store cannot be read."""
        self.board, self.synthesiser = board, synthesiser
        self.comparable: dict[Step, list[Measurement]] = {}
        for step in synthesiser.steps:
            if step.measures and (tool := synthesiser.tools.get(step.program)) is not None:
                self.comparable[step] = comparable(store, selection(board, _source(synthesiser, step, tool)))
        self.models: dict[str, CostModel] = {}
        if self.comparable:
            step, rows = list(self.comparable.items())[-1]
            tool = synthesiser.tools[step.program]
            known = find_models(board, _source(synthesiser, step, tool))
            self.models = {m.target: m for m in models_without("", rows, known, ("lut", "ff", "period_ns"))}

    def forecast(self, folder: Path, manifest: Manifest, timeout_s: float | None = None) -> Forecast:
        """What to expect of the design whose build.json is `manifest`; `folder` holds its files."""
        features = manifest.features
        expected = [self._expect(target, manifest) for target in ("lut", "ff")]
        resources = [e for e in expected if e is not None]
        if not self.synthesiser.toolchain.multiplies:  # the RTL's scripts forbid DSPs
            resources.append(Expectation("dsp", 0.0, 0.0, self.board.dsp, True))
        limits = [f"{e} will not fit {self.board.name}" for e in resources if e.exceeds]
        if self.synthesiser.toolchain.compiles:
            limits += hls_limits((folder / "hls" / f"{TOP}.cpp").read_text())
        # runs that are known are of designs that take a row a clock
        times = {} if manifest.hardware else {step: _seconds(rows, features) for step, rows in self.comparable.items()}
        known = [t for t in times.values() if t is not None]
        if timeout_s is not None:
            limits += [
                f"{step.stage} will take about {duration(t)}, more than the limit of {duration(timeout_s)}"
                for step, t in times.items()
                if t is not None and t > 2 * timeout_s
            ]
        seconds, clock = sum(known) if known else None, None if manifest.hardware else self._clock(features)
        unknown = (manifest.hardware or "") if None in expected else ""
        return Forecast(tuple(resources), manifest.latency_cycles, seconds, tuple(limits), clock, unknown)

    def check(self, who: str, forecast: Forecast) -> None:
        """Raises PreflightError: something stands against the design."""
        if forecast.limits:
            raise PreflightError(
                f"{who}: {'; '.join(forecast.limits)}", hint="take a smaller point or a larger board, or go on with --force"
            )

    def surprises(self, manifest: Manifest, measured: Sequence[Measurement]) -> list[str]:
        """What was measured far outside its predicted interval, as sentences: a sign that tool, report or model is not what it seems."""
        found = []
        for target in ("lut", "ff") if measured else ():
            value, model = getattr(measured[-1].resources, target), self.models.get(target)
            if value is None or model is None or manifest.hardware:
                continue
            try:
                expected = model.predict(manifest.features)
            except HwqError:
                continue  # a model of an earlier version, of features that are not counted any more
            half = max(expected.high - expected.value, FEW)
            if not expected.out_of_range and abs(value - expected.value) > FAR * half:
                found.append(
                    f"{value:g} {target.upper()} measured, {expected.value:.0f} expected "
                    f"({max(expected.low, 0):.0f} to {expected.high:.0f}): look at the tool's log before you believe it"
                )
        return found

    def _expect(self, target: str, manifest: Manifest) -> Expectation | None:
        """None of a style whose parts say nothing of that cell."""
        available, features = self.board.lut if target == "lut" else self.board.ff, manifest.features
        model = None if manifest.hardware else self.models.get(target)  # models are of designs that take a row a clock
        try:
            if model is not None:
                found = model.predict(features)
                beyond = found.out_of_range
                # terms of the model are physical, so that it is far better than a guess there, but nobody has tried
                error = max(found.relative_error, _UNMEASURED_ERROR) if beyond else found.relative_error
                return Expectation(target, found.value, error, available, not beyond, beyond)
        except HwqError:
            pass  # a feature that this design lacks: as good as no model
        if manifest.hardware and not any(name in features for name in _UNMEASURED[target]):
            return None
        value = sum(features.get(name, 0.0) for name in _UNMEASURED[target])
        return Expectation(target, value, _UNMEASURED_ERROR, available, False)

    def _clock(self, features: Mapping[str, float]) -> tuple[float, float] | None:
        model = self.models.get("period_ns")
        if model is None or not features.get("clocked_levels"):
            return None
        try:
            found = model.predict(features)
        except HwqError:
            return None  # a model of an earlier version, of features that are not counted any more
        return None if found.out_of_range else (1e3 / found.value, found.relative_error)


def _source(synthesiser: Synthesiser, step: Step, tool: Tool) -> ModelSource:
    return ModelSource(tool.name, tool.version, step.stage, options_before(synthesiser, step))


def _seconds(rows: Sequence[Measurement], features: Mapping[str, float]) -> float | None:
    """From the five measured designs nearest in size, in proportion to their adders."""
    size = features.get("adders", 0.0) + 1
    sized = [(m.features.get("adders", 0.0) + 1, m.seconds) for m in rows if m.seconds > 0 and m.features]
    nearest = sorted(sized, key=lambda row: abs(row[0] - size))[:5]
    return median(seconds * size / adders for adders, seconds in nearest) if nearest else None


def hls_limits(source: str) -> list[str]:
    """What an HLS compiler will refuse, or choke on, in generated C++."""
    found = []
    widest = max((int(w) for w in re.findall(r"ap_u?int<(\d+)>\s*\*?\s*[xy]\b", source)), default=0)
    if widest > WIDEST_PORT:
        found.append(f"a port of {widest} bits is wider than the {WIDEST_PORT} that HLS takes")
    for name in re.findall(r"#pragma HLS ARRAY_PARTITION variable=(\w+)[^\n]*complete", source):
        sizes = re.findall(rf"\b{re.escape(name)}\[(\d+)\]", source)
        if sizes and max(map(int, sizes)) > LARGEST_ARRAY:
            found.append(f"array {name} of {max(map(int, sizes))} elements is larger than the {LARGEST_ARRAY} that HLS partitions")
    statements = source.count(";")
    if statements > MANY_STATEMENTS:
        found.append(f"{statements} statements in one function are more than HLS gets through in hours (limit {MANY_STATEMENTS})")
    return found


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
