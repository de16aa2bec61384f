"""The adder-graph search, and that for rows, as native code: hls_templates/native/*.cpp, compiled once by the machine's g++.

The library is kept in the user's cache folder under the digest of its source and compiler. Where there is no compiler, or
it fails, `library()` is None and the search in Python gives the same result, slowly.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.passes.adders.problem import Problem, Solution, Weights
from hwq.places import directory, is_own, libraries

_FLAGS = ("-O2", "-std=c++17", "-shared", "-fPIC")
_COMPILE_LIMIT_S = 300
_POINTERS = ("low", "high", "depth", "block", "column", "wire", "position", "sign")


class _Problem(ctypes.Structure):
    """`struct Problem` of the C++ source."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("inputs", "columns", "digits")),
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((name, ctypes.c_int32) for name in ("extra_depth", "count_weight", "bit_weight", "bit_kind", "base")),
    )


@cache
def library(name: str = "adders") -> ctypes.CDLL | None:
    """The compiled search ("adders", or "rows" of `hwq.passes.adders.trees`), or None where it cannot be had.

    HWQ_GXX names another compiler; "none" asks for Python.
    """
    compiler = shutil.which(os.environ.get("HWQ_GXX") or "g++")
    if compiler is None:
        return None
    source = directory("hls_templates") / "native" / f"{name}.cpp"
    try:
        key = hashlib.sha256(source.read_bytes() + "\0".join((compiler, *_FLAGS)).encode()).hexdigest()[:16]
        path = libraries("native") / f"{name}-{key}.so"
        if not is_own(path):
            _compile(compiler, source, path)
        loaded = ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(f"the adder search runs in Python, slowly: its native code cannot be built ({error})", stacklevel=2)
        return None
    if name == "adders":
        loaded.hwq_adders_solve.restype = ctypes.c_void_p
        loaded.hwq_adders_copy.restype = loaded.hwq_adders_free.restype = None
    return loaded


def _compile(compiler: str, source: Path, path: Path) -> None:
    """Compile beside the target and rename, so that two processes at once do not see half a file."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        fresh = Path(folder) / path.name
        subprocess.run(
            [compiler, *_FLAGS, str(source), "-o", str(fresh)],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_COMPILE_LIMIT_S,
        )
        fresh.chmod(0o700)
        fresh.replace(path)


def _pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def search(loaded: ctypes.CDLL, problem: Problem, weights: Weights) -> Solution:
    """As `hwq.passes.adders.search.search`; the problem fits 64 bits (`Problem.fits_int64`).

    Raises:
        MemoryError: the machine has too little memory.
    """
    arrays = {
        name: np.ascontiguousarray(getattr(problem, name), np.int64 if name in ("low", "high") else np.int32) for name in _POINTERS
    }
    given = _Problem(
        problem.inputs,
        problem.columns,
        len(problem.column),
        *(array.ctypes.data for array in arrays.values()),
        -1 if weights.extra_depth is None else weights.extra_depth,
        weights.count,
        weights.bits,
        int(weights.overlap),
        weights.base,
    )
    count = ctypes.c_int32()
    handle = loaded.hwq_adders_solve(ctypes.byref(given), ctypes.byref(count))
    if not handle:
        raise MemoryError("the adder search ran out of memory")
    operations, outputs = np.zeros((count.value, 4), np.int32), np.zeros((problem.columns, 3), np.int32)
    loaded.hwq_adders_copy(ctypes.c_void_p(handle), _pointer(operations), _pointer(outputs))
    loaded.hwq_adders_free(ctypes.c_void_p(handle))
    return Solution(problem.inputs, operations, outputs)


def ranges(loaded: ctypes.CDLL, problem: Problem, solution: Solution) -> tuple[list[tuple[int, int]], int]:
    """As `hwq.passes.adders.search.ranges`.

    Raises:
        MemoryError: the machine has too little memory.
    """
    low, high = np.array(problem.low, np.int64), np.array(problem.high, np.int64)
    operations = np.ascontiguousarray(solution.operations, np.int32)
    least, most = np.zeros(len(operations), np.int64), np.zeros(len(operations), np.int64)
    cost = ctypes.c_int64()
    given = (problem.inputs, _pointer(low), _pointer(high), len(operations), _pointer(operations))
    if loaded.hwq_adders_ranges(*given, _pointer(least), _pointer(most), ctypes.byref(cost)):
        raise MemoryError("the adder search ran out of memory")
    return list(zip(least.tolist(), most.tolist(), strict=True)), cost.value
