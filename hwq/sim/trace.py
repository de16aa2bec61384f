"""Every layer of a network on rows, three ways side by side: in floats, quantised, and as integers. The place to look for lost accuracy.

The floats have the network's own weights and no quantiser: what differs is the activations' rounding and overflow, layer by layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError
from hwq.fixed import Overflow, TypeArray, quantize_float, to_float
from hwq.fixed.arithmetic import IntArray, as_integers, shift_round
from hwq.ir import Graph, Node
from hwq.ir.ops import spec_of
from hwq.sim.floats import evaluate_floats
from hwq.sim.reference import evaluate_nodes, flat_rows, quantize_inputs
from hwq.tensors import Floats

QUANTIZERS = ("input", "quantize")
BINS, WORST = 16, 5
FAR = 20  # bits beyond a type, in which an input's overflow is counted
CONSTANTS = ("kernel", "factor", "bias")


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie between the edges, (n + 1) of them, of n bins of one width."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: Floats, low: float, high: float) -> Histogram:
        counts, edges = np.histogram(values, BINS, (low, high if high > low else low + 1.0))
        return cls(tuple(edges.tolist()), tuple(counts.tolist()))


@dataclass(frozen=True, slots=True)
class WeightTrace:
    """The constants of a layer: how many are zero, how many have so many bits, and their values."""

    count: int
    zeros: int
    bits: Mapping[int, int]
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class TracedValue:
    """One number three ways: the row, the flat element, and the value as float, quantised and as an integer."""

    row: int
    element: int
    exact: float
    quantized: float
    integer: int


@dataclass(frozen=True, slots=True, eq=False)
class LayerTrace:
    """One node on all rows.

    Attributes:
        name, op, source: of the node; source is the layer of the user's model.
        types: of its elements.
        exact: in floats, without any quantiser (rows, *shape).
        quantized: the design's values (rows, *shape).
        integers: the design's mantissas (rows, *shape).
        own: of a quantiser, the RMS of what it alone adds: its result less what it reads; else None.
        overflows: of a quantiser, how often each element saturated or wrapped (shape); else None.
        alone: of a quantiser, rows whose greatest output is another one when nothing but this quantiser rounds; None where it does not
            apply.
        weights: of a layer with constants.
        original: what the float model's layer answers (rows, *shape), where one was given and has it.
    """

    name: str
    op: str
    source: str
    types: TypeArray
    exact: Floats
    quantized: Floats
    integers: IntArray
    own: float | None
    overflows: npt.NDArray[np.int64] | None
    alone: int | None
    weights: WeightTrace | None
    original: Floats | None = None

    @property
    def overflowed(self) -> int:
        """Values that saturated or wrapped, of all rows."""
        return 0 if self.overflows is None else int(self.overflows.sum())

    @property
    def error(self) -> Floats:
        """|quantised - float| (rows, *shape)."""
        return np.abs(self.quantized - self.exact)

    @property
    def rms(self) -> float:
        """Root mean square of the error."""
        return _rms(self.error)

    @property
    def decibels(self) -> float:
        """Signal over error: 20 log10 of the RMS of the floats over that of the error; infinite without an error."""
        return _decibels(self.exact, self.quantized)

    @property
    def original_decibels(self) -> float | None:
        """The same against the float model, weights and all; None where it has no such layer."""
        return None if self.original is None else _decibels(self.original, self.quantized)

    def worst(self, count: int = WORST) -> list[TracedValue]:
        """The values with the greatest errors, of different rows, the greatest first."""
        flat = self.error.reshape(len(self.error), -1)
        if not flat.size:
            return []
        elements = flat.argmax(axis=1)
        errors = flat[np.arange(len(flat)), elements]
        found = []
        for row in np.argsort(-errors, kind="stable")[:count]:
            parts = [values.reshape(len(flat), -1)[row, elements[row]] for values in (self.exact, self.quantized, self.integers)]
            found.append(TracedValue(int(row), int(elements[row]), float(parts[0]), float(parts[1]), int(parts[2])))
        return found

    def ends(self) -> tuple[float, float]:
        """The smallest and the greatest number that its types hold."""
        low, high = (to_float(end, self.types.frac) for end in (self.types.lowest, self.types.highest))
        return float(low.min(initial=0)), float(high.max(initial=0))

    def histograms(self) -> tuple[Histogram, Histogram]:
        """(of the floats, of the quantised values), in the same bins."""
        both = [self.exact, self.quantized]
        low, high = (float(pick(values)) for pick, values in ((np.min, np.minimum(*both)), (np.max, np.maximum(*both))))
        return Histogram.of(self.exact, low, high), Histogram.of(self.quantized, low, high)

    def to_json(self) -> dict[str, object]:
        """Plain data: what is said of the node, its worst values and its histograms; not the arrays."""
        floats, quantized = self.histograms()
        low, high = self.ends()
        alive = self.types.width[self.types.width > 0]
        told: dict[str, object] = {
            "name": self.name,
            "op": self.op,
            "layer": self.source,
            "shape": list(self.types.shape),
            "bits": {"least": int(alive.min()) if alive.size else 0, "most": int(alive.max(initial=0))},
            "rounding": str(self.types.rounding),
            "overflow": str(self.types.overflow),
            "float": {"low": float(self.exact.min()), "high": float(self.exact.max())},
            "quantized": {"low": float(self.quantized.min()), "high": float(self.quantized.max())},
            "type": {"low": low, "high": high},
            "error": {"rms": self.rms, "max": float(self.error.max()), "db": _finite(self.decibels)},
            "own_rms": self.own,
            "model_db": _finite(self.original_decibels),
            "overflowed": None if self.overflows is None else self.overflowed,
            "alone": self.alone,
            "worst": [asdict(value) for value in self.worst()],
            "histogram": {"edges": floats.edges, "float": floats.counts, "quantized": quantized.counts},
        }
        if self.overflows is not None and self.overflowed:
            flat = self.overflows.ravel()
            told["overflowed_elements"] = {int(e): int(flat[e]) for e in np.argsort(-flat, kind="stable")[:WORST] if flat[e]}
        if self.weights is not None:
            w = self.weights
            told["weights"] = {"count": w.count, "zeros": w.zeros, "bits": dict(w.bits), "histogram": asdict(w.histogram)}
        return told


@dataclass(frozen=True, slots=True, eq=False)
class NetworkTrace:
    """Every layer on some rows.

    Attributes:
        layers: in order.
        rows: how many.
        changed: rows whose greatest output is another one in floats than in integers; None where there is one output.
        outputs: names of the network's outputs.
    """

    layers: tuple[LayerTrace, ...]
    rows: int
    changed: int | None
    outputs: tuple[str, ...]

    def __getitem__(self, name: str) -> LayerTrace:
        """The node, or the last one of the layer, of this name.

        Raises:
            KeyError: there is none.
        """
        found = [one for one in self.layers if one.name == name] or [one for one in self.layers if one.source == name]
        if not found:
            raise KeyError(f"no node and no layer is called {name!r}; nodes: {', '.join(one.name for one in self.layers)}")
        return found[-1]

    def __str__(self) -> str:
        told = [one for one in self.layers if spec_of(one.op).wiring is None or one.name in self.outputs]
        rows = [_TITLES, *(_cells(one) for one in told)]
        shown = [k for k in range(len(_TITLES)) if any(row[k] for row in rows[1:])]
        lines = ["".join(f"{row[k]:{_WIDTHS[k]}} " for k in shown).rstrip() for row in rows]
        if self.changed is not None:
            lines.append(f"{self.changed} of {self.rows} rows have another greatest output than in floats")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        return {"rows": self.rows, "changed": self.changed, "layers": [one.to_json() for one in self.layers]}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _decibels(wanted: Floats, found: Floats) -> float:
    error, signal = _rms(found - wanted), _rms(wanted)
    if not error:
        return math.inf
    return 20 * math.log10(signal / error) if signal else -math.inf


_TITLES = ("node", "op", "bits", "floats", "types hold", "overflow", "own rms", "rms error", "dB", "model dB", "worst row", "alone")
_WIDTHS = ("<26", "<10", ">6", ">19", ">19", ">9", ">9", ">9", ">5", ">8", ">9", ">5")


def _cells(one: LayerTrace) -> tuple[str, ...]:
    alive = one.types.width[one.types.width > 0]
    bits = "0" if not alive.size else f"{alive.min()}-{alive.max()}" if alive.min() < alive.max() else f"{alive.max()}"
    low, high = one.ends()
    worst = one.worst(1)
    told = "" if one.overflows is None else str(one.overflowed)
    alone = "" if one.alone is None else str(one.alone)
    own = "" if one.own is None else f"{one.own:.3g}"
    row = str(worst[0].row) if worst and one.rms else ""
    ranges = (f"{one.exact.min():.4g} {one.exact.max():.4g}", f"{low:.4g} {high:.4g}")
    return (one.name[:26], one.op[:10], bits, *ranges, told, own, f"{one.rms:.3g}", *_told(one), row, alone)


def _told(one: LayerTrace) -> tuple[str, str]:
    found = []
    for value in (one.decibels, one.original_decibels):
        found.append("" if value is None else f"{value:.0f}" if math.isfinite(value) else "exact" if value > 0 else "none")
    return found[0], found[1]


def trace(graph: Graph, x: npt.ArrayLike, original: Mapping[str, Floats] | None = None) -> NetworkTrace:
    """Every node of a graph on rows.

    Args:
        x: (rows, *input shape), as `hwq.sim.reference.flat_rows` takes it; at least one row.
        original: what layers of the float model answer, by their names (rows, *shape).

    Raises:
        DataError: rows that do not fit, none, NaN or infinity.
    """
    integers = evaluate_nodes(graph, quantize_inputs(graph, x))
    if not len(next(iter(integers.values()))):
        raise DataError("a trace needs at least one row", hint="give some hundred")
    rows = flat_rows(graph, x).astype(np.float64)
    exact = evaluate_floats(graph, rows)
    one = graph.output_size > 1 and len(graph.outputs) == 1
    plain = _decisions(exact, graph) if one else None
    layers, originals = [], _originals(graph, original or {})
    for node in graph.nodes:
        alone = None
        if plain is not None and node.op in QUANTIZERS:
            alone = int((_decisions(evaluate_floats(graph, rows, {node.name}), graph) != plain).sum())
        mantissas = integers[node.name]
        layers.append(
            LayerTrace(
                *(node.name, node.op, node.source, node.type, exact[node.name]),
                to_float(mantissas, node.type.frac),
                mantissas,
                _own(node, graph, integers, rows),
                _overflows(node, graph, integers, rows),
                alone,
                _weights(node),
                originals.get(node.name),
            )
        )
    by_name = {layer.name: layer.quantized for layer in layers}
    changed = None if plain is None else int((_decisions(by_name, graph) != plain).sum())
    return NetworkTrace(tuple(layers), len(rows), changed, graph.outputs)


def _originals(graph: Graph, original: Mapping[str, Floats]) -> dict[str, Floats]:
    """By the last node that comes of each layer of the float model, with as many elements: its name begins as the layer's does."""
    last: dict[str, Node] = {}
    for node in graph.nodes:
        named = [name for name in original if node.source.startswith(name)]
        layer = max(named, key=len, default="")
        if layer and math.prod(original[layer].shape[1:]) == node.type.size and node.op not in QUANTIZERS:
            last[layer] = node
    return {node.name: original[layer].reshape(-1, *node.shape) for layer, node in last.items()}


def _own(node: Node, graph: Graph, integers: Mapping[str, IntArray], rows: Floats) -> float | None:
    if node.op not in QUANTIZERS:
        return None
    if node.op == "quantize":
        source = graph[node.inputs[0]]
        read = to_float(integers[source.name], source.type.frac)
    else:
        read = _rows_of(node, graph, rows)
    return _rms(to_float(integers[node.name], node.type.frac) - read)


def _rows_of(node: Node, graph: Graph, rows: Floats) -> Floats:
    """The rows of one input."""
    start = sum(graph[name].type.size for name in graph.inputs[: graph.inputs.index(node.name)])
    return rows[:, start : start + node.type.size].reshape(-1, *node.shape)


def _decisions(values: Mapping[str, Floats], graph: Graph) -> npt.NDArray[np.int64]:
    found = values[graph.outputs[0]]
    return np.asarray(found.reshape(len(found), -1).argmax(axis=1))


def _overflows(node: Node, graph: Graph, integers: Mapping[str, IntArray], rows: Floats) -> npt.NDArray[np.int64] | None:
    """How often each element of a quantiser was rounded to a number outside its type."""
    if node.op not in QUANTIZERS:
        return None
    t = node.type
    if node.op == "input":
        wide = TypeArray.of(1, np.where(t.width > 0, t.width + FAR, 0), t.frac, t.rounding, Overflow.SAT)
        rounded: IntArray = quantize_float(_rows_of(node, graph, rows), wide)
    else:
        source = graph[node.inputs[0]].type
        shift = source.frac.astype(np.int64) - t.frac
        bits = int((source.width + np.maximum(-shift, 0)).max(initial=0)) + 1
        rounded = shift_round(as_integers(integers[node.inputs[0]], bits), shift, t.rounding)
    outside = ((rounded < t.lowest) | (rounded > t.highest)) & (t.width > 0)  # of no bits, nothing is meant to be kept
    return np.asarray(outside.astype(np.int64).sum(axis=0))


def _weights(node: Node) -> WeightTrace | None:
    found = [node.constant(name) for name in CONSTANTS if name in node.attrs]
    if not found:
        return None
    first = found[0]
    values = to_float(first.mantissas, first.types.frac).ravel()
    used = values != 0
    widths, counts = np.unique(first.types.width.ravel()[used], return_counts=True)
    bits = {int(w): int(c) for w, c in zip(widths, counts, strict=True)}
    ends = (float(values.min(initial=0)), float(values.max(initial=0)))
    return WeightTrace(len(values), int((~used).sum()), bits, Histogram.of(values[used], *ends))
