"""The main job end to end on a small network: train, synth, sim, report; resuming, killing, and nothing done twice."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import begun, good, hwq, refused

from hwq.design.target import Target
from hwq.errors import CostModelError, MismatchError
from hwq.flow.report import gather
from hwq.flow.simulate import simulate
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.run.directory import RunDir, write_point

TRAIN = ["train", "wine", "--model", "mlp:4", "--epochs", "40", "--float-epochs", "8", "--max-points", "3"]
TRAIN += ["--beta-start", "2e-4", "--beta-end", "5e-3"]
ROWS = 10_036  # 36 test rows and 10 000 random ones


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("flow") / "run"
    done = hwq(*TRAIN, "--out", str(run), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["points"] >= 3
    return run


@pytest.fixture(scope="module")
def measured(trained: Path) -> tuple[Path, Path]:
    """(run, store) with every point measured."""
    store = trained.parent / "store.sqlite"
    done = hwq("synth", str(trained), "--board", "xcvu9p", "--point", "all", "--store", str(store), "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert "yosys" in content["tool"]["name"] and "synthesising with" in done.stderr
    for result in content["results"]:
        assert result["simulation"]["mismatches"] == 0 and result["simulation"]["samples"] == ROWS
        assert result["measurement"]["resources"]["lut"] > 0 and not result["reused"]
    return trained, store


def test_all_evaluators_agree(measured: tuple[Path, Path]) -> None:
    run, _ = measured
    for path in run.glob("synth/*/sim.json"):
        names = [(c["stage_a"], c["stage_b"], c["samples"], c["mismatches"]) for c in json.loads(path.read_text())["comparisons"]]
        expected = [("reference", other, ROWS, 0) for other in ("keras", "emulator", "csim", "rtl")]
        assert names == [*expected, ("reference", "netlist", ROWS + 2000, 0)]  # and 2 000 random ones


def test_a_second_synth_starts_no_tool(measured: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = measured

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    _, results = synth(run, "xcvu9p", point="all", store_path=store)
    assert len(results) >= 3 and all(r.reused for r in results)


def test_another_clock_is_another_design(measured: tuple[Path, Path]) -> None:
    from hwq.units import Period

    run, store = measured
    before = len(Store.open(store).find())
    _, results = synth(run, Target.of("xcvu9p", clock=Period(2.0)), point=RunDir(run).points()[0].id, store_path=store)
    assert not results[0].reused and len(Store.open(store).find()) == before + 1
    slow = synth(run, "xcvu9p", point="all", store_path=store)[1][0]
    assert results[0].measurement.latency.max_cycles > slow.measurement.latency.max_cycles


def test_report_predicts_without_the_point_itself(measured: tuple[Path, Path]) -> None:
    run, store = measured
    synth(run, "xcvu9p", point="all", store_path=store)
    report = gather(run, store_path=store)
    assert report.chosen is not None and report.chosen.mismatches == 0
    for row in report.rows:
        assert row.lut and row.simulated_accuracy == row.test_accuracy and row.latency_cycles == row.latency_predicted
    shown = good("report", run, "--store", store, "--html", run / "r.html", "--csv", run / "r.csv")
    assert "Pareto front" in shown
    page = (run / "r.html").read_text()
    assert "<svg" in page and "http://" not in page.replace("http://www.w3.org", "") and "{{" not in page
    assert len((run / "r.csv").read_text().splitlines()) == len(report.rows) + 1


def test_sim_names_the_first_difference(measured: tuple[Path, Path], tmp_path: Path) -> None:
    """And what was measured of such a design is void."""
    run, store = tmp_path / "run", tmp_path / "s.sqlite"
    shutil.copytree(measured[0], run)
    shutil.copy(measured[1], store)
    point = RunDir(run).points()[0]
    logits = point.logits().copy()
    logits[17, 2] += 1.0
    write_point(point.folder, point.graph_text(), logits, point.record)
    known = len(Store.open(store).find())
    ((_, verdict),) = simulate(run, point=point.id, store_path=store)
    assert [(c.stage_b, c.mismatches) for c in verdict.comparisons if c.mismatches] == [("keras", 1)]
    assert len(Store.open(store).find()) == known - 1
    first = verdict.comparisons[0].first
    assert first is not None and (first.sample, first.element) == (17, 2) and first.b - first.a >= 1
    with pytest.raises(MismatchError, match="sample 17"):
        synth(run, "xcvu9p", point=point.id, store_path=tmp_path / "new.sqlite")
    assert Store.open(tmp_path / "new.sqlite").find() == []


@pytest.mark.slow  # tests/faults/test_kills.py does it with tools that remember what the real ones answered
def test_killed_synth_keeps_what_was_measured(trained: Path, tmp_path: Path) -> None:
    run, store = tmp_path / "run", tmp_path / "s.sqlite"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("synth"))
    command = ["synth", str(run), "--board", "pynq-z2", "--point", "all", "--jobs", "1", "--store", str(store)]
    process = begun(*command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    first = None
    for line in process.stderr:
        if line.rstrip().endswith(": done"):
            first = line.split()[1].rstrip(":")
        elif first and "synthesising" in line:
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert len(Store.open(store).find()) == 1
    done = hwq(*command)
    assert done.returncode == 0, done.stderr
    again = [line for line in done.stdout.splitlines() if "measured before" in line]
    assert len(again) == 1 and f"point {first}:" in again[0]


def test_killed_training_goes_on(trained: Path, tmp_path: Path) -> None:
    """Interrupted once, then killed outright: the same command ends with the same points."""
    run = tmp_path / "run"
    command = [*TRAIN, "--out", str(run)]
    assert _stopped(command, signal.SIGINT, run / "checkpoint" / "state.npz") == 130
    assert _stopped(command, signal.SIGKILL, run / "checkpoint" / "state.npz") == -9
    done = hwq(*command, timeout=600)
    assert done.returncode == 0, done.stderr
    for path in trained.glob("points/*/graph.hwq"):
        assert (run / path.relative_to(trained)).read_text() == path.read_text()


def _stopped(command: list[str], number: signal.Signals, checkpoint: Path) -> int:
    """The exit code of `command`, sent `number` as soon as it has written `checkpoint`."""

    def written() -> int:
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    before = written()
    process = begun(*command, stderr=subprocess.DEVNULL)
    while written() == before and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(120)


def test_measured_prices_need_measurements(tmp_path: Path) -> None:
    none = ["--costs", "measured", "--board", "vck190", "--store", tmp_path / "none.sqlite"]  # no model comes with hwq for it
    error = refused(CostModelError, *TRAIN, "--out", tmp_path / "a", *none)
    assert "nothing has been measured" in error.message and not (tmp_path / "a").exists()


@pytest.mark.slow  # tests/train/test_pricing.py trains with them in one process
def test_measured_prices_are_paid(measured: tuple[Path, Path], tmp_path: Path) -> None:
    _, store = measured
    done = hwq(*TRAIN, "--out", str(tmp_path / "b"), "--costs", "measured", "--store", str(store))
    assert done.returncode == 0, done.stderr
    assert sum(RunDir(tmp_path / "b").settings().numbers_by_name("prices").values()) > 0
    assert "error on kinds left out" in done.stderr
