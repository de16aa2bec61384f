"""Every member of every record with a value of another kind, sealed anew: an error that names it, or a warning, never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake, make_run, prove, real

from hwq.design.target import Target
from hwq.errors import HwqError, RunError
from hwq.fields import Fields
from hwq.files import read_json, write_json
from hwq.flow.report import gather
from hwq.flow.synth import synth
from hwq.run.directory import RunDir
from hwq.run.record import RunRecord, Scores
from hwq.synthesis.importing import import_plan
from hwq.train.config import TrainConfig

BOARD = "zcu104"
VALUES: tuple[Any, ...] = ([], {"a": "b"}, "many", -1, 10**400)
RECORDS = ("run.json", "points/0000/point.json", "synth/*/build.json", "synth/*/sim.json", "synth/*/steps/*.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """run/ with a measured point and everything that a trained run says, s.sqlite."""
    place = tmp_path_factory.mktemp("types")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWQ_YOSYS", str(fake(place, "yosys", real("yosys"))))
        run = make_run(place / "run")
        found = RunRecord(scores=Scores(0.9, 0.8), uniform8={"ebops": 9.0}, budget_met=True, more={"seconds": 1.0})
        RunDir(run).update(lambda record: replace(record.finished(found), config=TrainConfig(model="mlp:4").to_json()))
        prove(run, BOARD)
        synth(run, Target.of(BOARD, tool="yosys"), store_path=place / "s.sqlite")
        assert gather(run, store_path=place / "s.sqlite").rows[0].lut is not None
        yield place


def changed(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The record with one member, at any depth, replaced or taken out: where, and the record. Of members that are alike only the first."""
    alike = len(content) > 2 and {type(value) for value in content.values()} in ({str}, {float})
    for name, value in list(content.items())[: 1 if alike else None]:
        yield f"{name} gone", {key: one for key, one in content.items() if key != name}
        for other in VALUES:
            yield f"{name} = {other!r}"[:80], {**content, name: other}
        if isinstance(value, dict):
            yield from ((f"{name}.{where}", {**content, name: inner}) for where, inner in changed(value))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ((f"{name}.{where}", {**content, name: [inner, *value[1:]]}) for where, inner in changed(value[0]))


@pytest.mark.parametrize("record", RECORDS)
def test_a_member_of_another_kind_is_an_error_or_a_warning(record: str, place: Path) -> None:
    (path,) = (place / "run").glob(record)
    before = path.read_bytes()
    content = read_json(path)
    if "config" in content:  # the settings have a test of their own
        content["config"] = {"model": "mlp:4"}
    tried, refused = 0, 0
    try:
        for where, other in changed(content):
            write_json(path, other)
            tried += 1
            try:
                gather(place / "run", store_path=place / "s.sqlite")
            except HwqError as error:
                refused += 1
                assert str(error), where
            except Exception as error:
                raise AssertionError(f"{record}: {where}: {type(error).__name__} {error}") from error
    finally:
        path.write_bytes(before)
    assert tried > 20 and (refused or record.startswith("synth"))


@pytest.mark.parametrize("member", ["features", "latency_cycles", "files", "plan", "interval", "period_ns", "point"])
def test_a_plan_with_a_member_of_another_kind_is_refused(member: str, place: Path, tmp_path: Path) -> None:
    (folder,) = (place / "run" / "synth").iterdir()
    away = Path(shutil.copytree(folder, tmp_path / "away"))
    content = read_json(away / "build.json")
    for other in ({"a": "b"}, ["a", 1], 0.25, True):
        write_json(away / "build.json", {**content, member: other})
        with pytest.raises(HwqError):
            import_plan(away, store_path=tmp_path / "s.sqlite")


def test_settings_of_another_kind_are_named() -> None:
    good = json.loads(json.dumps(TrainConfig(method="uniform", widths={"a": ((3, 4), 2), "b": (3, 2)}).to_json()))
    assert TrainConfig.of(Fields(good, "run.json")).to_json() == TrainConfig.of(Fields({**good, "later": 1}, "run.json")).to_json()
    for name in good:
        for other in ([1], {"a": "b"}, float("nan")):
            with pytest.raises(RunError, match=f"run.json(: {name})? is damaged: {name if other != {'a': 'b'} else ''}"):
                TrainConfig.of(Fields({**good, name: other}, "run.json"))
