"""Fitting cost models: non-negative least squares around the physics, whole kinds of designs left out in turn, conformal intervals.

The fit minimises errors relative to the target. Each coefficient is held by what physics says of it, as by so many designs more
(`PRIOR`); a term that no design has keeps that. A learned correction is kept only where it lowers the cross-validated error by a
tenth. Intervals come from the errors on left-out kinds (Lei et al., JASA 2018, locally weighted conformal prediction).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.cost.model import COVERAGE, ROOT, CostModel, ModelKey, feature_value, has_feature
from hwq.cost.terms import COMPILED, FLOOR, LIMITS, MOMENTS, TARGETS, physics
from hwq.errors import CostModelError
from hwq.measure.measurement import WHOLE, Measurement
from hwq.tensors import Floats

FEWEST = 3
PRIOR = 2.0  # designs that the physics of one term counts for
MOST = 4.0  # times its physics that a coefficient may be: what few designs have must not explain the others' errors
UNSEEN = 0.5  # doubt of a term that no design has, as a share of it, before it is scaled to the coverage
GAIN = 0.9  # of the cross-validated error that a correction must reach
FOLDS = 10  # at most so many parts where designs are left out


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured design: its features, the measured target, and the kind of design that it is."""

    features: Mapping[str, float]
    value: float
    group: str


def target_of(measurement: Measurement, target: str) -> float | None:
    """What was measured; None where the tool does not say. `period_ns` is the clock period that was reached."""
    if target == "latency_cycles":
        return measurement.latency.max_cycles
    if target == "period_ns":
        fmax = measurement.timing.fmax_mhz
        return None if not fmax else 1e3 / fmax
    if target == "seconds":
        return measurement.seconds or None
    found: float | None = getattr(measurement.resources, target)
    return found


def fit(measurements: Sequence[Measurement], target: str, moment: str = COMPILED) -> CostModel:
    """The model of one target at one moment.

    Raises:
        CostModelError: different keys mixed, fewer than three designs, or an error above the limit.
    """
    rows = usable(measurements, target)
    keys = {ModelKey.of(m) for m in rows}
    if len(keys) > 1:
        raise CostModelError("measurements of different tools, versions, stages or families cannot make one model")
    prior = physics(target, moment, next(iter(keys)).family if keys else "")
    if prior is None:
        raise CostModelError(f"{target} is not predicted at the moment {moment!r}", hint=f"moments: {', '.join(MOMENTS)}")
    rows = [m for m in rows if all(has_feature(m.features, name) for name in prior)]
    if len({m.key.design for m in rows}) < FEWEST:
        raise CostModelError(
            f"{len(rows)} measured designs are too few for a model of {target}; it takes {FEWEST}",
            hint="measure more: hwq synth RUN --point all, or hwq calibrate",
        )
    samples = [Sample(m.features, float(target_of(m, target) or 0.0), m.group or m.key.design) for m in rows]
    model = fit_samples(samples, ModelKey.of(rows[0]), target, moment, prior)
    limit = LIMITS.get(moment, LIMITS[target])
    if model.cv_error > limit:
        raise CostModelError(
            f"the model of {target} fails its cross-validation: error {model.cv_error:.0%} on designs left out, limit {limit:.0%}",
            hint="measure more designs: hwq calibrate",
        )
    return model


def usable(measurements: Sequence[Measurement], target: str) -> list[Measurement]:
    """Whole designs with a measured target, one of each design and clock: the same network twice would hide the error."""
    rows: dict[tuple[str, float], Measurement] = {}
    for m in measurements:
        value = target_of(m, target)
        if m.key.scope == WHOLE and value is not None and value > 0 and m.features:
            rows.setdefault((m.key.design, m.features.get("latency_cycles", 0.0)), m)
    return list(rows.values())


def fit_all(measurements: Sequence[Measurement]) -> tuple[list[CostModel], list[str]]:
    """Every model that can be fitted, and why the others cannot."""
    models, refused = [], []
    for moment in MOMENTS:
        for target in TARGETS:
            if physics(target, moment, measurements[0].family if measurements else "") is None:
                continue
            if not usable(measurements, target):
                continue  # the tool does not report it, or no design has any
            try:
                models.append(fit(measurements, target, moment))
            except CostModelError as error:
                refused.append(f"{target} ({moment}): {error.message}")
    return models, refused


def fit_samples(samples: Sequence[Sample], key: ModelKey, target: str, moment: str, prior: Mapping[str, float]) -> CostModel:
    """As `fit`, from plain samples, whatever the error."""
    names = tuple(prior)
    x = np.array([[feature_value(s.features, name) for name in names] for s in samples])
    y = np.array([s.value for s in samples])
    scale = np.maximum(y, FLOOR[target])
    start = np.array([prior[name] for name in names])
    folds = _folds([s.group for s in samples])

    def plain(rows: npt.NDArray[np.bool_]) -> Callable[[Floats], Floats]:
        c = _solve(x[rows], y[rows], scale[rows], start)
        return lambda at: np.asarray(at @ c)

    def corrected(rows: npt.NDArray[np.bool_]) -> Callable[[Floats], Floats]:
        c = _solve(x[rows], y[rows], scale[rows], start)
        w = _correction(x[rows] * c, y[rows], scale[rows])
        return lambda at: _corrected(at * c, w)

    predicted = _left_out(plain, x, folds)
    error = float((np.abs(predicted - y) / scale).mean())
    c = _solve(x, y, scale, start)
    weights: dict[str, float] = {}
    if len(samples) >= 8 * len(names):
        other = _left_out(corrected, x, folds)
        if float((np.abs(other - y) / scale).mean()) < GAIN * error:
            predicted = other
            found = _correction(x * c, y, scale)
            weights = {name: float(v) for name, v in zip(names, found, strict=True) if v}
    errors = np.abs(predicted - y) / scale
    spread, misses = conformal(predicted, y, x * c)
    return CostModel(
        key,
        target,
        {name: float(v) for name, v in zip(names, c, strict=True)},
        len(samples),
        float(errors.mean()),
        float(errors.max()),
        {name: (float(x[:, j].min()), float(x[:, j].max())) for j, name in enumerate(names)},
        moment=moment,
        groups=len({s.group for s in samples}),
        spread=spread,
        misses=dict(zip((*names, ROOT), map(float, misses), strict=True)),
        residual=weights,
    )


def conformal(predicted: Floats, measured: Floats, parts: Floats, coverage: float = COVERAGE) -> tuple[float, Floats]:
    """(spread, misses) such that |measured - predicted| <= spread x miss for a share `coverage` of new designs.

    Args:
        parts: (designs, terms) of the predicted value; miss = sum of misses x parts, and of the last one x sqrt(predicted). It is
            fitted to how far off the predictions were, so that a design is given the doubt of what it consists of.
    """
    from scipy.optimize import nnls

    size, miss = np.maximum(predicted, 1.0), np.abs(measured - predicted)
    terms = np.concatenate([np.abs(parts), np.sqrt(size)[:, None]], axis=1)
    # no term is beyond doubt: a hundredth of it, as often as the physics counts
    column = terms / size[:, None]
    weight = np.sqrt(PRIOR) * np.where((column > 0).any(axis=0), np.sqrt((column**2).mean(axis=0)), 1.0)
    rows = np.concatenate([column, np.diag(weight)])
    misses, _ = nnls(rows, np.concatenate([miss / size, 0.01 * weight]))
    # what no design has is known from physics alone
    misses = np.where((column > 0).any(axis=0), misses, UNSEEN)
    scores = np.sort(miss / np.maximum(terms @ misses, 1e-9))
    rank = int(np.ceil((len(scores) + 1) * coverage))  # conformal: one more than there are
    return float(scores[min(rank, len(scores)) - 1]), misses


def _folds(groups: Sequence[str]) -> list[npt.NDArray[np.bool_]]:
    """Which rows each fold leaves out: whole groups; single designs where there is one group only."""
    names = np.array(groups)
    different = sorted(set(groups))
    if len(different) == 1:
        names = np.array([f"{i:09d}" for i in range(len(groups))])
        different = sorted(set(names.tolist()))
    count = min(len(different), FOLDS if len(different) > 3 * FOLDS else len(different))
    return [np.isin(names, different[k::count]) for k in range(count)]


def _left_out(
    learn: Callable[[npt.NDArray[np.bool_]], Callable[[Floats], Floats]], x: Floats, folds: Sequence[npt.NDArray[np.bool_]]
) -> Floats:
    predicted = np.zeros(len(x))
    for fold in folds:
        predicted[fold] = learn(~fold)(x[fold])
    return predicted


def _solve(x: Floats, y: Floats, scale: Floats, start: Floats) -> Floats:
    """Non-negative coefficients: the physics scaled to the data, then moved as far as the data can carry."""
    from scipy.optimize import lsq_linear

    whole = (x @ start) / scale
    known = float(whole @ whole)
    factor = float(whole @ (y / scale)) / known if known else 1.0
    weight = np.sqrt(np.mean((x / scale[:, None]) ** 2, axis=0))
    # a term that no row has stays at the physics, whatever its unit
    weight = np.sqrt(PRIOR) * np.where(weight > 0, weight, 1.0)
    rows = np.concatenate([x / scale[:, None], np.diag(weight)])
    wanted = np.concatenate([y / scale, weight * start * factor])
    most = MOST * start * max(factor, 1e-9)
    found = lsq_linear(rows, wanted, bounds=(0, most)).x
    return np.asarray(np.where(found > 1e-6 * most, found, 0.0))  # its solver stops just short of a bound


def _correction(parts: Floats, y: Floats, scale: Floats) -> Floats:
    """Ridge regression of the relative error on each term's share of the value."""
    total = np.maximum(parts.sum(axis=1), 1e-9)
    shares = parts / total[:, None]
    wanted = np.clip(y / total - 1, -0.3, 0.3)
    weight = (total / scale)[:, None]
    a = shares * weight
    return np.asarray(np.linalg.solve(a.T @ a + PRIOR * np.eye(parts.shape[1]), a.T @ (wanted * weight[:, 0])))


def _corrected(parts: Floats, weights: Floats) -> Floats:
    total = np.maximum(parts.sum(axis=1), 1e-9)
    return np.asarray(total + parts @ weights)
