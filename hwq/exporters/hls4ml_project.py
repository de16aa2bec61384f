"""Run by `hwq.exporters.hls4ml` in a process of its own: hls4ml prints, and loads TensorFlow. It imports nothing of hwq.

python hls4ml_project.py write SPEC ARRAYS          the project, in this folder
python hls4ml_project.py run LIBRARY ROWS ANSWERS   what its compiled C++ answers
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def write(spec: str, arrays: str) -> None:
    """Write the project of the layers in `spec`, whose arrays are in `arrays`."""
    from hls4ml.model.graph import ModelGraph

    content = json.loads(Path(spec).read_text())
    with np.load(arrays) as stored:
        layers = [_with_arrays(layer, stored) for layer in content["layers"]]
    model = ModelGraph.from_layer_list(content["config"], layers, content["inputs"], content["outputs"])
    model.write()


def _with_arrays(value: Any, stored: Any) -> Any:
    if isinstance(value, dict):
        return stored[value["array"]] if set(value) == {"array"} else {key: _with_arrays(v, stored) for key, v in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return tuple(_with_arrays(v, stored) for v in value)
    return value


def run(library: str, rows: str, answers: str) -> None:
    """Call the top function of a project's library on rows."""
    with np.load(rows) as stored:
        count, size = len(stored["x0"]), int(stored["outputs"].sum())
        inputs = [np.ascontiguousarray(stored[f"x{k}"], np.float64) for k in range(len(stored) - 1)]
        sizes = stored["outputs"].tolist()
    top = ctypes.CDLL(library).network_double
    top.restype = None
    found = np.zeros((count, size))
    pointer = ctypes.POINTER(ctypes.c_double)
    for row in range(count):
        outputs = [np.zeros(n) for n in sizes]
        top(*(np.ascontiguousarray(x[row]).ctypes.data_as(pointer) for x in inputs), *(y.ctypes.data_as(pointer) for y in outputs))
        found[row] = np.concatenate(outputs)
    np.savez(answers, y=found)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        run(*sys.argv[2:])
