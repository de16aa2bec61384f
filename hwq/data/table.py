"""Which columns of a table are what: the label, the features, and what pandas left behind."""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwq.data.dataset import require_exact
from hwq.data.task import Asked
from hwq.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("label", "target", "class", "y")  # the first of these names that a column has
_UNNAMED = re.compile(r"|Unnamed: \d+(\.\d+)*|level_\d+|index|__index_level_\d+__")


@dataclass(frozen=True, slots=True, eq=False)
class DataTable:
    """Features, labels and their names.

    Attributes:
        x: (rows, features) float64, or float32 where all columns are.
        y: (rows,), or (rows, columns) where several are asked for.
        weights: (rows,), of the column that is asked for.
        notes: what was decided, for the user.
    """

    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    features: tuple[str, ...]
    label: str
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    weights: npt.NDArray[Any] | None = None


ANY = Asked()
UNLABELLED = "\0none"


def table_of(frame: pd.DataFrame, name: str, asked: Asked = ANY) -> DataTable:
    """Choose the label and drop index columns.

    Raises:
        DataError: too few columns, no single label column, labels or cells that are missing, text among the features.
    """
    frame = _tidied(frame)
    indices = _indices(frame)
    frame = frame.drop(columns=indices)
    _require_one_label(frame, name)
    nameless = {f"x{place}" for place, title in enumerate(frame.columns) if not _shown(title)} | {
        title for title in frame.columns if _shown(title).startswith("Unnamed")
    }
    frame = _named(frame)
    if frame.shape[1] < 2:
        raise DataError(
            f"{name}: {frame.shape[1]} column(s); expected features and a label",
            hint="columns are separated by commas, semicolons, tabs or bars; the label is one named label, target, class or y, else the last",
        )
    weights = frame[_column(frame, asked.weights, name)] if asked.weights else None
    frame = frame if weights is None else frame.drop(columns=[weights.name])
    chosen = [_column(frame, title, name) for title in asked.labels]
    if asked.task == "reconstruction" and not chosen and not any(str(title).lower() in LABELS for title in frame.columns):
        label, why, frame = UNLABELLED, ": no column says which rows are normal, so all are", frame.assign(**{UNLABELLED: 0})
    else:
        label, why = _label(frame, name) if not chosen else (", ".join(chosen), "")
    chosen = chosen or [label]
    for title in chosen:
        if frame[title].isna().any():
            raise DataError(
                f"{name}: {int(frame[title].isna().sum())} rows have no label in column {title!r}",
                hint="drop those rows first; NA, None, null and nan are no label: rename a class of that name",
            )
    features = frame.drop(columns=chosen)
    if features.empty:
        raise DataError(f"{name}: no column is left as a feature", hint="name fewer label columns")
    _require_numbers(features, name)
    shown = [f"label column {label!r}{why}" if label != UNLABELLED else why.removeprefix(": ")]
    shown += [
        f"column {title or '(without a name)'!r} left out: it numbers or names the rows" for title in (_shown(t) for t in indices)
    ]
    shown += [
        f"column {title!r} counts the rows, and is a feature as it stands" for title in features.columns if _counts(features[title])
    ]
    shown += [f"column {title!r} has no name in the file, and is a feature" for title in features.columns if title in nameless]
    shown += _spellings(frame[label]) if len(chosen) == 1 else []
    shown += [] if weights is None else [f"column {asked.weights!r} is the weight of each row"]
    for title in features.columns:
        require_exact(features[title].to_numpy(), f"{name}: column {title!r}")
    narrow = all(dtype == np.float32 for dtype in features.dtypes)
    x = features.to_numpy(np.float32 if narrow else np.float64)
    titles = tuple(str(c) for c in features.columns)
    y = frame[label].to_numpy() if len(chosen) == 1 else frame[chosen].to_numpy()
    w = None if weights is None else weights.to_numpy()
    label = "" if label == UNLABELLED else label
    return DataTable(x, y, titles, label, tuple(_shown(t) for t in indices), tuple(shown), w)


def _column(frame: pd.DataFrame, wanted: str, name: str) -> str:
    """The column of that name.

    Raises:
        DataError: there is none.
    """
    titles = [str(title) for title in frame.columns]
    if wanted not in titles:
        near = difflib.get_close_matches(wanted, titles, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(titles)}"
        raise DataError(f"{name} has no column {wanted!r}", hint=hint)
    return wanted


def _shown(title: str) -> str:
    return title.partition("\0")[0]


def _tidied(frame: pd.DataFrame) -> pd.DataFrame:
    """Titles and cells without blanks around them, each title once; text that is numbers throughout as numbers.

    A title that is there again, or no title, gets a NUL and its place behind it.
    """
    import pandas as pd

    titles: list[str] = []
    for place, title in enumerate(frame.columns):
        plain = str(title).strip()
        titles.append(plain if plain and plain not in titles else f"{plain}\0{place}")
    frame = frame.set_axis(titles, axis=1).reset_index(drop=True)
    for title in titles:
        column = frame[title]
        if column.dtype.kind in "biufcmM" or isinstance(column.dtype, pd.CategoricalDtype):
            continue
        stripped = column.map(lambda cell: (cell.strip() or None) if isinstance(cell, str) else cell)
        try:
            frame[title] = pd.to_numeric(stripped)
        except (ValueError, TypeError):
            frame[title] = stripped
    return frame


def _indices(frame: pd.DataFrame) -> list[str]:
    """Unnamed columns that number or name the rows, as `to_csv` writes a frame's index, and unnamed ones that are empty."""
    first = list(itertools.takewhile(_unnamed, frame.columns))
    # rows that were shuffled or selected keep their numbers, once more each time that such a file is written again
    found = [title for title in first if _names_rows(frame[title])]
    levels = [title for title in first if frame[title].dtype.kind not in "fc"]
    if not found and len(levels) > 1 and not frame[levels].duplicated().any():
        found = levels  # of one index, together
    elif not found and first and _counts_again(frame[first[0]]):
        found = first[:1]
    for title in frame.columns:
        if title in found or _UNNAMED.fullmatch(_shown(title)) is None:
            continue
        empty = bool(frame[title].isna().all()) and not _shown(title)
        if empty or _counts(frame[title]):
            found.append(title)
    return found


def _unnamed(title: str) -> bool:
    return not _shown(title) or _shown(title).startswith("Unnamed")


def _names_rows(column: pd.Series) -> bool:
    """Whether a column without a name, in front of all others, says which row is which: no value twice, and fractions only rise."""
    if column.isna().any() or len(column) < 3 or not column.is_unique or column.dtype.kind == "c":
        return False
    return column.dtype.kind != "f" or bool(column.is_monotonic_increasing)


def _counts_again(column: pd.Series) -> bool:
    """Whether a column is 0, 1, 2 ... over and over, as in tables that were put together."""
    if column.dtype.kind not in "iu":
        return False
    values = column.to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values) != 1]))
    return bool((values[starts] == values[0]).all() and values[0] in (0, 1) and len(values) >= 10 * len(starts))


def _counts(column: pd.Series) -> bool:
    """Whether a column is 0, 1, 2 ... or 1, 2, 3 ..."""
    if len(column) < 3 or column.dtype.kind not in "iuf" or column.isna().any():
        return False
    values = column.to_numpy()
    return bool(values[0] in (0, 1) and (values == np.arange(len(values)) + values[0]).all())


def _require_one_label(frame: pd.DataFrame, name: str) -> None:
    """Raises DataError: two columns with the name of the label."""
    shown = [_shown(title) for title in frame.columns]
    twice = [title for title in dict.fromkeys(shown) if title.lower() in LABELS and shown.count(title) > 1]
    if twice:
        raise DataError(f"{name}: {shown.count(twice[0])} columns are called {twice[0]!r}", hint="rename all but one of them")


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Names for what is left without one, or with one that is there twice."""
    titles: list[str] = []
    for place, title in enumerate(frame.columns):
        plain = _shown(title) or f"x{place}"
        count, name = 0, plain
        while name in titles or (name != title and name in frame.columns):
            count += 1
            name = f"{plain}.{count}"
        titles.append(name)
    return frame.set_axis(titles, axis=1)


def _label(frame: pd.DataFrame, name: str) -> tuple[str, str]:
    """The label column, and what to say of the choice: by name in the order of `LABELS`, else the last column.

    Raises:
        DataError: two columns have the name.
    """
    lower = [str(title).lower() for title in frame.columns]
    present = [wanted for wanted in LABELS if wanted in lower]
    if not present:
        return str(frame.columns[-1]), f": the last one, since none is called {', '.join(LABELS[:-1])} or {LABELS[-1]}"
    if lower.count(present[0]) > 1:
        both = [str(t) for t, low in zip(frame.columns, lower, strict=True) if low == present[0]]
        raise DataError(f"{name}: columns {' and '.join(both)} may both be the label", hint="rename one of them")
    others = [str(frame.columns[lower.index(other)]) for other in present[1:]]
    more = f"; {', '.join(others)} {'is a feature' if len(others) == 1 else 'are features'}" if others else ""
    return str(frame.columns[lower.index(present[0])]), more


def _require_numbers(features: pd.DataFrame, name: str) -> None:
    """Raises DataError: text, an empty cell, or infinity."""
    text = [str(c) for c in features.columns if features[c].dtype.kind not in "biuf"]
    if text:
        raise DataError(f"{name}: column {text[0]!r} is no number", hint="drop or encode text columns first")
    empty = features.isna()
    if empty.to_numpy().any():
        column = str(empty.columns[empty.any(axis=0)][0])
        raise DataError(
            f"{name}: NaN or an empty cell in {int(empty.any(axis=1).sum())} rows, first in column {column!r}",
            hint="drop or fill those rows first",
        )
    infinite = features.abs() == np.inf
    if infinite.to_numpy().any():
        column = str(infinite.columns[infinite.any(axis=0)][0])
        raise DataError(
            f"{name}: infinity in {int(infinite.any(axis=1).sum())} rows, first in column {column!r}",
            hint="drop or fill those rows first",
        )


def _spellings(labels: pd.Series) -> list[str]:
    """What to say of classes whose names differ in nothing but capitals."""
    if labels.dtype.kind in "biuf":
        return []
    by_name: dict[str, set[str]] = {}
    for label in map(str, labels.unique()):
        by_name.setdefault(label.strip().casefold(), set()).add(label.strip())
    return [f"labels {' and '.join(sorted(found))} are different classes" for found in by_name.values() if len(found) > 1]
