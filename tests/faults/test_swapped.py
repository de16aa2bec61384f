"""Files of one point in the place of another's, facts of a record changed and sealed anew, a store that tells what no report says."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake, make_run, prove, real

from hwq.design.plans import plan
from hwq.design.point import PointDesign
from hwq.design.target import Target, Work
from hwq.design.trained import Run
from hwq.design.verdict import EVALUATORS, Verdict, judged_inputs
from hwq.errors import HwqError, HwqWarning, RunError
from hwq.events import Events
from hwq.files import read_json, write_json
from hwq.flow.report import gather
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.run.directory import RunDir
from hwq.sim.compare import Comparison
from hwq.synthesis.importing import import_plan

BOARD = "zcu104"
COSTS = ("lut", "ff", "latency_cycles", "simulated_accuracy", "mismatches")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake(tmp_path_factory.mktemp("tools"), "yosys", real("yosys"))


@pytest.fixture(autouse=True)
def yosys(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_YOSYS", str(tools))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> Path:
    """run/ with two measured points of different costs, s.sqlite."""
    place = tmp_path_factory.mktemp("swapped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWQ_YOSYS", str(tools))
        run = make_run(place / "run", 2)
        prove(run, BOARD)
        synth(run, Target.of(BOARD, tool="yosys"), point="all", store_path=place / "s.sqlite")
    assert len({row.lut for row in gather(run, store_path=place / "s.sqlite").rows}) == 2
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "place"))


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def told(place: Path) -> dict[str, dict[str, Any]]:
    rows = gather(place / "run", store_path=place / "s.sqlite").rows
    return {row.point: {name: getattr(row, name) for name in COSTS} for row in rows}


def synth_folders(place: Path) -> list[Path]:
    return [next((place / "run" / "synth").glob(f"{number}-*")) for number in ("0000", "0001")]


def test_swapped_records_of_points_are_left_out(place: Path) -> None:
    swap(*(place / "run" / "points" / number / "point.json" for number in ("0000", "0001")))
    with pytest.raises(RunError, match=r"no point of .* is as it was written"):
        gather(place / "run", store_path=place / "s.sqlite")


def test_one_changed_point_leaves_the_others(place: Path, made: Path) -> None:
    shutil.copy(place / "run/points/0001/point.json", place / "run/points/0000/point.json")
    report = gather(place / "run", store_path=place / "s.sqlite")
    assert (
        [row.point for row in report.rows] == ["0001"] and report.rows[0].chosen and "point 0000 is left out" in report.warnings[0]
    )
    assert told(place)["0001"] == told(made)["0001"]


@pytest.mark.parametrize("verdicts", [True, False])
@pytest.mark.parametrize("what", ["designs", "points"])
def test_swapped_folders_show_no_costs(what: str, verdicts: bool, place: Path) -> None:
    folders = synth_folders(place) if what == "designs" else [place / "run" / "points" / number for number in ("0000", "0001")]
    swap(*folders)
    for path in (place / "run").glob("synth/*/sim.json") if not verdicts else []:
        path.unlink()
    report = gather(place / "run", store_path=place / "s.sqlite")
    assert all(value is None for row in told(place).values() for value in row.values())
    assert all("is of another design" in warning for warning in report.warnings) and len(report.warnings) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("latency_cycles", 9), ("interval", 7), ("features", {"counted": 3.0, "adder_bits": 1.0})]
)
def test_facts_that_are_not_the_designs_are_corrected(
    name: str, value: object, place: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed anew, with a store that knows nothing: what is stored is what the design is."""
    path = synth_folders(place)[0] / "build.json"
    before = read_json(path)
    write_json(path, {**before, name: value})
    # the evaluators themselves are tried elsewhere
    monkeypatch.setattr(PointDesign, "_simulate", _agree)
    said: list[str] = []
    work = Work(events=Events(point=lambda _, what: said.append(what)))
    (result,) = synth(place / "run", Target.of(BOARD, tool="yosys"), point="0000", store_path=place / "new.sqlite", work=work)[1]
    wanted = next(m for m in Store.open(made / "s.sqlite").find() if m.key.design == before["design"])
    assert result.measurement is not None and read_json(path)[name] == before[name]
    assert (result.measurement.latency, result.measurement.features) == (wanted.latency, wanted.features)
    assert any("another" in line for line in said)


def _agree(design: PointDesign, summary: dict[str, Any], _: object) -> Any:
    x, labels = design.run.vectors()
    comparisons = tuple(Comparison("reference", stage, len(x), 0) for stage in EVALUATORS)
    return Verdict(
        comparisons, len(x), design.point.accuracy_by_answers(labels) or 0.0, judged_inputs(summary, design.point, design.run)
    )


@pytest.mark.parametrize("lut", [0, 11])
def test_a_store_that_contradicts_the_reports_is_not_believed(lut: int, place: Path, made: Path) -> None:
    right = told(made)["0000"]["lut"]
    with sqlite3.connect(place / "s.sqlite") as base:
        base.execute(f"""update measurement set seal = '', body = replace(body, '"lut": {right:g}', '"lut": {lut}')""")
    assert told(place)["0000"]["lut"] is None and told(place)["0001"] == told(made)["0001"]
    assert "tell different numbers" in gather(place / "run", store_path=place / "s.sqlite").warnings[0]
    said: list[str] = []
    work = Work(events=Events(point=lambda _, what: said.append(what)))
    (result,) = synth(place / "run", Target.of(BOARD, tool="yosys"), point="0000", store_path=place / "s.sqlite", work=work)[1]
    assert result.measurement is not None and result.measurement.resources.lut == right and told(place) == told(made)
    assert any("corrected" in line for line in said)


def test_a_row_with_another_number_than_its_seal_is_read_again(place: Path, made: Path) -> None:
    right = told(made)["0000"]["lut"]
    with sqlite3.connect(place / "s.sqlite") as base:
        base.execute(f"""update measurement set body = replace(body, '"lut": {right:g}', '"lut": 11')""")
    with pytest.warns(HwqWarning, match="changed after it was stored"):
        assert told(place)["0000"]["lut"] is None
    design = Run(place / "run").design("0000", BOARD)
    with pytest.warns(HwqWarning, match="changed after it was stored"):
        assert design.report(place / "s.sqlite") == []
    with pytest.warns(HwqWarning, match="changed after it was stored"):
        (result,) = synth(place / "run", Target.of(BOARD, tool="yosys"), point="0000", store_path=place / "s.sqlite")[1]
    assert result.measurement is not None and result.measurement.resources.lut == right and told(place) == told(made)


@pytest.mark.parametrize(
    "values",
    [
        {"board": "xcvu13p"},
        {"board": "zcu102"},
        {"design": "deadbeef"},
        {"point": "../../x"},
        {"latency_cycles": 9},
        {"interval": 2},
    ],
)
def test_a_foreign_plan_that_tells_other_facts_is_refused(values: dict[str, Any], place: Path) -> None:
    (planned,) = plan(place / "run", BOARD, out=place / "away")
    for name in ("steps", "yosys"):
        shutil.copytree(synth_folders(place)[0] / name, planned.folder / name, dirs_exist_ok=True)
    assert import_plan(planned.folder, store_path=place / "good.sqlite").measurements
    path = planned.folder / "build.json"
    write_json(path, {**read_json(path), **values})
    with pytest.raises(HwqError):
        import_plan(planned.folder, store_path=place / "new.sqlite")
    assert not (place / "new.sqlite").exists() or Store.open(place / "new.sqlite").find() == []


@pytest.mark.parametrize("values", [{"val_accuracy": float("nan")}, {"test_accuracy": 1.5}, {"ebops": -3}, {"ebops": "many"}])
def test_numbers_that_cannot_be_are_damage(values: dict[str, Any], place: Path) -> None:
    path = place / "run/points/0000/point.json"
    write_json(path, {**read_json(path), **values})
    with pytest.raises(RunError, match="damaged"):
        RunDir.open(place / "run").points()


@pytest.mark.parametrize("link", [["a"], {"board": 3}, {"tool": {}}, {"period_ns": "soon"}, {"folders": []}])
def test_a_link_that_hwq_never_writes_is_damage(link: Any, place: Path) -> None:
    path = place / "run/run.json"
    content = read_json(path)
    write_json(path, {**content, "synth": {**content["synth"], **link} if isinstance(link, dict) else link})
    with pytest.raises(RunError, match="damaged"):
        gather(place / "run", store_path=place / "s.sqlite")
