"""hwq codesign: budgets as they are read, corrections, digits removed down to a window, and whole searches that resume and refuse."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_line import begun, hwq
from networks import random_network

from hwq import boards
from hwq.conversion.graph_model import GraphModel
from hwq.cost.features import graph_features
from hwq.data import load
from hwq.design.budget import Budget
from hwq.design.target import Target
from hwq.errors import BudgetError, RunError, ToolError, UsageError
from hwq.files import read_json
from hwq.flow.codesign import rounds as rounds_module
from hwq.flow.codesign import search as flow
from hwq.flow.codesign.fit_to_budget import Correction, choose_starts, land
from hwq.flow.codesign.rounds import Round, Trial
from hwq.flow.codesign.search import CodesignOptions, best_of, codesign
from hwq.measure.store import Store
from hwq.reports.types import Latency, Resources, Timing
from hwq.run.directory import RunDir
from hwq.run.record import Link
from hwq.train import approach
from hwq.train.checkpoint import read_archive
from hwq.train.config import TrainConfig
from hwq.units import Period

CONFIG = TrainConfig(
    model="mlp:8", epochs=30, float_epochs=20, population=2, random_rows=50, max_points=3, beta_start=1e-4, beta_end=4e-3
)


def test_budgets_are_read() -> None:
    assert Budget.parse("lut=6000, dsp=0,latency=8,bram=1").limits == {"lut": 6000, "dsp": 0, "latency": 8, "bram36": 1}
    for bad, why in (
        ("dsp=0", "LUTs above 0"),
        ("lut=0", "LUTs above 0"),
        ("lut=many", "is not like"),
        ("lut=nan", "LUTs above 0"),
        ("lut=5,luts=3", "no budget of 'luts'"),
        ("lut=5,lut=6", "two budgets"),
        ("lut=5,ff=-1", "0 or more"),
    ):
        with pytest.raises(UsageError, match=why):
            Budget.parse(bad)


def test_what_is_missed() -> None:
    budget = Budget.parse("lut=100,fmax=50")
    assert budget.missed({"lut": 100.0, "fmax": 50.0}) == []
    assert [m.split()[0] for m in budget.missed({"lut": 101.0, "fmax": 49.0})] == ["lut", "fmax"]
    with pytest.raises(UsageError, match="reports no fmax"):
        budget.missed({"lut": 1.0, "fmax": None})


def test_corrections_follow_the_nearest_design() -> None:
    assert Correction().corrected(500.0) == 500.0
    one = Correction(((1000.0, 1100.0),))
    assert one.ratio(1000.0) == pytest.approx(1.1) and one.ratio(1e9) == pytest.approx(1.1)
    two = Correction(((1000.0, 1100.0), (2000.0, 1900.0)))
    assert two.ratio(1000.0) == pytest.approx(1.1, rel=0.005) and two.ratio(2000.0) == pytest.approx(0.95, rel=0.005)
    assert 0.95 < two.ratio(math.sqrt(2e6)) < 1.1


def test_training_goes_on_from_the_nearest_above() -> None:
    assert choose_starts([300.0, 100.0, 200.0], [150.0, 50.0, 250.0, 400.0]) == [2, 1, 0, 0]


@pytest.mark.parametrize("share", [0.9, 0.55])
def test_digits_are_removed_down_to_a_window(share: float) -> None:
    graph = random_network(3)
    rng = np.random.default_rng(0)
    x = rng.uniform(-4, 4, (200, 8)).astype(np.float32)
    y = rng.integers(0, graph.output_size, 200)

    def cost(g: Any) -> float:
        return graph_features(g)["digits"]

    top = share * cost(graph)
    window = (top - 1, top)
    found = land(
        graph,
        x,
        derivatives=lambda g, rows: GraphModel.of(g).derivatives(x[rows], y[rows]),
        cost=cost,
        window=window,
        seed=0,
    )
    assert found is not None and window[0] <= found[1] <= window[1] and cost(found[0]) == found[1]
    same = land(graph, x, derivatives=lambda g, rows: ({}, {}), cost=cost, window=(0, cost(graph)), seed=0)
    assert same is not None and same[0] is graph


def trial(lut: float, accuracy: float, limit: float = 100.0, point: str = "0000") -> Trial:
    measured: dict[str, float | None] = {"lut": lut}
    return Trial(1, point, "net", lut, lut, measured, accuracy, 0.5, () if lut <= limit else ("lut",))


def test_the_most_accurate_design_within_the_budget_is_the_best() -> None:
    kept = trial(98, 0.8)
    assert best_of([trial(101, 0.9), kept, trial(60, 0.7)]) == kept and best_of([trial(101, 0.9)]) is None


@pytest.mark.parametrize(
    ("luts", "accuracies", "enough"),
    [
        ([], [], False),
        ([99], [0.8], False),
        ([99, 99], [0.8, 0.85], True),
        ([90, 90], [0.8, 0.85], False),
        ([90, 90, 101], [0.8, 0.7, 0.9], True),  # two rounds that brought nothing
        ([101, 101, 101], [0.8, 0.8, 0.8], False),
        ([101, 101, 101, 101], [0.8, 0.8, 0.8, 0.8], True),
    ],
)
def test_when_the_rounds_end(luts: list[float], accuracies: list[float], enough: bool) -> None:
    rounds = [Round(i + 1, (trial(lut, acc),)) for i, (lut, acc) in enumerate(zip(luts, accuracies, strict=True))]
    assert flow._enough(rounds, CodesignOptions(Budget.parse("lut=100"))) is enough


def test_a_clock_is_refused_where_no_tool_tells_it(tmp_path: Path) -> None:
    options = CodesignOptions(Budget.parse("lut=400,fmax=100"), tool="yosys")
    with pytest.raises(UsageError, match="fmax cannot be measured"):
        codesign("digits", CONFIG, tmp_path / "out", "xcvu9p", options)
    with pytest.raises(UsageError, match="more than ulx3s-85f has"):
        codesign("digits", CONFIG, tmp_path / "out", "ulx3s-85f", CodesignOptions(Budget.parse("lut=1e6")))
    assert not (tmp_path / "out").exists()
    place = flow._tool(boards.load("xcvu9p"), CodesignOptions(Budget.parse("lut=4,fmax=125"), tool="yosys"))
    assert place.period == Period(8.0)


class Tool:
    """Stands for the synthesis: measures 8 % more than the model predicts, and notes what it was asked."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.asked: list[str] = []
        self.fail_at = fail_at

    def __call__(self, path: Path, target: Target, *, point: str, **_: Any) -> tuple[None, tuple[Any]]:
        if len(self.asked) == self.fail_at:
            raise ToolError("out of licences")
        self.asked.append(point)
        run = RunDir.open(path)
        lut = 1.08 * read_json(run.point_folder(point) / "point.json")["codesign"]["compiled"]
        (run.synth_folder(f"{point}-made")).mkdir(parents=True, exist_ok=True)
        link = Link(target.board.name, target.tool, "yosys", "0", str(target.stage), target.clock.ns)
        run.link(link, point, f"{point}-made")
        found = SimpleNamespace(
            resources=Resources(lut=round(lut), ff=10.0, dsp=0.0), latency=Latency(3, 3, 1), timing=Timing(fmax_mhz=None)
        )
        return None, (SimpleNamespace(measurement=found),)


def search(out: Path, tool: Tool, budget: str = "lut=240,dsp=0", **options: Any) -> flow.CodesignSummary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "synth", tool)
        wanted = CodesignOptions(Budget.parse(budget), tool="yosys", **{"epochs": 20, **options})
        return codesign("wine", CONFIG, out, "xcvu9p", wanted)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, flow.CodesignSummary]:
    out = tmp_path_factory.mktemp("small") / "run"
    return out, search(out, Tool())


def test_a_search_uses_its_budget_and_learns_what_the_tool_makes(small: tuple[Path, flow.CodesignSummary]) -> None:
    out, found = small
    found.check()
    trials = [t for r in found.rounds for t in r.trials]
    assert found.best == best_of(trials) and found.used is not None and 0.95 <= found.used <= 1
    assert 2 <= len(found.rounds) <= 4
    assert abs(trials[0].error) > 0.06 and all(abs(t.error) < 0.01 for t in trials[1:])  # 8 % off until it has been measured
    (point,) = RunDir.open(out).points()
    assert point.id == found.best.point and point.test_accuracy == found.test_accuracy
    assert len(RunDir.open(out / "trials").points()) == len(trials)


def test_a_second_call_does_nothing_again(small: tuple[Path, flow.CodesignSummary], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("done again")

    monkeypatch.setattr(rounds_module, "land", refuse)
    monkeypatch.setattr(approach.Approach, "_train", refuse)
    out, found = small
    assert search(out, Tool(fail_at=0)) == found
    with pytest.raises(RunError, match="another epochs"):
        search(out, Tool(), epochs=21)


def test_a_search_that_broke_off_goes_on(small: tuple[Path, flow.CodesignSummary], tmp_path: Path) -> None:
    """After the tool failed on the first design, and again after the first round."""
    first, found = small[0] / "rounds" / "1", small[1]
    out = tmp_path / "run"
    with pytest.raises(ToolError):
        search(out, Tool(fail_at=0), start=first, rounds=1)
    assert not (out / "codesign.json").exists()
    tool = Tool()
    assert search(out, tool, start=first, rounds=1).rounds == found.rounds[:1]
    with pytest.raises(ToolError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds_module.CodesignSession, "_continued", lambda self, number: self._front())  # without training
        search(out, Tool(fail_at=0), start=first)
    assert len(read_json(out / "codesign.json")["rounds"]) == 1


@pytest.mark.slow
def test_training_on_goes_on_from_its_checkpoint(small: tuple[Path, flow.CodesignSummary], tmp_path: Path) -> None:
    """Broken off in the middle of the population's epochs, it finds the same networks."""
    first = small[0] / "rounds" / "1"
    config = flow._config(RunDir.open(first))
    archive, _ = read_archive(first / "checkpoint")
    starts = [approach.Start(first / "checkpoint" / f"seen-{archive[-1].key}.npz", archive[-1].beta, t) for t in (700.0, 900.0)]
    data = load("wine", seed=config.seed)

    def begin(folder: Path) -> approach.Approach:
        return approach.Approach(
            data, config, first / "checkpoint" / "float.npz", starts, 9, folder, lambda g: graph_features(g)["ebops"]
        )

    whole = begin(tmp_path / "whole").run()

    class StopError(Exception):
        pass

    def stop(p: Any) -> None:
        if p.step == 5:
            raise StopError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
        patch.setattr(approach, "SAVE_SECONDS", 0.0)
        broken = begin(tmp_path / "broken")
        broken.report = stop
        broken.run()
    resumed = begin(tmp_path / "broken").run()
    assert [f.candidate for f in resumed] == [f.candidate for f in whole] and whole
    assert [f.graph.read_text() for f in resumed] == [f.graph.read_text() for f in whole]


def test_what_cannot_be_reached_is_said(small: tuple[Path, flow.CodesignSummary], tmp_path: Path) -> None:
    first = small[0] / "rounds" / "1"
    slow = search(tmp_path / "slow", Tool(), "lut=1000,latency=1", start=first, rounds=1)
    assert slow.best is None
    with pytest.raises(BudgetError, match="latency 3, the budget is 1"):
        slow.check()
    asked = search(tmp_path / "asked", Tool(), start=first, rounds=1, min_accuracy=1.01)
    assert asked.best is not None
    with pytest.raises(BudgetError, match=r"1\.0100 was asked"):
        asked.check()
    with pytest.raises(UsageError, match="reports no bram36"):
        search(tmp_path / "bram", Tool(), "lut=1000,bram=0", start=first, rounds=1)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, store) of a whole search, by the console."""
    folder = tmp_path_factory.mktemp("codesign")
    done = console(folder / "run", folder / "store.sqlite", "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["best"]["measured"]["lut"] <= 420 and 0.95 <= content["used"] <= 1 and len(content["rounds"]) <= 4
    assert "LUT predicted" in done.stderr and "% of the budget" in done.stderr
    return folder / "run", folder / "store.sqlite"


def command(run: Path, store: Path, *more: str) -> list[str]:
    fixed = ["codesign", "digits", "--board", "xcvu9p", "--budget", "lut=240,dsp=0", "--model", "mlp:8", "--epochs", "40"]
    fixed += ["--float-epochs", "20", "--out", str(run), "--store", str(store)]
    return [*fixed, *more]


def console(run: Path, store: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return hwq(*command(run, store, *more), timeout=900)


@pytest.mark.slow
def test_the_best_design_is_left_in_the_run(searched: tuple[Path, Path]) -> None:
    run, store = searched
    (point,) = RunDir.open(run).points()
    record = read_json(run / "codesign.json")
    trials = [Trial(**{**t, "missed": tuple(t["missed"])}) for r in record["rounds"] for t in r["trials"]]
    best = best_of(trials)
    assert best is not None and best.point == point.id and best.val_accuracy == point.val_accuracy
    measured = {m.resources.lut for m in Store.open(store).find()}
    assert {t.lut for t in trials} == measured  # nothing else was synthesised
    shown = hwq("report", run, "--store", store)
    assert shown.returncode == 0 and f"{best.lut:,.0f}" in shown.stdout


@pytest.mark.slow
def test_a_killed_search_goes_on(searched: tuple[Path, Path], tmp_path: Path) -> None:
    """Killed in training, in the continued training, and in synthesis: what comes of it is the same."""
    marks = ("rounds/1/checkpoint/state.npz", "trials/points/0000/graph.hwq", "rounds/2/seen-*", "trials/points/0001/graph.hwq")
    run, store = tmp_path / "run", tmp_path / "store.sqlite"
    for mark in marks:
        process = begun(*command(run, store), stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and not list(run.glob(mark)):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    done = console(run, store)
    assert done.returncode == 0, done.stderr
    assert (run / "codesign.json").read_bytes() == (searched[0] / "codesign.json").read_bytes()
