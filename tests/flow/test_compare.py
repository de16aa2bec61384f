"""hwq compare: what is finished is never done again, a kill loses nothing, and methods are a table that others add to."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run
from rich.console import Console

from hwq.design.target import Target
from hwq.design.verdict import Verdict
from hwq.errors import BudgetError, RunError, UsageError
from hwq.events import Events
from hwq.flow.compare import methods
from hwq.flow.compare import table as flow
from hwq.flow.compare.methods import METHODS, Case, method_of
from hwq.flow.compare.table import CompareRequest, compare
from hwq.flow.synth import SynthResult
from hwq.measure.measurement import Key, Measurement
from hwq.reports.types import Latency, Resources, Timing
from hwq.run.directory import RunDir
from hwq.views.comparison import render


class KilledError(Exception):
    """Stands for the kill."""


class Counted:
    """Methods, float training and synthesis without a tool or a framework; `done` tells what was asked of them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fail = ""

    def method(self, case: Case) -> list[Path]:
        name = f"{case.folder.name} {case.seed}"
        self.done.append(f"train {name}")
        started = time.process_time()
        while time.process_time() - started < 0.02:  # some CPU time to be counted
            pass
        if self.fail == name:
            raise KilledError
        assert case.float_path.read_text() == f"float {case.seed}" and case.config.float_epochs == 0
        return [make_run(case.folder / "run", points=2)]

    def train_float(self, case: Case) -> Path:
        self.done.append(f"float {case.seed}")
        case.shared.mkdir(parents=True, exist_ok=True)
        case.float_path.write_text(f"float {case.seed}")
        return case.float_path

    def synth(self, run: Path, target: Target, **options: Any) -> tuple[None, list[SynthResult]]:
        self.done.append(f"synth {run.parent.name}")
        options["work"].events.point("0000", "done")
        results = []
        for number, point in enumerate(RunDir.open(run).points()):
            key = Key("d", "p", "design", target.board.name, "yosys", "0.70", "synth")
            lut = 100.0 * (number + 1) * (1 if "other" in run.parts[-2] else 2)
            measured = Measurement(key, "f", Resources(lut=lut, ff=5.0, dsp=0.0), Timing(), Latency(max_cycles=3))
            results.append(SynthResult(point, run, (measured,), Verdict((), 1, 0.5), (), False))
        return None, results


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    one = Counted()
    monkeypatch.setitem(METHODS, "first", one.method)
    monkeypatch.setitem(METHODS, "other", one.method)
    monkeypatch.setattr(flow, "train_float", one.train_float)
    monkeypatch.setattr(flow, "synth", one.synth)
    monkeypatch.setattr(flow, "load_framework", lambda: None)
    return one


def request(out: Path, **changes: Any) -> CompareRequest:
    wanted: dict[str, Any] = {"data": "digits", "methods": ("first", "other:2"), "board": "xcvu9p", "seeds": (0, 1), "out": out}
    return CompareRequest(**{**wanted, **changes})


def test_everything_is_measured_once(counted: Counted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = compare(request(out))
    assert len(found.entries) == 2 * 2 * 2 and counted.done.count("float 0") == 1
    first, other = found.summaries()
    assert first.seeds == other.seeds == 2 and other.ratio is not None and other.ratio.mean == 0.5
    assert first.cpu_s is not None and first.cpu_s.mean >= 0.02
    assert {p.name for p in out.iterdir()} >= {"compare.json", "comparison.json", "comparison.csv", "comparison.svg"}
    counted.done.clear()
    again = compare(request(out))
    assert [d for d in counted.done if not d.startswith("synth")] == []
    assert again.entries == found.entries  # CPU seconds included: they are of the training, not of this call


def test_a_kill_costs_only_what_was_under_way(counted: Counted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    counted.fail = "other-2 0"
    with pytest.raises(KilledError):
        compare(request(out))
    assert json.loads((out / "comparison.json").read_text())["entries"]  # what there was can be looked at
    counted.fail, counted.done = "", []
    found = compare(request(out))
    assert len(found.entries) == 8 and "train first 0" not in counted.done and "float 0" not in counted.done
    assert [d for d in counted.done if d.startswith("train")] == ["train other-2 0", "train first 1", "train other-2 1"]


def test_methods_and_seeds_can_be_added(counted: Counted, tmp_path: Path) -> None:
    compare(request(tmp_path / "out", methods=("first",), seeds=(0,)))
    counted.done.clear()
    compare(request(tmp_path / "out", seeds=(0, 1, 2)))
    assert [d for d in counted.done if d.startswith("train")] == [
        f"train {name}" for name in ("other-2 0", "first 1", "other-2 1", "first 2", "other-2 2")
    ]


def test_a_method_without_a_run_on_a_split_stops_nothing(
    counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(METHODS, "some", lambda case: counted.method(case) if case.seed else [])
    monkeypatch.setitem(METHODS, "none", lambda case: [])
    names = ("first", "some", "none", "other:2")
    found = compare(request(tmp_path / "out", methods=names))
    first, some, none, other = found.summaries()
    assert (first.seeds, some.seeds, none.seeds, other.seeds) == (2, 1, 0, 2) and none.ratio is None
    counted.done.clear()
    assert compare(request(tmp_path / "out", methods=names)).entries == found.entries
    assert not [d for d in counted.done if d.startswith("train")]
    render(found, Console(width=200))
    assert "none" in capsys.readouterr().out


def test_cpu_time_is_kept_over_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "training.json"
    clock = flow._Clock(path)
    clock.started -= 50.0
    clock.noted -= 50.0
    clock.tick()
    assert flow._Clock(path).spent == pytest.approx(50.0, abs=1.0)


def test_another_comparison_is_refused(counted: Counted, tmp_path: Path) -> None:
    compare(request(tmp_path / "out", seeds=(0,)))
    for change in ({"data": "wine"}, {"board": "zcu102"}, {"settings": {"epochs": 3}}):
        with pytest.raises(RunError, match=f"another {next(iter(change))}"):
            compare(request(tmp_path / "out", **change))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="no comparison"):
        compare(request(tmp_path / "mine"))


@pytest.mark.parametrize(
    ("change", "what"), [({"methods": ("hgqq",)}, "no method"), ({"methods": ("hgq", "hgq")}, "twice"), ({"seeds": ()}, "nothing")]
)
def test_what_cannot_be_compared(change: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        request(tmp_path, **change)
    assert what != "no method" or caught.value.hint == "did you mean hgq?"


def test_a_variant_is_a_number_within_its_range(tmp_path: Path) -> None:
    for name in ("shift:4", "shift:x", "uniform:0", "prune:31"):
        variant = name.partition(":")[2]
        case = Case("digits", "mlp:4", "xcvu9p", 0, variant, tmp_path / "a", tmp_path)
        with pytest.raises(UsageError, match="behind the colon"):
            method_of(name)(case)


def test_each_method_asks_for_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(methods, "train", lambda data, config, path, **_: asked.append((path.name, config)))
    case = Case("digits", "mlp:4", "xcvu9p", 7, "", tmp_path / "a", tmp_path, settings={"epochs": 5})
    for name in ("hgq", "shift", "uniform", "prune"):
        asked.clear()
        runs = method_of(name)(case)
        assert [path.name for path in runs] == [name for name, _ in asked]
        assert all(config.method == name and config.seed == 7 and config.epochs == 5 for _, config in asked)
        whole = [config for _, config in asked if config.width == 1.0]
        assert whole and all(config.model == str(case.float_path) and config.float_epochs == 0 for config in whole)
        assert all(config.model == "mlp:4" for _, config in asked if config.width != 1.0)
    asked.clear()
    method_of("shift:2")(Case("digits", "mlp:4", "xcvu9p", 7, "2", tmp_path / "a", tmp_path))
    assert asked[0][1].terms == 2


@pytest.mark.slow
def test_a_comparison_of_real_runs(tmp_path: Path) -> None:
    settings = {"epochs": 12, "float_epochs": 5, "max_points": 1, "random_rows": 100}
    wanted = request(
        tmp_path / "out",
        data="wine",
        model="mlp:4",
        methods=("hgq", "shift", "uniform:3", "prune:3"),
        seeds=(0,),
        settings=settings,
    )
    found = compare(
        CompareRequest(**{**{f: getattr(wanted, f) for f in CompareRequest.__slots__}, "store_path": tmp_path / "store.sqlite"})
    )
    assert {e.method for e in found.entries} == set(wanted.methods)
    assert all(e.mismatches == 0 and e.dsp == 0 and e.training_cpu_s > 0 for e in found.entries)


def test_a_method_after_another_works_on_its_runs(counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is trained once, whether it is compared too or not, and its CPU time counts for both."""
    seen: list[tuple[Path, ...]] = []

    def later(case: Case) -> list[Path]:
        seen.append(case.sources)
        return [make_run(case.folder / source.name, points=1) for source in case.sources]

    monkeypatch.setitem(METHODS, "later", later)
    monkeypatch.setitem(methods.AFTER, "later", "first")
    out = tmp_path / "out"
    alone = compare(request(out, methods=("later:other:2",), seeds=(0,)))
    assert seen == [(out / "seed-0" / "other-2" / "run",)] and counted.done.count("train other-2 0") == 1
    assert alone.entries[0].training_cpu_s >= 0.02
    both = compare(request(out, methods=("first", "later"), seeds=(0,)))
    assert counted.done.count("train first 0") == 1 and seen[1:] == [(out / "seed-0" / "first" / "run",)]
    assert both.of("later", 0)[0].training_cpu_s >= both.of("first", 0)[0].training_cpu_s >= 0.02
    with pytest.raises(UsageError, match="there is no method 'nothing'"):
        request(out, methods=("later:nothing",))


def test_every_method_after_training_makes_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refined(source: Path, **given: Any) -> None:
        request = given["request"]
        asked.append((source, given["out"], request.point, request.costs.board))
        assert not request.measured

    def allocated(model: str, data: str, out: Path, **given: Any) -> None:
        if given["options"].max_loss < 1:
            raise BudgetError("even the widest choice loses more")
        asked.append((model, out, given["options"].costs, given["options"].granularity))

    monkeypatch.setattr(methods, "run_refine", refined)
    monkeypatch.setattr(methods, "run_allocation", allocated)
    monkeypatch.setattr(methods, "run_ptq", lambda model, data, out, **given: asked.append((model, out, given["options"].method)))
    told: list[str] = []
    source = tmp_path / "hgq" / "run"
    case = Case("digits", "mlp:8", "xcvu9p", 3, "", tmp_path / "own", tmp_path, (source,), events=Events(note=told.append))
    assert methods.refine(case) == [tmp_path / "own" / "run"] and asked == [(source, tmp_path / "own" / "run", "all", "xcvu9p")]
    asked.clear()
    assert [run.name for run in methods.ptq(replace(case, variant="uniform"))] == ["4-bit", "5-bit", "6-bit"]
    assert {one[2] for one in asked} == {"uniform"} and asked[0][0] == str(case.float_path)
    asked.clear()
    assert [run.name for run in methods.allocate(case)] == ["loss-1", "loss-2"] and asked[0][2:] == ("predicted", "layer")
    assert told == [f"no run for a loss of {loss} points: even the widest choice loses more" for loss in ("0.2", "0.5")]
    for variant, wanted in (("channel", ("predicted", "channel")), ("channel:measured", ("measured", "channel"))):
        asked.clear()
        methods.allocate(replace(case, variant=variant))
        assert asked[0][2:] == wanted
    with pytest.raises(UsageError, match="costs is measured or predicted"):
        methods.allocate(replace(case, variant="measured:predicted"))
    told.clear()
    monkeypatch.setattr(methods, "LOSSES", (0.2,))
    assert methods.allocate(case) == [] and "widest" in told[0]
    with pytest.raises(UsageError, match="no method of hwq ptq"):
        methods.ptq(replace(case, variant="magic"))
