"""Limits of a store said once more, in figures: the last that is taken, the first that is refused; and where a warning points."""

from __future__ import annotations

import json
import sqlite3
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from test_measure_cost import measurement

from hwq.errors import HwqWarning
from hwq.measure.check import FieldError, check_key, parse_body
from hwq.measure.database import File, _ServerSession
from hwq.measure.store import Store
from hwq.measure.table import write_table


def body(path: str, value: object) -> str:
    content = json.loads(measurement(1).body())
    *parents, last = path.split("/")
    place = content
    for name in parents:
        place = place[name]
    place[last] = value
    return json.dumps(content)


NUMBERS = [
    *((f"resources/{name}", 0, 10**9) for name in ("lut", "ff", "dsp", "bram36", "uram", "carry", "inverters")),
    *((f"timing/{name}", 0, 10**9) for name in ("period_ns", "fmax_mhz")),
    ("timing/slack_ns", -(10**9), 10**9),
    *((f"latency/{name}", 0, 10**12) for name in ("min_cycles", "max_cycles", "interval")),
    *((name, 0, 10**10) for name in ("seconds", "peak_mb")),
    ("power_w", 0, 10**6),
    ("features/some", -(10**15), 10**15),
]


@pytest.mark.parametrize(("path", "least", "most"), NUMBERS)
def test_ranges(path: str, least: int, most: int) -> None:
    for fine in (least, most):
        parse_body(body(path, fine))
    for wrong in (least - 1, most + 1):
        with pytest.raises(FieldError, match=path.split("/")[-1]):
            parse_body(body(path, wrong))


@pytest.mark.parametrize("path", [path for path, _, _ in NUMBERS if not path.startswith("latency")])
def test_parts_of_a_number_count(path: str) -> None:
    least, most = next((low, high) for name, low, high in NUMBERS if name == path)
    for wrong in (least - 0.25, most + 0.25):
        with pytest.raises(FieldError):
            parse_body(body(path, wrong))


@pytest.mark.parametrize(("path", "longest"), [("family", 200), ("when", 200), ("host", 200), ("group", 200), ("log", 4096)])
def test_lengths(path: str, longest: int) -> None:
    parse_body(body(path, "x" * longest))
    with pytest.raises(FieldError, match=f"^{path} is"):
        parse_body(body(path, "x" * (longest + 1)))


def test_lengths_of_a_key() -> None:
    for name in asdict(measurement(1).key):
        longest = 1000 if name == "options" else 200
        check_key({**asdict(measurement(1).key), name: "x" * longest})
        with pytest.raises(FieldError, match=f"^{name} is"):
            check_key({**asdict(measurement(1).key), name: "x" * (longest + 1)})


def test_a_thousand_features() -> None:
    parse_body(body("features", {f"f{n}": 0.0 for n in range(1000)}))
    with pytest.raises(FieldError, match="at most 1000 numbers"):
        parse_body(body("features", {f"f{n}": 0.0 for n in range(1001)}))


@pytest.mark.parametrize(("length", "short"), [(78, True), (79, False)])
def test_a_long_value_is_said_in_short(length: int, short: bool) -> None:
    """Eighty characters with its quotes are said as they are."""
    error = FieldError("host", "x" * length, "less")
    assert error.value == (f"'{'x' * length}'" if short else f"'{'x' * 59}... ({length} characters)")
    assert FieldError("host", [1] * 40, "less").value == f"{repr([1] * 40)[:60]}... (120 characters)"


def test_a_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute: longer than any transaction of hwq takes."""
    seen: list[Any] = []
    connect = sqlite3.connect

    def watched(*place: Any, **options: Any) -> sqlite3.Connection:
        seen.append(options["timeout"])
        return connect(*place, **options)

    monkeypatch.setattr(sqlite3, "connect", watched)
    with File(tmp_path / "s.sqlite").transaction():
        pass
    assert seen == [60]


def test_warnings_point_to_who_asked(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.sqlite")
    m = measurement(1)
    store.put(m, {"a.log": b"text"})
    with sqlite3.connect(tmp_path / "s.sqlite") as connection:
        connection.execute("UPDATE measurement SET body = 'none'")
        connection.execute("UPDATE artefact SET content = x'00'")
    for ask in (lambda: store.get(m.key), lambda: store.artefacts(m.key)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert not ask()
        assert [(w.category, w.filename) for w in caught] == [(HwqWarning, __file__)]
    with sqlite3.connect(tmp_path / "s.sqlite") as connection:
        connection.execute("UPDATE measurement SET design = x'00'")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert store.find() == []
    assert [(w.category, w.filename) for w in caught] == [(HwqWarning, __file__)]


def test_a_parquet_file_is_written_in_batches_of_a_thousand(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    m = measurement(1)
    assert write_table(tmp_path / "t.parquet", lambda: [m] * 1001) == 1001
    metadata = parquet.ParquetFile(tmp_path / "t.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1000, 1]


def test_the_session_of_a_server_without_one() -> None:
    """Its statements are those of SQLAlchemy, which takes them to SQLite too."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    with sqlalchemy.create_engine("sqlite://").begin() as connection:
        session = _ServerSession(connection)
        assert session.schema() == 0
        for version in (3, 4):
            session.set_schema(version)
            assert session.schema() == version
        assert session.rows("SELECT :a, :b", {"a": 1, "b": "x"}) == [(1, "x")]
        assert session.rows("SELECT 2") == [(2,)] and session.rows("DELETE FROM hwq_schema") == []
        assert list(session.each("SELECT :a UNION SELECT 5", {"a": 4})) == [(4,), (5,)]
        assert list(session.each("SELECT 6")) == [(6,)]


def test_a_server_sends_five_hundred_rows_at_a_time() -> None:
    pytest.importorskip("sqlalchemy")
    seen = []

    class Connection:
        def execute(self, statement: Any, parameters: object) -> list[list[int]]:
            seen.append((statement.get_execution_options(), parameters))
            return [[1], [2]]

    assert list(_ServerSession(Connection()).each("SELECT 1")) == [(1,), (2,)]  # type: ignore[arg-type]
    assert seen == [({"stream_results": True, "yield_per": 500}, {})]
