"""hwq's adder search in a process of its own: a matrix as JSON on stdin; adders, cost, CPU seconds and memory on stdout."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

from hwq.ir import CircuitBuilder
from hwq.ir.circuit import ADDERS
from hwq.passes.adders import Multiplier, native
from hwq.passes.adders.fuse import fuse


def main(given: dict[str, Any]) -> dict[str, float]:
    """One matrix."""
    kernel = np.array(given["kernel"], np.int64)
    for name in ("adders", "rows"):
        native.library(name)  # compiled once for every machine: no part of solving
    builder = CircuitBuilder()
    builder.enter("x")
    x = [(builder.input(i, given["low"], given["high"], 0), 0) for i in range(len(kernel))]
    before = time.process_time()
    out = Multiplier(builder, {}).multiply(x, kernel, np.zeros_like(kernel))
    circuit = builder.build([wire for wire, _ in out])
    adders = int(circuit.count(*ADDERS))  # as many as a peer's are of two operands
    fuse(circuit)
    cpu_s = time.process_time() - before
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"adders": adders, "cpu_s": cpu_s, "peak_mb": peak_mb}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.load(sys.stdin))) + "\n")
