"""Starting tools: logs, limits, kills; fake tools that fail in every way real ones do."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from hwq import boards
from hwq.errors import ToolError, ToolMissingError, ToolTimeoutError, UsageError
from hwq.tools import doctor, find, synthesis
from hwq.tools.process import run
from hwq.tools.runner import lead
from hwq.tools.yosys import run_script


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_output_goes_to_the_log_and_the_listener(tmp_path: Path) -> None:
    lines: list[str] = []
    done = run(
        ["bash", "-c", "echo one; echo two >&2; exit 3"], cwd=tmp_path, log=tmp_path / "l" / "x.log", tool="t", on_line=lines.append
    )
    assert done.returncode == 3 and sorted(lines) == ["one", "two"] and done.ended == "exit code 3"
    assert sorted(done.log.read_text().split()) == ["one", "two"] and done.peak_mb > 0


def test_a_limit_kills_the_whole_group(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ToolTimeoutError, match="limit"):
        run(["bash", "-c", "sleep 100 & echo $! > pid; wait"], cwd=tmp_path, log=tmp_path / "x.log", tool="t", timeout_s=1)
    assert time.monotonic() - began < 30
    child = int((tmp_path / "pid").read_text())
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0]:
            return
        time.sleep(0.1)
    pytest.fail("the tool's child is still running")


def test_a_killed_tool_is_said_to_be_killed(tmp_path: Path) -> None:
    done = run(["bash", "-c", "kill -9 $$"], cwd=tmp_path, log=tmp_path / "x.log", tool="t")
    assert "SIGKILL" in done.ended


def test_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="no_such_tool"):
        run(["no_such_tool"], cwd=tmp_path, log=tmp_path / "x.log", tool="t")


YOSYS = 'if [ "$1" = -V ]; then echo "Yosys 9.9 (fake)"; exit 0; fi\n'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'ERROR: syntax error'; exit 1", "syntax error"),
        ("kill -9 $$", "SIGKILL"),
        ("exit 0", "without writing"),
        ("mkdir -p yosys; : > yosys/stat.json", "without writing"),
    ],
)
def test_yosys_that_fails(body: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(script(tmp_path / "yosys_fake", YOSYS + body)))
    with pytest.raises(ToolError, match=words) as caught:
        run_script("x.ys", cwd=tmp_path, log=tmp_path / "y.log", outputs=["yosys/stat.json"])
    assert caught.value.log is not None and caught.value.hint


def test_a_stale_report_is_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(script(tmp_path / "yosys_fake", YOSYS + "exit 0")))
    old = tmp_path / "stat.json"
    old.write_text("{}")
    os.utime(old, (1e9, 1e9))
    with pytest.raises(ToolError, match="without writing"):
        run_script("x.ys", cwd=tmp_path, log=tmp_path / "y.log", outputs=["stat.json"])


def fake_hls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, name: str = "vitis_hls") -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    start = 'case "$1" in -version|--version) echo "Vitis HLS v2023.2"; exit 0;; esac\n'
    monkeypatch.setenv(find.variable(name), str(script(tmp_path / name, start + body)))


GOOD = "mkdir -p hls_prj/solution1/syn/report; echo '<profile/>' > hls_prj/solution1/syn/report/csynth.xml\n"


@pytest.mark.parametrize(
    ("body", "words", "hint"),
    [
        (GOOD + "echo 'ERROR: [Common 17-345] A valid license was not found'; exit 1", "17-345", "licence"),
        (GOOD + "echo 'ERROR: [HLS 207-3771] use of undeclared'", "207-3771", "see"),
        ("echo 'ERROR: [HLS 200-1023] Part xcvu9p is not installed'; exit 1", "200-1023", "part is not installed"),
        ("exit 0", "left no hls_prj", "see"),
        ("kill -9 $$", "SIGKILL", "see"),
    ],
)
def test_hls_that_fails(body: str, words: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hls(tmp_path, monkeypatch, body)
    chosen = synthesis.choose("vitis", boards.load("xcvu9p"), period_ns=5.0)
    assert str(chosen.tool) == "vitis_hls 2023.2"
    with pytest.raises(ToolError, match=words) as caught:
        synthesis.synthesise(chosen, tmp_path, "plan")
    assert hint in (caught.value.hint or "")
    assert not list(tmp_path.glob("steps/*"))


def test_hls_that_succeeds_with_a_benign_error_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hls(tmp_path, monkeypatch, "echo 'ERROR: [HLS 200-642] -maximum_size'; echo \"$@\" > args; " + GOOD)
    chosen = synthesis.choose("auto", boards.load("xcvu9p"), period_ns=5.0)
    records = synthesis.synthesise(chosen, tmp_path, "plan")
    assert chosen.kind == "vitis" and list(records["hls-csynth"].outputs) == ["hls_prj/solution1/syn/report/csynth.xml"]
    assert (tmp_path / "args").read_text().split() == ["-f", "hls/csynth.tcl"]


def test_vitis_run_takes_the_script_its_own_way() -> None:
    tool = find.Tool("vitis-run", ("/x/vitis-run",), "2025.1")
    assert lead(tool, "hls") == ("--mode", "hls", "--tcl") and lead(tool, "vitis-run") == ()
    assert lead(find.Tool("vivado_hls", ("v",), "2019.2"), "hls") == ("-f",)


def test_choosing(monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(tool: str, board: str, stage: str | None = None) -> synthesis.Synthesiser:
        return synthesis.choose(tool, boards.load(board), stage=stage, period_ns=5.0)

    assert choose("auto", "xcvu9p").kind == "yosys"
    assert choose("auto", "ulx3s-85f").kind == "yosys"
    assert [s.name for s in choose("auto", "ulx3s-85f", "bitstream").steps][-1] == "board-pack"
    with pytest.raises(UsageError, match="vivado does not take"):
        choose("vivado", "ulx3s-85f")
    with pytest.raises(UsageError, match="yosys has no stage route") as caught:
        choose("yosys", "ulx3s-85f", "route")
    assert "nextpnr-ecp5" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="no tool takes"):
        choose("auto", "ulx3s-85f", "csynth")
    with pytest.raises(ToolMissingError, match="vivado is not installed"):
        choose("vivado", "xcvu9p")
    with pytest.raises(ToolMissingError, match="nothing installed takes"):
        choose("auto", "xcvu9p", "route")
    monkeypatch.setenv("HWQ_VIVADO", "/nowhere/vivado")
    with pytest.raises(ToolMissingError, match="HWQ_VIVADO"):
        choose("vivado", "xcvu9p")


def test_doctor_lists_what_is_needed() -> None:
    found = {s.name: s for s in doctor.examine()}
    assert found["g++"].found and found["tensorflow"].found and not found["vivado"].found
    assert all(s.otherwise for s in found.values() if not s.found)
