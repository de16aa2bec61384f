"""The generated scripts in stubs that keep the state of the real tools: every generation, every stage, any order, twice, from anywhere."""

# ruff: noqa: E501  (a row a fault)

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import make_run, prove
from vendor_tools import install, launcher, require_tcl

from hwq import boards
from hwq.codegen.stream import build_stream
from hwq.design.plans import plan
from hwq.design.target import Target
from hwq.errors import ReportError, ToolError
from hwq.files import read_json
from hwq.fixed import TypeArray
from hwq.flow.synth import synth
from hwq.ir import Constant, Graph, make_node, verify
from hwq.reports import Status, parse
from hwq.toolchains.synthesiser import choose, synthesise

SLOW = pytest.mark.slow


def versions(some: tuple[str, ...], others: tuple[str, ...]) -> list[Any]:
    """`PROGRAM VERSION`s: those at which something changed, and, in the slow sweep, the others."""
    return [pytest.param(*v.split(), id=v) for v in some] + [pytest.param(*v.split(), id=v, marks=SLOW) for v in others]


VIVADO = versions(
    ("2018.3", "2025.2"), ("2020.2", "2022.2", "2019.1", "2019.2", "2020.1", "2021.1", "2021.2", "2023.2", "2024.2", "2025.1")
)
HLS = versions(
    ("vivado_hls 2020.1", "vitis-run 2025.2"),
    (
        "vitis_hls 2021.2",
        "vivado_hls 2018.3",
        "vivado_hls 2019.2",
        "vitis_hls 2020.2",
        "vitis_hls 2022.2",
        "vitis_hls 2024.2",
        "vitis-run 2023.1",
        "vitis-run 2024.2",
    ),
)
CONFIG = versions(("2026.1",), ("2023.1", "2023.2", "2024.2", "2025.1", "2025.2"))
BOARD = "xcvu9p"
STAGES = ("route", "cosim", "csim", "export", "synth", "csynth")  # what builds on others first


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and its proven design folder, with the rows of the bench in it; nothing here may change it."""
    require_tcl()
    run = make_run(tmp_path_factory.mktemp("vendor") / "run", sizes=(4, 3))
    prove(run, BOARD)
    plan(run, Target.of(BOARD, tool="vivado", stage="route"))
    return run


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled benches are kept for all versions."""
    return tmp_path_factory.mktemp("benches")


@pytest.fixture
def run(made: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUB_CACHE", str(programs))
    return Path(shutil.copytree(made, tmp_path / "a run"))  # a blank in the path is nothing unusual


@pytest.fixture
def folder(run: Path) -> Path:
    (found,) = run.glob("synth/*/")
    return found


def as_it_is(folder: Path, kind: str, stage: str) -> None:
    """Run the steps of a plan whose files a test has changed, which `hwq synth` would generate again."""
    told = read_json(folder / "build.json")
    steps = choose(kind, boards.load(told["board"]), stage=stage, period_ns=told["period_ns"])
    synthesise(steps, folder, told["plan"])


def measure(run: Path, kind: str, stage: str, tmp_path: Path) -> list[tuple[str, float | None, float | None]]:
    """Stage, LUT and slack of every measurement on the way."""
    _, (result,) = synth(run, Target.of(BOARD, tool=kind, stage=stage), store_path=tmp_path / "s.sqlite")
    return [(m.key.stage, m.resources.lut, m.timing.slack_ns) for m in result.measurements]


@pytest.mark.parametrize("version", VIVADO)
def test_vivado(version: str, run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, vivado=version)
    found = measure(run, "vivado", "route", tmp_path)
    assert [stage for stage, *_ in found] == ["synth", "place", "route"] and all(lut and slack for _, lut, slack in found)
    assert measure(run, "vivado", "place", tmp_path) == found[:2]
    states = {stage: (parse(folder / f"vivado/{stage}_utilization.rpt")).state for stage in ("synth", "place", "route")}
    assert states == {"synth": "Optimized", "place": "Fully Placed", "route": "Routed"}
    for name in ("synth_utilization_hierarchical", "route_utilization_hierarchical", "route_power"):
        assert parse(folder / f"vivado/{name}.rpt").version == version
    timing = (folder / "vivado/route_timing.rpt").read_text()
    assert "no_clock (0)" in timing and "no_input_delay (0)" in timing and "no_output_delay (0)" in timing


def start(program: Path, *arguments: str | Path) -> str:
    """Everything that the program prints, started from the root folder; a failure is an error."""
    done = subprocess.run([program, *arguments], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", ["2018.3", "2025.2"])
def test_every_script_of_vivado_runs_alone(version: str, folder: Path, tmp_path: Path) -> None:
    vivado = launcher(tmp_path, "vivado", version)
    for stage in ("route", "synth", "place", "route", "synth"):
        start(vivado, "-mode", "batch", "-nojournal", "-log", tmp_path / "x.log", "-source", folder / f"vivado/{stage}.tcl")
    assert parse(folder / "vivado/place_utilization.rpt").state == "Fully Placed"


@pytest.mark.parametrize(("program", "version"), HLS)
def test_every_script_of_hls_runs_alone(program: str, version: str, folder: Path, tmp_path: Path) -> None:
    hls = launcher(tmp_path, program, version)
    lead = ("--mode", "hls", "--tcl") if program == "vitis-run" else ("-f",)
    for stage in (*STAGES, *reversed(STAGES), "run_hls", "cosim", "run_hls"):
        start(hls, *lead, folder / f"hls/{stage}.tcl")
    done = {"csim/report/hwq_top_csim.log", "syn/report/csynth.xml", "sim/report/hwq_top_cosim.rpt"}
    assert all(list(folder.glob(f"hls_prj/*/{name}")) for name in done)


@pytest.mark.parametrize(("program", "version"), HLS)
def test_hls(program: str, version: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, **{program.replace("-", "_"): version})
    found = {stage: measure(run, "vitis", stage, tmp_path) for stage in STAGES}
    assert [s for s, *_ in found["route"]] == ["csynth", "route"] and found["csim"] == []
    assert found["export"] == found["csynth"] == found["cosim"] and found["synth"][-1][0] == "synth"
    assert {stage: measure(run, "vitis", stage, tmp_path) for stage in STAGES} == found


@pytest.mark.parametrize("version", CONFIG)
def test_config_flow(version: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, vpp=version, vitis_run=version)
    found = {stage: measure(run, "v++", stage, tmp_path) for stage in STAGES}
    assert [s for s, *_ in found["route"]] == ["csynth", "route"] and found["csim"] == []
    assert {stage: measure(run, "v++", stage, tmp_path) for stage in STAGES} == found


def test_run_sh_from_another_folder(folder: Path, programs: Path, tmp_path: Path) -> None:
    for program, version in (("vivado", "2020.2"), ("vitis_hls", "2021.2")):
        launcher(tmp_path / "bin", program, version)
    for kind, stage in (("vivado", "place"), ("vitis", "cosim")):
        command = ["bash", str(folder / "run.sh"), kind, stage]
        done = subprocess.run(
            command,
            cwd="/",
            env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "STUB_CACHE": str(programs)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 and "finished" in done.stdout, done.stdout + done.stderr


# What was wrong once, done again: the stubs must say so, or they guard nothing.
Undo = Callable[[Path], None]


def edit(name: str, pattern: str, text: str = "") -> Undo:
    def undo(folder: Path) -> None:
        for path in folder.glob(name):
            changed = re.sub(pattern, text, path.read_text(), flags=re.MULTILINE)
            assert changed != path.read_text(), (path, pattern)
            path.write_text(changed)

    return undo


CD = r"^cd \[file dirname.*\n"
UNDONE: dict[str, tuple[str, str, str, Undo, str]] = {
    "no stage": ("vitis_hls", "2022.2", "hls/run_hls.tcl", edit("hls/run_hls.tcl", r"^if \{!\[info exists stage.*\n"), "no such variable"),
    "folder, hls": ("vitis_hls", "2022.2", "hls/csynth.tcl", edit("hls/run_hls.tcl", CD), "does not exist"),
    "folder, stage": ("vitis_hls", "2022.2", "hls/csynth.tcl", edit("hls/csynth.tcl", r"source .*", "source hls/run_hls.tcl"), "no such file"),
    "folder, vivado": ("vivado", "2022.2", "vivado/synth.tcl", edit("vivado/synth.tcl", CD), "does not exist"),
    "no bench": ("vitis_hls", "2022.2", "hls/cosim.tcl", edit("hls/run_hls.tcl", r"^if .*add_files -tb tb_data \}\n"), "C TB simulation failed"),
    "not synthesised": ("vitis_hls", "2022.2", "hls/cosim.tcl", edit("hls/run_hls.tcl", r"^if \{!\$synthesised.*\n"), "run csynth_design first"),
    "no version": ("vitis_hls", "2021.1", "hls/export.tcl", edit("hls/run_hls.tcl", r" -version 1.0.0"), "is an invalid argument"),
    "new pragma": ("vivado_hls", "2020.1", "hls/csynth.tcl", edit("hls/hwq_top.cpp", r"INTERFACE ap_none", "INTERFACE mode=ap_none"), "mode=ap_none"),
    "c++14": ("vivado_hls", "2020.1", "hls/csynth.tcl", edit("hls/run_hls.tcl", r"c\+\+0x", "c++14"), "c++14"),
    "earlier stage": ("vivado", "2022.2", "vivado/route.tcl", edit("vivado/route.tcl", r"^if .*\} else \{.*", "open_checkpoint vivado/place.dcp"), "does not exist"),
    "overwrite": ("vivado", "2022.2", "vivado/synth.tcl", edit("vivado/synth.tcl", r"(write.*)-force(.*)", r"\1\2\n\1\2"), "-force"),
    "unknown option": ("vivado", "2018.3", "vivado/synth.tcl", edit("vivado/synth.tcl", r"opt_design", "opt_design -retime_all"), "Unknown option"),
    "unknown command": ("vitis_hls", "2022.2", "hls/csynth.tcl", edit("hls/run_hls.tcl", r"open_project -reset", "open_component -reset"), "invalid command"),
    "no exit": ("vitis_hls", "2022.2", "hls/csynth.tcl", edit("hls/run_hls.tcl", r"^exit\n"), "waits for commands"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDONE)
def test_the_stubs_see_what_was_wrong(name: str, folder: Path, tmp_path: Path) -> None:
    program, version, script, undo, words = UNDONE[name]
    tool = launcher(tmp_path, program, version)
    lead = ("-mode", "batch", "-source") if program == "vivado" else ("-f",)
    undo(folder)
    done = subprocess.run([tool, *lead, folder / script], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and words in done.stdout + done.stderr


@pytest.mark.parametrize("undone", [False, True])
def test_a_later_stage_adds_what_the_earlier_left_out(undone: bool, folder: Path, tmp_path: Path) -> None:
    tool = launcher(tmp_path, "vitis_hls", "2022.2")
    (folder / "tb_data").rename(tmp_path / "tb_data")
    start(tool, "-f", folder / "hls/csynth.tcl")
    (tmp_path / "tb_data").rename(folder / "tb_data")
    if undone:
        edit("hls/run_hls.tcl", r"^(set_top(?:.|\n)*?add_files -tb tb_data \}\n)", r"if {$fresh} {\n\1}\n")(folder)
    done = subprocess.run([tool, "-f", folder / "hls/cosim.tcl"], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) == undone and ("C TB simulation failed" in done.stdout) == undone


CONFIG_UNDONE = {
    "flow_target": ("2026.1", edit("hls_config.cfg", r"^clock=", "flow_target=vivado\nclock="), "-c", "hls_config.cfg", "flow_target"),
    "another folder": ("2025.2", edit("hls_config.cfg", r"^syn.file=", "syn.file=../"), "-c", "hls_config.cfg", "does not exist"),
    "a folder of rows": ("2025.2", edit("hls_sim_config.cfg", r"^tb.file=tb_data/inputs.dat", "tb.file=tb_data"), "--csim", "hls_sim_config.cfg", "tb_data"),
    "no rows": ("2024.2", edit("hls_sim_config.cfg", r"^tb.file=tb_data.*\n"), "--csim", "hls_sim_config.cfg", "nonzero return value"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIG_UNDONE)
def test_the_config_flow_sees_what_was_wrong(name: str, folder: Path, tmp_path: Path) -> None:
    version, undo, action, config, words = CONFIG_UNDONE[name]
    undo(folder)
    tool = launcher(tmp_path, "v++" if action == "-c" else "vitis-run", version)
    arguments = ("--mode", "hls", action, "--config", config, "--work_dir", "hls_work")
    done = subprocess.run([tool, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and words in done.stdout


def test_what_the_tool_says_is_named(run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same faults through hwq: a status and a remedy, not only an exit code."""
    install(monkeypatch, tmp_path, vitis_hls="2021.1")
    edit("hls/run_hls.tcl", r" -version 1.0.0")(folder)
    with pytest.raises(ToolError, match="date overflow") as caught:
        as_it_is(folder, "vitis", "export")
    assert "76960" in (caught.value.hint or "")
    expected = folder / "tb_data/expected.dat"
    expected.write_text(expected.read_text().replace("0", "1"))
    with pytest.raises(ToolError, match="test bench failed"):
        as_it_is(folder, "vitis", "csim")


def test_a_design_too_large_is_named(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", sizes=(4, 3))
    (design,) = prove(run, "pynq-z2")
    install(monkeypatch, tmp_path, vivado="2023.2")
    verilog = design.folder / "rtl/hwq_top.v"
    wide = "".join(f"    wire [63:0] big{k} = x + x;\n" for k in range(900))
    verilog.write_text(re.sub(r"^endmodule", lambda _: wide + "endmodule", verilog.read_text(), count=1, flags=re.MULTILINE))
    with pytest.raises((ToolError, ReportError), match="over-utilised"):
        as_it_is(design.folder, "vivado", "place")
    assert parse(design.folder / "vivado/place.log").status is Status.OVER_UTILISED


def test_a_stream_goes_the_same_way(tmp_path: Path) -> None:
    """Its ports are timed, and its pragmas are those that every generation takes."""
    require_tcl()
    folder = tmp_path / "plan"
    build_stream(streamed(), boards.load(BOARD)).plan.write(folder)
    start(launcher(tmp_path, "vivado", "2018.3"), "-mode", "batch", "-source", folder / "vivado/synth.tcl")
    report = folder / "vivado/synth_timing.rpt"
    assert parse(report).timing_met and "no_input_delay (0)" in report.read_text() and "no_output_delay (0)" in report.read_text()
    hls = launcher(tmp_path, "vivado_hls", "2020.1")
    start(hls, "-f", folder / "hls/csynth.tcl")
    edit("hls/hwq_top.cpp", "INTERFACE axis", "INTERFACE mode=axis")(folder)
    done = subprocess.run([hls, "-f", folder / "hls/csynth.tcl"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode and "mode=axis" in done.stdout


def streamed() -> Graph:
    kernel = Constant(np.ones((2, 2, 1, 1), np.int64), TypeArray.of(0, np.full((2, 2, 1, 1), 1), 0))
    bias = Constant(np.ones(1, np.int64), TypeArray.of(0, [1], 0))
    attrs = {"kernel": kernel, "bias": bias, "pads": (0, 0, 0, 0), "groups": 1, "strides": (1, 1), "dilation": (1, 1)}
    image = make_node("image", "input", type=TypeArray.of(0, np.full((4, 4, 1), 2), 1))
    conv = make_node("conv", "conv2d", [image], attrs=attrs, source="conv")
    return verify(Graph((image, conv), ("image",), ("conv",)))


def test_ports_without_delays_are_told(folder: Path, tmp_path: Path) -> None:
    edit("vivado/clock.xdc", r"^set_(in|out)put_delay.*\n")(folder)
    start(launcher(tmp_path, "vivado", "2024.2"), "-mode", "batch", "-source", folder / "vivado/synth.tcl")
    reason = parse(folder / "vivado/synth_timing.rpt").reason or ""
    assert "1 input" in reason and "1 output" in reason
