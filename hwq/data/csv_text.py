"""How a text file of columns is written: its delimiter, its decimal mark, and whether its first line is a row. No label is known here."""

from __future__ import annotations

import csv
import itertools
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwq.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAMPLE = 200  # lines that are looked at
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)
_TOLD = re.compile(r'"?sep=[,;|\t]?"?', re.IGNORECASE)  # the tab goes with the blanks around it
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written.

    Attributes:
        header: whether its first line names the columns.
        titles: of all columns; "" where one has no name.
        comments: lines before the first row or name: those that begin with #, and one that tells the delimiter to Excel.
        notes: what was decided and could be otherwise, for the user.
    """

    delimiter: str
    decimal: str
    header: bool
    titles: tuple[str, ...]
    notes: tuple[str, ...] = ()
    comments: int = 0


def read_csv(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table, with unnamed columns called "", and what to tell of how it was read.

    Raises:
        DataError: nothing in it, or rows that are longer than the line of names.
    """
    import pandas as pd

    layout = layout_of(path)
    places = list(range(len(layout.titles)))  # as names: titles may be missing, or be there twice
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # cells beyond the titles would be dropped
        frame = pd.read_csv(
            path,
            sep=layout.delimiter,
            decimal=layout.decimal,
            header=0 if layout.header else None,
            skiprows=layout.comments,
            names=places,
            index_col=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
            low_memory=False,
        )
    frame.columns = pd.Index(layout.titles)
    return frame, layout.notes


def layout_of(path: Path) -> Layout:
    """Raises DataError, UnicodeDecodeError: as `read_csv`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(itertools.islice(stream, SAMPLE))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not written in UTF-8: {error.reason}", hint="save it again as UTF-8") from error
    told = 1 if lines and _TOLD.fullmatch(lines[0].strip()) else 0
    comments, lines = _commented(lines[told:])
    if not lines:
        raise DataError(f"{path} is empty", hint="is it complete?")
    found = {delimiter: _cells(lines, delimiter) for delimiter in DELIMITERS}
    delimiter = max(found, key=lambda one: _fitness(found[one]))
    first, rest = found[delimiter][0], found[delimiter][1:]
    first = [first[0].removeprefix("#").strip(), *first[1:]]
    decimal = _decimal(found[delimiter]) if delimiter != "," else "."
    notes = [f"columns are separated by {DELIMITERS[delimiter]}" + (", decimals by commas" if decimal == "," else "")]
    notes = notes if delimiter != "," else []
    notes += [f"the first {comments} lines begin with # and are left out"] if comments else []
    header = _is_header(first, rest)
    titles = _titles(path, first, rest) if header else tuple(f"x{i}" for i in range(len(first)))
    if not header:
        notes.append(f"the first line is a row, not names: columns are called x0 to x{len(first) - 1}, the last one is the label")
    elif all(map(_is_number, filter(None, first))):
        notes.append(f"the first line counts the columns ({', '.join(first[:3])} ...): taken as their names")
    return Layout(delimiter, decimal, header, titles, tuple(notes), comments + told)


def _commented(lines: list[str]) -> tuple[int, list[str]]:
    """How many lines at the top are comments, and the lines that are not blank below them.

    The last line that begins with # holds the names, as `numpy.savetxt` writes them, where it has as many cells as the first row.
    """
    top = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    marked = [i for i in range(top) if lines[i].strip()]
    names = marked[-1:] if top < len(lines) and marked and _same_width(lines[marked[-1]], lines[top]) else []
    start = names[0] if names else top if marked else 0
    return start, [line for line in lines[start:] if line.strip()]


def _same_width(one: str, other: str) -> bool:
    widths = [len(rows[0]) - len(rows[1]) for rows in (_cells([one, other], d) for d in DELIMITERS) if len(rows[1]) > 1]
    return 0 in widths


def _cells(lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    except csv.Error:  # NUL bytes, cells of megabytes
        return [[line] for line in lines]


def _fitness(rows: list[list[str]]) -> tuple[bool, float, int]:
    """How well a delimiter explains the lines: the same number of columns in all rows, cells that are numbers, many of them."""
    below = rows[1:] or rows
    columns = {len(row) for row in below}
    cells = [cell for row in below for cell in row if cell]
    share = sum(map(_is_number, cells)) / max(1, len(cells))
    width = min(columns)
    return width > 1 and len(columns) == 1, share if width > 1 else -1.0, width


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _decimal(rows: list[list[str]]) -> str:
    cells = [cell for row in rows for cell in row]
    commas = any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    return "," if commas and not any("." in cell and _is_number(cell) for cell in cells) else "."


def _is_header(first: list[str], rest: list[list[str]]) -> bool:
    """Whether the first line holds names. A line of numbers is a row; so is one whose text is found again below itself."""
    named = [i for i, cell in enumerate(first) if cell and not _is_number(cell)]
    below = [{row[i] for row in rest if i < len(row)} for i in range(len(first))]
    if named:
        numbers = [i for i, cell in enumerate(first) if cell and _is_number(cell)]
        again = any(first[i] in below[i] for i in named)
        # a class may be a rare one: its row has numbers as those below have them, and no text over numbers
        alike = all(_between(first[i], below[i]) for i in numbers) and not any(_numeric(below[i]) for i in named)
        return not (numbers and (again or alike))
    if [cell for cell in first if cell] != [str(i) for i in range(len(first) - first.count(""))]:
        return False
    # it counts the columns, as pandas calls those without names: names, unless every cell could be one of its column
    return not first[0] or not all(_fits(cell, cells) for cell, cells in zip(first, below, strict=True))


def _numeric(cells: set[str]) -> bool:
    return bool(cells - {""}) and all(map(_is_number, cells - {""}))


def _between(cell: str, cells: set[str]) -> bool:
    """Whether a number is not beyond all those of its column."""
    if not _numeric(cells):
        return False
    one, *others = (float(text.replace(",", ".")) for text in (cell, *(cells - {""})))
    return min(others) <= one <= max(others)


def _fits(cell: str, below: set[str]) -> bool:
    """Whether a whole number could be one of a column's cells: those are whole numbers, too, some as small and some as large."""
    whole = [int(c) for c in below if re.fullmatch(r"[+-]?\d{1,18}", c)]
    return len(whole) == len(below - {""}) and bool(whole) and min(whole) <= int(cell) <= max(whole)


def _titles(path: Path, first: list[str], rest: list[list[str]]) -> tuple[str, ...]:
    """A title for each column, also where the header is a cell shorter than the rows."""
    width = max((len(row) for row in rest), default=len(first))
    if len(first) == width - 1:
        ends_empty = all(len(row) < width or not row[-1] for row in rest)
        return (*first, "") if ends_empty else ("", *first)  # a delimiter at the end, or row names as R writes them
    if len(first) < width:
        raise DataError(f"{path}: {len(first)} names for rows of {width} cells", hint="is the delimiter a part of some cells?")
    return tuple(first)
