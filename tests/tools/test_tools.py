"""Starting tools: logs, limits, kills; small scripts that fail in every way real tools do, stubs where they succeed."""

from __future__ import annotations

import os
import posixpath
import time
from pathlib import Path

import pytest
from fake_runs import script
from networks import random_network
from vendor_tools import install, require_tcl

from hwq import boards
from hwq.codegen.build import build
from hwq.errors import RunError, ToolError, ToolMissingError, ToolTimeoutError, UsageError
from hwq.toolchains import registry, synthesiser
from hwq.tools import doctor, find
from hwq.tools.process import run
from hwq.tools.yosys import run_script


def test_output_goes_to_the_log_and_the_listener(tmp_path: Path) -> None:
    lines: list[str] = []
    done = run(
        ["bash", "-c", "echo one; echo two >&2; exit 3"], cwd=tmp_path, log=tmp_path / "l" / "x.log", tool="t", on_line=lines.append
    )
    assert done.returncode == 3 and sorted(lines) == ["one", "two"] and done.ended == "exit code 3"
    assert sorted(done.log.read_text().split()) == ["one", "two"] and done.peak_mb > 0


def test_a_screen_that_is_gone_does_not_stop_the_tool(tmp_path: Path) -> None:
    def closed(_: str) -> None:
        raise BrokenPipeError

    done = run(["bash", "-c", "yes | head -n 200000"], cwd=tmp_path, log=tmp_path / "x.log", tool="t", on_line=closed, timeout_s=60)
    assert done.returncode == 0 and len(done.log.read_text()) == 400_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_log_ends_the_tool(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No space left") as caught:
        run(["bash", "-c", "while true; do echo line; done"], cwd=tmp_path, log=Path("/dev/full"), tool="t", timeout_s=60)
    assert "free some space" in (caught.value.hint or "")


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
    chosen = synthesiser.choose("vitis", boards.load("xcvu9p"), period_ns=5.0)
    assert str(chosen.tool) == "vitis_hls 2023.2"
    with pytest.raises(ToolError, match=words) as caught:
        synthesiser.synthesise(chosen, tmp_path, "plan")
    assert hint in (caught.value.hint or "")
    assert not list(tmp_path.glob("steps/*.json"))


def planned(folder: Path) -> Path:
    """A generated design with a row for its bench."""
    build(random_network(1, (3, 2)), boards.load("xcvu9p")).plan.write(folder)
    (folder / "tb_data").mkdir()
    (folder / "tb_data/inputs.dat").write_text("0 0 0\n")
    return folder


def test_hls_that_succeeds_with_a_benign_error_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tcl()
    install(monkeypatch, tmp_path, vitis_hls="2023.2")
    folder = planned(tmp_path / "plan")
    script = folder / "hls/run_hls.tcl"
    script.write_text(script.read_text().replace("foreach step", "config_array_partition -maximum_size 4096\nforeach step"))
    chosen = synthesiser.choose("auto", boards.load("xcvu9p"), period_ns=5.0)
    records = synthesiser.synthesise(chosen, folder, "plan")
    assert chosen.kind == "vitis" and list(records["hls-csynth"].outputs) == ["hls_prj/solution1/syn/report/csynth.xml"]
    assert "ERROR: [HLS 200-642]" in (folder / "hls/csynth.log").read_text()


def test_vitis_run_takes_the_script_its_own_way() -> None:
    tool, by_tcl = find.Tool("vitis-run", ("/x/vitis-run",), "2025.1"), registry.program("hls")
    assert by_tcl.lead(tool) == ("--mode", "hls", "--tcl") and registry.program("vitis-run").lead(tool) == ()
    assert by_tcl.lead(find.Tool("vivado_hls", ("v",), "2019.2")) == ("-f",)


def test_choosing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    for name in ("nextpnr-ecp5", "ecppack"):
        monkeypatch.setenv(find.variable(name), str(script(tmp_path / name, "echo 0.9")))

    def choose(tool: str, board: str, stage: str | None = None) -> synthesiser.Synthesiser:
        return synthesiser.choose(tool, boards.load(board), stage=stage, period_ns=5.0)

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
    found = {s.name: s for s in doctor.examine(registry.programs())}
    assert found["g++"].found and found["tensorflow"].found and not found["vivado"].found and found["python"].usable
    assert all(s.otherwise and s.obtain and s.fallback for s in found.values() if not s.found)
    assert {"make", "hls", "v++", "vitis-run", "bambu"} <= set(found)
    assert "LM_LICENSE_FILE (not set)" in found["vivado"].licence and found["vivado"].supported == "2018.1 - 2025.2"


def test_doctor_judges_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XILINXD_LICENSE_FILE", "2100@server")
    for version, usable, words in (("2017.4", False, "too old"), ("2023.2", True, ""), ("2031.1", True, "newer than 2025.2")):
        path = script(tmp_path / f"vivado{version}", f'echo "Vivado v{version} (64-bit)"')
        monkeypatch.setenv("HWQ_VIVADO", str(path))
        status = next(s for s in doctor.examine(registry.programs()) if s.name == "vivado")
        assert (status.found, status.usable, status.version) == (True, usable, version) and words in status.otherwise
        assert "(set)" in status.licence
    monkeypatch.setenv("HWQ_VIVADO", "/nowhere")
    status = next(s for s in doctor.examine(registry.programs()) if s.name == "vivado")
    assert not status.found and "HWQ_VIVADO" in status.otherwise


@pytest.mark.parametrize(
    ("kind", "stage", "programs", "wanted"),
    [
        ("vitis", "csynth", {"vivado_hls": "2019.2"}, ["-f hls/csynth.tcl"]),
        ("vitis", "csynth", {"vitis_run": "2025.1"}, ["--mode hls --tcl hls/csynth.tcl"]),
        ("v++", "csynth", {"vpp": "2024.2"}, ["-c --mode hls --config hls_config.cfg --work_dir hls_work"]),
        (
            "v++",
            "route",
            {"vpp": "2024.2", "vitis_run": "2024.2"},
            [
                "-c --mode hls --config hls_config.cfg --work_dir hls_work",
                "--mode hls --impl --config hls_impl_config.cfg --work_dir hls_work",
            ],
        ),
    ],
)
def test_each_generation_is_called_its_own_way(
    kind: str, stage: str, programs: dict[str, str], wanted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tcl()
    install(monkeypatch, tmp_path, **programs)
    chosen = synthesiser.choose(kind, boards.load("xcvu9p"), stage=stage, period_ns=5.0)
    synthesiser.synthesise(chosen, planned(tmp_path / "plan"), "plan")
    starts = [line for path in tmp_path.glob("*/starts") for line in path.read_text().splitlines()]
    assert [line for line in starts if not line.endswith("version")] == wanted


def test_bambu_is_called_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    for name, banner in {"bambu": "PandA 2024.10", "yosys": "Yosys 0.70"}.items():
        body = f'case "$1" in -V|-version|--version) echo "{banner}"; exit 0;; esac\necho "$@" >> args\n'
        body += "echo done; echo x > hwq_top.v; echo {} > stat.json; echo x > netlist.v; echo x > array_1.mem; ls >> args; mkdir -p panda-temp"
        monkeypatch.setenv(find.variable(name), str(script(tmp_path / "bin" / name, body)))
    chosen = synthesiser.choose("bambu", boards.load("xcvu9p"), stage="synth", period_ns=5.0)
    records = synthesiser.synthesise(chosen, tmp_path, "plan")
    args = (tmp_path / "bambu" / "args").read_text()
    assert args.startswith(
        "../hls/hwq_top.cpp --top-fname=hwq_top --generate-interface=INFER --compiler=I386_CLANG16 "
        "--device-name=xcu280-2Lfsvh2892-VVD --clock-period=5 -I../hls -O3 -v2\n"
    )
    assert "\n-q synth.ys\n" in args
    assert set(records["bambu-csynth"].outputs) == {"bambu/hwq_top.v", "bambu/csynth.log", "bambu/array_1.mem"}
    assert set(records["bambu-synth"].outputs) == {"bambu/stat.json", "bambu/netlist.v"}
    assert {p.name for p in tmp_path.iterdir()} - {"cache"} == {"bambu", "bin", "steps"}  # nothing beside its own folder


def test_what_a_killed_bambu_left_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its working folder and a table of an earlier run are gone before it starts; a design without tables leaves none."""
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    for name in ("panda-temp/x", "HLS_output/y", "array_7.mem"):
        (tmp_path / "bambu" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bambu" / name).write_text("old")
    body = 'case "$1" in --version) echo "PandA 2024.10"; exit 0;; esac\necho x > hwq_top.v; ls'
    monkeypatch.setenv("HWQ_BAMBU", str(script(tmp_path / "fake_bambu", body)))
    chosen = synthesiser.choose("bambu", boards.load("pynq-z2"), stage="csynth", period_ns=5.0)
    records = synthesiser.synthesise(chosen, tmp_path, "plan")
    assert (tmp_path / "bambu" / "csynth.log").read_text().split() == ["csynth.log", "hwq_top.v"]
    assert set(records["bambu-csynth"].outputs) == {"bambu/hwq_top.v", "bambu/csynth.log"}


@pytest.mark.parametrize(
    ("board", "device"),
    [
        ("pynq-z2", "xc7z020-1clg484-VVD"),
        ("arty-a7-100t", "xc7a100t-1csg324-VVD"),
        ("xcku115", "xcku060-3ffva1156-VVD"),
        ("alveo-u50", "xcu280-2Lfsvh2892-VVD"),
    ],
)
def test_bambu_schedules_for_the_nearest_device(board: str, device: str) -> None:
    step = registry.steps_for("bambu", "csynth", boards.load(board), "hwq_top", 5.0)[0]
    assert f"--device-name={device}" in step.arguments


def test_every_chain_names_steps_and_scripts_that_exist() -> None:
    """For every board, kind and stage: the steps are there, and so is every script that they start."""
    graph = random_network(1, (3, 2))
    for board in boards.load_all():
        files = build(graph, board).plan.files
        for kind in registry.kinds_for(board):
            for stage in registry.stages_for(kind, board):
                for step in registry.steps_for(kind, stage, board, "hwq_top", 5.0):
                    named = [a for a in step.arguments if a.endswith((".ys", ".tcl", ".cfg", ".lpf", ".cpp"))]
                    places = [posixpath.normpath(posixpath.join(step.folder, a)) for a in named]
                    assert all(a in files for a in places), (board.name, step.name, named)
                    assert step.name in files["run.sh"]
