"""hwq's adder search in a process of its own: a matrix as JSON on stdin; adders, cost, CPU seconds and memory on stdout."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

from hwq.ir import CircuitBuilder
from hwq.passes.adders import Multiplier, native


def main(given: dict[str, Any]) -> dict[str, float]:
    """One matrix."""
    kernel = np.array(given["kernel"], np.int64)
    native.library()  # compiled once for every machine: no part of solving
    builder = CircuitBuilder()
    builder.enter("x")
    x = [(builder.input(i, given["low"], given["high"], 0), 0) for i in range(len(kernel))]
    before = time.process_time()
    out = Multiplier(builder, {}).multiply(x, kernel, np.zeros_like(kernel))
    cpu_s = time.process_time() - before
    circuit = builder.build([wire for wire, _ in out])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    adders = int(np.isin(circuit.opcode, (2, 3)).sum())
    return {"adders": adders, "cpu_s": cpu_s, "peak_mb": peak_mb}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.load(sys.stdin))) + "\n")
