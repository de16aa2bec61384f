"""The commands around tools as a user meets them: stages, dry runs, import, the store, forced designs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import good, invoked, refused
from fake_runs import fake, make_run, prove, real

from hwq.errors import HwqError, UsageError
from hwq.reports.yosys import read_stat

YOSYS = real("yosys")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", YOSYS)))
    monkeypatch.setenv("HWQ_STORE", str(tmp_path / "s.sqlite"))
    path = make_run(tmp_path / "run", 2)
    prove(path, "zcu104")
    return path


def test_synth_says_what_it_expects_and_found(run: Path) -> None:
    done = invoked("synth", run, "--board", "zcu104", "--tool", "yosys", "--point", "all")
    assert done.exit_code == 0 and "expecting" in done.stderr and "LUT ± " in done.stderr
    assert done.stdout.startswith("tool: yosys 0.70 (as asked), stage synth, board zcu104\n")
    luts = [read_stat(path).lut for path in sorted(run.glob("synth/*/yosys/stat.json"))]
    assert all(f"{lut:g} LUT" in done.stdout for lut in luts) and done.stdout.count("0 mismatches in 40 rows") == 2
    again = invoked("synth", run, "--board", "zcu104", "--tool", "yosys", "--json")
    result = json.loads(again.stdout)["results"][0]
    assert (
        result["reused"]
        and result["measurement"]["resources"]["lut"] in luts
        and result["measurements"][0] == result["measurement"]
    )
    assert "expecting" not in again.stderr


def test_dry_run_writes_and_starts_nothing(run: Path, tmp_path: Path) -> None:
    shown = good("synth", run, "--board", "zcu104", "--tool", "vivado", "--stage", "route", "--dry-run", "--out", tmp_path / "out")
    assert "vivado -mode batch" in shown and "./run.sh vivado route; then hwq import" in shown
    assert (tmp_path / "out" / "0000" / "run.sh").is_file() and not (tmp_path / "starts").exists()
    (listed,) = json.loads(good("synth", run, "--board", "zcu104", "--point", "0", "--dry-run", "--json"))
    assert len(listed["digest"]) == 16 and listed["script"] == "./run.sh yosys synth"
    assert invoked("synth", run, "--board", "zcu104", "--out", tmp_path / "x").exit_code != 0
    assert "its stages: synth" in str(
        refused(UsageError, "synth", run, "--board", "zcu104", "--tool", "yosys", "--stage", "route").hint
    )


def test_import_and_store(run: Path, tmp_path: Path) -> None:
    good("synth", run, "--board", "zcu104", "--tool", "yosys")
    (folder,) = (p.parent.parent for p in run.glob("synth/*/steps/yosys-synth.json"))
    other = tmp_path / "other.sqlite"
    shown = good("import", folder, "--run", run, "--store", other)
    assert "yosys-synth finished; 1 measurements stored" in shown
    assert json.loads(good("import", folder, "--store", other, "--json"))["steps"] == ["yosys-synth"]
    assert "1 measurements" in good("store", "info", "--store", other)
    assert json.loads(good("store", "info", "--json"))["rows"][0]["tool"] == "yosys"
    assert "wrote 1 measurements" in good("store", "export", tmp_path / "t.csv")
    third = tmp_path / "third.sqlite"
    assert "took 1 measurements; 0" in good("store", "import", tmp_path / "t.csv", "--store", f"sqlite:///{third}")
    assert json.loads(good("store", "import", tmp_path / "t.csv", "--store", third, "--json"))["known"] == 1
    design = json.loads((folder / "build.json").read_text())["design"]
    written = good("store", "reports", design, "--out", tmp_path / "archive", "--store", other).split()
    assert {Path(p).name for p in written} == {"stat.json", "synth.log"} and all(Path(p).is_file() for p in written)
    assert "no measurement" in refused(HwqError, "store", "reports", "nothing", "--out", tmp_path / "a").message
    assert refused(HwqError, "store", "info", "--store", "mysql://x/y").exit_code == 10


def test_every_command_has_help() -> None:
    for command in (["store"], ["store", "export"], ["store", "import"], ["store", "reports"], ["import"], ["synth"]):
        assert "Usage:" in good(*command, "--help")
