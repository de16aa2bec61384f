"""The measurement store: one row a measurement, written whole or not at all, with the reports and logs it was read from.

A SQLite file by default, a PostgreSQL server where a team shares one (`hwq.measure.database`); several processes may write.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwq.errors import StoreError
from hwq.measure.database import Database, Session, at
from hwq.measure.measurement import Key, Measurement
from hwq.places import user_data

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
_KEY = tuple(f.name for f in fields(Key))
_COLUMNS = ", ".join(f"{name} TEXT NOT NULL" for name in _KEY)
_NAMES, _MARKS = ", ".join(_KEY), ", ".join(f":{name}" for name in _KEY)
_SAME = " AND ".join(f"{name} = :{name}" for name in _KEY)
# what brings a store from the version before to this one
_MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (f"CREATE TABLE IF NOT EXISTS measurement ({_COLUMNS}, body TEXT NOT NULL, PRIMARY KEY ({_NAMES}))",),
    2: (
        "CREATE TABLE IF NOT EXISTS artefact (sha256 TEXT PRIMARY KEY, content {blob} NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS provenance ({_COLUMNS}, name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY ({_NAMES}, name))",
    ),
}


def default_place() -> Path | str:
    """$HWQ_STORE (a path or a URL), else measurements.sqlite in the user's data folder: shared by all runs of a user."""
    chosen = os.environ.get("HWQ_STORE")
    if chosen:
        return chosen if "://" in chosen else Path(chosen)
    return user_data() / "measurements.sqlite"


@dataclass(frozen=True, slots=True)
class Store:
    """A store in a database; each call opens it anew, so that nothing is held while tools run."""

    database: Database

    @classmethod
    def open(cls, place: Path | str | None = None) -> Store:
        """Open or create, and bring an older one to this version.

        Args:
            place: a file, or the URL of a server; `default_place` when None.

        Raises:
            StoreError: not writable, no database, or of a newer hwq.
        """
        store = cls(at(place or default_place()))
        with store.database.transaction() as session:
            found = store._schema(session)
        if found < SCHEMA:
            with store.database.transaction(write=True) as session:
                # read again: another process may have migrated it meanwhile
                for version in range(store._schema(session) + 1, SCHEMA + 1):
                    for statement in _MIGRATIONS[version]:
                        session.rows(statement.format(blob=store.database.blob))
                    session.set_schema(version)
        return store

    def _schema(self, session: Session) -> int:
        found = session.schema()
        if found > SCHEMA:
            raise StoreError(
                f"{self.database} has schema {found}; this hwq knows {SCHEMA}", hint="upgrade hwq, or use another HWQ_STORE"
            )
        return found

    def put(self, measurement: Measurement, artefacts: Mapping[str, bytes] | None = None) -> None:
        """Write one row with what it was read from; a row with the same key is replaced.

        Args:
            artefacts: reports and logs by name; kept compressed, each content once.
        """
        with self.database.transaction(write=True) as session:
            _put(session, measurement, artefacts or {})

    def get(self, key: Key) -> Measurement | None:
        """The row with this key, or None."""
        with self.database.transaction() as session:
            rows = session.rows(f"SELECT body FROM measurement WHERE {_SAME}", asdict(key))
        return self._row(key, rows[0][0]) if rows else None

    def void(self, plan: str) -> int:
        """Take out every measurement of the plan with this digest; how many there were."""
        where, wanted = "WHERE plan = :plan", {"plan": plan}
        with self.database.transaction(write=True) as session:
            found = session.rows(f"SELECT count(*) FROM measurement {where}", wanted)[0][0]
            session.rows(f"DELETE FROM provenance {where}", wanted)
            session.rows(f"DELETE FROM measurement {where}", wanted)
        return int(found)

    def artefacts(self, key: Key) -> dict[str, bytes]:
        """The reports and logs that the row with this key was read from, by name."""
        with self.database.transaction() as session:
            rows = session.rows(
                f"SELECT p.name, a.content FROM provenance p JOIN artefact a ON a.sha256 = p.sha256 WHERE {_SAME} ORDER BY p.name",
                asdict(key),
            )
        return {name: zlib.decompress(content) for name, content in rows}

    def find(self, **wanted: str) -> list[Measurement]:
        """All rows whose key fields are as `wanted`, in a stable order; `family` may be given too."""
        family = wanted.pop("family", None)
        where = " AND ".join(f"{name} = :{name}" for name in wanted) or "1 = 1"
        with self.database.transaction() as session:
            rows = session.rows(f"SELECT {_NAMES}, body FROM measurement WHERE {where}", wanted)
        # sorted here: servers order text by their own language
        found = [self._row(Key(*row[:-1]), row[-1]) for row in sorted(rows)]
        return [m for m in found if family is None or m.family == family]

    def _row(self, key: Key, body: str) -> Measurement:
        try:
            return Measurement.of(key, body)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"a row of {self.database} is damaged (design {key.design}): {error}", hint="delete the store: it is rebuilt"
            ) from error

    def to_frame(self) -> pd.DataFrame:
        """All rows as a pandas frame, one column a number, and `body` with everything as JSON."""
        import pandas as pd

        flat = []
        for m in self.find():
            row: dict[str, Any] = dict(zip(_KEY, astuple(m.key), strict=True))
            for part in (m.resources, m.timing, m.latency):
                row |= {f.name: getattr(part, f.name) for f in fields(part)}
            row |= {f"feature_{k}": v for k, v in m.features.items()}
            flat.append({**row, "power_w": m.power_w, "seconds": m.seconds, "when": m.when, "host": m.host, "body": m.body()})
        return pd.DataFrame(flat) if flat else pd.DataFrame(columns=[*_KEY, "body"])

    def export(self, path: Path) -> int:
        """Write all rows to a .csv or .parquet file; how many. Reports and logs stay in the store.

        Raises:
            StoreError: another kind of file, or not writable.
        """
        frame = self.to_frame()
        kind = _table_kind(path)
        partial = path.with_name(f".{path.name}.part")
        try:
            if kind == ".csv":
                frame.to_csv(partial, index=False)
            else:
                frame.to_parquet(partial, index=False)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(f"cannot write {path}: {error.strerror or error}", hint="choose another place") from error
        return len(frame)

    def load(self, path: Path) -> tuple[int, int]:
        """Take the rows of an exported file; (new rows, rows that were there already and stay as they are). All of them or none.

        Raises:
            StoreError: no such file, another kind, or a row that is no measurement.
        """
        import pandas as pd

        kind = _table_kind(path)
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False) if kind == ".csv" else pd.read_parquet(path)
            missing = [name for name in (*_KEY, "body") if name not in frame]
            if missing:
                raise StoreError(f"{path} has no column {missing[0]}", hint="it must come from hwq store export")
            measurements = []
            for number, row in enumerate(frame[[*_KEY, "body"]].itertuples(index=False), 2):
                try:
                    measurements.append(Measurement.of(Key(*(str(v) for v in row[:-1])), str(row[-1])))
                except (ValueError, TypeError, KeyError) as error:
                    raise StoreError(f"{path}, row {number}: {error}", hint="it must come from hwq store export") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot read {path}: {error}", hint="it must come from hwq store export") from error
        new = 0
        with self.database.transaction(write=True) as session:
            for m in measurements:
                if not session.rows(f"SELECT 1 FROM measurement WHERE {_SAME}", asdict(m.key)):
                    _put(session, m, {})
                    new += 1
        return new, len(measurements) - new


def _put(session: Session, measurement: Measurement, artefacts: Mapping[str, bytes]) -> None:
    key = asdict(measurement.key)
    session.rows(
        f"INSERT INTO measurement ({_NAMES}, body) VALUES ({_MARKS}, :body) ON CONFLICT ({_NAMES}) DO UPDATE SET body = excluded.body",
        {**key, "body": measurement.body()},
    )
    session.rows(f"DELETE FROM provenance WHERE {_SAME}", key)
    for name, content in artefacts.items():
        digest = hashlib.sha256(content).hexdigest()
        session.rows(
            "INSERT INTO artefact (sha256, content) VALUES (:sha256, :content) ON CONFLICT (sha256) DO NOTHING",
            {"sha256": digest, "content": zlib.compress(content, 6)},
        )
        session.rows(
            f"INSERT INTO provenance ({_NAMES}, name, sha256) VALUES ({_MARKS}, :name, :sha256)",
            {**key, "name": name, "sha256": digest},
        )


def _table_kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise StoreError(f"{path} is neither .csv nor .parquet", hint="give the file one of these endings")
    return kind
