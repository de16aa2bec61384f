"""Cost models against measurements: how far off they are on networks, and on kinds of designs, that they were not fitted to.

Models are fitted to the designs of `hwq calibrate` alone (random matrices and networks, single operations), from the data that comes
with hwq, and tried on trained networks: those in the same data, and others that are trained and synthesised now. Bars are of networks
of 100 LUT and more, as the models' own errors are: of smaller ones the table says how many LUT the model is off.
The peers are one scale on EBOPs and one scale on the sum of adder widths, each fitted to the networks themselves, the one that is
predicted left out. Intervals are tried on every kind of design, and every network, left out in turn as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common.datasets import spec
from benchmarks.common.experiment import Context, Experiment, NoSettings
from benchmarks.common.row import Peer, Row, at_most
from hwq.cost.experiment import GROUPS
from hwq.cost.fit import Sample, fit_samples, target_of, usable
from hwq.cost.library import read
from hwq.cost.model import CostModel, ModelKey
from hwq.cost.terms import COMPILED, FLOOR, TRAINING, physics
from hwq.design.target import Target
from hwq.measure.measurement import Measurement
from hwq.places import directory

EXPERIMENT = Experiment(
    "Cost models on networks, and on kinds of designs, that they were not fitted to",
    cpu=("1 h", "10 s"),
    settings=NoSettings(),
    tools=("yosys",),
)
THREE = "xcup, sums of three"
LIBRARIES = {
    THREE: "xcup-yosys-synth-three.toml",
    "xcup": "xcup-yosys-synth.toml",
    "xc7, sums of three": "xc7-yosys-synth-three.toml",
    "xc7": "xc7-yosys-synth.toml",
    "ecp5": "ecp5-yosys-synth.toml",
}
BINDING = (THREE, "xcup")  # the models whose bars hold
ROUTED = "ecp5-nextpnr-ecp5-route.toml"
NETWORKS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("digits", "mlp:32,32", 11, {"epochs": 150}),
    ("digits", "mlp:64,32", 12, {"epochs": 150}),
    ("jets", "mlp:64,32,32", 13, {"epochs": 40, "batch_size": 2048}),
    ("breast_cancer", "mlp:32,16", 12, {"epochs": 150}),
    ("wine", "mlp:16,16", 13, {"epochs": 150}),
)


def samples(rows: Sequence[Measurement], target: str) -> list[Sample]:
    return [Sample(m.features, float(target_of(m, target) or 0.0), m.group or m.key.design) for m in usable(rows, target)]


def fitted(rows: Sequence[Measurement], target: str, moment: str, key: ModelKey) -> CostModel:
    return fit_samples(samples(rows, target), key, target, moment, physics(target, moment, key.family) or {})


def errors(model: CostModel, rows: Sequence[Measurement]) -> np.ndarray:
    """Relative errors, without sign."""
    return np.array([abs(model.value(s.features) / s.value - 1) for s in samples(rows, model.target)])


def one_scale(rows: Sequence[Measurement], feature: str, target: str = "lut") -> np.ndarray:
    """Relative errors of the peers' predictor: one scale on a feature, each design predicted by the scale of the others."""
    found = samples(rows, target)
    ratio = np.array([s.value / max(s.features[feature], 1.0) for s in found])
    scales = [float(np.median(np.delete(ratio, i))) for i in range(len(found))]
    found_errors: np.ndarray = np.abs(np.array(scales) / ratio - 1)
    return found_errors


def percent(group: str, case: str, figure: str, value: float, limit: float | None) -> Row:
    return Row(group, case, figure, 100 * value, "%", bar=at_most(limit))


def beside(row: Row, peer: float, name: str) -> Row:
    """A row in percent beside one scale on a feature."""
    return replace(row, peer=Peer(100 * peer, f"one scale on {name}"))


def accuracy(family: str, rows: Sequence[Measurement], key: ModelKey, *, binding: bool) -> list[Row]:
    """Fitted to the experiment, tried on networks; only one family's bars bind."""
    experiment = [m for m in rows if m.group in GROUPS]
    every = [m for m in rows if m.group not in GROUPS]
    networks = [m for m in every if float(target_of(m, "lut") or 0.0) >= FLOOR["lut"]]
    small = [m for m in every if m not in networks]
    if not networks or not experiment:
        return []
    case = f"{len(samples(networks, 'lut'))} networks"
    ebops, widths = one_scale(networks, "ebops"), one_scale(networks, "adder_bits")

    def limit(value: float) -> float | None:
        return value if binding else None

    lut = errors(fitted(experiment, "lut", COMPILED, key), networks)
    early = errors(fitted(experiment, "lut", TRAINING, key), networks)
    out = [
        beside(percent(family, case, "LUT before synthesis, mean error", lut.mean(), limit(3)), widths.mean(), "adder widths"),
        beside(percent(family, case, "LUT before synthesis, worst error", lut.max(), limit(8)), widths.max(), "adder widths"),
        beside(percent(family, case, "LUT while training, mean error", early.mean(), limit(8)), ebops.mean(), "EBOPs"),
        beside(percent(family, case, "LUT while training, worst error", early.max(), None), ebops.max(), "EBOPs"),
    ]
    for target in ("ff", "carry", "latency_cycles"):
        found = errors(fitted(experiment, target, COMPILED, key), networks)
        most = 0.0 if target == "latency_cycles" else 5.0
        # exact up to what arithmetic leaves of a sum
        out.append(percent(family, case, f"{target}, mean error", float(np.round(found.mean(), 9)), limit(most)))
    if small:
        sizes = [float(target_of(m, "lut") or 0.0) for m in small]
        case = f"{len(small)} networks of {min(sizes):.0f} to {max(sizes):.0f} LUT"
        for moment, when in ((COMPILED, "before synthesis"), (TRAINING, "while training")):
            off = errors(fitted(experiment, "lut", moment, key), small) * np.array(sizes)
            out.append(Row(family, case, f"LUT {when}, mean error", float(off.mean()), "LUT"))
    return out


def coverage(family: str, rows: Sequence[Measurement], key: ModelKey, *, binding: bool) -> list[Row]:
    """Share of the designs of kinds left out, from the fit and its intervals alike, that lie in their 90 % interval."""
    inside: list[bool] = []
    for group in sorted({m.group for m in rows}):
        model = fitted([m for m in rows if m.group != group], "lut", COMPILED, key)
        for s in samples([m for m in rows if m.group == group], "lut"):
            found = model.predict(s.features)
            inside.append(found.low <= s.value <= found.high)
    share = float(np.mean(inside))
    case = f"{len(inside)} designs of kinds left out"
    return [
        percent(family, case, "in their 90 % interval of LUT", share, None),
        percent(family, case, "that share, off 90 % by", abs(share - 0.9), 5.0 if binding else None),
    ]


def clock(rows: Sequence[Measurement], key: ModelKey) -> list[Row]:
    """Routed Fmax: whole kinds of designs left out; and fitted to the experiment alone, of trained networks."""
    model = fitted(rows, "period_ns", COMPILED, key)
    found = [percent("ecp5, routed", f"{model.trained_on} designs", "Fmax, kinds left out, mean error", model.cv_error, 10.0)]
    networks = [m for m in rows if m.group not in GROUPS]
    if networks:
        experiment = fitted([m for m in rows if m.group in GROUPS], "period_ns", COMPILED, key)
        # of the frequency: the model's own target is the period
        missed = [abs(s.value / experiment.value(s.features) - 1) for s in samples(networks, "period_ns")]
        case = f"{len(missed)} networks"
        found.append(percent("ecp5, routed", case, "Fmax, mean error", float(np.mean(missed)), 10.0))
        found.append(percent("ecp5, routed", case, "Fmax, worst error", float(np.max(missed)), None))
    return found


def library(family: str) -> tuple[list[Measurement], ModelKey]:
    """The shipped data of a family, and what its models are of."""
    found = read(directory("cost_models") / LIBRARIES[family])
    return found.rows(), found.key


@EXPERIMENT.part
def shipped(context: Context[NoSettings]) -> Iterator[Row]:
    """Networks and left-out kinds in the data that comes with hwq: no training, no tool."""
    for family in LIBRARIES:
        data, key = library(family)
        binding = family in BINDING
        yield from accuracy(family, data, key, binding=binding)
        yield from coverage(family, data, key, binding=binding)


@EXPERIMENT.part
def routed_clock(context: Context[NoSettings]) -> Iterator[Row]:
    """Fmax after routing on ECP5."""
    found = read(directory("cost_models") / ROUTED)
    yield from clock(found.rows(), found.key)


@EXPERIMENT.full_part
def fresh(context: Context[NoSettings]) -> Iterator[Row]:
    """Networks that are trained and synthesised now; jets among them."""
    specs = [spec(data) for data, _, _, _ in NETWORKS]  # before anything is trained
    data, key = library(THREE)  # what `hwq synth` builds for the board
    networks = [row for settings, name in zip(NETWORKS, specs, strict=True) for row in _trained(context, name, *settings)]
    experiment = [m for m in data if m.group in GROUPS]
    yield from accuracy(f"{THREE}, networks of now", [*experiment, *networks], key, binding=True)


def _trained(
    context: Context[NoSettings], loaded: str, data: str, model: str, seed: int, settings: dict[str, Any]
) -> list[Measurement]:
    """Measurements of one run's points."""
    from hwq.flow.synth import synth
    from hwq.flow.train import train
    from hwq.train.config import TrainConfig

    run = context.work / f"{data}-{seed}"
    context.say(f"training and synthesising {data}")
    train(loaded, TrainConfig(model=model, seed=seed, max_points=6, **settings), run)
    _, results = synth(run, Target.of("xcvu9p", tool="yosys"), point="all", store_path=context.work / "store.sqlite")
    return [r.measurement for r in results if r.measurement is not None]
