"""Reading a user's file into arrays: .npz, .csv, .tsv, .parquet. What the arrays must be like is for `dataset` to say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.data.csv_text import read_csv
from hwq.data.table import ANY, DataTable, table_of
from hwq.data.task import Asked
from hwq.errors import DataError

SUFFIXES = (".npz", ".csv", ".tsv", ".parquet")


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a .npz file.

    Raises:
        DataError: damaged, or of another kind than its name says.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return {key: content[key] for key in content.files}
    except Exception as error:  # NumPy raises many kinds on damaged files
        raise _unreadable(path, error) from error


def read_table(path: Path, asked: Asked = ANY) -> DataTable:
    """The columns of a .csv, .tsv or .parquet file.

    Raises:
        DataError: damaged, of another kind than its name says, or without a label column.
    """
    try:
        if path.suffix.lower() != ".parquet":
            frame, notes = read_csv(path)
        else:
            import pandas as pd

            frame, notes = pd.read_parquet(path), ()
        found = table_of(frame, str(path), asked)
    except DataError:
        raise
    except Exception as error:  # pandas and Arrow raise many kinds on damaged files
        raise _unreadable(path, error) from error
    return replace(found, notes=(*notes, *found.notes))


def _unreadable(path: Path, error: Exception) -> DataError:
    told = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(f"cannot read {path}: {told}", hint="is it complete, and of the kind that its name says?")
