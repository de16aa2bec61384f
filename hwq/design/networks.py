"""What `hwq.compile` is given, as a verified Graph; a Keras model is compared with it on its data, by integer equality."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwq.errors import MismatchError, ModelError
from hwq.ir import FLOAT64_BITS, Graph, parse, verify
from hwq.sim.compare import Comparison, compare, mantissas_of
from hwq.sim.reference import evaluate, quantize_inputs

if TYPE_CHECKING:
    from hwq.conversion.integers import TwinGraph

COMPARED_VALUES = 1 << 27  # numbers of the graph that are computed for the comparison, at most
FLOAT32_BITS = 23  # widest number that float32 sums exactly in any order
PIECE_VALUES = 1 << 24  # at once
LOGITS = "the outputs are logits: the softmax at the end of the network is not in the design, the argmax is the same without it"


@dataclass(frozen=True, slots=True)
class Network:
    """A network to compile.

    Attributes:
        graph: what the design computes.
        comparison: Keras' own answers with those of the graph; None where there is no Keras model, or no data.
        notes: what to know of the design, or of a difference.
    """

    graph: Graph
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()


def read_network(network: Any, data: npt.ArrayLike | None) -> Network:
    """A twin of `hwq.quantize`, a Graph, or the path of a graph.hwq.

    Raises:
        ModelError: something else, or a twin without data.
        DataError: rows that do not fit.
        MismatchError: Keras computes every number of the design exactly, and answers otherwise than the graph.
    """
    if isinstance(network, Graph):
        return Network(verify(network))
    if isinstance(network, (str, Path)):
        try:
            return Network(verify(parse(Path(network).read_text())))
        except OSError as error:
            raise ModelError(f"cannot read {network}: {error.strerror}", hint="give the path of a point's graph.hwq") from error
    if not hasattr(network, "layers"):
        raise ModelError(
            f"cannot compile a {type(network).__name__}", hint="give a model from hwq.quantize, a Graph, or the path of a graph.hwq"
        )
    from hwq.conversion.integers import graph_of_twin  # loads TensorFlow, which a Graph does not need

    return _compared(graph_of_twin(network, data))


def _compared(twin: TwinGraph) -> Network:
    graph = verify(twin.graph)
    notes: tuple[str, ...] = (LOGITS,) if twin.logits else ()
    if twin.rows is None:
        return Network(graph, None, notes)
    size = sum(node.type.size for node in graph.nodes)
    rows = twin.rows[: max(64, COMPARED_VALUES // size)]
    step = max(1, PIECE_VALUES // size)
    parts = [evaluate(graph, quantize_inputs(graph, rows[i : i + step])) for i in range(0, len(rows), step)]
    wanted = np.concatenate(parts)
    found = compare(graph, "Keras", mantissas_of(twin.answers(rows), graph), "integer graph", wanted)
    if found.mismatches and not twin.frozen:
        exact = mantissas_of(twin.answers(rows, exact=True), graph)
        checked = compare(graph, "Keras in float64", exact, "integer graph", wanted)
        if checked.mismatches and graph.widest <= FLOAT64_BITS:
            raise MismatchError(str(checked), hint="this is a fault of hwq: please report it with the model")
    if found.mismatches:
        notes += (_reason(found, graph),)
    return Network(graph, found, notes)


def _reason(found: Comparison, graph: Graph) -> str:
    """Where Keras differs first, and why."""
    if graph.widest > FLOAT64_BITS:
        why = f"its numbers of up to {graph.widest} bits fit no float; the design computes them exactly"
    elif graph.widest > FLOAT32_BITS:
        why = f"Keras computes in float32; the design has numbers of {graph.widest} bits and computes them exactly"
    else:
        why = "the twin only rounds where the design saturates or wraps, too"
    return f"{found} (of {found.samples * graph.output_size} values): {why}"
