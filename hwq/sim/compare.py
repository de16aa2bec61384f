"""Comparing two evaluators of one design, by integer equality and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray, as_integers
from hwq.ir import Graph


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first difference: row, output node, flat element, and both integers (a value that is no integer at that step is given as it is)."""

    sample: int
    node: str
    element: int
    a: int | float
    b: int | float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing `stage_a` with `stage_b`; `mismatches` counts output elements that differ."""

    stage_a: str
    stage_b: str
    samples: int
    mismatches: int
    first: Mismatch | None = None

    def __str__(self) -> str:
        head = f"{self.stage_a} = {self.stage_b}: {self.samples} rows, {self.mismatches} mismatches"
        if self.first is None:
            return head
        f = self.first
        return f"{head}; first at sample {f.sample}, node {f.node}, element {f.element}: {self.stage_a} {f.a}, {self.stage_b} {f.b}"


def output_types(graph: Graph) -> TypeArray:
    """The types of all outputs, one after the other."""
    parts = [graph[name].type for name in graph.outputs]
    signed, width, frac = (np.concatenate([getattr(t, field).ravel() for t in parts]) for field in ("signed", "width", "frac"))
    return TypeArray.of(signed, width, frac)


def compare(graph: Graph, stage_a: str, a: IntArray, stage_b: str, b: IntArray) -> Comparison:
    """Compare output mantissas (rows, output elements) of two evaluators of `graph`."""
    if a.shape != b.shape:
        return Comparison(stage_a, stage_b, min(len(a), len(b)), max(a.size, b.size, 1), None)
    differs = np.asarray(a != b, bool)
    count = int(differs.sum())
    if not count:
        return Comparison(stage_a, stage_b, len(a), 0)
    sample, column = (int(i) for i in np.argwhere(differs)[0])
    node, element = _locate(graph, column)
    return Comparison(
        stage_a, stage_b, len(a), count, Mismatch(sample, node, element, _plain(a[sample, column]), _plain(b[sample, column]))
    )


def mantissas_of(values: npt.NDArray[np.float64], graph: Graph) -> IntArray:
    """A float evaluator's outputs (rows, elements) as mantissas at the graph's output steps.

    A value that is no multiple of its step stays a float, in an object array, so that it can never equal an integer by rounding.
    """
    scaled = np.ldexp(values.reshape(len(values), -1).astype(np.float64), output_types(graph).frac.astype(np.int64))
    whole = np.isfinite(scaled) & (np.floor(scaled) == scaled) & (np.abs(scaled) < 2.0**62)
    if whole.all():
        return scaled.astype(np.int64)
    out = scaled.astype(object)
    out[whole] = [int(v) for v in scaled[whole]]
    return out


def _plain(value: object) -> int | float:
    return float(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]


def _locate(graph: Graph, column: int) -> tuple[str, int]:
    for name in graph.outputs:
        size = graph[name].type.size
        if column < size:
            return name, column
        column -= size
    raise IndexError(column)


def to_types(mantissas: IntArray, source: Graph, target: Graph) -> IntArray:
    """Outputs of `source`, a pass's result, at the output steps of `target`, the graph it came from; a lost bit stays visible as a float."""
    shift = output_types(target).frac.astype(np.int64) - output_types(source).frac
    alive = output_types(source).width > 0
    up = np.where(alive, np.maximum(shift, 0), 0)
    down = np.where(alive, np.maximum(-shift, 0), 0)
    bits = int((output_types(source).width + up).max(initial=0)) + 1
    shifted: IntArray = as_integers(mantissas, bits) << as_integers(up, bits)
    down = as_integers(down, max(bits, int(down.max(initial=0)) + 1))
    if not (shifted & ((1 << down) - 1)).any():
        return np.asarray(shifted >> down)
    return np.asarray(shifted / (1 << down), object)
