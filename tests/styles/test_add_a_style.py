"""What docs/how-to/add-a-style.md says, done: a folder and a line in the registry take a style from the command line to the store and back."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest
from command_line import good
from fake_runs import make_run
from networks import random_network

from hwq import boards
from hwq.codegen.build import Form
from hwq.cost.model import hardware_of
from hwq.design.target import Target
from hwq.errors import RunError, UsageError
from hwq.files import read_json, write_json
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.styles.choice import build_at
from hwq.styles.registry import STYLES
from hwq.synthesis.importing import import_plan
from hwq.toolchains.manifest import BUILD, Manifest

BOARD = boards.load("xcvu9p")


# where --fold is made when they are loaded: here without the toy, so that this is what comes back when a test is over
FOLDED = ("hwq.cli.common", "hwq.cli.target", "hwq.cli.synth")
for module in FOLDED:
    importlib.import_module(module)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the registry."""
    monkeypatch.setitem(STYLES, "toy", ("toy_style", "nothing at all"))


@pytest.mark.usefixtures("registered")
def test_the_choice_has_it() -> None:
    graph = random_network(1, (6, 5, 4))
    for fold in ("toy", "auto"):
        made = build_at(graph, BOARD, form=Form(fold=fold), interval=7)
        assert (made.plan.hardware, made.interval) == ("toy:7", 7)
    assert build_at(graph, BOARD, form=Form(fold="parallel"), interval=7).plan.hardware == "parallel"
    with pytest.raises(UsageError, match="the style toy takes no row every clock"):
        build_at(graph, BOARD, form=Form(fold="toy"))


@pytest.mark.usefixtures("registered")
def test_from_synth_to_import(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", sizes=(5, 4, 3))
    (result,) = synth(run, Target.of("xcvu9p", tool="yosys", interval=5, fold="toy"), store_path=tmp_path / "store.db")[1]
    assert {c.stage_b for c in result.simulation.comparisons} == {"keras", "emulator", "csim", "rtl", "netlist"}
    assert not result.simulation.mismatches
    folder = next(run.glob("synth/*/build.json")).parent
    manifest = Manifest.read(folder, sealed=True)
    (measured,) = Store.open(tmp_path / "store.db").find(design=manifest.design)
    assert hardware_of(measured.key.options) == manifest.hardware == "toy:5" and measured.features["toy_clocks"] == 5
    shutil.copytree(folder, tmp_path / "plan")
    assert len(import_plan(tmp_path / "plan", store_path=tmp_path / "other.db").measurements) == 1
    told = read_json(tmp_path / "plan" / BUILD)
    for change in ({"interval": 4}, {"hardware": "toy:4"}, {"latency_cycles": 90}, {"hardware": "serial:1"}):
        write_json(tmp_path / "plan" / BUILD, {**told, **change})
        with pytest.raises(RunError, match="tells"):
            import_plan(tmp_path / "plan", store_path=tmp_path / "other.db")


@pytest.mark.usefixtures("registered")
def test_it_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FOLDED:
        monkeypatch.delitem(sys.modules, name)
    shown = " ".join(good("synth", "--help").split())
    assert "--fold [auto|parallel|serial|mac|toy]" in shown and "nothing at all, or neither; auto: the least." in shown


def test_it_is_not_known_elsewhere() -> None:
    """Without the line it is refused by name: nothing but the registry has it."""
    with pytest.raises(UsageError, match="no way to fold called 'toy'") as caught:
        Target.of("xcvu9p", interval=5, fold="toy")
    assert caught.value.hint == "one of: auto, parallel, serial, mac"
