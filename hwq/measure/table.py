"""Measurements as tables that travel, .csv or .parquet: one column a number for people, and `body` with everything as JSON.

Both ways go row by row or batch by batch: a table is never in memory as a whole. What comes in is a stranger's: each row is checked by
itself, and one that cannot be is refused with the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from hwq.errors import StoreError
from hwq.measure.check import LONGEST_BODY, FieldError
from hwq.measure.measurement import Key, Measurement
from hwq.reports.types import Latency, Resources, Timing

_KEY = tuple(f.name for f in fields(Key))
_PARTS = {"resources": Resources, "timing": Timing, "latency": Latency}
_NUMBERS = tuple(f.name for part in _PARTS.values() for f in fields(part))
_LAST = ("power_w", "seconds", "when", "host", "body")
_FEATURE = "feature_"
_BATCH = 1000
_HINT = "it must come from hwq store export"


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of a file that is no measurement: its number (the first line is 1), the field, what it holds, and what was expected."""

    row: int
    field: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.field} is {self.value}; expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the rows of a file: new ones, those that were there already and stay as they are, and those refused."""

    new: int
    known: int
    refused: tuple[Refused, ...] = ()


def table_kind(path: Path) -> str:
    """.csv or .parquet; raises StoreError for another ending."""
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise StoreError(f"{path} is neither .csv nor .parquet", hint="give the file one of these endings")
    return kind


def write_table(path: Path, rows: Callable[[], Iterable[Measurement]]) -> int:
    """Write measurements; how many. A file that was there is replaced only by a whole one.

    Args:
        rows: called twice: first for the names of all features.

    Raises:
        StoreError: another kind of file, or not writable.
    """
    kind = table_kind(path)
    features: dict[str, None] = {}
    for m in rows():
        features |= dict.fromkeys(m.features)
    partial = path.with_name(f".{path.name}.part")
    try:
        write = _write_csv if kind == ".csv" else _write_parquet
        count = write(partial, ({**_flat(m), "body": m.body()} for m in rows()), [f"{_FEATURE}{name}" for name in features])
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror or error}", hint="choose another place") from error
    return count


def _flat(m: Measurement) -> dict[str, object]:
    row: dict[str, object] = dict(zip(_KEY, astuple(m.key), strict=True))
    for part in (m.resources, m.timing, m.latency):
        row |= asdict(part)
    row |= {f"{_FEATURE}{name}": float(value) for name, value in m.features.items()}
    return {**row, "power_w": m.power_w, "seconds": m.seconds, "when": m.when, "host": m.host}


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]], features: list[str]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, (*_KEY, *_NUMBERS, *features, *_LAST), lineterminator="\n")
        writer.writeheader()
        for count, row in enumerate(rows, 1):  # noqa: B007 - counted
            writer.writerow(row)
    return count


def _write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], features: list[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(name: str) -> pa.DataType:
        if name in _KEY or name in ("when", "host", "body"):
            return pa.string()
        return pa.bool_() if name == "met" else pa.int64() if name in _WHOLE else pa.float64()

    columns = (*_KEY, *_NUMBERS, *features, *_LAST)
    schema = pa.schema([(name, kind(name)) for name in columns])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        left = iter(rows)
        while batch := list(islice(left, _BATCH)):
            count += len(batch)
            writer.write_table(pa.table({name: [row.get(name) for row in batch] for name in columns}, schema))
    return count


_WHOLE = tuple(f.name for f in fields(Latency))


def read_table(path: Path) -> Iterator[Measurement | Refused]:
    """The rows of a table, each as a measurement or as the reason against it.

    Raises:
        StoreError: no such file, another kind, or columns are missing.
    """
    rows = _read_csv(path) if table_kind(path) == ".csv" else _read_parquet(path)
    try:
        for number, cells in enumerate(rows, 2):
            try:
                yield _measurement(cells)
            except FieldError as error:
                yield Refused(number, error.field, error.value, error.expected)
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError(f"cannot read {path}: {error}", hint=_HINT) from error


def _require_columns(path: Path, names: Iterable[str]) -> None:
    missing = [name for name in (*_KEY, "body") if name not in set(names)]
    if missing:
        raise StoreError(f"{path} has no column {missing[0]}", hint=_HINT)


def _read_csv(path: Path) -> Iterator[dict[str | None, Any]]:
    csv.field_size_limit(64 * LONGEST_BODY)  # what is longer than a body is refused with its row
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        reader = csv.DictReader(stream)
        _require_columns(path, reader.fieldnames or ())
        yield from reader


def _read_parquet(path: Path) -> Iterator[dict[str | None, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _require_columns(path, file.schema_arrow.names)
            for batch in file.iter_batches(_BATCH):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise StoreError(f"cannot read {path}: {error}", hint=_HINT) from error


def _measurement(cells: Mapping[str | None, Any]) -> Measurement:
    """Raises FieldError: a field that cannot be, or a column that says something else than the body."""
    if None in cells:
        raise FieldError("row", cells[None], "no more cells than columns")
    for required in (*_KEY, "body"):
        if cells[required] is None:
            raise FieldError(required, None, "text")
    m = Measurement.of(Key(*(cells[name] for name in _KEY)), cells["body"])
    flat = _flat(m)
    for name, cell in cells.items():
        if name not in (None, *_KEY, "body") and (name in flat or str(name).startswith(_FEATURE)):
            _require_same(str(name), cell, flat.get(str(name)))
    return m


def _require_same(name: str, cell: object, value: object) -> None:
    """Raises FieldError: people look at the column, hwq reads the body; they must say the same."""
    if cell is None or cell == "" or cell != cell:
        same = value is None or value == ""
    elif value is None:
        same = False
    elif isinstance(value, (bool, str)):
        same = str(cell) == str(value)
    else:
        try:
            same = float(cell) == value  # type: ignore[arg-type]
        except (TypeError, ValueError):
            same = False
    if not same:
        raise FieldError(f"column {name}", cell, f"what the body says, {value!r}")
