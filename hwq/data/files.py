"""Reading a user's file into arrays: .npz, .csv, .parquet. What the arrays must be like is for `dataset` to say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwq.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".npz", ".csv", ".parquet")
LABEL_COLUMNS = ("label", "target", "class", "y")


def read(path: Path) -> dict[str, Any]:
    """The arrays of a file: x and y, or what a .npz file holds.

    Raises:
        DataError: damaged, of another kind than its name says, or without a label column.
    """
    try:
        return _npz(path) if path.suffix.lower() == ".npz" else _table(path)
    except DataError:
        raise
    except Exception as error:  # NumPy, pandas and Arrow raise many kinds on damaged files
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"cannot read {path}: {told}", hint="is it complete, and of the kind that its name says?") from error


def _npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as content:
        return {key: content[key] for key in content.files}


def _table(path: Path) -> dict[str, Any]:
    frame = _csv(path) if path.suffix.lower() == ".csv" else _parquet(path)
    if frame.shape[1] < 2:
        raise DataError(
            f"{path}: {frame.shape[1]} column(s); expected features and a label",
            hint="the label is the last column, or one named label, target, class or y",
        )
    label = next((c for c in frame.columns if str(c).lower() in LABEL_COLUMNS), frame.columns[-1])
    if frame[label].isna().any():
        raise DataError(
            f"{path}: {int(frame[label].isna().sum())} rows have no label in column {str(label)!r}", hint="drop those rows first"
        )
    features = frame.drop(columns=[label])
    text = [str(c) for c in features.columns if features[c].dtype.kind not in "biuf"]
    if text:
        raise DataError(f"{path}: column {text[0]!r} is no number", hint="drop or encode text columns first")
    empty = features.isna()
    if empty.to_numpy().any():
        column = str(empty.columns[empty.any(axis=0)][0])
        raise DataError(
            f"{path}: NaN or an empty cell in {int(empty.any(axis=1).sum())} rows, first in column {column!r}",
            hint="drop or fill those rows first",
        )
    return {"x": features.to_numpy(np.float32), "y": frame[label].to_numpy()}


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def _csv(path: Path) -> pd.DataFrame:
    """With or without a header: a first line of numbers is a row, unless it just counts the columns as pandas does."""
    import pandas as pd

    frame = pd.read_csv(path)
    titles = [str(c) for c in frame.columns]
    if all(map(_is_number, titles)) and titles != [str(i) for i in range(len(titles))]:
        frame = pd.read_csv(path, header=None)
    return frame


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
