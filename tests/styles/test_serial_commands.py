"""An interval all the way: hwq synth, its store and build.json, hwq sim, hwq report, and a plan that ran elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import good, invoked, refused
from fake_runs import make_run

import hwq
from hwq.cost.find import ModelSource, find_models
from hwq.cost.model import hardware_of
from hwq.cost.predict import price_model
from hwq.design.target import Target
from hwq.errors import RunError, UsageError
from hwq.files import read_json, write_json
from hwq.flow.simulate import prove_points, simulate
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.synthesis.importing import import_plan
from hwq.toolchains.manifest import BUILD, Manifest

EVALUATED = {"keras", "emulator", "csim", "rtl", "netlist"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("serial") / "run", sizes=(5, 4, 3))


@pytest.fixture(scope="module")
def store(run: Path) -> Path:
    """Of the run's point, measured at an interval of 40."""
    path = run.parent / "store.db"
    target = Target.of("xcvu9p", tool="yosys", interval=40)
    (result,) = synth(run, target, store_path=path)[1]
    assert {c.stage_b for c in result.simulation.comparisons} == EVALUATED and not result.simulation.mismatches
    assert synth(run, target, store_path=path)[1][0].reused
    return path


def folder_of(run: Path) -> Path:
    (found,) = (p.parent for p in run.glob("synth/*/build.json") if Manifest.read(p.parent).hardware)
    return found


def test_what_is_stored_names_the_style(run: Path, store: Path) -> None:
    manifest = Manifest.read(folder_of(run), sealed=True)
    assert manifest.hardware is not None and manifest.hardware.startswith("serial:") and 1 < manifest.interval <= 40
    assert not manifest.streamed
    (measured,) = Store.open(store).find(design=manifest.design)
    assert hardware_of(measured.key.options) == manifest.hardware
    assert (measured.latency.max_cycles, measured.latency.interval) == (manifest.latency_cycles, manifest.interval)
    assert measured.features["serial_adders"] > 0


def test_no_model_of_the_parallel_form_answers_for_it(store: Path) -> None:
    board = hwq.Target.of("xcvu9p").board
    own = price_model("xcvu9p", store).key
    assert not hardware_of(own.options)
    assert find_models(board, ModelSource(own.tool, own.version, own.stage, own.options)) is not None
    assert find_models(board, ModelSource(own.tool, own.version, own.stage, "serial:1")) is None


def test_sim_compares_and_refuses_a_proof(run: Path, store: Path) -> None:
    target = Target.of("xcvu9p", interval=40)
    ((_, verdict),) = simulate(run, target, store_path=store)
    assert {c.stage_b for c in verdict.comparisons} == EVALUATED and not verdict.mismatches
    with pytest.raises(UsageError, match="keeps a state"):
        prove_points(run, 10, target)


def test_the_report_believes_it(run: Path, store: Path) -> None:
    done = invoked("report", run, "--store", store, "--json")
    assert done.exit_code == 0, done.output
    assert "again" not in done.stderr


def test_a_plan_that_ran_elsewhere(run: Path, store: Path, tmp_path: Path) -> None:
    shutil.copytree(folder_of(run), tmp_path / "plan")
    found = import_plan(tmp_path / "plan", store_path=tmp_path / "other.db")
    assert len(found.measurements) == 1 and hardware_of(found.measurements[0].key.options)
    told = read_json(tmp_path / "plan" / BUILD)
    for change in ({"interval": 39}, {"hardware": "serial:7"}, {"latency_cycles": 90}):
        write_json(tmp_path / "plan" / BUILD, {**told, **change})
        with pytest.raises(RunError, match="tells"):
            import_plan(tmp_path / "plan", store_path=tmp_path / "other.db")


def test_an_interval_of_a_stream_is_refused(run: Path) -> None:
    error = refused(UsageError, "synth", run, "--board", "xcvu9p", "--io", "stream", "--interval", "4", "--dry-run")
    assert "a pixel a clock" in str(error)


def test_a_dry_run_writes_the_plan(run: Path, tmp_path: Path) -> None:
    good("synth", run, "--board", "ulx3s-85f", "--interval", "40", "--dry-run", "--out", tmp_path)
    (folder,) = tmp_path.iterdir()
    assert ".start(start)" in (folder / "board" / "hwq_top_board.v").read_text()
    assert "`ready` is 1 again" in (folder / "README.md").read_text()
