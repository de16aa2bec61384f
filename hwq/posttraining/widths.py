"""The widths of an allocated network, for training at them: `hwq train --method uniform --widths RUN`."""

from __future__ import annotations

from pathlib import Path

from hwq.errors import RunError
from hwq.ir import parse, verify
from hwq.posttraining.allocation import NAME, Allocation
from hwq.posttraining.quantize import quantizer_of
from hwq.run.directory import RunDir


def widths_of(run: Path) -> dict[str, list[int | list[int]]]:
    """{layer: [bits of its weights, or a list of them, one a channel; bits of what it reads]}, both without sign.

    Args:
        run: a run of `hwq allocate`.

    Raises:
        RunError: no such run, or one of another command.
    """
    points = RunDir.open(run).points()
    if not points or NAME not in points[0].record.more:
        raise RunError(f"{run} has no allocated widths", hint="give a run of hwq allocate")
    graph = verify(parse(points[0].graph_text()))
    found: dict[str, list[int | list[int]]] = {}
    for name, (weights, reads) in Allocation.of(points[0]).chosen.bits.items():
        signed = bool(graph[quantizer_of(graph, graph[name])].type.signed.any())
        without = weights - 1 if isinstance(weights, int) else [w - 1 for w in weights]
        found[name] = [without, max(reads - signed, 1)]
    return found
