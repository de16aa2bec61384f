"""Cost models: linear in physical features, non-negative, fitted to measurements, with the error that cross-validation found.

A model belongs to one (family, tool, version, stage), one target and one moment; measurements of different tools are never mixed.
Fitting is `hwq.cost.fit`; models in files are `hwq.cost.library`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hwq.boards import Operands
from hwq.cost.terms import COMPILED
from hwq.errors import CostModelError
from hwq.measure.measurement import ROWS, Measurement
from hwq.toolchains.registry import program_of

COVERAGE = 0.9  # of the intervals
ROOT = "root"  # the term of `misses` that goes with the square root of the value


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Which measurements a model was fitted to.

    Attributes:
        options: of the measurements' keys; "" as well in files of hwq 0.1.0, which did not say.
    """

    family: str
    tool: str
    version: str
    stage: str
    options: str = ""

    @classmethod
    def of(cls, measurement: Measurement) -> ModelKey:
        key = measurement.key
        return cls(measurement.family, key.tool, key.version, key.stage, key.options)

    @property
    def compiler(self) -> str:
        """The HLS compiler whose Verilog was measured; "" for hwq's own."""
        return compiler_of(self.options)

    @property
    def adders(self) -> Operands:
        """Operands of the sums of what was measured."""
        return adders_of(self.options)

    def __str__(self) -> str:
        compiled = f" after {self.compiler}" if self.compiler else ""
        return f"{self.tool} {self.version} {self.stage}{compiled} on {self.family}"


def adders_of(options: str) -> Operands:
    """The form of sums that a measurement's options name."""
    return "three" if ROWS in options.split("; ") else "two"


def compiler_of(options: str) -> str:
    """The HLS compiler that a measurement's options name among the programs before its own: `after bambu 2024.10` -> bambu."""
    words = (part.split() for part in options.split("; "))
    before = (word[1] for word in words if word[:1] == ["after"] and len(word) > 1)
    return next((tool for tool in before if (program := program_of(tool)) is not None and program.compiles), "")


def hardware_of(options: str) -> str:
    """The style that a measurement's options name (`serial:1`, `mac:40`); "" for the parallel form."""
    return next((part for part in options.split("; ") if re.fullmatch("[a-z]+:[0-9]+", part)), "")


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted value, in the unit of its target.

    Attributes:
        low, high: nine of ten measured values lie between them.
        relative_error: mean error of the model's cross-validation.
        out_of_range: a feature lies outside what the model has seen.
    """

    value: float
    relative_error: float
    out_of_range: bool
    low: float = 0.0
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class CostModel:
    """value = sum of coefficient x feature, times 1 + sum of residual x ratio.

    Attributes:
        target: one of `hwq.cost.terms.TARGETS`; moment: one of MOMENTS.
        coefficients: units of the target for one unit of each feature.
        trained_on: how many designs, of `groups` kinds.
        cv_error, cv_worst: mean and largest relative error on kinds of designs that were left out of the fit.
        valid_range: lowest and highest value seen of each feature.
        misses: how far off a unit of each term was on left-out designs, on average; "root": for the square root of the value.
        spread: nine of ten left-out designs were at most so many times as far off as `misses` says.
        residual: a learned correction by the share that each feature has in the value, empty where it does not help.
    """

    key: ModelKey
    target: str
    coefficients: Mapping[str, float]
    trained_on: int
    cv_error: float
    cv_worst: float
    valid_range: Mapping[str, tuple[float, float]]
    moment: str = COMPILED
    groups: int = 1
    spread: float = math.inf
    misses: Mapping[str, float] = field(default_factory=dict)
    residual: Mapping[str, float] = field(default_factory=dict)

    def predict(self, features: Mapping[str, float]) -> Prediction:
        """Raises CostModelError: a feature is missing."""
        value = self.value(features)
        low, high = self._seen
        out = any(not low(name) <= feature_value(features, name) <= high(name) for name in self.valid_range)
        half = self.spread * self._miss(features, value)
        return Prediction(value, self.cv_error, out, max(value - half, 0.0), value + half)

    def value(self, features: Mapping[str, float]) -> float:
        """The predicted number alone.

        Raises:
            CostModelError: a feature is missing.
        """
        missing = [name for name in self.coefficients if not has_feature(features, name)]
        if missing:
            raise CostModelError(
                f"the design has no feature {missing[0]!r}, which the model for {self.key} needs",
                hint="it was generated by another version of hwq: run hwq synth again",
            )
        parts = {name: c * feature_value(features, name) for name, c in self.coefficients.items()}
        total = sum(parts.values())
        if not self.residual or total <= 0:
            return total
        return total * (1 + sum(w * parts.get(name, 0.0) / total for name, w in self.residual.items()))

    def _miss(self, features: Mapping[str, float], value: float) -> float:
        parts = {name: abs(c * feature_value(features, name)) for name, c in self.coefficients.items()}
        known = sum(u * parts.get(name, 0.0) for name, u in self.misses.items())
        return known + self.misses.get(ROOT, 0.0) * math.sqrt(max(value, 1.0))

    @property
    def _seen(self) -> tuple[_Bound, _Bound]:
        return _Bound(self.valid_range, 0, 0.5), _Bound(self.valid_range, 1, 2.0)

    def __str__(self) -> str:
        terms = " + ".join(f"{c:.4g} {name}" for name, c in self.coefficients.items() if c)
        return (
            f"{self.target} = {terms}; {self.key}; {self.trained_on} designs of {self.groups} kinds, "
            f"error on kinds left out {self.cv_error:.1%} mean, {self.cv_worst:.1%} worst"
        )


@dataclass(frozen=True, slots=True)
class _Bound:
    """One end of each feature's range, somewhat widened."""

    ranges: Mapping[str, tuple[float, float]]
    end: int
    factor: float

    def __call__(self, name: str) -> float:
        return self.ranges[name][self.end] * self.factor


# made of other features: a constant, and levels x the side of the area on which so many operations lie
DERIVED = {"one": (), "level_wires": ("clocked_levels", "wires")}


def feature_value(features: Mapping[str, float], name: str) -> float:
    """A feature, or what is made of others."""
    if name == "one":
        return 1.0
    if name == "level_wires":
        return features["clocked_levels"] * math.sqrt(features["wires"])
    return features[name]


def has_feature(features: Mapping[str, float], name: str) -> bool:
    """Whether `feature_value` can tell it."""
    return all(source in features for source in DERIVED.get(name, (name,)))
