"""The measurement store: one row a measurement, written whole or not at all, with the reports and logs it was read from.

A SQLite file by default, a PostgreSQL server where a team shares one (`hwq.measure.database`); several processes may write.
"""

from __future__ import annotations

import hashlib
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwq.errors import HwqWarning, StoreError
from hwq.measure.check import FieldError
from hwq.measure.database import Database, Parameters, Session, at
from hwq.measure.measurement import WHOLE, Key, Measurement
from hwq.measure.schema import KEY, MARKS, NAMES, SAME, SCHEMA, SEALS, archive_of, derived, migrate, seal_of
from hwq.measure.table import Loaded, Refused, read_table, write_table
from hwq.places import user_data

if TYPE_CHECKING:
    import pandas as pd

ROW = f"body, {', '.join(SEALS)}"  # what a row has beside its key
MOST = 500  # rows for one fit: a model has about twenty terms, and five hundred tell its error to 5 % of itself


def default_place() -> Path | str:
    """$HWQ_STORE (a path or a URL), else measurements.sqlite in the user's data folder: shared by all runs of a user."""
    chosen = os.environ.get("HWQ_STORE")
    if chosen:
        return chosen if "://" in chosen else Path(chosen)
    return user_data() / "measurements.sqlite"


@dataclass(frozen=True, slots=True)
class Kind:
    """Measurements of one tool at one stage on one board, and how many there are."""

    tool: str
    version: str
    stage: str
    board: str
    measurements: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Measurements that may stand in one model.

    Attributes:
        family: of the board, for boards that hwq does not know.
        boards: those that are comparable; others: all other boards that hwq knows.
        counted: the version of the features; None for all.
    """

    tool: str
    version: str
    stage: str
    options: str
    family: str
    boards: tuple[str, ...]
    others: tuple[str, ...] = ()
    counted: float | None = None

    def where(self) -> tuple[str, Parameters]:
        """The condition in SQL, and its parameters."""
        bound: dict[str, object] = {name: getattr(self, name) for name in ("tool", "version", "stage", "options", "family")}
        mine = _listed(bound, "mine", self.boards)
        known = _listed(bound, "known", (*self.boards, *self.others))
        same = "tool = :tool AND version = :version AND stage = :stage AND options = :options"
        text = f"{same} AND ({mine} OR (family = :family AND NOT {known}))"
        if self.counted is not None:
            text, bound["counted"] = f"{text} AND counted = :counted", self.counted
        return text, bound


def _listed(bound: dict[str, object], prefix: str, boards: Iterable[str]) -> str:
    names = {f"{prefix}{n}": board for n, board in enumerate(boards)}
    bound |= names
    return f"board IN ({', '.join(f':{name}' for name in names)})" if names else "1 = 0"


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

        Example:
            >>> import hwq
            >>> hwq.Store.open("measurements.sqlite").find(board="xcvu9p")
            []
        """
        store = cls(at(place or default_place()))
        with store.database.transaction() as session:
            found = store._schema(session)
        if found < SCHEMA:
            with store.database.transaction(write=True) as session:
                # read again: another process may have migrated it meanwhile
                migrate(store.database, session, store._schema(session))
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

        Raises:
            StoreError: a field that cannot be, such as a negative count; nothing is written.
        """
        self.put_all([(measurement, artefacts or {})])

    def put_all(self, rows: Sequence[tuple[Measurement, Mapping[str, bytes]]]) -> None:
        """Write rows as `put` does, all of them or, where anything goes wrong or the process is killed, none.

        Raises:
            StoreError: a field that cannot be.
        """
        for measurement, _ in rows:
            try:
                measurement.check()
            except FieldError as error:
                raise StoreError(
                    f"the measurement of design {measurement.key.design!r} is not stored: {error}",
                    hint="look at the tool's report: it says what no design has",
                ) from error
        with self.database.transaction(write=True) as session:
            for measurement, artefacts in rows:
                _put(session, measurement, artefacts)

    def get(self, key: Key) -> Measurement | None:
        """The row with this key, or None; one that is damaged or was changed is as good as none, and a warning names it."""
        with self.database.transaction() as session:
            rows = session.rows(f"SELECT {ROW} FROM measurement WHERE {SAME}", asdict(key))
        for row in rows:  # one at most
            return self._row(key, *row)
        return None

    def void(self, plan: str) -> int:
        """Take out every measurement of the plan with this digest; how many there were."""
        where, wanted = "WHERE plan = :plan", {"plan": plan}
        with self.database.transaction(write=True) as session:
            ((found,),) = session.rows(f"SELECT count(*) FROM measurement {where}", wanted)
            session.rows(f"DELETE FROM provenance {where}", wanted)
            session.rows(f"DELETE FROM measurement {where}", wanted)
        return int(found)

    def artefacts(self, key: Key) -> dict[str, bytes]:
        """The reports and logs that the row with this key was read from, by name; none, and a warning, where they were changed since."""
        with self.database.transaction() as session:
            rows = session.rows(
                f"SELECT p.name, a.content FROM provenance p JOIN artefact a ON a.sha256 = p.sha256 WHERE {SAME} ORDER BY p.name",
                asdict(key),
            )
            told = [row for (row,) in session.rows(f"SELECT archive FROM measurement WHERE {SAME}", asdict(key))]
        try:
            found = {str(name): zlib.decompress(content) for name, content in rows}
        except (zlib.error, TypeError):
            found = None
        if found is not None and {*told} <= {"", archive_of(_digests(found))}:
            return found
        message = (
            f"the reports that {self.database} has archived of design {key.design!r} ({key.tool!r}, {key.stage!r}) were changed"
        )
        warnings.warn(message, HwqWarning, stacklevel=2)
        return {}

    def find(self, **wanted: str) -> list[Measurement]:
        """All rows whose key fields are as `wanted`, in a stable order; `family` may be given too. Damaged rows are left out."""
        return self._rows(" AND ".join(f"{name} = :{name}" for name in wanted) or "1 = 1", wanted)

    def kinds(self) -> list[Kind]:
        """How many measurements there are of each tool, version, stage and board, in the order of these; no row is read."""
        with self.database.transaction() as session:
            by = "tool, version, stage, board"
            rows = session.rows(f"SELECT {by}, count(*) FROM measurement GROUP BY {by}")
        return [Kind(*row) for row in sorted(self._named(rows))]

    def sources(self) -> list[tuple[str, str, str, str]]:
        """(tool, version, stage, options) of all measurements, each once, in order; no row is read."""
        with self.database.transaction() as session:
            rows = session.rows("SELECT DISTINCT tool, version, stage, options FROM measurement")
        return [(str(a), str(b), str(c), str(d)) for a, b, c, d in sorted(self._named(rows))]

    def count(self, selection: Selection) -> int:
        """How many rows a selection has."""
        where, bound = selection.where()
        with self.database.transaction() as session:
            ((found,),) = session.rows(f"SELECT count(*) FROM measurement WHERE {where}", bound)
        return int(found)

    def select(self, selection: Selection, apart: Iterable[str] = (), most: int = MOST) -> list[Measurement]:
        """The rows of a selection, in the order of their keys; a draw of `most` of them where there are more.

        The draw does not depend on when rows came in: whole designs before operators, features of the newest count before others, then
        every kind of design in turn, and within a kind by lot.

        Args:
            apart: designs that are not drawn, so that no model knows them; without a draw they are there.
        """
        where, bound = selection.where()
        if self.count(selection) <= most:
            return self._rows(where, bound)
        bound = dict(bound) | {"whole": WHOLE}
        omitted = {f"apart{n}": design for n, design in enumerate(sorted(set(apart)))}
        bound |= omitted
        where += f" AND design NOT IN ({', '.join(f':{name}' for name in omitted)})" if omitted else ""
        operator = "CASE WHEN scope = :whole THEN 0 ELSE 1 END"
        turn = f"row_number() OVER (PARTITION BY {operator}, counted, kind ORDER BY lot)"
        drawn = (
            f"SELECT lot FROM (SELECT lot, counted, {operator} AS part, {turn} AS turn FROM measurement WHERE {where}) AS ranked "
            f"ORDER BY part, counted DESC, turn, lot LIMIT {most:d}"
        )
        return self._rows(f"lot IN ({drawn})", bound)

    def _rows(self, where: str, bound: Parameters) -> list[Measurement]:
        with self.database.transaction() as session:
            rows = session.rows(f"SELECT {NAMES}, {ROW} FROM measurement WHERE {where}", bound)
        # sorted here: servers order text by their own language
        return list(self._sound(sorted(self._named(rows))))

    def _named(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Without rows whose key is no text: a SQLite column takes bytes, too, when another program writes them."""
        for row in rows:
            odd = next((cell for cell in row[: len(KEY)] if not isinstance(cell, (str, int))), None)
            if odd is None:
                yield row
            else:
                message = f"a damaged row of {self.database} is left out: its key holds {type(odd).__name__}, not text"
                warnings.warn(message, HwqWarning, stacklevel=4)

    def _sound(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Measurement]:
        for row in self._named(rows):
            found = self._row(Key(*row[: len(KEY)]), *row[len(KEY) :])
            if found is not None:
                yield found

    def _row(self, key: Key, body: str, archive: str, seal: str) -> Measurement | None:
        try:
            found = Measurement.of(key, body)
            right = seal_of(asdict(key), body, archive)
            if seal not in ("", right):  # rows of earlier versions have none
                raise FieldError("its seal", seal, f"{right}: the row was changed after it was stored")
            return found
        except FieldError as error:
            message = f"a damaged row of {self.database} is left out (design {key.design!r}, {key.tool!r}, {key.stage!r}): {error}"
            warnings.warn(message, HwqWarning, stacklevel=3)
            return None

    def to_frame(self) -> pd.DataFrame:
        """All rows as a pandas frame, one column a number, and `body` with everything as JSON."""
        import pandas as pd

        flat = []
        for m in self.find():
            row: dict[str, object] = dict(zip(KEY, astuple(m.key), strict=True))
            for part in (m.resources, m.timing, m.latency):
                row |= {f.name: getattr(part, f.name) for f in fields(part)}
            row |= {f"feature_{k}": v for k, v in m.features.items()}
            flat.append({**row, "power_w": m.power_w, "seconds": m.seconds, "when": m.when, "host": m.host, "body": m.body()})
        return pd.DataFrame(flat) if flat else pd.DataFrame(columns=[*KEY, "body"])

    def export(self, path: Path) -> int:
        """Write all rows to a .csv or .parquet file; how many. Reports and logs stay in the store, damaged rows as well.

        Raises:
            StoreError: another kind of file, or not writable.
        """
        with self.database.transaction() as session:

            def rows() -> Iterator[Measurement]:
                return self._sound(session.each(f"SELECT {NAMES}, {ROW} FROM measurement ORDER BY {NAMES}"))

            return write_table(path, rows)

    def load(self, path: Path) -> Loaded:
        """Take the rows of an exported file. Rows that are there already stay as they are; rows that cannot be are refused one by one.

        Raises:
            StoreError: no such file, another kind, or no table of measurements at all; nothing is taken.
        """
        new, known = 0, 0
        refused: list[Refused] = []
        with self.database.transaction(write=True) as session:
            for row in read_table(path):
                if isinstance(row, Refused):
                    refused.append(row)
                elif session.rows(f"SELECT 1 FROM measurement WHERE {SAME}", asdict(row.key)):
                    known += 1
                else:
                    _put(session, row, {})
                    new += 1
        return Loaded(new, known, tuple(refused))


def _put(session: Session, measurement: Measurement, artefacts: Mapping[str, bytes]) -> None:
    key, body, digests = asdict(measurement.key), measurement.body(), _digests(artefacts)
    archive = archive_of(digests)
    columns = {"body": body, **derived(measurement), "archive": archive, "seal": seal_of(key, body, archive)}
    update = ", ".join(f"{name} = excluded.{name}" for name in columns)
    session.rows(
        f"INSERT INTO measurement ({NAMES}, {', '.join(columns)}) VALUES ({MARKS}, {', '.join(f':{name}' for name in columns)}) "
        f"ON CONFLICT ({NAMES}) DO UPDATE SET {update}",
        {**key, **columns},
    )
    session.rows(f"DELETE FROM provenance WHERE {SAME}", key)
    for name, content in artefacts.items():
        digest = digests[name]
        session.rows(
            "INSERT INTO artefact (sha256, content) VALUES (:sha256, :content) ON CONFLICT (sha256) DO NOTHING",
            {"sha256": digest, "content": zlib.compress(content)},
        )
        session.rows(
            f"INSERT INTO provenance ({NAMES}, name, sha256) VALUES ({MARKS}, :name, :sha256)",
            {**key, "name": name, "sha256": digest},
        )


def _digests(artefacts: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in artefacts.items()}
