"""The store as files and servers: migration, provenance, tables that go and come back, and many writers, on SQLite and on PostgreSQL."""

from __future__ import annotations

import getpass
import hashlib
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, astuple, replace
from pathlib import Path

import pytest
from test_measure_cost import measurement

from hwq.errors import HwqWarning, StoreError
from hwq.measure import schema
from hwq.measure.database import Server, at
from hwq.measure.measurement import Key, Measurement
from hwq.measure.schema import SCHEMA, derived
from hwq.measure.store import Kind, Selection, Store, _put
from hwq.measure.table import Loaded

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, where Debian's package and the driver are installed."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    if POSTGRES is None:
        pytest.skip("no PostgreSQL server is installed")
    # pytest's own folders are closed to other users, and every session closes them again
    folder = Path(tempfile.mkdtemp(prefix="hwq-pg-"))
    # the server refuses to run as root: its files then belong to the package's own user
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    become = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []
    if become:
        if shutil.which("setpriv") is None:
            pytest.skip("a server cannot be started as root without setpriv")
        shutil.chown(folder, user, user)
    data, log, tools = folder / "data", folder / "log", POSTGRES.parent

    def run(*command: str | Path) -> None:
        told_run([*become, *command], folder, log)

    try:
        run(tools / "initdb", "-D", data, "-U", "hwq", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run(tools / "pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "start")
        try:
            run(tools / "createdb", "-h", folder, "-U", "hwq", "store")
            yield f"postgresql://hwq@/store?host={folder}"
        finally:
            run(tools / "pg_ctl", "-D", data, "-m", "immediate", "-t", "100", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def told_run(command: list[str | Path], folder: Path, log: Path) -> None:
    """Run one of the server's programs; where it fails, the test fails with what the program and the server's log say."""
    # output goes to a file: a server that pg_ctl starts would hold a pipe open for good
    said = folder.parent / f"{folder.name}.out"
    try:
        with said.open("wb") as stream:
            done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder, timeout=120, check=False)
        if done.returncode:
            lines = [
                *said.read_text(errors="replace").splitlines(),
                *(log.read_text(errors="replace").splitlines() if log.is_file() else []),
            ]
            shown = "\n".join(["  " + line for line in lines][-30:])
            pytest.fail(f"{' '.join(map(str, command))} failed with exit code {done.returncode}:\n{shown}", pytrace=False)
    finally:
        said.unlink(missing_ok=True)


def test_a_server_that_does_not_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("FATAL: could not write lock file\n")
    words = "echo 'initdb: error: data directory exists' >&2; exit 3"
    with pytest.raises(pytest.fail.Exception) as caught:
        told_run(["sh", "-c", words], tmp_path, log)
    assert "exit code 3" in str(caught.value)
    assert "initdb: error: data directory exists" in str(caught.value)
    assert "FATAL: could not write lock file" in str(caught.value)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return tmp_path / "s.sqlite"
    url: str = request.getfixturevalue("server")
    import sqlalchemy

    with sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        for table in ("measurement", "artefact", "provenance", "hwq_schema"):
            connection.execute(sqlalchemy.text(f"DROP TABLE IF EXISTS {table}"))
    return url


def test_rows_and_their_reports_come_back(place: Path | str) -> None:
    store = Store.open(place)
    first, second = measurement(1, adder_bits=5.0), replace(measurement(2), host="größer 'x' ; --")
    log = bytes(range(256)) * 100
    store.put(first, {"yosys/synth.log": log, "yosys/stat.json": b"{}"})
    store.put(second, {"yosys/synth.log": log})
    again = Store.open(place)
    assert again.get(first.key) == first and again.get(measurement(3).key) is None
    assert again.find() == [first, second] and again.find(design="d2") == [second]
    assert again.artefacts(first.key) == {"yosys/synth.log": log, "yosys/stat.json": b"{}"}
    store.put(replace(first, seconds=9.0), {"new.log": b"new"})
    assert again.artefacts(first.key) == {"new.log": b"new"} and again.artefacts(second.key) == {"yosys/synth.log": log}
    assert len(again.find()) == 2 and again.find(design="d1")[0].seconds == 9.0


def fill(place: Path | str, start: int) -> None:
    store = Store.open(place)
    for number in range(start, start + 20):
        store.put(measurement(number), {"log": b"%d" % number})


def test_several_processes_open_and_write_at_once(place: Path | str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fill, args=(place, start)) for start in (0, 20, 40, 30)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [p.exitcode for p in processes] == [0] * 4
    found = Store.open(place).find()
    assert {m.key.design for m in found} == {f"d{n}" for n in range(60)} and len(found) == 60


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_go_and_come_back(kind: str, place: Path | str, tmp_path: Path) -> None:
    store = Store.open(place)
    rows = [measurement(n, adder_bits=0.1 * n) for n in range(4)]
    for m in rows:
        store.put(m)
    table = tmp_path / f"table.{kind}"
    assert store.export(table) == 4
    other = Store.open(tmp_path / "other.sqlite")
    other.put(replace(rows[0], seconds=77.0))
    assert other.load(table) == Loaded(3, 1)
    assert other.find() == [replace(rows[0], seconds=77.0), *rows[1:]]
    assert other.load(table) == Loaded(0, 4)


def test_an_empty_store_goes_and_comes_back_too(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.sqlite")
    for name in ("t.csv", "t.parquet"):
        assert store.export(tmp_path / name) == 0 and store.load(tmp_path / name) == Loaded(0, 0)


def test_tables_that_are_none(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.sqlite")
    for name, text, words in (
        ("a.txt", "", "neither"),
        ("a.csv", "x,y\n1,2\n", "no column design"),
        ("b.parquet", "no parquet", "cannot read"),
        ("missing.csv", None, "cannot read"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(StoreError, match=words):
            store.load(tmp_path / name)
    store.put(measurement(1))
    store.export(tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(
        lines + lines.splitlines()[1].replace("d1", "d2", 1).replace('""resources""', '""oops""') + "\n"
    )
    empty = Store.open(tmp_path / "empty.sqlite")
    found = empty.load(tmp_path / "t.csv")
    assert (found.new, [(r.row, r.field) for r in found.refused]) == (1, [(3, "resources")])
    assert empty.find() == [measurement(1)]


def test_a_store_of_the_first_schema_is_brought_along(tmp_path: Path) -> None:
    """What version 1 wrote stays, and takes reports from now on."""
    path, old = tmp_path / "s.sqlite", measurement(1, adder_bits=5.0)
    names = Key.__slots__
    with sqlite3.connect(path) as connection:
        columns = ", ".join(f"{n} TEXT NOT NULL" for n in names)
        connection.execute(f"CREATE TABLE measurement ({columns}, body TEXT NOT NULL, PRIMARY KEY ({', '.join(names)}))")
        connection.execute(f"INSERT INTO measurement VALUES ({', '.join('?' * 9)})", (*astuple(old.key), old.body()))
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = Store.open(path)
    assert store.find() == [old] and store.artefacts(old.key) == {}
    store.put(old, {"log": b"x"})
    assert Store.open(path).artefacts(old.key) == {"log": b"x"}


@pytest.mark.parametrize("version", [1, 2])
def test_rows_of_earlier_schemas_are_selected_like_new_ones(
    version: int, place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than one page of the migration, or one row a page; a damaged one keeps its place and is left out where it is read."""
    monkeypatch.setattr(schema, "_PAGE", 10 if version == 1 else 1)
    rows = [replace(measurement(n, counted=float(n % 2), a=1.0), group=f"g{n % 3}") for n in range(29)]
    database = at(place)
    with database.transaction(write=True) as session:
        for statement in sum((schema._STATEMENTS[v] for v in range(1, version + 1)), ()):
            session.rows(statement.format(blob=database.blob))
        for m, body in [*((m, m.body()) for m in rows), (measurement(9999), "no json")]:
            marks = ", ".join(f":{name}" for name in Key.__slots__)
            session.rows(f"INSERT INTO measurement VALUES ({marks}, :body)", {**asdict(m.key), "body": body})
        session.set_schema(version)
    old, new = Store.open(place), Store.open(tmp_path / "new.sqlite")
    with new.database.transaction(write=True) as session:
        for m in rows:
            _put(session, m, {})
    columns = "SELECT design, family, kind, counted, lot FROM measurement WHERE body <> 'no json'"
    with old.database.transaction() as one, new.database.transaction() as other:
        assert one.schema() == SCHEMA and sorted(one.rows(columns)) == sorted(other.rows(columns))
    chosen = replace(OURS, counted=1.0)
    assert old.select(chosen, most=9) == new.select(chosen, most=9) and old.count(chosen) == 14
    assert [kind.measurements for kind in old.kinds()] == [30]
    with pytest.warns(HwqWarning, match="'d9999'"):
        assert len(old.find()) == 29


OURS = Selection("yosys", "0.70", "synth", "", "Virtex UltraScale+", ("xcvu9p", "vcu118"), ("pynq-z2",))


def several(count: int) -> list[Measurement]:
    """A tenth of kind g0 to g4, the others of none; some operators, some of an earlier count of features."""
    rows = []
    for n in range(count):
        m = measurement(n, counted=2.0 if n % 8 == 7 else 3.0, a=float(n))
        m = replace(m, group=f"g{n % 5}" if n % 10 == 0 else "")
        rows.append(replace(m, key=replace(m.key, scope="operator")) if n % 9 == 8 else m)
    return rows


def test_a_selection_is_what_may_stand_in_one_model(place: Path | str) -> None:
    store, first = Store.open(place), measurement(1, counted=3.0)
    own = replace(first, key=replace(first.key, board="my-board", design="own"))
    rows = {
        "taken": first,
        "same family, another board": replace(first, key=replace(first.key, board="vcu118"), family="whatever"),
        "a board that hwq does not know": own,
    }
    left = [
        replace(first, key=replace(first.key, board="pynq-z2")),
        replace(own, key=replace(own.key, plan="x"), family="Artix"),
        *(replace(first, key=replace(first.key, **{name: "x"})) for name in ("tool", "version", "stage")),
    ]
    for m in (*rows.values(), *left):
        store.put(m)
    expected = sorted(rows.values(), key=lambda m: astuple(m.key))
    assert store.select(OURS) == expected and store.count(OURS) == 3
    assert store.select(replace(OURS, counted=2.0)) == [] and store.count(replace(OURS, counted=3.0)) == 3
    by_family = store.select(replace(OURS, boards=(), others=()))  # as for boards that hwq does not know
    assert {m.key.board for m in by_family} == {"xcvu9p", "pynq-z2", "my-board"}
    assert store.find(family="Artix") == [left[1]]
    # few rows: also those of the designs that no draw would take
    assert store.select(OURS, apart=["own"], most=3) == expected


def test_a_draw_does_not_depend_on_the_order_in_which_rows_came(place: Path | str, tmp_path: Path) -> None:
    rows = several(120)
    store, other = Store.open(place), Store.open(tmp_path / "other.sqlite")
    for m in rows:
        store.put(m)
    for m in reversed(rows):
        other.put(replace(m, seconds=9.0))
        other.put(m)
    drawn = store.select(OURS, most=30)
    assert drawn == other.select(OURS, most=30) and len(drawn) == 30
    assert [m.key for m in drawn] == sorted((m.key for m in drawn), key=astuple)
    # every kind in turn, whole designs of the newest count first
    assert {m.group for m in drawn} == {"", "g0"} and sum(m.group == "g0" for m in drawn) > 5
    assert {(m.key.scope, m.features["counted"]) for m in drawn} == {("design", 3.0)}
    assert len(store.select(OURS, most=119)) == 119 and store.select(OURS, most=120) == store.find()
    smaller, larger = store.select(OURS, most=20), store.select(OURS, most=100)
    assert {m.key for m in smaller} < {m.key for m in drawn} < {m.key for m in larger}
    assert "operator" in {m.key.scope for m in store.select(OURS, most=110)}
    apart = [drawn[0].key.design, drawn[5].key.design]
    without = store.select(OURS, apart=apart, most=30)
    assert len(without) == 30 and not {m.key.design for m in without} & set(apart)
    assert len({m.key for m in without} & {m.key for m in drawn}) == 28


def test_rows_are_counted_by_tool_stage_and_board(place: Path | str) -> None:
    store = Store.open(place)
    assert store.kinds() == []
    rows = several(3)
    for m in (
        *rows,
        replace(rows[0], key=replace(rows[0].key, stage="route")),
        replace(rows[0], key=replace(rows[0].key, tool="a")),
    ):
        store.put(m)
    assert store.kinds() == [
        Kind("a", "0.70", "synth", "xcvu9p", 1),
        Kind("yosys", "0.70", "route", "xcvu9p", 1),
        Kind("yosys", "0.70", "synth", "xcvu9p", 3),
    ]


def test_a_plan_is_made_void_with_its_reports(place: Path | str) -> None:
    store = Store.open(place)
    rows = several(3)
    for m in rows:
        store.put(m, {"log": b"x"})
    store.put(replace(rows[1], key=replace(rows[1].key, stage="route")), {"log": b"y"})
    assert store.void("p1") == 2 and store.void("p1") == 0
    assert store.find() == [rows[0], rows[2]]
    assert store.artefacts(rows[1].key) == {} and store.artefacts(rows[2].key) == {"log": b"x"}


def test_a_store_of_a_later_hwq_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store.open(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    with pytest.raises(StoreError, match=f"schema {SCHEMA + 1}"):
        Store.open(path)


def test_a_row_is_written_whole_or_not_at_all(place: Path | str) -> None:
    """What is no bytes fails in the middle of the transaction."""
    store = Store.open(place)
    store.put(measurement(1), {"a": b"old"})
    with pytest.raises(TypeError):
        store.put(replace(measurement(1), seconds=5.0), {"a": b"new", "b": None})  # type: ignore[dict-item]
    assert store.find() == [measurement(1)] and store.artefacts(measurement(1).key) == {"a": b"old"}


def test_rows_of_one_call_are_written_all_or_none(place: Path | str) -> None:
    store = Store.open(place)
    for last, error in ((replace(measurement(3), seconds=-1.0), StoreError), (measurement(3), TypeError)):
        with pytest.raises(error):
            store.put_all([(measurement(1), {"a": b"1"}), (measurement(2), {}), (last, {"b": None})])  # type: ignore[dict-item]
        assert store.find() == [] and store.artefacts(measurement(1).key) == {}
    store.put_all([(measurement(1), {"a": b"1"}), (measurement(2), {})])
    assert len(store.find()) == 2 and store.artefacts(measurement(1).key) == {"a": b"1"}


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_STORE", f"sqlite:///{tmp_path}/here.sqlite")
    Store.open().put(measurement(1))
    assert (tmp_path / "here.sqlite").is_file()
    with pytest.raises(StoreError, match="mysql://"):
        Store.open("mysql://host/x")
    with pytest.raises(StoreError, match="cannot make"):
        Store.open(Path("/proc/none/s.sqlite"))
    (tmp_path / "text").write_text("no database, but long enough to be one " * 40)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(tmp_path / "text")


def test_a_server_that_is_not_there_never_shows_the_password() -> None:
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://me:secret@localhost:1/none")
    assert (
        "secret" not in caught.value.message
        and "none: connection failed: " in caught.value.message
        and "hwq[team]" in (caught.value.hint or "")
    )


def test_measurement_bodies_are_exact() -> None:
    m = measurement(1, a=0.1, b=1e15, c=3.0)
    assert Measurement.of(m.key, m.body()) == m


def test_lots_never_change() -> None:
    """They are stored: other ones would draw other rows. 40 bits of the design above 22 of the whole key."""
    one, other = measurement(1), replace(measurement(1), key=replace(measurement(1).key, plan="p2"))
    lots = [int(str(derived(m)["lot"])) for m in (one, other)]
    assert lots == [2509869382314338767, 2509869382312149885]
    assert lots[0] != lots[1] and lots[0] >> 22 == lots[1] >> 22 == int.from_bytes(hashlib.sha256(b"d1").digest()[:5], "big")
    whole = "\n".join(astuple(one.key)).encode()
    assert lots[0] & (1 << 22) - 1 == int.from_bytes(hashlib.sha256(whole).digest()[:3], "big") >> 2


def test_a_server_is_reached_by_psycopg_3() -> None:
    server = Server("postgresql://me:secret@host/postgresql://")
    assert (
        server._dialect() == "postgresql+psycopg://me:secret@host/postgresql://"
        and str(server) == "postgresql://host/postgresql://"
    )
    assert Server("postgresql+other://host/x")._dialect() == "postgresql+other://host/x"


@pytest.mark.parametrize("column", ["design", "tool", "board", "body"])
def test_bytes_where_text_belongs_are_a_damaged_row(column: str, tmp_path: Path) -> None:
    """A SQLite column takes what any program writes."""
    path = tmp_path / "s.sqlite"
    store = Store.open(path)
    for n in range(3):
        store.put(measurement(n))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE measurement SET {column} = ? WHERE design = 'd1'", (b"\xff\x00",))
    connection.close()
    with pytest.warns(HwqWarning, match="a damaged row"):
        assert len(store.find()) == 2
    with pytest.warns(HwqWarning, match="a damaged row"):
        assert store.export(tmp_path / "s.csv") == 2
    if column in ("tool", "board"):
        with pytest.warns(HwqWarning, match="a damaged row"):
            assert sum(kind.measurements for kind in store.kinds()) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE measurement SET body = replace(body, '\"lut\": 100.0', '\"lut\": 10.0')",
        "UPDATE measurement SET options = 'others'",
        "UPDATE measurement SET version = '9.9'",
        "UPDATE measurement SET archive = 'x'",
        "UPDATE measurement SET seal = 'x'",
    ],
)
def test_a_row_that_was_changed_is_believed_nowhere(change: str, tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = Store.open(path)
    rows = [measurement(n) for n in (1, 2)]
    for m in rows:
        store.put(m, {"stat.json": b"x"})
    with sqlite3.connect(path) as connection:
        assert connection.execute(f"{change} WHERE design = 'd1'").rowcount == 1
        told = connection.execute("SELECT body FROM measurement WHERE design = 'd1'").fetchone()[0]
    connection.close()
    assert "body" not in change or json.loads(told)["resources"]["lut"] == 10
    with pytest.warns(HwqWarning, match="'d1'.*changed after it was stored"):
        assert store.find() == [rows[1]]
    with pytest.warns(HwqWarning, match="'d1'"):
        assert store.export(tmp_path / "t.csv") == 1
    with pytest.warns(HwqWarning, match="'d1'"):
        assert len(store.to_frame()) == 1
    (key,) = [key for key in _keys(store) if key.design == "d1"]
    with pytest.warns(HwqWarning, match="'d1'"):
        assert store.get(key) is None
    store.put(replace(rows[0], key=key), {"stat.json": b"x"})
    assert store.get(key) is not None


def _keys(store: Store) -> list[Key]:
    with store.database.transaction() as session:
        return [Key(*row) for row in session.rows(f"SELECT {', '.join(Key.__slots__)} FROM measurement")]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM provenance",
        "UPDATE provenance SET name = 'other.json'",
        "UPDATE provenance SET sha256 = (SELECT sha256 FROM artefact WHERE sha256 <> provenance.sha256)",
        "UPDATE artefact SET content = x'789c0b04000059005a'",
        "UPDATE artefact SET content = 'no bytes'",
    ],
)
def test_reports_that_were_changed_are_of_no_row(change: str, tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store, m = Store.open(path), measurement(1)
    store.put(m, {"stat.json": b"x"})
    store.put(measurement(2), {"stat.json": b"y"})
    assert store.artefacts(m.key) == {"stat.json": b"x"}
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    with pytest.warns(HwqWarning, match="archived of design 'd1'.*were changed"):
        assert store.artefacts(m.key) == {}
    assert store.get(m.key) == m  # its numbers are as they were


def test_rows_without_a_seal_are_as_before(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store, m = Store.open(path), measurement(1)
    store.put(m, {"stat.json": b"x"})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE measurement SET seal = '', archive = ''")
    connection.close()
    assert store.find() == [m] and store.artefacts(m.key) == {"stat.json": b"x"}


def test_a_store_that_is_up_to_date_is_opened_without_a_write(tmp_path: Path) -> None:
    """SQLite counts every transaction that writes in the head of the file."""
    path = tmp_path / "s.sqlite"
    Store.open(path)
    before = path.read_bytes()
    Store.open(path)
    assert path.read_bytes() == before


def test_a_warning_names_the_line_that_asked(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = Store.open(path)
    m = measurement(1)
    store.put(m, {"log": b"text"})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE artefact SET content = 'no bytes'")
        connection.execute("UPDATE measurement SET seal = 'x'")
    connection.close()
    with pytest.warns(HwqWarning) as caught:
        assert store.get(m.key) is None
    assert [(w.filename, Path(__file__).read_text().split("\n")[w.lineno - 1].strip()) for w in caught] == [
        (__file__, "assert store.get(m.key) is None")
    ]
    with pytest.warns(HwqWarning) as caught:
        assert store.artefacts(m.key) == {}
    assert [w.filename for w in caught] == [__file__]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE measurement SET design = x'00'")
    connection.close()
    with pytest.warns(HwqWarning, match="holds bytes") as caught:
        assert store.find() == []
    assert [w.filename for w in caught] == [__file__]
