"""What docs/how-to/add-a-board.md says, done: its example as one file is a board for every command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from command_line import good
from fake_runs import make_run
from networks import random_network

import hwq
from hwq import boards, places
from hwq.errors import BoardError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-board.md"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> boards.Board:
    """The page's example, in a folder of boards of its own beside the others."""
    folder = Path(shutil.copytree(places.directory("boards"), tmp_path / "boards"))
    example = re.search(r"```toml\n(title.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    (folder / "basys3.toml").write_text(example[1])
    real = places.directory
    monkeypatch.setattr("hwq.boards.directory", lambda name: folder if name == "boards" else real(name))
    return boards.load("basys3")


def test_it_is_listed_and_built_for(toy: boards.Board) -> None:
    shown = json.loads(good("boards", "--json"))
    assert "basys3" in [board["name"] for board in shown]
    design = hwq.compile(random_network(1, (6, 5, 4)), "basys3")
    assert design.build.plan.part == toy.part == "xc7a35tcpg236-1" and str(design.period) == "10 ns (100 MHz)"
    scripts = design.build.plan.files
    assert "-family xc7" in scripts["yosys/synth.ys"] and f"set_part {toy.part}" in scripts["hls/run_hls.tcl"]


def test_a_command_takes_it(toy: boards.Board, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", sizes=(5, 4, 3))
    good("synth", run, "--board", "basys3", "--dry-run", "--out", tmp_path / "out")
    told = json.loads(next((tmp_path / "out").rglob("build.json")).read_text())
    assert told["board"] == "basys3"


def test_without_the_file_there_is_none() -> None:
    with pytest.raises(BoardError, match="basys3"):
        boards.load("basys3")
