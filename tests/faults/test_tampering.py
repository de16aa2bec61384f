"""Any one file of a run changed, anywhere in it: nothing that was said of it before is believed, and no number comes out wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from command_line import HWQ
from fake_runs import fake, make_run, prove, real

from hwq.design.point import PointDesign
from hwq.design.target import Target, Work
from hwq.errors import HwqError
from hwq.events import Events
from hwq.flow.report import gather
from hwq.flow.synth import synth
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.views.model import PointRow

BOARD = "zcu104"


class ProvedAgainError(Exception):
    """The old verdict was not believed."""


@dataclass(frozen=True)
class Measured:
    """A run with one measured point, and what was said of it."""

    run: Path
    store: Path
    measurement: Measurement
    row: PointRow


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    place = tmp_path_factory.mktemp("tampering")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWQ_YOSYS", str(fake(place, "yosys", real("yosys"))))
        run, store = make_run(place / "run"), place / "s.sqlite"
        prove(run, BOARD)
        (result,) = synth(run, Target.of(BOARD, tool="yosys"), store_path=store)[1]
        assert result.measurement is not None
        row = gather(run, store_path=store).rows[0]
        assert row.lut and row.mismatches == 0

        def again(*_: object) -> Any:
            raise ProvedAgainError

        patch.setattr(PointDesign, "_simulate", again)
        yield Measured(run, store, result.measurement, row)


def damages(content: bytes, parts: int) -> Iterator[bytes]:
    """The content with a run of bytes changed, in so many places; cut; and with a digit changed as a person does."""
    step = max(1, len(content) // parts)
    for start in range(0, len(content), step):
        end = min(start + 4, len(content))
        yield content[:start] + bytes(b ^ 0x15 for b in content[start:end]) + content[end:]
    yield content[: len(content) // 2]
    for at in [i for i, b in enumerate(content) if 0x30 <= b <= 0x39][:: max(1, len(content) // (parts * 4))]:
        yield content[:at] + bytes([0x30 + (content[at] - 0x30 + 1) % 10]) + content[at + 1 :]


def check(measured: Measured, name: str, content: bytes, tmp_path: Path) -> None:
    run, store = tmp_path / "run", tmp_path / "s.sqlite"
    for path in (run, store):
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    shutil.copytree(measured.run, run)
    (run / name).write_bytes(content)
    try:
        row = gather(run, store_path=measured.store).rows[0]
        # a row says what it said before, or that it does not know
        for field in (
            "test_accuracy",
            "val_accuracy",
            "ebops",
            "lut",
            "ff",
            "dsp",
            "latency_cycles",
            "mismatches",
            "simulated_accuracy",
        ):
            assert getattr(row, field) in (getattr(measured.row, field), None), (name, field)
        assert (row.test_accuracy, row.ebops) == (measured.row.test_accuracy, measured.row.ebops)
    except HwqError:
        pass
    try:
        (result,) = synth(run, Target.of(BOARD, tool="yosys"), store_path=store)[1]
    except (HwqError, ProvedAgainError):
        assert Store.open(store).find() == []
        return
    assert result.measurement is not None and result.simulation.mismatches == 0
    wanted = measured.measurement
    found = replace(result.measurement, when=wanted.when, seconds=wanted.seconds, peak_mb=wanted.peak_mb, log=wanted.log)
    assert found == wanted, name
    assert (run / name).exists()


def names(measured: Measured) -> list[str]:
    files = [p.relative_to(measured.run).as_posix() for p in sorted(measured.run.rglob("*")) if p.is_file()]
    return [n for n in files if not n.endswith((".lock", ".log"))]


def test_a_changed_file_is_not_believed(measured: Measured, tmp_path: Path) -> None:
    for name in names(measured):
        content = (measured.run / name).read_bytes()
        kinds = list(damages(content, 2))
        for changed in [kinds[0], kinds[-1]] if "/hls/" in name or "/vivado/" in name else kinds[::3]:
            check(measured, name, changed, tmp_path)


@pytest.mark.slow
def test_no_change_of_any_file_is_believed(measured: Measured, tmp_path: Path) -> None:
    for name in names(measured):
        for changed in damages((measured.run / name).read_bytes(), 12):
            check(measured, name, changed, tmp_path)


def test_a_missing_file_is_made_again_or_named(measured: Measured, tmp_path: Path) -> None:
    for name in names(measured):
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(measured.run, run)
        (run / name).unlink()
        try:
            (result,) = synth(run, Target.of(BOARD, tool="yosys"), store_path=tmp_path / f"{name.replace('/', '-')}.sqlite")[1]
        except (HwqError, ProvedAgainError):
            assert "/synth/" not in f"/{name}" or name.endswith("sim.json"), name
            continue
        assert result.measurement is not None and result.measurement.resources == measured.measurement.resources
        assert (run / name).is_file(), name


def test_a_changed_design_is_measured_as_it_should_be(measured: Measured, tmp_path: Path) -> None:
    """An output tied to zero, and everything that was made of the file before removed."""
    run = tmp_path / "run"
    shutil.copytree(measured.run, run)
    (rtl,) = run.glob("synth/*/rtl/hwq_top.v")
    folder, text = rtl.parents[1], rtl.read_text()
    rtl.write_text(text.replace("endmodule", "assign y[3:0] = 0;\nendmodule"))
    shutil.rmtree(folder / "steps")
    for name in ("stat.json", "netlist.v"):
        (folder / "yosys" / name).unlink()
    told: list[str] = []
    (result,) = synth(
        run,
        Target.of(BOARD, tool="yosys"),
        store_path=tmp_path / "new.sqlite",
        work=Work(events=Events(point=lambda _, what: told.append(what))),
    )[1]
    assert result.measurement is not None and result.measurement.resources == measured.measurement.resources
    assert rtl.read_text() == text and any("generating again" in line for line in told)


LIES = {
    "LUTs of the netlist changed after mapping": (
        f"'{sys.executable}' - <<'END'\nimport pathlib, re\np = pathlib.Path('yosys/netlist.v')\n"
        "p.write_text(re.sub(r\"(INIT\\(\\d+'h)([0-9a-f])\", lambda m: f'{m[1]}{15 - int(m[2], 16):x}', p.read_text()))\nEND",
        "reference = netlist",
    ),
    "a report of fewer cells than the netlist has": (
        f"'{sys.executable}' - <<'END'\nimport json\nd = json.load(open('yosys/stat.json'))\n"
        "for m in [d['design'], *d['modules'].values()]:\n    m['num_cells_by_type']['LUT2'] -= 1; m['num_cells'] -= 1\n"
        "json.dump(d, open('yosys/stat.json', 'w'))\nEND",
        "the netlist beside it has",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_tool_that_lies_is_not_believed(lie: str, measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body, words = LIES[lie]
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", real("yosys") + body + "\n")))
    run = tmp_path / "run"
    shutil.copytree(measured.run, run)
    shutil.rmtree(next(run.glob("synth/*/steps")))
    for _ in range(2):  # and not at the second try either
        with pytest.raises(HwqError, match=words):
            synth(run, Target.of(BOARD, tool="yosys"), store_path=tmp_path / "s.sqlite")
    assert Store.open(tmp_path / "s.sqlite").find() == []


def test_another_version_behind_the_same_launcher_measures_anew(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = tmp_path / "yosys"
    fake(tmp_path, "yosys", real("yosys"), banner="Yosys ${LAUNCHED:-0.70} (git sha1 abcdef)")
    monkeypatch.setenv("HWQ_YOSYS", str(launcher))
    run, store = tmp_path / "run", tmp_path / "s.sqlite"
    shutil.copytree(measured.run, run)
    versions = []
    for version in ("0.70", "0.99", "0.70+12", ""):
        monkeypatch.setenv("LAUNCHED", version)
        told: list[str] = []
        (result,) = synth(
            run,
            Target.of(BOARD, tool="yosys"),
            store_path=store,
            work=Work(events=Events(point=lambda _, what, told=told: told.append(what))),
        )[1]  # type: ignore[misc]
        assert result.measurement is not None
        versions.append((result.measurement.key.version, result.reused))
        if version == "0.99":
            assert any("says that it is 0.99, yosys/stat.json was written by 0.70" in line for line in told)
    assert versions == [("0.70", False), ("0.99", False), ("0.70+12", False), ("0.70", True)]


def test_the_report_shows_the_measurement_that_its_link_names(measured: Measured, tmp_path: Path) -> None:
    """Beside one that differs only in what else was asked of the tool."""
    store = tmp_path / "s.sqlite"
    shutil.copy(measured.store, store)
    wanted = measured.measurement
    for options in ("after bambu 2024.10", "a"):
        key = replace(wanted.key, options=options)
        Store.open(store).put(replace(wanted, key=key, resources=replace(wanted.resources, lut=77777.0)))
    assert gather(measured.run, store_path=store).rows[0].lut == wanted.resources.lut


def test_a_run_chooses_no_code(measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwq.errors import DataError
    from hwq.flow.refine import refine
    from hwq.run.directory import RunDir

    (tmp_path / "payload.py").write_text(
        "from pathlib import Path\nPath('executed').touch()\ndef f():\n    Path('executed').touch()\n"
    )
    run = tmp_path / "run"
    shutil.copytree(measured.run, run)
    RunDir(run).update(lambda record: replace(record, dataset=replace(record.dataset, name="payload:f", digest="x")))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="does not choose which code runs"):
        refine(run)
    assert not (tmp_path / "executed").exists()


def test_names_cannot_command_the_terminal(measured: Measured, tmp_path: Path) -> None:
    from hwq.run.directory import RunDir

    run = tmp_path / "run"
    shutil.copytree(measured.run, run)
    evil = "\x1b]0;owned\x07\x1b[2J\u202e[red]x"
    RunDir(run).update(lambda record: replace(record, dataset=replace(record.dataset, name=evil), config={"model": evil}))
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*HWQ, "report", str(run), "--store", str(measured.store)]
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    assert done.returncode == 0 and b"\x1b" not in done.stdout and b"\x07" not in done.stdout and b"[red]x" in done.stdout
    done = subprocess.run([*command, "--json"], capture_output=True, env=env, check=False)
    assert json.loads(done.stdout)["dataset"].startswith(evil)
    done = subprocess.run([*command[:4], f"{run}/\x1b[2Jno\udcff"], capture_output=True, env=env, check=False)
    assert done.returncode == 12 and b"\x1b" not in done.stderr
    closed = subprocess.run(["bash", "-c", '"$0" "$@" >&-', *command], capture_output=True, env=env, check=False)
    assert closed.returncode == 1 and b"standard output is closed" in closed.stderr
