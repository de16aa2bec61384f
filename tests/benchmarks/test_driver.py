"""The benchmarks' driver: what it lists, runs, writes and returns; and the example of docs/how-to/add-a-benchmark.md."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.common import datasets
from benchmarks.common.driver import CANNOT, SHORT, Home, main
from benchmarks.common.environments import Library
from benchmarks.common.experiment import BenchmarkError, load, names
from benchmarks.common.processes import ROOT, Usage
from benchmarks.common.row import Bar, Peer, Row, at_least, at_most, markdown_table, text_table
from hwq.toolchains.registry import program

HEAD = """
from __future__ import annotations
import os, signal
from dataclasses import dataclass
from benchmarks.common.experiment import BenchmarkError, Context, Experiment
from benchmarks.common.row import Row, at_least, at_most

@dataclass(frozen=True, slots=True)
class Settings:
    level: float = 3.0
    words: tuple[str, ...] = ("a",)
    many: int | None = None
    loud: bool = False

EXPERIMENT = Experiment("Toys", cpu=("1 s", "1 s"), settings=Settings(), quick=Settings(level=1.0))

@EXPERIMENT.part
def first(context: Context[Settings]):
    '''A level that must be 2 at least.'''
    yield Row("toy", "first", "level", context.settings.level, "m", bar=at_least(2.0))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Folders of a test's own."""
    found = Home(tmp_path / "experiments", tmp_path / "pages")
    found.experiments.mkdir()
    return found


def add(home: Home, text: str, name: str = "toy") -> None:
    (home.experiments / f"{name}.py").write_text(text)


def run(home: Home, tmp_path: Path, *argv: str) -> int:
    return main([*argv, "--work", str(tmp_path / "work")], home)


def results(tmp_path: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "work" / "results" / f"{name}.json").read_text())
    return found


def test_the_list_names_every_experiment_and_part() -> None:
    argv = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--list"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    files = {path.stem for path in (ROOT / "benchmarks" / "experiments").glob("*.py")} - {"__init__"}
    assert len(files) > 10 and set(names()) == files
    for name in files:
        experiment = load(name)
        assert re.search(rf"^{name} +{re.escape(experiment.help)} \(CPU .+; --quick .+\)$", done.stdout, re.M)
        for part in experiment.parts.values():
            assert re.search(rf"^  {name}:{part.name} +{re.escape(part.help)}", done.stdout, re.M)
        assert experiment.chosen((), quick=True), f"{name} has nothing for --quick"
    assert "--set peer_ebops=0.0" in done.stdout


def test_files_and_functions_are_small() -> None:
    """As those of hwq, which tests/test_architecture.py watches."""
    for path in (ROOT / "benchmarks").rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) and path.read_text().count("\n") <= 400, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert len(node.args.args) + len(node.args.kwonlyargs) <= 6, f"{path.name}: {node.name}"


def test_the_example_of_the_page_runs(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "how-to" / "add-a-benchmark.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    add(home, textwrap.dedent(code), "sorting")
    assert run(home, tmp_path, "sorting", "--quick", "--check", "--page") == 0
    found = results(tmp_path, "sorting-quick")
    assert [row["figure"] for row in found["rows"]] == ["CPU time", "numbers"] and found["complete"]
    assert found["rows"][1]["value"] == 2000 and found["rows"][1]["bar"] == {"sign": ">=", "limit": 1000.0}
    assert found["rows"][0]["peer"]["name"] == "shuffled" and found["rows"][0]["command"] == found["rows"][1]["command"]
    assert found["rows"][0]["command"] == "python benchmarks/run.py sorting:rising --quick"
    (written,) = home.pages.iterdir()
    text = written.read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-sorting-quick\.md", written.name)
    assert found["commit"][:12] in text and "    python benchmarks/run.py sorting --quick\n" in text and f"| {2000} |" in text
    assert str(tmp_path) not in text
    assert "sorting  rising  numbers" in capsys.readouterr().out


def test_the_origin_of_figures_is_written(home: Home, tmp_path: Path) -> None:
    add(home, HEAD)
    run(home, tmp_path, "toy")
    found = results(tmp_path, "toy")
    assert found["cpus"] == os.cpu_count() and found["python"].count(".") == 2
    assert found["versions"]["numpy"] == np.__version__
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", found["commit"]) and found["command"] == "python benchmarks/run.py toy"


def test_versions_of_tools_are_those_that_hwq_starts(home: Home, tmp_path: Path) -> None:
    found = program("yosys").locate()
    add(home, HEAD.replace("settings=Settings(),", 'settings=Settings(), tools=("yosys", "no-such-tool"),'))
    assert main(["toy", "--work", str(tmp_path)], home) == 0
    versions = json.loads((tmp_path / "results" / "toy.json").read_text())["versions"]
    assert versions["yosys"] == found.version and "no-such-tool" not in versions


def test_a_short_figure_fails_a_check_only(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(home, HEAD)
    assert run(home, tmp_path, "toy", "--check") == 0
    assert run(home, tmp_path, "toy", "--quick") == 0
    assert run(home, tmp_path, "toy", "--quick", "--check") == SHORT
    assert "toy: first: level: 1 m, the bar is >= 2" in capsys.readouterr().err
    assert not results(tmp_path, "toy-quick")["rows"][0]["met"]


def test_a_part_that_cannot_be_run_stops_no_other(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = "\n@EXPERIMENT.part\ndef absent(context):\n    '''Nothing.'''\n    raise BenchmarkError('put it there')\n"
    add(home, HEAD.replace("\n@EXPERIMENT.part", broken + "\n@EXPERIMENT.part"))
    assert run(home, tmp_path, "toy", "--page") == CANNOT
    found = results(tmp_path, "toy")
    assert not found["complete"] and found["errors"] == ["toy:absent could not be run: put it there"]
    assert len(found["rows"]) == 1 and not home.pages.exists()
    assert "put it there" in capsys.readouterr().err
    assert run(home, tmp_path, "toy:first", "--page") == 0  # in files of its own
    assert results(tmp_path, "toy")["errors"] and results(tmp_path, "toy-first")["complete"]


def test_a_kill_loses_no_row(home: Home, tmp_path: Path) -> None:
    add(home, HEAD + "    os.kill(os.getpid(), signal.SIGKILL)\n")
    code = f"from pathlib import Path\nfrom benchmarks.common.driver import Home, main\nmain(['toy', '--work', {str(tmp_path / 'work')!r}], "
    code += f"Home(Path({str(home.experiments)!r}), Path({str(home.pages)!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9
    found = results(tmp_path, "toy")
    assert [row["value"] for row in found["rows"]] == [3.0] and not found["complete"]


def test_parts_and_summaries_are_chosen(home: Home, tmp_path: Path) -> None:
    more = """
@EXPERIMENT.full_part
def second_one(context):
    '''Another.'''
    yield Row("toy", "second", "level", 5.0, "m")

@EXPERIMENT.summary
def most(rows):
    yield Row("toy", "all", "highest level", max(row.value for row in rows), "m")
"""
    add(home, HEAD + more)
    for argv, stem, values in (
        (["toy"], "toy", [3.0, 5.0, 5.0]),
        (["toy", "--quick"], "toy-quick", [1.0, 1.0]),
        (["toy:second-one"], "toy-second-one", [5.0, 5.0]),
        (["toy:second-one", "toy:first"], "toy-second-one-first", [3.0, 5.0, 5.0]),
    ):
        run(home, tmp_path, *argv)
        assert [row["value"] for row in results(tmp_path, stem)["rows"]] == values


def test_settings_are_texts_of_their_type(home: Home) -> None:
    add(home, HEAD)
    experiment = load("toy", home.experiments)
    given = {"level": "2.5", "words": "x,y", "many": "4", "loud": "true"}
    found = experiment.with_settings(given, quick=False)
    assert (found.level, found.words, found.many, found.loud) == (2.5, ("x", "y"), 4, True)
    assert experiment.with_settings({"many": "4"}, quick=True).level == 1.0
    with pytest.raises(BenchmarkError, match=r"setting level: 'high' is no float"):
        experiment.with_settings({"level": "high"}, quick=False)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["other"], "there is no benchmark 'other'; there are toy"),
        (["toy:third"], "there is no part 'third'; there are first"),
        (["toy", "--set", "height=3"], "there is no setting 'height'; there are level, words, many, loud"),
        (["toy", "--set", "level"], "--set level: give KEY=VALUE"),
    ],
)
def test_what_is_not_there_is_said_before_anything_runs(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    add(home, HEAD)
    assert run(home, tmp_path, *argv) == CANNOT
    assert said in capsys.readouterr().err and not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("text", "said"), [("X = 1\n", "no EXPERIMENT with parts"), (HEAD.replace("'''A l", "f'''A l"), "no docstring")]
)
def test_a_file_that_is_no_experiment_is_an_error(home: Home, text: str, said: str) -> None:
    add(home, text)
    with pytest.raises(BenchmarkError, match=said):
        load("toy", home.experiments)


def test_the_users_measurements_are_out_of_reach(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(home, HEAD.replace("    yield", "    context.say(f\"store {os.environ['HWQ_STORE']}\")\n    yield"))
    before = os.environ["HWQ_STORE"]
    code = run(home, tmp_path, "toy")
    assert code == 0 and os.environ["HWQ_STORE"] == before
    (runs,) = (tmp_path / "work" / "runs").iterdir()
    assert re.fullmatch(r"toy-[0-9a-f]{10}", runs.name)
    assert f"store {runs / 'measurements.sqlite'}\n" in capsys.readouterr().err


def test_rows_are_shown_with_their_bars_and_peers() -> None:
    rows = [
        Row("g", "a", "LUT", 1234.5, "LUT", Peer(0.5, "da4ml", "0.6.0"), at_most(1000)),
        Row("g", "b | c", "accuracy", 0.12345, "", Peer(2, "HGQ"), at_least(0.1)),
        Row("g", "d", "ratio", math.nan, "x", bar=Bar("<", 2)),
        Row("g", "e", "ratio", 1.0, "x", bar=Bar(">", 1.0)),
        Row("g", "f", "seen", 3, "x"),
    ]
    assert [row.met for row in rows] == [False, True, False, False, True]
    shown = [re.split(r"  +", line) for line in text_table(rows).splitlines()]
    assert shown[1] == ["g", "a", "LUT", "1234", "0.5 (da4ml 0.6.0)", "<= 1000", "LUT", "SHORT"]
    assert shown[5] == ["g", "f", "seen", "3", "–", "–", "x"]
    assert "| g | b \\| c | accuracy | 0.123 | 2 (HGQ) | >= 0.1 |  |  |" in markdown_table(rows)
    assert rows[2].record()["value"] is None and json.dumps(rows[1].record(), allow_nan=False)
    assert rows[0].record()["peer"] == {"value": 0.5, "name": "da4ml", "version": "0.6.0"}


def test_memory_of_a_command_is_its_own() -> None:
    held = np.ones(12_000_000)  # 96 MB in this process
    used = Usage.of((sys.executable, "-I", "-S", "-c", "x = bytearray(20_000_000)"), ROOT)
    assert 20 < used.peak_mb < 60 and 0 < used.cpu_s < 2 and held.any()
    with pytest.raises(BenchmarkError, match="what it said"):
        Usage.of((sys.executable, "-c", "raise SystemExit('what it said')"), ROOT)


def test_a_peer_that_cannot_be_installed_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BenchmarkError, match=r"cannot install da4ml==0\.6\.0 .*\n.*PIP_INDEX_URL.*venv-da4ml--0\.6\.0"):
        Library("da4ml", "0.6.0").python()
    assert not list((tmp_path / "benchmarks").iterdir())


def test_data_that_is_absent_says_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens
    monkeypatch.setattr("urllib.request._opener", None)  # Python keeps the first one that was asked for, with its proxies
    with pytest.raises(
        BenchmarkError, match=r"the data set jets is not here: put jets_regen\.npz into the folder that HWQ_DATA names"
    ):
        datasets.spec("jets")
    monkeypatch.setenv("HWQ_DATA", str(tmp_path))
    (tmp_path / "jets_regen.npz").touch()
    assert datasets.spec("jets") == str(tmp_path / "jets_regen.npz") and datasets.spec("digits") == "digits"
