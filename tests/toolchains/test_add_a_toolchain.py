"""What docs/how-to/add-a-toolchain.md says, done: a file and a line in the registry take a new tool from `hwq synth` to the store."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import toy
from command_line import good, invoked, refused
from fake_runs import make_run, prove

from hwq import boards, places
from hwq.errors import BoardError, ReportError, UsageError
from hwq.measure.store import Store
from hwq.toolchains import registry
from hwq.toolchains.synthesiser import choose

BOARD = "zcu104"
COUNTER = """#!{python}
import json, pathlib, sys
if sys.argv[1] == "--version":
    sys.exit(print("toy 1.5"))
script, report = sys.argv[1:]
source = pathlib.Path(pathlib.Path(script).read_text().split()[1])
wires = sum(line.split()[:1] == ["wire"] for line in source.read_text().splitlines())
pathlib.Path(report).write_text(json.dumps({{"top": {top}, "wires": wires}}))
with pathlib.Path({starts!r}).open("a") as stream:
    print(*sys.argv, file=stream)
"""


# where --tool is made when they are loaded: here without the toy, so that this is what comes back when a test is over
LISTED = ("hwq.cli.synth", "hwq.cli.calibrate", "hwq.cli.target")
for module in LISTED:
    importlib.import_module(module)


def program(folder: Path, top: str = "source.stem") -> Path:
    """The tool: it reads the plan's script and its Verilog, and writes a report."""
    folder.mkdir(exist_ok=True)
    path = folder / "toy"
    path.write_text(COUNTER.format(python=sys.executable, starts=str(folder / "starts"), top=top))
    path.chmod(0o755)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A proven run, where the toy is one of the toolchains and its template one of hwq's."""
    templates = Path(shutil.copytree(places.directory("hls_templates"), tmp_path / "templates"))
    (templates / "toy").mkdir()
    (templates / "toy" / "count.txt.j2").write_text("count rtl/{{ top }}.v\n")
    monkeypatch.setattr("hwq.templates.directory", lambda _: templates)
    monkeypatch.setattr(registry, "TOOLCHAINS", (*registry.TOOLCHAINS, toy.TOOLCHAIN))
    for name in LISTED:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("HWQ_TOY", str(program(tmp_path / "bin")))
    monkeypatch.setenv("HWQ_STORE", str(tmp_path / "s.sqlite"))
    path = make_run(tmp_path / "run")
    prove(path, BOARD)
    return path


def wires(run: Path) -> int:
    (verilog,) = run.glob("synth/*/rtl/hwq_top.v")
    return len(re.findall(r"^\s*wire\b", verilog.read_text(), re.MULTILINE))


def test_from_the_command_line_to_the_store(run: Path, tmp_path: Path) -> None:
    shown = good("synth", run, "--board", BOARD, "--tool", "toy")
    assert shown.startswith(f"tool: toy 1.5 (as asked), stage synth, board {BOARD}\n") and f"{wires(run)} LUT" in shown
    (measurement,) = Store.open(tmp_path / "s.sqlite").find()
    assert (measurement.key.tool, measurement.key.version, measurement.key.stage) == ("toy", "1.5", "synth")
    assert measurement.resources.lut == wires(run) > 8 and measurement.family == boards.load(BOARD).family
    (again,) = json.loads(good("synth", run, "--board", BOARD, "--tool", "toy", "--json"))["results"]
    assert again["reused"] and len((tmp_path / "bin" / "starts").read_text().splitlines()) == 1
    assert "a count of wires" in next(run.glob("synth/*/README.md")).read_text()


def test_on_a_machine_without_hwq(run: Path, tmp_path: Path) -> None:
    good("synth", run, "--board", BOARD, "--tool", "toy", "--dry-run", "--out", tmp_path / "out")
    folder = tmp_path / "out" / "0000"
    done = subprocess.run(
        [folder / "run.sh", "toy", "synth"],
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    good("import", folder, "--run", run)
    (measurement,) = Store.open(tmp_path / "s.sqlite").find()
    assert measurement.resources.lut == wires(run)


def test_its_report_is_not_taken_on_trust(run: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", '"another"')
    error = refused(ReportError, "synth", run, "--board", BOARD, "--tool", "toy")
    assert "its top is another, expected hwq_top" in str(error)
    assert Store.open(tmp_path / "s.sqlite").find() == []


def test_it_is_offered_and_explained(run: Path) -> None:
    (status,) = [s for s in json.loads(invoked("doctor", "--json").stdout) if s["name"] == "toy"]
    assert status["usable"] and status["version"] == "1.5" and status["supported"] == "1.0 - 2.0"
    assert "|bambu|toy]" in good("synth", "--help") and "|bambu|toy]" in good("calibrate", "--help")
    stream = refused(UsageError, "synth", run, "--board", BOARD, "--tool", "toy", "--io", "stream")
    assert "does not go through toy" in str(stream)
    assert choose("auto", boards.load(BOARD), period_ns=5.0).kind != "toy"  # only by its name


def test_a_vendor_of_its_own(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board lists it by its own name; one that lists a name of no toolchain is refused."""
    board = replace(boards.load(BOARD), tools=("other",))
    with pytest.raises(BoardError, match=r"zcu104.toml: tools has 'other', expected one of yosys, "):
        registry.toolchains_for(board)
    own = replace(toy.TOOLCHAIN, listed="other")
    monkeypatch.setattr(registry, "TOOLCHAINS", (*registry.TOOLCHAINS[:-1], own))
    assert registry.toolchains_for(board) == (own,)
