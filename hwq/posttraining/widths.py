"""The widths of an allocated network, for training at them: `hwq train --method uniform --widths RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwq.errors import RunError
from hwq.files import read_json
from hwq.ir import parse, verify
from hwq.posttraining.quantize import quantizer_of
from hwq.run.directory import RunDir


def widths_of(run: Path) -> dict[str, list[Any]]:
    """{layer: [bits of its weights, or a list of them, one a channel; bits of what it reads]}, both without sign.

    Args:
        run: a run of `hwq allocate`.

    Raises:
        RunError: no such run, or one of another command.
    """
    points = RunDir.open(run).points()
    told = read_json(points[0].folder / "point.json").get("allocation") if points else None
    if told is None:
        raise RunError(f"{run} has no allocated widths", hint="give a run of hwq allocate")
    graph = verify(parse(points[0].graph_text()))
    found: dict[str, list[Any]] = {}
    for name, (weights, reads) in told["chosen"]["bits"].items():
        signed = bool(graph[quantizer_of(graph, graph[name])].type.signed.any())
        without = [w - 1 for w in weights] if isinstance(weights, list) else weights - 1
        found[name] = [without, max(reads - signed, 1)]
    return found
