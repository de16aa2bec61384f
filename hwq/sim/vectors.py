"""Vectors on disk: rows of decimal integers, the form that every generated test bench reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from hwq.errors import ToolError
from hwq.files import atomic_write
from hwq.fixed.arithmetic import IntArray


def write_rows(path: Path, rows: IntArray) -> None:
    """One line a row, integers separated by blanks."""

    def write(stream: IO[bytes]) -> None:
        np.savetxt(stream, rows, fmt="%d")

    atomic_write(path, write)


def read_rows(path: Path, rows: int, columns: int) -> npt.NDArray[np.int64]:
    """Raises ToolError: another number of rows or columns, or no integers."""
    try:
        with path.open() as stream:
            found = np.loadtxt(stream, dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise ToolError(f"cannot read the simulator's output {path}: {error}") from error
    if found.shape != (rows, columns):
        raise ToolError(
            f"the simulator wrote {found.shape[0]} rows of {found.shape[1]}, expected {rows} of {columns}", hint=f"see {path}"
        )
    return found
