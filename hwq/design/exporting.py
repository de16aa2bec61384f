"""`hwq.export`: a network for another package, in one call. How each format is written is in `hwq.exporters`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from hwq.design.networks import read_network
from hwq.exporters import ExportReport, export_graph
from hwq.places import as_path


def export(network: Any, path: str | Path, to: str | None = None, *, data: npt.ArrayLike | None = None) -> ExportReport:
    """Write a network for another package: as QONNX, a plain Keras model, or an hls4ml project.

    What was written is executed on random rows over the whole range of the inputs, and on `data`, and compared with the integers of the
    network; where hwq reads the format, it is read back too. Only then it is at `path`.

    Args:
        network: a design of `hwq.compile` or `hwq.Run`, a Graph, the path of a point's graph.hwq, or a twin of `hwq.quantize`.
        path: of the file, or of the folder.
        to: "qonnx", "keras" or "hls4ml"; None: as the path ends, .onnx or .keras.
        data: rows (rows, *input shape); a twin needs them.

    Returns:
        What was compared, what the file keeps and what it drops.

    Raises:
        UsageError: no such format.
        ModelError: not a network; or a package that the format needs is not installed.
        UnsupportedLayerError: what the format cannot express, by layer.
        MismatchError: what was written answers otherwise than the network; it is not kept.

    Example:
        >>> import hwq
        >>> graph, _ = hwq.load("hgq2_dense.keras")
        >>> report = hwq.export(graph, "net.onnx")
        >>> report.same_graph
        True
    """
    graph = getattr(network, "graph", None)
    return export_graph(read_network(network if graph is None else graph, data).graph, as_path(path), to, data)
