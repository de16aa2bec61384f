"""The measurement store: SQLite, one row a measurement, written whole or not at all; several processes may write."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hwq.errors import StoreError
from hwq.measure.measurement import Key, Measurement

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
_KEY = tuple(f.name for f in fields(Key))
_TABLE = f"""
CREATE TABLE IF NOT EXISTS measurement (
    {", ".join(f"{name} TEXT NOT NULL" for name in _KEY)},
    body TEXT NOT NULL,
    PRIMARY KEY ({", ".join(_KEY)})
)"""


def default_path() -> Path:
    """$HWQ_STORE, else measurements.sqlite in the user's data folder: shared by all runs of a user."""
    chosen = os.environ.get("HWQ_STORE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hwq" / "measurements.sqlite"


@dataclass(frozen=True, slots=True)
class Store:
    """A store at `path`; each call opens it anew, so that nothing is held while tools run."""

    path: Path

    @classmethod
    def open(cls, path: Path | None = None) -> Store:
        """Open or create.

        Raises:
            StoreError: not writable, no database, or of a newer hwq.
        """
        store = cls(path or default_path())
        try:
            store.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make {store.path.parent}: {error.strerror}", hint="point HWQ_STORE to a writable place"
            ) from error
        with store._connect() as connection:
            found = store._schema(connection)
        if found < SCHEMA:
            with store._connect(write=True) as connection:
                if store._schema(connection) < SCHEMA:  # another process may have made the table meanwhile
                    connection.execute(_TABLE)
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
        return store

    def _schema(self, connection: sqlite3.Connection) -> int:
        (found,) = connection.execute("PRAGMA user_version").fetchall()[0]
        if found > SCHEMA:
            raise StoreError(
                f"{self.path} has schema {found}; this hwq knows {SCHEMA}", hint="upgrade hwq, or use another HWQ_STORE"
            )
        return int(found)

    @contextmanager
    def _connect(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        # A transaction that writes takes its lock first (IMMEDIATE): SQLite does not wait for a lock when a reader turns into a
        # writer, it fails at once. The default rollback journal works on network file systems too, a write-ahead log does not.
        try:
            connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(
                f"the measurement store {self.path}: {error}", hint="move it away, or point HWQ_STORE elsewhere"
            ) from error

    def put(self, measurement: Measurement) -> None:
        """Write one row; a row with the same key is replaced."""
        marks = ", ".join("?" * (len(_KEY) + 1))
        with self._connect(write=True) as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO measurement VALUES ({marks})", (*astuple(measurement.key), measurement.body())
            )

    def get(self, key: Key) -> Measurement | None:
        """The row with this key, or None."""
        where = " AND ".join(f"{name} = ?" for name in _KEY)
        with self._connect() as connection:
            row = connection.execute(f"SELECT body FROM measurement WHERE {where}", astuple(key)).fetchone()
        return None if row is None else self._row(key, row[0])

    def find(self, **wanted: str) -> list[Measurement]:
        """All rows whose key fields are as `wanted`, in a stable order; `family` may be given too."""
        family = wanted.pop("family", None)
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        with self._connect() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_KEY)}, body FROM measurement WHERE {where} ORDER BY {', '.join(_KEY)}", tuple(wanted.values())
            ).fetchall()
        found = [self._row(Key(*row[:-1]), row[-1]) for row in rows]
        return [m for m in found if family is None or m.family == family]

    def _row(self, key: Key, body: str) -> Measurement:
        try:
            return Measurement.of(key, body)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"a row of {self.path} is damaged (design {key.design}): {error}", hint="delete the store: it is rebuilt"
            ) from error

    def to_frame(self) -> pd.DataFrame:
        """All rows as a pandas frame, one column a number."""
        import pandas as pd

        flat = []
        for m in self.find():
            row = dict(zip(_KEY, astuple(m.key), strict=True))
            for part in (m.resources, m.timing, m.latency):
                row |= {f.name: getattr(part, f.name) for f in fields(part)}
            flat.append({**row, **{f"feature_{k}": v for k, v in m.features.items()}, "seconds": m.seconds, "when": m.when})
        return pd.DataFrame(flat)
