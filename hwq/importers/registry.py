"""Which reader takes a file: found by what is in it, never by its name. How each format is read is in its own file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import GraphError, HwqError, ModelError, UnsupportedLayerError
from hwq.importers import hgq_kernels, hgq_merges, hgq_tables
from hwq.importers.keras_files import config_of, is_keras, packages_of, read_keras
from hwq.importers.keras_network import graph_of
from hwq.importers.qonnx import is_onnx, read_onnx
from hwq.importers.report import ImportedNetwork, ImportReport
from hwq.ir import Graph
from hwq.places import as_path

DAMAGED = "is it whole, and as the peer's package saved it?"
_DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: for people.
        takes: whether a file is of it.
        read: the network in it.
    """

    name: str
    takes: Callable[[Path], bool]
    read: Callable[[Path], ImportedNetwork]


def _is_hgq(path: Path) -> bool:
    return is_keras(path) and bool(packages_of(config_of(path)) & {"hgq", "hgq2", "HGQ"})


def _hgq(path: Path) -> ImportedNetwork:
    return graph_of(read_keras(path), {**hgq_kernels.READERS, **hgq_merges.READERS, **hgq_tables.READERS}, "HGQ2")


def _float(path: Path) -> ImportedNetwork:
    raise UnsupportedLayerError(
        f"{path} is a float model of Keras: it has no quantiser",
        hint=f"quantise it: hwq ptq {path} DATA, or hwq.quantize(model, data=rows)",
    )


FORMATS = (Format("HGQ2", _is_hgq, _hgq), Format("Keras", is_keras, _float), Format("ONNX", is_onnx, read_onnx))


def read(path: str | Path) -> ImportedNetwork:
    """A network that a peer quantised, from its file.

    Raises:
        ModelError: no such file, or one of no known format.
        UnsupportedLayerError: a layer that has no exact form in hwq, by name; or a model that is not quantised.
    """
    file = as_path(path)
    if not file.is_file():
        raise ModelError(f"there is no file {file}", hint="give the file that the peer's package saved")
    try:
        for one in FORMATS:
            if one.takes(file):
                return one.read(file)
    except HwqError as error:
        if isinstance(error, GraphError) or error.hint is None:
            raise ModelError(f"{file}: {error.message}", hint=error.hint or DAMAGED) from error
        raise
    except _DAMAGE as error:  # what a reader meets in a file that no peer has written
        told = next(iter(str(error).splitlines()), "")
        raise ModelError(f"{file} is damaged: {type(error).__name__} {told[:200]}", hint=DAMAGED) from error
    raise ModelError(f"{file} is of no format that hwq reads", hint=f"known: {', '.join(f.name for f in FORMATS)}")


def load(path: str | Path) -> tuple[Graph, ImportReport]:
    """Read a network that a peer has quantised (HGQ2, QONNX) into integers, exactly.

    The file is data: no class of it is looked up, and no code of it runs. `hwq.compile` takes the graph.

    Args:
        path: the file; what it is shows in its content, whatever its name.

    Returns:
        The graph, and what became of each layer: taken exactly, as a table, or left out.

    Raises:
        ModelError: no such file, or one that is damaged or of no known format.
        UnsupportedLayerError: a layer that has no exact form in hwq, by name; or a model that is not quantised.

    Example:
        >>> import hwq
        >>> graph, report = hwq.load("hgq2_dense.keras")
        >>> design = hwq.compile(graph)
    """
    found = read(path)
    return found.graph, found.report
