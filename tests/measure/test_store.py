"""The store as files and servers: migration, provenance, tables that go and come back, and many writers, on SQLite and on PostgreSQL."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from test_measure_cost import measurement

from hwq.errors import StoreError
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import SCHEMA, Store

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
    assert other.load(table) == (3, 1)
    assert other.find() == [replace(rows[0], seconds=77.0), *rows[1:]]
    assert other.load(table) == (0, 4)


def test_an_empty_store_goes_and_comes_back_too(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.sqlite")
    for name in ("t.csv", "t.parquet"):
        assert store.export(tmp_path / name) == 0 and store.load(tmp_path / name) == (0, 0)


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
    with pytest.raises(StoreError, match="row 3"):
        empty.load(tmp_path / "t.csv")
    assert empty.find() == [], "all rows or none"


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
    assert "secret" not in caught.value.message and "hwq[team]" in (caught.value.hint or "")


def test_measurement_bodies_are_exact() -> None:
    m = measurement(1, a=0.1, b=1e300, c=3.0)
    assert Measurement.of(m.key, m.body()) == m
