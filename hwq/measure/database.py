"""Where a store lives: a SQLite file, or a database server behind a URL. Nothing here knows what a measurement is.

A transaction is whole or nothing, and one that writes takes its lock first, so that several processes may write at once. Both kinds
take the same SQL, with parameters as `:name`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hwq.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy

Parameters = Mapping[str, object]


class Session(Protocol):
    """One open transaction."""

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        """Run a statement; its rows, none for one that returns none."""
        ...

    def each(self, sql: str, parameters: Parameters | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query one after the other, never all in memory."""
        ...

    def schema(self) -> int:
        """Version of the tables; 0 in an empty database."""
        ...

    def set_schema(self, version: int) -> None: ...


class Database(Protocol):
    """Opened anew by each call, so that nothing is held while tools run."""

    @property
    def blob(self) -> str:
        """The type of a column of bytes."""
        ...

    def transaction(self, *, write: bool = False) -> Any:
        """A context manager that gives a `Session`; raises StoreError."""
        ...


def at(place: Path | str) -> Database:
    """The database at a path or URL; `sqlite:///file` is a path too.

    Raises:
        StoreError: a URL of another kind.
    """
    if isinstance(place, Path):
        return File(place)
    if place.startswith(("postgresql://", "postgresql+")):
        return Server(place)
    scheme, separator, _ = place.partition("://")
    if separator and scheme != "sqlite":
        raise StoreError(f"a store cannot live at {scheme}://", hint="give a file, or postgresql://user:password@host/database")
    return File(Path(place.removeprefix("sqlite:///")))


@dataclass(frozen=True, slots=True)
class File:
    """A SQLite file. The default rollback journal works on network file systems too, a write-ahead log does not."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def blob(self) -> str:
        return "BLOB"

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Session]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot make {self.path.parent}: {error.strerror}", hint="point HWQ_STORE to a writable place"
            ) from error
        # A transaction that writes takes its lock first (IMMEDIATE): SQLite does not wait for a lock when a reader turns into a
        # writer, it fails at once.
        try:
            connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield _FileSession(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(
                f"the measurement store {self.path}: {error}", hint="move it away, or point HWQ_STORE elsewhere"
            ) from error


@dataclass(frozen=True, slots=True)
class _FileSession:
    connection: sqlite3.Connection

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, dict(parameters or {})).fetchall()

    def each(self, sql: str, parameters: Parameters | None = None) -> Iterator[tuple[Any, ...]]:
        yield from self.connection.execute(sql, dict(parameters or {}))

    def schema(self) -> int:
        ((version,),) = self.rows("PRAGMA user_version")
        return int(version)

    def set_schema(self, version: int) -> None:
        self.rows(f"PRAGMA user_version = {version:d}")


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, for example postgresql+psycopg://user:password@host/hwq; needs the extra `hwq[team]`."""

    url: str

    def __str__(self) -> str:
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"  # never the password

    @property
    def blob(self) -> str:
        return "BYTEA"

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Session]:
        try:
            import sqlalchemy
            import sqlalchemy.exc
            import sqlalchemy.pool
        except ImportError as error:
            raise StoreError(f"a store at {self} needs SQLAlchemy", hint="pip install 'hwq[team]'") from error
        try:
            engine = sqlalchemy.create_engine(self._dialect(), poolclass=sqlalchemy.pool.NullPool)
            with engine.begin() as connection:
                session = _ServerSession(connection)
                if write:
                    session.rows("SELECT pg_advisory_xact_lock(4873901)")  # one writer at a time, as in a file
                yield session
        except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreError(
                f"the measurement store {self}: {reason}", hint="is the server up, and is its driver there? pip install 'hwq[team]'"
            ) from error

    def _dialect(self) -> str:
        """psycopg 3 is what `hwq[team]` installs; SQLAlchemy itself would look for psycopg2."""
        return self.url.replace("postgresql://", "postgresql+psycopg://", 1)


@dataclass(frozen=True, slots=True)
class _ServerSession:
    connection: sqlalchemy.Connection

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        import sqlalchemy

        result = self.connection.execute(sqlalchemy.text(sql), dict(parameters or {}))
        return [tuple(row) for row in result] if result.returns_rows else []

    def each(self, sql: str, parameters: Parameters | None = None) -> Iterator[tuple[Any, ...]]:
        import sqlalchemy

        statement = sqlalchemy.text(sql).execution_options(stream_results=True, yield_per=500)
        yield from map(tuple, self.connection.execute(statement, dict(parameters or {})))

    def schema(self) -> int:
        import sqlalchemy

        if not sqlalchemy.inspect(self.connection).has_table("hwq_schema"):
            return 0
        ((version,),) = self.rows("SELECT version FROM hwq_schema")
        return int(version)

    def set_schema(self, version: int) -> None:
        self.rows("CREATE TABLE IF NOT EXISTS hwq_schema (version INTEGER NOT NULL)")
        self.rows("DELETE FROM hwq_schema")
        self.rows("INSERT INTO hwq_schema VALUES (:version)", {"version": version})
