"""What a measurement may say: every rule on its way in, on its way out, and in a file from elsewhere, with field, value and reason."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from command_line import good, invoked
from test_measure_cost import measurement

from hwq.cli import _show_warning
from hwq.errors import HwqWarning, ReportError, StoreError
from hwq.measure.check import LONGEST_BODY, MOST_FEATURES, FieldError, check_key, parse_body
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import Store
from hwq.measure.table import Loaded
from hwq.reports.types import Latency, Resources, Timing
from hwq.synthesis.step_reports import _refuse_trimmed
from hwq.toolchains.manifest import Manifest

NAN, INF = float("nan"), float("inf")


def changed(path: str, value: object) -> str:
    """The body of a sound row with one field changed."""
    content = json.loads(measurement(1, adder_bits=5.0).body())
    *parents, last = path.split("/")
    place = content
    for name in parents:
        place = place[name]
    place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("resources/lut", -5, "resources.lut is -5; expected a number from 0 to 1e\\+09, or null$"),
        ("resources/lut", "abc", "resources.lut is 'abc'; expected a number"),
        ("resources/lut", NAN, "resources.lut is nan"),
        ("resources/lut", 1e300, "resources.lut is 1e\\+300"),
        ("resources/ff", INF, "resources.ff is inf"),
        ("resources/bram36", True, "resources.bram36 is True"),
        ("resources/dsp", [1], "resources.dsp is \\[1\\]"),
        ("resources/luts", 1, "resources is 'luts'; expected only fields of lut, ff"),
        ("resources", None, "resources is None; expected an object"),
        ("timing/slack_ns", -1e10, "timing.slack_ns"),
        ("timing/met", 1, "timing.met is 1; expected true, false or null"),
        ("latency/max_cycles", 2.5, "latency.max_cycles is 2.5; expected a whole number"),
        ("latency/interval", -1, "latency.interval is -1"),
        ("features", "many", "features is 'many'; expected an object of at most"),
        ("features", {"a": "text"}, "features.a is 'text'; expected a number"),
        ("features", {"a": None}, "features.a is None; expected a number from -1e\\+15 to 1e\\+15$"),
        ("features", {"a": 1e16}, "features.a is 1e\\+16"),
        ("features", {"a": -1e16}, "features.a is -1e\\+16"),
        ("features", {"a": NAN}, "features.a is nan"),
        ("features", {"": 1.0}, "the name of a feature is ''"),
        ("features", {"a\x1b[2J": 1.0}, "the name of a feature is 'a\\\\x1b"),
        ("features", {"a" * 201: 1.0}, "the name of a feature is 'aaa"),
        ("features", {f"f{n}": 0.0 for n in range(MOST_FEATURES + 1)}, "features is"),
        ("seconds", None, "seconds is None; expected a number from 0 to 1e\\+10$"),
        ("peak_mb", -0.5, "peak_mb"),
        ("power_w", "2 W", "power_w"),
        ("host", "a\nb", "host is 'a\\\\nb'; expected text of 200 printable characters at most"),
        ("group", 5, "group is 5"),
        ("family", "f" * 201, "family is 'fff"),
        ("log", "/x" * 3000, "log is"),
        ("oops", 1, "body is 'oops'; expected only fields of family"),
    ],
)
def test_a_field_that_cannot_be_is_named(path: str, value: object, words: str) -> None:
    with pytest.raises(FieldError, match=words):
        parse_body(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("resources/lut", 0),
        ("resources/lut", 1e9),
        ("resources/bram36", 0.5),
        ("resources/carry", None),
        ("timing/slack_ns", -1e9),
        ("timing/fmax_mhz", 0),
        ("timing/period_ns", 0),
        ("latency/min_cycles", 0),
        ("timing/met", False),
        ("latency/max_cycles", 10**12),
        ("features", {}),
        ("features", {"a": -1e15, "b": 1e15, "c.d": 3}),
        ("features", {"a" * 200: 1.0}),
        ("features", {f"f{n}": 0.0 for n in range(MOST_FEATURES)}),
        ("power_w", 0.0),
        ("host", "größer 'x' ; --"),
        ("host", "h" * 200),
        ("family", ""),
    ],
)
def test_what_is_odd_but_possible_is_taken(path: str, value: object) -> None:
    assert parse_body(changed(path, value))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("no json", "body is 'no json'; expected JSON"),
        ("[1]", "body is \\[1\\]; expected an object"),
        ("{}", "family is None; expected to be there"),
        ("[" * 100_000, "expected JSON"),
        (" " * (LONGEST_BODY + 1), f"expected JSON of at most {LONGEST_BODY}"),
        (None, "expected JSON of at most"),
    ],
)
def test_a_body_that_is_none(body: object, words: str) -> None:
    with pytest.raises(FieldError, match=words):
        parse_body(body)


def test_a_body_of_the_first_version_is_complete() -> None:
    content = json.loads(measurement(1).body())
    for name in ("power_w", "group", "features", "seconds", "host"):
        del content[name]
    m = Measurement.of(measurement(1).key, json.dumps(content))
    assert (m.power_w, m.group, m.features, m.seconds) == (None, "", {}, 0.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("design", ""),
        ("board", "x" * 201),
        ("tool", "a\x00"),
        ("stage", 5),
        ("options", "o" * 1001),
        ("plan", "\ud800"),
        ("scope", "a\u202eb"),
    ],
)
def test_names_of_a_key_are_short_printable_text(name: str, value: object) -> None:
    with pytest.raises(FieldError, match=f"^{name} is"):
        check_key({**asdict(measurement(1).key), name: value})
    check_key({**asdict(measurement(1).key), "version": "", "options": "o" * 1000, "board": "x" * 200})


@pytest.mark.parametrize(
    ("name", "value"),
    [("tool", "nan"), ("stage", "NONE"), ("board", "inf"), ("tool", "2yosys"), ("stage", "a b"), ("board", "ü"), ("tool", "-x")],
)
def test_a_tool_a_stage_and_a_board_are_called_by_a_name(name: str, value: str) -> None:
    with pytest.raises(FieldError, match="a name that begins with a letter"):
        check_key({**asdict(measurement(1).key), name: value})
    check_key({**asdict(measurement(1).key), "design": value, name: "nano+1.2_b-3"})


def test_the_longest_body() -> None:
    body = measurement(1).body()
    assert parse_body(body.ljust(LONGEST_BODY)) == json.loads(body)
    with pytest.raises(FieldError, match="expected JSON of at most 1048576 characters"):
        parse_body(body.ljust(LONGEST_BODY + 1))


@pytest.mark.parametrize(
    ("path", "most"),
    [
        *((f"resources/{name}", 1e9) for name in ("lut", "ff", "dsp", "bram36", "uram", "carry", "inverters")),
        *((f"latency/{name}", 10**12) for name in ("min_cycles", "max_cycles", "interval")),
        *((f"timing/{name}", 1e9) for name in ("period_ns", "fmax_mhz")),
        *(("seconds", 1e10), ("peak_mb", 1e10), ("power_w", 1e6)),
    ],
)
def test_no_number_is_less_than_zero_or_beyond_all_devices(path: str, most: float) -> None:
    least = 1 if path.startswith("latency") else 0.001
    for fine in (0, most, None if path not in ("seconds", "peak_mb") else 0.0):
        assert parse_body(changed(path, fine))
    for wrong in (-least, most + least):
        with pytest.raises(FieldError, match=path.replace("/", ".")):
            parse_body(changed(path, wrong))


@pytest.mark.parametrize(("name", "longest"), [("log", 4096), ("when", 200), ("host", 200), ("group", 200), ("family", 200)])
def test_the_longest_texts(name: str, longest: int) -> None:
    assert parse_body(changed(name, "x" * longest))
    with pytest.raises(FieldError, match=f"{name} is"):
        parse_body(changed(name, "x" * (longest + 1)))


def test_the_most_features_and_the_largest() -> None:
    most = {f"f{n}": 1.0 for n in range(1000)}
    assert parse_body(changed("features", most))
    with pytest.raises(FieldError, match="an object of at most 1000 numbers"):
        parse_body(changed("features", {**most, "g": 1.0}))
    for fine in (-1e15, 1e15):
        assert parse_body(changed("features", {"a": fine}))
    for wrong in (-1.001e15, 1.001e15):
        with pytest.raises(FieldError, match=r"features\.a"):
            parse_body(changed("features", {"a": wrong}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"resources": Resources(lut=-1.0)},
        {"timing": Timing(fmax_mhz=NAN)},
        {"latency": Latency(1, 2, -3)},
        {"seconds": INF},
        {"features": {"a": INF}},
        {"key": Key("", "p", "design", "b", "t", "v", "s")},
    ],
)
def test_what_cannot_be_is_not_put(wrong: dict[str, Any], tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.sqlite")
    with pytest.raises(StoreError, match="is not stored") as caught:
        store.put(replace(measurement(1), **wrong))
    assert caught.value.hint and store.find() == []


def damage(path: Path, design: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            'UPDATE measurement SET body = replace(body, \'"lut": 100.0\', \'"lut": "abc"\') WHERE design = ?', (design,)
        )
    connection.close()


def test_a_damaged_row_is_left_out_and_named_and_can_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = Store.open(path)
    rows = [measurement(n) for n in range(3)]
    for m in rows:
        store.put(m)
    damage(path, "d1")
    with pytest.warns(HwqWarning, match="'d1'.*resources.lut is 'abc'"):
        assert store.find() == [rows[0], rows[2]]
    with pytest.warns(HwqWarning, match="'d1'"):
        assert store.get(rows[1].key) is None
    with pytest.warns(HwqWarning, match="'d1'"):
        assert store.export(tmp_path / "t.csv") == 2
    store.put(rows[1])
    assert store.get(rows[1].key) == rows[1]


def test_warnings_of_hwq_are_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    _show_warning(HwqWarning("row \x1b[2J"), HwqWarning, "f.py", 3)
    _show_warning("other", UserWarning, "f.py", 3)
    assert capsys.readouterr().err.splitlines() == ["warning: row \\x1b[2J", "f.py:3: UserWarning: other"]


def bad_table(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    """A table of five rows as exported, then changed."""
    store = Store.open(path.parent / "source.sqlite")
    for n in range(5):
        store.put(measurement(n, adder_bits=float(n)))
    store.export(path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _break(rows: list[dict[str, str]]) -> None:
    rows[0]["body"] = rows[0]["body"].replace('"lut": 100.0', '"lut": -5')
    rows[1]["lut"] = "99"  # the column that people look at
    rows[2]["board"] = "x\x1b[2J"
    rows[4]["feature_adder_bits"] = "many"


def test_bad_rows_of_a_table_are_refused_one_by_one(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    bad_table(table, _break)
    done = invoked("store", "import", table, "--store", tmp_path / "s.sqlite", "--json")
    assert done.exit_code == StoreError.exit_code
    found = json.loads(done.stdout)
    assert (found["new"], found["known"]) == (1, 0)
    assert [(r["row"], r["field"], r["value"]) for r in found["refused"]] == [
        (2, "resources.lut", "-5"),
        (3, "column lut", "'99'"),
        (4, "board", "'x\\x1b[2J'"),
        (6, "column feature_adder_bits", "'many'"),
    ]
    assert found["refused"][0]["expected"] == "a number from 0 to 1e+09, or null"
    assert Store.open(tmp_path / "s.sqlite").find() == [measurement(3, adder_bits=3.0)]
    assert "4 rows of" in done.stderr and "row 3: column lut is '99'; expected what the body says, 100.0" in done.stderr


def test_many_refused_rows_are_told_in_part(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"

    def all_bad(rows: list[dict[str, str]]) -> None:
        rows[:] = [{**rows[0], "design": ""}] * 23

    bad_table(table, all_bad)
    done = invoked("store", "import", table, "--store", tmp_path / "s.sqlite")
    assert done.exit_code == 10 and done.stdout == "took 0 measurements; 0 were there already\n"
    assert done.stderr.count("refused: row") == 20 and "refused: 3 more rows" in done.stderr


def test_a_sound_table_is_taken_with_exit_code_0(tmp_path: Path) -> None:
    table, store = tmp_path / "t.csv", tmp_path / "s.sqlite"
    bad_table(table, lambda _rows: None)
    good("store", "import", table, "--store", store)
    shown = good("store", "info", "--store", store).splitlines()
    assert shown == [f"{store}: 5 measurements", "      5 yosys 0.70, synth on xcvu9p"]
    told = json.loads(good("store", "info", "--store", store, "--json"))
    assert told["rows"] == [{"tool": "yosys", "version": "0.70", "stage": "synth", "board": "xcvu9p", "measurements": 5}]


def test_lines_that_are_no_rows(tmp_path: Path) -> None:
    """Too short, too long, with a byte that is no UTF-8, and with a cell of megabytes: each by itself."""
    table = tmp_path / "t.csv"
    bad_table(table, lambda _rows: None)
    good = table.read_bytes()
    last = good.splitlines()[-1]
    longest = last.rsplit(b',"{', 1)[0] + b"," + b"x" * (3 * LONGEST_BODY)
    table.write_bytes(good + b"short,row\n" + last + b",more\n" + last.replace(b"yosys", b"yo\xff", 1) + b"\n" + longest + b"\n")
    found = Store.open(tmp_path / "s.sqlite").load(table)
    assert (found.new, [(r.row, r.field) for r in found.refused]) == (5, [(7, "scope"), (8, "row"), (9, "tool"), (10, "body")])


def test_a_parquet_file_of_other_types(tmp_path: Path) -> None:
    import pandas as pd

    m = measurement(1)
    sound: dict[str, object] = {**asdict(m.key), "body": m.body(), "lut": 100.0, "met": None}
    pd.DataFrame([sound, {**sound, "design": "d2", "lut": 5.0}]).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame([{**sound, "version": 7}]).to_parquet(tmp_path / "b.parquet")
    store = Store.open(tmp_path / "s.sqlite")
    found = store.load(tmp_path / "a.parquet")
    assert (found.new, found.refused[0].field) == (1, "column lut")
    assert store.load(tmp_path / "a.parquet") == Loaded(0, 1, found.refused)
    assert store.load(tmp_path / "b.parquet").refused[0].field == "version"


def test_a_table_that_an_earlier_version_wrote_comes_in(tmp_path: Path) -> None:
    """hwq 0.1.0 wrote with pandas: whole numbers as 3.0 beside missing ones."""
    rows = [measurement(1, a=2.0), replace(measurement(2), latency=Latency(), timing=Timing(5.0, 0.1, 204.0, True), power_w=1.5)]
    store = Store.open(tmp_path / "s.sqlite")
    for m in rows:
        store.put(m)
    store.to_frame().to_csv(tmp_path / "t.csv", index=False)
    store.to_frame().to_parquet(tmp_path / "t.parquet", index=False)
    for name in ("t.csv", "t.parquet"):
        other = Store.open(tmp_path / f"{name}.sqlite")
        assert other.load(tmp_path / name) == Loaded(2, 0) and other.find() == rows


def test_long_values_are_shown_in_part() -> None:
    assert FieldError("host", "x" * 78, "y").value == repr("x" * 78)
    assert FieldError("host", "x" * 79, "y").value == repr("x" * 79)[:60] + "... (79 characters)"
    assert FieldError("host", "x" * 5000, "y").value.endswith("... (5000 characters)")
    assert FieldError("host", list(range(100)), "y").value.endswith(f"... ({len(repr(list(range(100))))} characters)")


@pytest.mark.parametrize(
    ("cells", "trimmed"), [({"lut": 3, "carry": 3, "inverters": 3}, False), ({"lut": 3}, True), ({"lut": 8, "inverters": 0}, True)]
)
def test_a_small_design_of_carry_cells_is_not_trimmed(cells: dict[str, float], trimmed: bool) -> None:
    """Three rows of carry cells hold fifteen full adders: a design of hwq calibrate's own experiment."""
    plan = Manifest("d", "p", "zcu104", "top", 5.0, 1, {"adder_bits": 15.0})
    try:
        _refuse_trimmed(Path("stat.json"), Resources(**cells), plan)
    except ReportError:
        assert trimmed
    else:
        assert not trimmed
