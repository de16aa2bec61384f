"""Records changed by one who knows how to seal them, and what the numbers in them are held against."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run
from test_swapped import BOARD, _agree, made, place, synth_folders, told, tools, yosys  # noqa: F401  (fixtures)

from hwq.design.plans import plan
from hwq.design.point import PointDesign
from hwq.design.target import Target, Work
from hwq.design.verdict import Verdict
from hwq.errors import HwqError, HwqWarning, ReportError, RunError
from hwq.events import Events
from hwq.files import inside, read_json, sha256_of, write_json
from hwq.flow.report import gather
from hwq.flow.synth import SynthResult, synth
from hwq.run.directory import RunDir
from hwq.synthesis.importing import import_plan

RECORD = "steps/yosys-synth.json"


def reseal(path: Path, **values: Any) -> None:
    write_json(path, {**read_json(path), **values})


def outputs(folder: Path, *names: str) -> dict[str, Any]:
    """The outputs that a step's record names, some of them as they are now."""
    return {**dict(read_json(folder / RECORD)["outputs"]), **{name: sha256_of(folder / name) for name in names}}  # type: ignore[arg-type]


def fewer_luts(folder: Path) -> None:
    """stat.json tells a cell less than the netlist has, and adds up."""
    path = folder / "yosys" / "stat.json"
    stat: dict[str, Any] = json.loads(path.read_text())
    for part in (*stat["modules"].values(), stat["design"]):
        kinds = part["num_cells_by_type"]
        kind = max((k for k in kinds if k.startswith("LUT")), key=lambda k: kinds[k])
        kinds[kind] -= 1
        part["num_cells"] -= 1
    path.write_text(json.dumps(stat))


def again(place: Path, store: str = "s.sqlite") -> tuple[SynthResult, list[str]]:  # noqa: F811
    said: list[str] = []
    work = Work(events=Events(point=lambda _, what: said.append(what)))
    (result,) = synth(place / "run", Target.of(BOARD, tool="yosys"), point="0000", store_path=place / store, work=work)[1]
    return result, said


def brought_back(place: Path) -> Path:  # noqa: F811
    """A plan that ran elsewhere."""
    (planned,) = plan(place / "run", BOARD, out=place / "away")
    for name in ("steps", "yosys"):
        shutil.copytree(synth_folders(place)[0] / name, planned.folder / name, dirs_exist_ok=True)
    return planned.folder


def edit_store(place: Path, old: float, new: float) -> None:  # noqa: F811
    with sqlite3.connect(place / "s.sqlite") as base:
        # without a seal, as rows of earlier versions are: tests/measure has those that have one
        base.execute(f"""update measurement set seal = '', body = replace(body, '"lut": {old:g}', '"lut": {new:g}')""")


def test_a_record_cannot_leave_the_netlist_out(place: Path, made: Path) -> None:  # noqa: F811
    folder = synth_folders(place)[0]
    fewer_luts(folder)
    reseal(folder / RECORD, outputs={"yosys/stat.json": sha256_of(folder / "yosys/stat.json")})
    with pytest.raises(RunError, match=r"names no .*netlist\.v.*, which the step makes") as caught:
        again(place, "new.sqlite")
    assert "runs again" in (caught.value.hint or "") and told(place)["0000"]["lut"] is None
    (folder / RECORD).unlink()
    result, _ = again(place, "new.sqlite")
    assert result.measurement is not None and result.measurement.resources.lut == told(made)["0000"]["lut"]


def test_report_record_and_store_together_are_held_against_the_netlist(place: Path, made: Path) -> None:  # noqa: F811
    right, folder = told(made)["0000"]["lut"], synth_folders(place)[0]
    fewer_luts(folder)
    reseal(folder / RECORD, outputs=outputs(folder, "yosys/stat.json"))
    edit_store(place, right, right - 1)
    with pytest.raises(ReportError, match="netlist"):
        again(place)


@pytest.mark.parametrize("gone", [("yosys/stat.json",), ("yosys/stat.json", "yosys/netlist.v", RECORD)], ids=["report", "all"])
def test_a_changed_row_is_held_against_the_reports_it_archived(gone: tuple[str, ...], place: Path, made: Path) -> None:  # noqa: F811
    right = told(made)["0000"]["lut"]
    edit_store(place, right, 3)
    for name in gone:
        (synth_folders(place)[0] / name).unlink()
    assert told(place)["0000"]["lut"] is None
    result, said = again(place)
    assert result.measurement is not None and result.measurement.resources.lut == right and not result.reused
    assert any("that it archived" in line for line in said) and told(place)["0000"]["lut"] == right


def test_a_row_whose_reports_are_gone_is_read_from_the_archive(place: Path, made: Path) -> None:  # noqa: F811
    (synth_folders(place)[0] / "yosys/stat.json").unlink()
    result, said = again(place)
    assert result.reused and told(place)["0000"]["lut"] == told(made)["0000"]["lut"] and not any("alone" in s for s in said)
    with sqlite3.connect(place / "s.sqlite") as base:
        base.execute("delete from provenance")
    with pytest.warns(HwqWarning, match="were changed"):
        result, said = again(place)
    assert result.reused and any("from the store alone" in line for line in said)


def others(stages: tuple[str, ...]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda v: {"comparisons": [c for c in v["comparisons"] if c["stage_b"] not in stages]}


@pytest.mark.parametrize(
    "change",
    [
        others(("emulator", "csim", "rtl")),
        others(("emulator",)),
        lambda v: {"comparisons": []},
        lambda v: {"samples": 10**9, "comparisons": [{**c, "samples": 10**9} for c in v["comparisons"]]},
        lambda v: {"comparisons": [{**c, "samples": 3} if c["stage_b"] == "rtl" else c for c in v["comparisons"]]},
        lambda v: {"accuracy": 0.123},
    ],
    ids=["keras alone", "no emulator", "nothing", "more rows", "fewer rows", "accuracy"],
)
def test_a_proof_that_leaves_something_out_is_made_again(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    place: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = synth_folders(place)[0] / "sim.json"
    before = Verdict.read(path)
    reseal(path, **change(read_json(path)))
    assert told(place)["0000"]["mismatches"] is None
    assert any("leaves out an evaluator" in warning for warning in gather(place / "run", store_path=place / "s.sqlite").warnings)
    monkeypatch.setattr(PointDesign, "_simulate", _agree)
    _, said = again(place)
    assert any("proving again" in line for line in said) and Verdict.read(path).samples == before.samples
    assert told(place)["0000"]["mismatches"] == 0


@pytest.mark.parametrize("accuracy", [-0.1, 1.1, float("nan"), "much"])
def test_an_accuracy_that_cannot_be_is_damage(accuracy: Any, place: Path) -> None:  # noqa: F811
    path = synth_folders(place)[0] / "sim.json"
    reseal(path, accuracy=accuracy)
    with pytest.raises(RunError, match="accuracy"):
        Verdict.read(path)


def test_another_clock_in_build_json_voids_the_proof(place: Path) -> None:  # noqa: F811
    reseal(synth_folders(place)[0] / "build.json", period_ns=1.0)
    assert told(place)["0000"]["mismatches"] is None


def test_the_accuracy_of_a_point_is_that_of_its_answers(place: Path) -> None:  # noqa: F811
    reseal(place / "run/points/0000/point.json", test_accuracy=1.0)
    report = gather(place / "run", store_path=place / "s.sqlite")
    assert [row.point for row in report.rows] == ["0001"] and "its answers classify" in report.warnings[0]


@pytest.mark.parametrize("digests", [None, {}, {"graph.hwq": "0" * 64}])
def test_a_point_says_of_which_files_it_is(digests: Any, place: Path) -> None:  # noqa: F811
    reseal(place / "run/points/0000/point.json", digests=digests)
    with pytest.raises(RunError, match="of which files"):
        RunDir.open(place / "run").points()


def test_a_point_of_another_run_is_left_out(place: Path, tmp_path: Path) -> None:  # noqa: F811
    """Nothing is forged: its folder was copied, from a run on other rows; then its run.json as well."""
    other = make_run(tmp_path / "other", 1, (7, 5, 4))
    shutil.copytree(other / "points/0000", place / "run/points/0002")
    report = gather(place / "run", store_path=place / "s.sqlite")
    assert "0002" not in [row.point for row in report.rows] and any("point 0002 is left out" in w for w in report.warnings)
    shutil.copy(other / "run.json", place / "run/run.json")
    with pytest.raises(RunError):
        gather(place / "run", store_path=place / "s.sqlite")


def test_a_netlist_of_another_plan_is_made_again(place: Path) -> None:  # noqa: F811
    first, second = synth_folders(place)
    for name in ("steps", "yosys"):
        shutil.rmtree(first / name)
        shutil.copytree(second / name, first / name)
    result, _ = again(place, "new.sqlite")
    assert result.measurement is not None and result.simulation.mismatches == 0


def test_a_changed_netlist_is_refused_once_and_made_again(place: Path) -> None:  # noqa: F811
    folder = synth_folders(place)[0]
    netlist = folder / "yosys/netlist.v"
    text = netlist.read_text()
    last = [*re.finditer(r"INIT\((\d+)'h([0-9a-f]+)\)", text)][-1]  # the first ones of this small network decide nothing
    inverse = f"INIT({last[1]}'h{(1 << int(last[1])) - 1 - int(last[2], 16):x})"
    changed = text[: last.start()] + inverse + text[last.end() :]
    netlist.write_text(changed)
    reseal(folder / RECORD, outputs=outputs(folder, "yosys/netlist.v"))
    with pytest.raises(HwqError):
        again(place, "new.sqlite")
    result, _ = again(place, "new.sqlite")
    assert result.measurement is not None and result.simulation.mismatches == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tool": "vivado", "version": "2024.2"}, "names the tool"),
        ({"tool": "nobody's"}, "names the tool"),
        ({"began": time.time() + 1e7}, "a time that cannot be"),
        ({"seconds": 1e9}, "a time that cannot be"),
    ],
)
def test_a_colleagues_record_cannot_tell_what_its_step_is_not(values: dict[str, Any], words: str, place: Path) -> None:  # noqa: F811
    folder = brought_back(place)
    reseal(folder / RECORD, **values)
    with pytest.raises(RunError, match=words):
        import_plan(folder, store_path=place / "new.sqlite")


def test_a_plan_brought_back_is_for_the_board_of_its_run(place: Path) -> None:  # noqa: F811
    folder = brought_back(place)
    reseal(folder / "build.json", board="zcu102")
    found = import_plan(folder, run=place / "run", store_path=place / "new.sqlite")
    last = RunDir.open(place / "run").synthesised()
    assert {m.key.board for m in found.measurements} == {BOARD} and last is not None and last.link.board == BOARD


@pytest.mark.parametrize("name", ["build.json", RECORD])
def test_where_one_record_is_sealed_all_are(name: str, place: Path) -> None:  # noqa: F811
    folder = brought_back(place)
    content = {k: v for k, v in read_json(folder / name).items() if k not in ("sealed", "seal")}
    (folder / name).write_text(json.dumps(content))
    with pytest.raises(RunError, match="seal"):
        import_plan(folder, store_path=place / "new.sqlite")


def test_names_and_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in ("a", "x\0y", "..", "/etc/passwd", ""):
        with pytest.raises(RunError, match="no file inside"):
            inside(tmp_path, name)
