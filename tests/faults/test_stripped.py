"""Records without their seal inside a run that has seals, plans whose build.json says what their files do not, and odd files in a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake, make_run, prove, real

from hwq.design.plans import plan
from hwq.design.target import Target
from hwq.errors import HwqError, RunError
from hwq.files import read_json, write_json
from hwq.flow.refine import refined
from hwq.flow.report import gather
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.run.directory import RunDir, write_point
from hwq.synthesis.importing import import_plan

BOARD = "zcu104"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one measured point in run/, its store, and the finished plan of that point in plan/."""
    place = tmp_path_factory.mktemp("stripped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWQ_YOSYS", str(fake(place, "yosys", real("yosys"))))
        run = make_run(place / "run")
        prove(run, BOARD)
        synth(run, Target.of(BOARD, tool="yosys"), store_path=place / "s.sqlite")
        (planned,) = plan(run, BOARD, out=place / "away")
        (made,) = run.glob("synth/*")
        for name in ("steps", "yosys"):
            shutil.copytree(made / name, planned.folder / name, dirs_exist_ok=True)
        shutil.move(planned.folder, place / "plan")
    return place


def copied(place: Path, tmp_path: Path, name: str) -> Path:
    return Path(shutil.copytree(place / name, tmp_path / name))


def strip(path: Path, **values: Any) -> None:
    """As a person does who removes what is in the way of an edit."""
    write_json(path, {**read_json(path), **values})
    content = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in content.items() if k not in ("sealed", "seal")}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("points/0000/point.json", {"test_accuracy": 0.9}),
        ("points/0000/point.json", {"val_accuracy": 0.9, "digests": {}}),
        ("synth/*/build.json", {"latency_cycles": 1}),
        ("synth/*/sim.json", {"accuracy": 0.9}),
        ("synth/*/steps/yosys-synth.json", {"tool": "vivado"}),
        ("run.json", {"float": {"test_accuracy": 0.9}}),
    ],
)
def test_a_record_without_its_seal_is_not_believed(
    name: str, values: dict[str, Any], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWQ_YOSYS", str(place / "yosys"))
    before = gather(place / "run", store_path=place / "s.sqlite")
    (wanted,) = Store.open(place / "s.sqlite").find()
    run = copied(place, tmp_path, "run")
    (path,) = run.glob(name)
    strip(path, **values)
    try:
        after = gather(run, store_path=place / "s.sqlite")
        assert after.float_accuracy != 0.9
        assert all(
            getattr(after.rows[0], f) in (getattr(before.rows[0], f), None)
            for f in ("test_accuracy", "val_accuracy", "latency_cycles", "lut")
        )
        assert after.rows[0].simulated_accuracy in (before.rows[0].simulated_accuracy, None)
    except RunError as error:
        assert "seal" in error.message
    try:
        synth(run, Target.of(BOARD, tool="yosys"), store_path=tmp_path / "new.sqlite")
    except HwqError:
        assert Store.open(tmp_path / "new.sqlite").find() == []
    else:
        (found,) = Store.open(tmp_path / "new.sqlite").find()
        assert (found.key, found.resources, found.latency, found.features) == (
            wanted.key,
            wanted.resources,
            wanted.latency,
            wanted.features,
        )


def test_a_run_that_an_earlier_hwq_began_goes_on(place: Path, tmp_path: Path) -> None:
    """Its records have no seals; points with seals may be added, and a kill in between loses nothing."""
    run = copied(place, tmp_path, "run")
    for path in (run / "run.json", run / "points" / "0000" / "point.json"):
        content = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("sealed", "seal", "digests")}
        path.write_text(json.dumps(content))
    opened = RunDir.open(run)
    opened.adopt()
    (old,) = opened.points()
    write_point(run / "points" / "0001", old.graph_text(), old.logits(), old.record)
    assert [p.id for p in RunDir.open(run).points()] == ["0000", "0001"]
    assert len(gather(run, store_path=place / "s.sqlite").rows) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"features": {"adders": 1e6}}, "its graph has"),
        ({"interval": 2}, "another interval"),
        ({"latency_cycles": 7}, "its graph takes"),
    ],
)
def test_a_plan_cannot_say_more_than_its_files(values: dict[str, Any], words: str, place: Path, tmp_path: Path) -> None:
    folder = copied(place, tmp_path, "plan")
    assert import_plan(folder, store_path=tmp_path / "s.sqlite").measurements
    told = read_json(folder / "build.json")
    if "features" in values:
        values = {"features": {**told["features"], **values["features"]}}
    write_json(folder / "build.json", {**told, **values})
    with pytest.raises(RunError, match=words):
        import_plan(folder, store_path=tmp_path / "t.sqlite")
    assert Store.open(tmp_path / "t.sqlite").find() == []


@pytest.mark.parametrize("values", [{"began": 1e300}, {"began": float("nan")}, {"outputs": []}, {"returncode": "0"}, {"host": 7}])
def test_a_record_of_odd_types_is_refused(values: dict[str, Any], place: Path, tmp_path: Path) -> None:
    folder = copied(place, tmp_path, "plan")
    record = folder / "steps" / "yosys-synth.json"
    write_json(record, {**read_json(record), **values})
    with pytest.raises(RunError, match="no record of a step"):
        import_plan(folder, store_path=tmp_path / "s.sqlite")


@pytest.mark.parametrize("name", ["steps/yosys-synth.json", "yosys/netlist.v", "rtl/hwq_top.v", "build.json"])
def test_what_is_no_file_is_refused(name: str, place: Path, tmp_path: Path) -> None:
    folder = copied(place, tmp_path, "plan")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(HwqError):
        import_plan(folder, store_path=tmp_path / "s.sqlite")


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_netlist_changed_after_the_run_is_made_again(
    damage: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWQ_YOSYS", str(place / "yosys"))
    run, store = copied(place, tmp_path, "run"), Path(shutil.copy(place / "s.sqlite", tmp_path))
    (netlist,) = run.glob("synth/*/yosys/netlist.v")
    good = netlist.read_text()
    changed = re.sub(r"(INIT\(\d+'h)([0-9a-f])", lambda m: f"{m[1]}{15 - int(m[2], 16):x}", good)
    assert changed != good
    netlist.write_text(good[:2000] if damage == "cut" else changed)
    doubted = gather(run, store_path=store)
    assert doubted.rows[0].mismatches is None and doubted.warnings
    (result,) = synth(run, Target.of(BOARD, tool="yosys"), store_path=store)[1]
    assert netlist.read_text() == good and result.simulation.mismatches == 0 and not result.reused
    assert gather(run, store_path=store).rows[0].mismatches == 0 and len(Store.open(store).find()) == 1


def test_a_generated_file_of_other_bytes_is_made_again(place: Path, tmp_path: Path) -> None:
    run = copied(place, tmp_path, "run")
    (script,) = run.glob("synth/*/yosys/synth.ys")
    good = script.read_bytes()
    script.write_bytes(good + b"\xef\x41")
    plan(run, Target.of(BOARD, tool="yosys"))
    assert script.read_bytes() == good


def test_a_run_named_by_a_dot_has_a_name_for_what_is_refined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert refined(Path()) == tmp_path / "mine-refined" and refined(Path("x/run")) == Path("x/run-refined")
