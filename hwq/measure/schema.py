"""The tables of a store, and what brings those of an earlier version to this one.

Schema 3 holds, beside each row's key and JSON, what rows are selected and counted by, so that no JSON is read for that. Schema 4 holds a
digest of the reports and logs that a row was read from, and one of key, JSON and that digest: a row that was changed since is not believed.
Rows of earlier versions have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from hwq.measure.check import FieldError, counted_in, parse_body
from hwq.measure.database import Database, Session
from hwq.measure.measurement import Key, Measurement

SCHEMA = 4
KEY = tuple(f.name for f in fields(Key))
NAMES, MARKS = ", ".join(KEY), ", ".join(f":{name}" for name in KEY)
SAME = " AND ".join(f"{name} = :{name}" for name in KEY)
DERIVED = ("family", "kind", "counted", "lot")
SEALS = ("archive", "seal")
_COLUMNS = ", ".join(f"{name} TEXT NOT NULL" for name in KEY)
_PAGE = 2000  # rows in memory while a store is migrated

_STATEMENTS: dict[int, tuple[str, ...]] = {
    1: (f"CREATE TABLE IF NOT EXISTS measurement ({_COLUMNS}, body TEXT NOT NULL, PRIMARY KEY ({NAMES}))",),
    2: (
        "CREATE TABLE IF NOT EXISTS artefact (sha256 TEXT PRIMARY KEY, content {blob} NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS provenance ({_COLUMNS}, name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY ({NAMES}, name))",
    ),
    3: (
        "ALTER TABLE measurement ADD COLUMN family TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE measurement ADD COLUMN kind TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE measurement ADD COLUMN counted DOUBLE PRECISION NOT NULL DEFAULT 0",
        "ALTER TABLE measurement ADD COLUMN lot BIGINT NOT NULL DEFAULT 0",
    ),
    4: tuple(f"ALTER TABLE measurement ADD COLUMN {name} TEXT NOT NULL DEFAULT ''" for name in SEALS),
}
_INDICES = (
    "CREATE INDEX IF NOT EXISTS measurement_by_tool ON measurement "
    "(tool, version, stage, options, board, scope, family, counted, kind, lot)",
    "CREATE INDEX IF NOT EXISTS measurement_by_lot ON measurement (lot)",
    "CREATE INDEX IF NOT EXISTS measurement_by_plan ON measurement (plan)",
    "CREATE INDEX IF NOT EXISTS provenance_by_plan ON provenance (plan)",
)


def migrate(database: Database, session: Session, found: int) -> None:
    """Bring the tables from schema `found` to this one, within one transaction."""
    for version in range(found + 1, SCHEMA + 1):
        for statement in _STATEMENTS[version]:
            session.rows(statement.format(blob=database.blob))
    if found < 3:
        _fill(session)
        for statement in _INDICES:
            session.rows(statement)
    session.set_schema(SCHEMA)


def archive_of(digests: Mapping[str, str]) -> str:
    """The digest of what a row was read from.

    Args:
        digests: name of a report or log -> SHA-256 of its content.
    """
    return hashlib.sha256("\n".join(f"{name} {digests[name]}" for name in sorted(digests)).encode(errors="replace")).hexdigest()


def seal_of(key: Mapping[str, str], body: object, archive: str) -> str:
    """The digest of a whole row: its key, its JSON, and the digest of what it was read from."""
    parts = [*(str(key[name]) for name in KEY), body if isinstance(body, str) else repr(body), str(archive)]
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()


def _fill(session: Session) -> None:
    """Derive the columns of schema 3 from each row, page by page in the order of the key."""
    after: tuple[Any, ...] | None = None
    assignment = ", ".join(f"{name} = :{name}" for name in DERIVED)
    while True:
        where, bound = "", {}
        if after is not None:
            where = f"WHERE ({NAMES}) > ({', '.join(f':after_{name}' for name in KEY)})"
            bound = {f"after_{name}": value for name, value in zip(KEY, after, strict=True)}
        page = session.rows(f"SELECT {NAMES}, body FROM measurement {where} ORDER BY {NAMES} LIMIT {_PAGE}", bound)
        for *values, body in page:
            key = dict(zip(KEY, values, strict=True))
            session.rows(f"UPDATE measurement SET {assignment} WHERE {SAME}", {**key, **_derived_from(key, body)})
        if len(page) < _PAGE:
            return
        after = tuple(page[-1][:-1])


def _derived_from(key: Mapping[str, str], body: str) -> dict[str, object]:
    """A damaged row keeps the defaults; it is left out where it is read."""
    try:
        content = parse_body(body)
    except FieldError:
        content = {"family": ""}
    return _columns(key, content["family"], content.get("group", ""), counted_in(content))


def derived(measurement: Measurement) -> dict[str, object]:
    """The columns beside key and body: the board's family, the kind of design, the version of its features, and its lot."""
    counted = counted_in({"features": measurement.features})
    return _columns(asdict(measurement.key), measurement.family, measurement.group, counted)


def _columns(key: Mapping[str, str], family: str, kind: str, counted: float) -> dict[str, object]:
    return {"family": family, "kind": kind, "counted": counted, "lot": _lot(key)}


def _lot(key: Mapping[str, str]) -> int:
    """Where a row comes in a draw: by chance, but always the same; rows of one design come together.

    62 bits, the upper 40 of the design, the lower 22 of the whole key.
    """

    def bits(text: str, count: int) -> int:
        return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8], "big") >> (64 - count)

    return bits(key["design"], 40) << 22 | bits("\n".join(key[name] for name in KEY), 22)
