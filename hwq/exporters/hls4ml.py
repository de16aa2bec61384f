"""An hls4ml project of a Graph, whose C++ is compiled and compared before it is believed. What its layers are is in `hls4ml_layers`."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.exporters.hls4ml_layers import LayerList, layers_of
from hwq.ir import Graph
from hwq.passes import optimise
from hwq.tensors import Floats
from hwq.tools.gxx import compile_library
from hwq.tools.process import run

NAME, CONFIG = "network", "hls4ml_config.yml"
WORKER = Path(__file__).with_name("hls4ml_project.py")
FLAGS = ("-O1", "-fPIC", "-std=c++14", "-w", "-Ifirmware/ap_types", '-DWEIGHTS_DIR="firmware/weights"')
PART, PERIOD_NS = "xcvu9p-flga2104-2-e", 5
KEEPS = ("weights, and the type, rounding and overflow of every activation: its C++ computes the integers of the design",)
DROPS = ("widths of single weights: the weights of a layer have the one type that holds them all",)


def write(graph: Graph, path: Path) -> tuple[str, ...]:
    """Write the project; what to know of it.

    Raises:
        ModelError: no hls4ml.
        UnsupportedLayerError: what hls4ml cannot express, by node and layer; or it refuses the network.
    """
    found = _layers(graph)
    if importlib.util.find_spec("hls4ml") is None:
        raise ModelError("writing an hls4ml project needs the package hls4ml", hint="pip install hls4ml")
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    model = {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency", "BitExact": False}
    config = {
        "OutputDir": ".",
        "ProjectName": NAME,
        "Backend": "Vitis",
        "Part": PART,
        "ClockPeriod": PERIOD_NS,
        "IOType": "io_parallel",
        "HLSConfig": {"Model": model, "LayerName": {name: {"Precision": told} for name, told in found.precision.items()}},
        "WriterConfig": {"Namespace": None, "WriteWeightsTxt": True, "WriteTar": False, "TBOutputStream": "both"},
    }
    outputs = [found.tensors[name] for name in graph.outputs]
    spec = {"config": config, "layers": [_plain(one, arrays) for one in found.layers], "inputs": found.inputs, "outputs": outputs}
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hwq-hls4ml-") as folder:
        place = Path(folder)
        (place / "spec.json").write_text(json.dumps(spec))
        np.savez(place / "arrays.npz", **arrays)  # type: ignore[arg-type]
        _work(["write", str(place / "spec.json"), str(place / "arrays.npz")], path, place / "log", "hls4ml refuses the network")
    return (f"the project is for {PART} at {PERIOD_NS} ns: {CONFIG} and project.tcl say so",)


def _layers(graph: Graph) -> LayerList:
    """The layers of the optimised graph, where what is always zero has no bits: ap_fixed refuses a step beyond all numbers.

    A table whose elements have one type may have several in the optimised graph; then the graph as it is may fit.
    """
    try:
        return layers_of(optimise(graph))
    except UnsupportedLayerError:
        return layers_of(graph)


def _plain(value: object, arrays: dict[str, npt.NDArray[np.generic]]) -> object:
    """As JSON: arrays by the name that they have in `arrays`."""
    if isinstance(value, np.ndarray):
        arrays[f"a{len(arrays)}"] = value
        return {"array": f"a{len(arrays) - 1}"}
    if isinstance(value, dict):
        return {key: _plain(one, arrays) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, arrays) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def execute(graph: Graph, path: Path, rows: list[Floats]) -> tuple[str, Floats]:
    """(who executed it, its answers (rows, elements)): the project's C++, compiled with g++.

    Raises:
        ToolMissingError: no g++.
        ToolError: it does not compile.
    """
    with tempfile.TemporaryDirectory(prefix="hwq-hls4ml-") as folder:
        place = Path(folder)
        inner = place / "project"
        shutil.copytree(path, inner)  # what g++ makes stays out of the project
        (inner / "all.cpp").write_text(f'#include "firmware/{NAME}.cpp"\n#include "{NAME}_bridge.cpp"\n')
        compile_library(["all.cpp"], str(place / "network.so"), cwd=inner, flags=FLAGS, log=place / "g++.log")
        sizes = np.array([graph[name].type.size for name in graph.outputs])
        parts = {f"x{k}": part.reshape(len(part), -1) for k, part in enumerate(rows)}
        np.savez(place / "rows.npz", outputs=sizes, **parts)  # type: ignore[arg-type]
        told = ["run", str(place / "network.so"), str(place / "rows.npz"), str(place / "answers.npz")]
        _work(told, inner, place / "log", "the project's C++ fails")
        with np.load(place / "answers.npz") as stored:
            return "hls4ml", np.asarray(stored["y"], np.float64)


def _work(arguments: list[str], cwd: Path, log: Path, what: str) -> None:
    """Raises UnsupportedLayerError: the process failed; its last line says why."""
    done = run([sys.executable, "-P", str(WORKER), *arguments], cwd=cwd, log=log, tool="hls4ml")
    if done.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise UnsupportedLayerError(f"{what}: {lines[-1].strip() if lines else done.ended}", hint="--to qonnx takes every network")
