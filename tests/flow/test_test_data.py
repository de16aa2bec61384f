"""Rows for a vendor's test bench: what was changed in `tb_data/` is written again, and a plan that ran on changed rows is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runs import make_run, prove
from test_plans import Server

from hwq import boards
from hwq.design.plans import plan
from hwq.design.point import PointDesign, code_digest
from hwq.design.target import Target
from hwq.errors import RunError
from hwq.run.directory import RunDir
from hwq.synthesis.importing import import_plan
from hwq.toolchains.manifest import Manifest

BOARD = "xcvu9p"


def edit(path: Path) -> str:
    """Another number in the first row; what was there before."""
    before = path.read_text()
    first, _, rest = before.partition(" ")
    path.write_text(f"{int(first) + 1} {rest}")
    return before


@pytest.mark.parametrize("name", ["inputs.dat", "expected.dat"])
def test_changed_rows_are_written_again(name: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (planned,) = plan(run, BOARD)
    path = planned.folder / "tb_data" / name
    assert set(Manifest.read(planned.folder).test_data or {}) == {"tb_data/inputs.dat", "tb_data/expected.dat"}
    right = edit(path)
    design = PointDesign(RunDir.open(run), RunDir.open(run).points()[0], Target.of(boards.load(BOARD)), code_digest())
    said: list[str] = []
    design.summary(said.append)
    assert path.read_text() == right and said == [f"tb_data/{name} is missing or was changed: written again"]
    path.unlink()
    design.summary(said.append)
    assert path.read_text() == right and len(said) == 2
    design.summary(said.append)
    assert len(said) == 2


def test_rows_beside_a_build_json_that_is_gone_are_written_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (planned,) = plan(run, BOARD)
    right = edit(planned.folder / "tb_data" / "expected.dat")
    (planned.folder / "build.json").unlink()
    prove(run, BOARD)
    assert (planned.folder / "tb_data" / "expected.dat").read_text() == right


def test_a_plan_that_ran_on_changed_rows_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (planned,) = plan(run, Target.of(BOARD, tool="yosys"), out=tmp_path / "away")
    assert Server(tmp_path / "server").run(planned.folder, "yosys", "synth").returncode == 0
    path = planned.folder / "tb_data" / "inputs.dat"
    right = edit(path)
    for where in (None, run):
        with pytest.raises(RunError, match=r"inputs\.dat was changed after hwq wrote it"):
            import_plan(planned.folder, run=where, store_path=tmp_path / "s.sqlite")
    path.write_text(right)
    assert import_plan(planned.folder, run=run, store_path=tmp_path / "s.sqlite").measurements
    path.unlink()  # who brings the reports back may leave the rows there
    assert import_plan(planned.folder, run=run, store_path=tmp_path / "s.sqlite").measurements
