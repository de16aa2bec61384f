"""Which reader takes a file: found by what is in it, never by its name. How each format is read is in its own file."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hwq.errors import GraphError, HwqError, ModelError, UnsupportedLayerError, UsageError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.importers import hgq_kernels, hgq_merges, hgq_tables, qkeras
from hwq.importers.keras_files import config_of, is_keras, packages_of, read_keras
from hwq.importers.keras_network import LOGITS, graph_of
from hwq.importers.keras_operations import is_operations, read_operations
from hwq.importers.qonnx import is_onnx, read_onnx
from hwq.importers.report import ImportedNetwork, ImportReport
from hwq.ir import Graph
from hwq.places import as_path

MOST_INPUT_BITS = 64
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
        read: the network in it; the second argument is the input's type where the caller tells one.
    """

    name: str
    takes: Callable[[Path], bool]
    read: Callable[[Path, FixedType | None], ImportedNetwork]


def _is_hgq(path: Path) -> bool:
    return is_keras(path) and bool(packages_of(config_of(path)) & {"hgq", "hgq2", "HGQ"})


def _hgq(path: Path, given: FixedType | None) -> ImportedNetwork:
    return graph_of(read_keras(path), {**hgq_kernels.READERS, **hgq_merges.READERS, **hgq_tables.READERS}, "HGQ2", given)


def _is_qkeras(path: Path) -> bool:
    if not is_keras(path):
        return False
    config = config_of(path)
    return qkeras.is_qkeras(config, packages_of(config))


def _qkeras(path: Path, given: FixedType | None) -> ImportedNetwork:
    file, cut = qkeras.logits(read_keras(path))
    found = graph_of(file, qkeras.READERS, qkeras.PEER, given)
    if not cut or LOGITS in found.report.notes:
        return found
    return replace(found, report=replace(found.report, notes=(*found.report.notes, LOGITS)))


def _is_operations(path: Path) -> bool:
    return is_keras(path) and is_operations(config_of(path))


def _float(path: Path, given: FixedType | None) -> ImportedNetwork:
    raise UnsupportedLayerError(
        f"{path} is a float model of Keras: it has no quantiser",
        hint=f"quantise it: hwq ptq {path} DATA, or hwq.quantize(model, data=rows)",
    )


FORMATS = (
    Format("HGQ2", _is_hgq, _hgq),
    Format("QKeras", _is_qkeras, _qkeras),
    Format("Keras with operations that round", _is_operations, read_operations),
    Format("Keras", is_keras, _float),
    Format("ONNX", is_onnx, read_onnx),
)


def read(path: str | Path, input_type: FixedType | str | None = None) -> ImportedNetwork:
    """A network that a peer quantised, from its file.

    Args:
        input_type: of the input's numbers, as `input_type_of` takes it; None for what the file's quantisers ask of it.

    Raises:
        UsageError: no type.
        ModelError: no such file, or one of no known format.
        UnsupportedLayerError: a layer that has no exact form in hwq, by name; or a model that is not quantised.
    """
    given = input_type_of(input_type) if isinstance(input_type, str) else input_type
    file = as_path(path)
    if not file.is_file():
        raise ModelError(f"there is no file {file}", hint="give the file that the peer's package saved")
    try:
        for one in FORMATS:
            if one.takes(file):
                return one.read(file, given)
    except HwqError as error:
        if isinstance(error, GraphError) or error.hint is None:
            raise ModelError(f"{file}: {error.message}", hint=error.hint or DAMAGED) from error
        raise
    except _DAMAGE as error:  # what a reader meets in a file that no peer has written
        told = next(iter(str(error).splitlines()), "")
        raise ModelError(f"{file} is damaged: {type(error).__name__} {told[:200]}", hint=DAMAGED) from error
    raise ModelError(f"{file} is of no format that hwq reads", hint=f"known: {', '.join(f.name for f in FORMATS)}")


def input_type_of(text: str) -> FixedType:
    """A type from "W,I", as in `ap_fixed<W, I>`, or "uW,I", as in `ap_ufixed<W, I>`: rounded to nearest, ties to even, and saturated.

    Raises:
        UsageError: no type.
    """
    found = re.fullmatch(r"(u?)(\d{1,3}),(-?\d{1,3})", text.strip())
    if not found or not 1 <= int(found[2]) <= MOST_INPUT_BITS or abs(int(found[3])) > MOST_INPUT_BITS:
        raise UsageError(
            f"{text!r} is no type of an input",
            hint=f"W,I as in ap_fixed<W, I>: 16,6; u8,0 without a sign; {MOST_INPUT_BITS} bits at most",
        )
    width = int(found[2])
    return FixedType(not found[1], width, width - int(found[3]), Rounding.RND_CONV, Overflow.SAT)


def load(path: str | Path, input_type: FixedType | str | None = None) -> tuple[Graph, ImportReport]:
    """Read a network that a peer has quantised (HGQ2, QKeras, QONNX) into integers, exactly.

    The file is data: no class of it is looked up, and no code of it runs. `hwq.compile` takes the graph.

    Args:
        path: the file; what it is shows in its content, whatever its name.
        input_type: of the input's numbers, for a network that quantises its input nowhere: "16,6" as in `ap_fixed<16, 6>`, "u8,0"
            without a sign. None: what the file's quantisers ask of it.

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
    found = read(path, input_type)
    return found.graph, found.report
