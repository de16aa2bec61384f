"""One dense layer of N x N, 6-bit weights, half of them zero, in a process of its own: CPU seconds and memory to C++ and Verilog.

scale_worker.py N
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from hwq import boards
from hwq.codegen.build import build
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, make_node, verify

BOARD = "xcvu9p"


def layer(n: int) -> Graph:
    rng = np.random.default_rng(0)
    kernel = np.where(rng.random((n, n)) < 0.5, 0, rng.integers(-32, 32, (n, n)))
    x = make_node("x", "input", type=TypeArray.of(1, np.full(n, 6), 3))
    attrs = {"kernel": constant(kernel, 6, 5), "bias": constant(rng.integers(-16, 16, n), 6, 4)}
    return verify(Graph((x, make_node("y", "dense", [x], attrs=attrs)), ("x",), ("y",)))


def constant(mantissas: np.ndarray, width: int, frac: int) -> Constant:
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, width), np.where(mantissas == 0, 0, frac)))


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(n: int) -> dict[str, float]:
    """One measurement."""
    graph = layer(n)
    began = time.process_time() + children()
    made = build(graph, boards.load(BOARD))
    used = time.process_time() + children() - began
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return {"cpu_s": used, "peak_mb": peak, "files_mb": sum(map(len, made.plan.files.values())) / 1e6}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))) + "\n")
