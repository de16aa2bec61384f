"""Cost models: linear in physical features, non-negative, fitted to measurements, with the error that cross-validation found.

A model belongs to one (family, tool, version, stage) and one target; measurements of different ones are never mixed. The fit
minimises relative errors. Leave-one-out gives the error that every prediction carries; a fit above the limit is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.cost.features import TRAINING
from hwq.errors import CostModelError
from hwq.measure.measurement import WHOLE, Measurement

FEWEST = 3
LIMIT = 0.30  # mean relative leave-one-out error above which a fit is no model
# nested, physical: each later set has to earn its place by leave-one-out error
COMPILED: dict[str, tuple[tuple[str, ...], ...]] = {
    "lut": (("adder_bits",), ("adder_bits", "clamp_bits"), ("adder_bits", "clamp_bits", "adders")),
    "ff": (("register_bits",),),
}
TARGETS = tuple(COMPILED)


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Which measurements a model was fitted to."""

    family: str
    tool: str
    version: str
    stage: str

    @classmethod
    def of(cls, measurement: Measurement) -> ModelKey:
        return cls(measurement.family, measurement.key.tool, measurement.key.version, measurement.key.stage)

    def __str__(self) -> str:
        return f"{self.tool} {self.version} {self.stage} on {self.family}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted value, the model's relative leave-one-out error, and whether a feature lies outside what the model has seen."""

    value: float
    relative_error: float
    out_of_range: bool


@dataclass(frozen=True, slots=True)
class CostModel:
    """value = sum of coefficient x feature.

    Attributes:
        target: "lut" or "ff".
        coefficients: units of the target for one unit of each feature.
        trained_on: how many designs.
        cv_error, cv_worst: mean and largest relative leave-one-out error.
        valid_range: lowest and highest value seen of each feature.
    """

    key: ModelKey
    target: str
    coefficients: Mapping[str, float]
    trained_on: int
    cv_error: float
    cv_worst: float
    valid_range: Mapping[str, tuple[float, float]]

    def predict(self, features: Mapping[str, float]) -> Prediction:
        """Raises CostModelError: a feature is missing."""
        missing = [name for name in self.coefficients if name not in features]
        if missing:
            raise CostModelError(f"the design has no feature {missing[0]!r}, which the model for {self.key} needs")
        value = sum(c * features[name] for name, c in self.coefficients.items())
        out = any(not low * 0.5 <= features[name] <= high * 2 for name, (low, high) in self.valid_range.items())
        return Prediction(value, self.cv_error, out)

    def __str__(self) -> str:
        terms = " + ".join(f"{c:.4g} {name}" for name, c in self.coefficients.items())
        return (
            f"{self.target} = {terms}; {self.key}; {self.trained_on} designs, "
            f"leave-one-out error {self.cv_error:.1%} mean, {self.cv_worst:.1%} worst"
        )


def fit(measurements: Sequence[Measurement], target: str, *, feature_sets: Sequence[tuple[str, ...]] | None = None) -> CostModel:
    """The best of the feature sets by leave-one-out error; a larger set must beat the smaller ones by a tenth.

    Raises:
        CostModelError: different keys mixed, fewer than three designs, or an error above the limit.
    """
    rows = usable(measurements, target)
    if len({ModelKey.of(m) for m in rows}) > 1:
        raise CostModelError("measurements of different tools, versions, stages or families cannot make one model")
    if len(rows) < FEWEST:
        raise CostModelError(
            f"{len(rows)} measured designs are too few for a model of {target}; it takes {FEWEST}",
            hint="measure more: hwq synth RUN --point all",
        )
    best: CostModel | None = None
    for names in feature_sets or COMPILED[target]:
        model = _fit_one(rows, target, names)
        if model is not None and (best is None or model.cv_error < 0.9 * best.cv_error):
            best = model
    if best is None or best.cv_error > LIMIT:
        found = "no fit" if best is None else f"a leave-one-out error of {best.cv_error:.0%}"
        raise CostModelError(
            f"the model of {target} fails its cross-validation: {found}, limit {LIMIT:.0%}", hint="measure more designs"
        )
    return best


def usable(measurements: Sequence[Measurement], target: str) -> list[Measurement]:
    """Whole designs with a positive target, one of each design: the same network twice would hide the error."""
    rows: dict[str, Measurement] = {}
    for m in measurements:
        value = getattr(m.resources, target)
        if m.key.scope == WHOLE and value is not None and value > 0:
            rows.setdefault(m.key.design, m)
    return list(rows.values())


def _fit_one(rows: Sequence[Measurement], target: str, names: tuple[str, ...]) -> CostModel | None:
    if len(rows) <= len(names) or any(name not in m.features for m in rows for name in names):
        return None
    x = np.array([[m.features[name] for name in names] for m in rows])
    y = np.array([float(getattr(m.resources, target)) for m in rows])
    errors = []
    for i in range(len(rows)):
        rest = np.arange(len(rows)) != i
        errors.append(abs(x[i] @ _solve(x[rest], y[rest]) - y[i]) / y[i])
    coefficients = _solve(x, y)
    ranges = {name: (float(x[:, j].min()), float(x[:, j].max())) for j, name in enumerate(names)}
    named = {name: float(c) for name, c in zip(names, coefficients, strict=True)}
    return CostModel(ModelKey.of(rows[0]), target, named, len(rows), float(np.mean(errors)), float(np.max(errors)), ranges)


def _solve(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Non-negative least squares on relative errors."""
    from scipy.optimize import nnls

    solution, _ = nnls(x / y[:, None], np.ones(len(y)))
    return np.asarray(solution)


def training_prices(measurements: Sequence[Measurement]) -> CostModel:
    """LUT for each unit of the features that training can differentiate: the prices of `hwq train --costs measured`.

    Raises:
        CostModelError: as `fit`.
    """
    sets = (("ebops",), ("ebops", "weight_bits"), TRAINING)
    return fit(measurements, "lut", feature_sets=sets)
