"""Run in da4ml's own environment: a matrix and bounds as JSON on stdin, the solved stages, CPU seconds and memory on stdout."""

import json
import resource
import sys
import time

import numpy as np
from da4ml.cmvm import solve

given = json.load(sys.stdin)
kernel = np.ascontiguousarray(given["kernel"], np.float32)
intervals = [(float(a), float(b), 1.0) for a, b in zip(given["low"], given["high"], strict=True)]
solve(np.eye(2, dtype=np.float32))  # what a first call costs is no part of solving
before = time.process_time()
solved = solve(kernel, qintervals=intervals)
cpu_s = time.process_time() - before
stages = [
    {
        "inp_shifts": [int(v) for v in s.inp_shifts],
        "out_idxs": [int(v) for v in s.out_idxs],
        "out_shifts": [int(v) for v in s.out_shifts],
        "out_negs": [bool(v) for v in s.out_negs],
        "ops": [[int(o.id0), int(o.id1), int(o.opcode), int(o.data)] for o in s.ops],
    }
    for s in solved.solutions
]
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
json.dump({"stages": stages, "cpu_s": cpu_s, "peak_mb": peak_mb}, sys.stdout)
