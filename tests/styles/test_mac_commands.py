"""A folded design all the way: the choice, hwq synth and its store, hwq sim, a plan that ran elsewhere, and the notebook's Design."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import good
from fake_runs import make_run
from networks import random_constant, random_network, random_rows

import hwq
from hwq import boards
from hwq.codegen.build import Form
from hwq.cost.model import hardware_of
from hwq.design.target import Target
from hwq.errors import GraphError, RunError, UsageError
from hwq.files import read_json, write_json
from hwq.fixed import TypeArray
from hwq.flow.synth import synth
from hwq.ir import Constant, Graph, make_node, verify
from hwq.measure.store import Store
from hwq.sim.reference import evaluate
from hwq.styles import base, choice
from hwq.styles.choice import build_at
from hwq.styles.mac.style import Mac
from hwq.styles.serial.style import Serial
from hwq.synthesis.importing import import_plan
from hwq.toolchains.manifest import BUILD, Manifest

BOARD = boards.load("xcvu9p")


def wide(inputs: int = 32, outputs: int = 24, bits: int = 6) -> Graph:
    """A dense layer without zeros: lanes are less than adders from some hundred clocks on."""
    rng = np.random.default_rng(1)
    x = make_node("x", "input", type=TypeArray.of(1, np.full(inputs, 6), 3))
    kernel = rng.integers(1, 1 << (bits - 1), (inputs, outputs)) * rng.choice([-1, 1], (inputs, outputs))
    attrs = {
        "kernel": Constant(kernel, TypeArray.of(1, np.full(kernel.shape, bits), 4)),
        "bias": random_constant(rng, (outputs,), 6),
    }
    return verify(Graph((x, make_node("y", "dense", [x], attrs=attrs)), ("x",), ("y",)))


def test_the_least_by_count_is_taken() -> None:
    """Few weights and clocks: parallel or serial; many of both: lanes. Whatever is taken keeps the interval."""
    graph = wide()
    taken, serial = {}, Serial.of(graph, BOARD)
    for interval in (1, 2, 24, 3000):
        made = build_at(graph, BOARD, interval=interval)
        taken[interval] = made.plan.hardware.partition(":")[0]
        assert made.interval <= interval
        if interval == 1:
            continue
        folded = Mac.of(graph, BOARD, interval=interval)
        digit = serial.digit_for(interval)
        counts = {"parallel": serial.parallel_lut(), "mac": folded.lut}
        if digit < serial.word:
            counts["serial"] = serial.lut(digit)
        assert counts[taken[interval]] == min(counts.values())
    assert (taken[1], taken[2], taken[24], taken[3000]) == ("parallel", "parallel", "serial", "mac")


@pytest.mark.parametrize("fold", ["parallel", "serial", "mac"])
def test_what_is_asked_for_is_built(fold: str) -> None:
    graph = random_network(1, (6, 5, 4))
    made = build_at(graph, BOARD, form=Form(fold=fold), interval=40)
    assert made.plan.hardware.partition(":")[0] == fold


def test_what_cannot_be_asked_for() -> None:
    graph = random_network(1, (6, 5, 4))
    for fold in ("serial", "mac"):
        with pytest.raises(UsageError, match=f"the style {fold} takes no row every clock"):
            build_at(graph, BOARD, form=Form(fold=fold))
    x = make_node("x", "input", type=TypeArray.of(1, [4, 4], 0))
    rest = verify(Graph((x, make_node("r", "relu", [x])), ("x",), ("r",)))
    for fold, says in (("serial", "nothing to add up"), ("mac", "nothing to fold")):
        with pytest.raises(GraphError, match=says):
            build_at(rest, BOARD, form=Form(fold=fold), interval=9)
    with pytest.raises(UsageError, match="no way to fold called 'half'"):
        build_at(graph, BOARD, form=Form(fold="half"))
    with pytest.raises(UsageError, match="no way to fold called 'half'"):
        Target.of("xcvu9p", fold="half")
    for form, says in ((Form(style="adders", fold="mac"), "style adders"), (Form(adders="three", fold="mac"), "two operands")):
        with pytest.raises(UsageError, match=says):
            build_at(graph, BOARD, form=form, interval=9)


def test_a_large_network_is_folded_without_writing_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """No adder circuit is made of more products than the limit."""
    monkeypatch.setattr(choice, "MOST_EXPANDED", 700)
    monkeypatch.setattr(base, "lower", lambda *_: pytest.fail("written out"))
    made = build_at(wide(), BOARD, interval=100)
    assert made.plan.hardware.startswith("mac:") and made.interval <= 100


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("mac") / "run", sizes=(5, 4, 3))


@pytest.mark.slow  # test_add_a_style.py and tests/flow/test_style_imports.py do it with other styles
def test_synth_stores_the_style_and_import_checks_it(run: Path, tmp_path: Path) -> None:
    target = Target.of("xcvu9p", tool="yosys", interval=12, fold="mac")
    (result,) = synth(run, target, store_path=tmp_path / "store.db")[1]
    assert {c.stage_b for c in result.simulation.comparisons} == {"keras", "emulator", "csim", "rtl", "netlist"}
    assert not result.simulation.mismatches
    (folder,) = (p.parent for p in run.glob("synth/*/build.json") if Manifest.read(p.parent).hardware)
    manifest = Manifest.read(folder, sealed=True)
    assert (manifest.hardware or "").startswith("mac:") and 1 < manifest.interval <= 12
    (measured,) = Store.open(tmp_path / "store.db").find(design=manifest.design)
    assert hardware_of(measured.key.options) == manifest.hardware and measured.features["mac_lanes"] > 0
    shutil.copytree(folder, tmp_path / "plan")
    assert len(import_plan(tmp_path / "plan", store_path=tmp_path / "other.db").measurements) == 1
    told = read_json(tmp_path / "plan" / BUILD)
    for change in ({"interval": manifest.interval - 1}, {"hardware": "mac:99"}, {"latency_cycles": 90}, {"hardware": "serial:1"}):
        write_json(tmp_path / "plan" / BUILD, {**told, **change})
        with pytest.raises(RunError, match="tells"):
            import_plan(tmp_path / "plan", store_path=tmp_path / "other.db")


def test_a_dry_run_and_its_help(run: Path, tmp_path: Path) -> None:
    good("synth", run, "--board", "pynq-z2", "--interval", "20", "--fold", "mac", "--dry-run", "--out", tmp_path)
    (folder,) = tmp_path.iterdir()
    assert "lanes" in (folder / "rtl" / "hwq_top.v").read_text()
    assert "--fold [auto|parallel|serial|mac]" in good("synth", "--help")


def test_a_design_predicts_and_simulates() -> None:
    graph = random_network(2, (6, 5, 4))
    rows = random_rows(graph, 100)
    design = hwq.compile(graph, "xcvu9p", interval=20, fold="mac")
    x = rows * np.ldexp(1.0, -graph["x"].type.frac.astype(int))
    want = evaluate(graph, rows) * np.ldexp(1.0, -graph[graph.outputs[0]].type.frac.astype(int))
    assert (design.predict(x) == want).all() and (design.csim(x[:20]) == want[:20]).all()
    assert "mac:" in str(design.estimate()) and f"every {design.build.interval} cycles" in design.summary()
