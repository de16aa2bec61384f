"""Which formats a network leaves as, and the one way out: written, executed, read back, and only then there.

A new format is one file, with an entry here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt

from hwq.errors import HwqError, MismatchError, UsageError
from hwq.exporters import hls4ml, qonnx
from hwq.exporters.report import ExportReport
from hwq.exporters.rows import export_rows, split_rows
from hwq.exporters.same import difference
from hwq.importers import read
from hwq.ir import Graph, verify
from hwq.sim.compare import Comparison, compare, mantissas_of, to_types
from hwq.sim.reference import evaluate, quantize_inputs
from hwq.tensors import Floats

KERAS_KEEPS = (
    "weights, as those of Keras' own layers; and activations, rounded and held by operations of Keras: it computes the integers of the design",
)
KERAS_DROPS = ("gradients through roundings, and bitwidths as variables: it does not train on as a twin does",)


@dataclass(frozen=True, slots=True)
class Written:
    """What a format's writer says.

    Attributes:
        keeps, drops, notes: as of `hwq.exporters.report.ExportReport`.
    """

    keeps: tuple[str, ...]
    drops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One format.

    Attributes:
        name: as `--to` has it.
        suffix: of its file; nothing for a folder.
        summary: for people.
        write: the network to a path.
        execute: what the written file answers on rows of each input: (who executed it, floats (rows, elements)).
        rows: that it is executed on, at most.
        reads: whether hwq reads the format back.
    """

    name: str
    suffix: str
    summary: str
    write: Callable[[Graph, Path], Written]
    execute: Callable[[Graph, Path, list[Floats]], tuple[str, Floats]]
    rows: int = 1000
    reads: bool = True


def _qonnx(graph: Graph, path: Path) -> Written:
    return Written(qonnx.KEEPS, notes=qonnx.write(graph, path))


def _keras(graph: Graph, path: Path) -> Written:
    from hwq.exporters import keras  # loads TensorFlow

    return Written(KERAS_KEEPS, KERAS_DROPS, keras.write(graph, path))


def _by_keras(graph: Graph, path: Path, rows: list[Floats]) -> tuple[str, Floats]:
    from hwq.exporters import keras

    return keras.execute(graph, path, rows)


def _hls4ml(graph: Graph, path: Path) -> Written:
    return Written(hls4ml.KEEPS, hls4ml.DROPS, hls4ml.write(graph, path))


FORMATS = (
    ExportFormat("qonnx", ".onnx", "ONNX with the Quant nodes of QONNX", _qonnx, qonnx.execute),
    ExportFormat("keras", ".keras", "a model of Keras' own layers and operations", _keras, _by_keras),
    ExportFormat("hls4ml", "", "a project of hls4ml's C++", _hls4ml, hls4ml.execute, rows=600, reads=False),
)
FORMAT_NAMES = tuple(one.name for one in FORMATS)


def format_of(to: str | None, path: Path) -> ExportFormat:
    """The format of this name, or of the path's ending.

    Raises:
        UsageError: there is none.
    """
    wanted = [one for one in FORMATS if one.name == to or (to is None and one.suffix and path.suffix == one.suffix)]
    if not wanted:
        told = f"there is no format {to!r}" if to is not None else f"{path} does not say its format"
        raise UsageError(told, hint=f"choose one of {', '.join(FORMAT_NAMES)}")
    return wanted[0]


def export_graph(graph: Graph, path: Path, to: str | None = None, data: npt.ArrayLike | None = None) -> ExportReport:
    """Write a network for another package, and prove what was written.

    Args:
        path: of the file, or the folder.
        to: the format; None: as the path ends.
        data: rows that it is proven on, besides random ones.

    Raises:
        UsageError: no such format.
        ModelError: a package that the format needs is not there.
        UnsupportedLayerError: what the format cannot express, by name.
        MismatchError: the written file answers otherwise than the network; it is not kept.
    """
    chosen = format_of(to, path)
    _require_place(chosen, path)
    verify(graph)
    rows = export_rows(graph, chosen.rows, data)
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    _remove(partial)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        told = chosen.write(graph, partial)
        comparisons, same, note = _proven(graph, chosen, partial, rows)
        _remove(path)
        partial.replace(path)
    finally:
        _remove(partial)
    notes = (*told.notes, *([note] if note else []))
    return ExportReport(chosen.name, path, comparisons, same, told.keeps, told.drops, notes)


def _require_place(chosen: ExportFormat, path: Path) -> None:
    """Raises UsageError: something else than an earlier export is there."""
    told = "a folder" if path.is_dir() else "a file"
    fine = not path.exists() or ((path / hls4ml.CONFIG).is_file() if not chosen.suffix else path.is_file())
    if not fine:
        raise UsageError(f"{path} is {told} already, and no earlier export", hint="choose another --out")


def _proven(graph: Graph, chosen: ExportFormat, path: Path, rows: Floats) -> tuple[tuple[Comparison, ...], bool | None, str]:
    """(comparisons, whether hwq reads the same graph back, what differs or why it does not read it)."""
    expected = evaluate(graph, quantize_inputs(graph, rows))
    runner, answers = chosen.execute(graph, path, split_rows(graph, rows))
    executed = _equal(compare(graph, "reference", expected, runner, mantissas_of(answers, graph)))
    if not chosen.reads:
        return (executed,), None, ""
    try:
        back = read(path).graph
    except HwqError as error:
        return (executed,), None, f"hwq does not read it back: {error.message}"
    told = to_types(evaluate(back, quantize_inputs(back, rows)), back, graph)
    returned = _equal(compare(graph, "reference", expected, "read back", told))
    other = difference(graph, back)
    return (executed, returned), not other, f"read back, {other} differ" if other else ""


def _equal(comparison: Comparison) -> Comparison:
    """Raises MismatchError: an answer differs."""
    if comparison.mismatches:
        raise MismatchError(str(comparison), hint="nothing was written; please report it with the point's graph.hwq")
    return comparison


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
