"""refine, ptq and allocate end to end on a small network: runs that prove bit-exact, resume, and refuse what is not theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from networks import random_network

from hwq.conversion.graph_model import GraphModel
from hwq.cost.predict import Price
from hwq.data import load
from hwq.errors import BudgetError, DataError, MismatchError, ModelError, RunError, ToolError, UsageError
from hwq.flow import allocate as flow
from hwq.flow.allocate import AllocateOptions, allocate
from hwq.flow.ptq import PtqOptions, bits_of, ptq
from hwq.flow.refine import RefineRequest, refine
from hwq.flow.synth import SynthResult
from hwq.ir import Graph, parse, verify
from hwq.measure.measurement import Key, Measurement
from hwq.posttraining.refine import Judged, Judgement, RefineOptions
from hwq.posttraining.runs import begin, data_of, drawn, prove
from hwq.reports.types import Latency, Resources, Timing
from hwq.run.directory import RunDir, write_point
from hwq.run.record import RunRecord
from hwq.sim.reference import predict
from hwq.train import trainer
from hwq.train.config import TrainConfig

CONFIG = TrainConfig(model="mlp:10", epochs=10, float_epochs=25, population=1, random_rows=100, max_points=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("post") / "run"
    trainer.train(load("digits", seed=0), CONFIG, run)
    return run


def contents(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.glob("points/*/*")) if p.suffix != ".npz"}


def bit_exact(run: Path) -> None:
    with np.load(RunDir(run).vectors_path) as vectors:
        x = vectors["x"]
    for point in RunDir(run).points():
        graph = verify(parse(point.graph_path.read_text()))
        with np.load(point.keras_path) as stored:
            assert np.array_equal(stored["logits"], predict(graph, x))


def test_a_refined_point_keeps_what_its_weights_consist_of(trained: Path, tmp_path: Path) -> None:
    """The terms of a run of --method shift, by which its C++ is shifts and additions."""
    run = tmp_path / "run"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("synth", "checkpoint"))
    (best,) = RunDir(run).select("best")
    write_point(best.folder, best.graph_text(), best.logits(), replace(best.record, terms=2))
    refine(run, out=tmp_path / "out", options=RefineOptions(max_loss=0.0, ways=((0.9, 0.0),), rows=200, patience=0.01))
    assert [p.terms for p in RunDir(tmp_path / "out").points()] == [2]


def test_refined_points_are_cheaper_and_exact(trained: Path, tmp_path: Path) -> None:
    options = RefineOptions(max_loss=3.0, ways=((0.1, 0.1),), rows=600, patience=0.2)
    summary = refine(trained, out=tmp_path / "out", request=RefineRequest("all"), options=options)
    assert len(summary.points) == len(RunDir(trained).points()) and summary.points[0].lut is None
    for one in summary.points:
        assert one.price < 1 and one.digits < one.digits_before
        assert one.val_accuracy >= one.val_accuracy_before - 0.05
    bit_exact(tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "points" / summary.points[0].point / "point.json").unlink()  # as a kill would leave it
    refine(trained, out=tmp_path / "out", request=RefineRequest("all"), options=options)
    assert contents(tmp_path / "out") == before
    with pytest.raises(RunError, match="another options"):
        refine(trained, out=tmp_path / "out", options=replace(options, max_loss=1.0))


def test_nothing_is_lost_where_nothing_may_be(trained: Path, tmp_path: Path) -> None:
    options = RefineOptions(max_loss=0.0, ways=((0.5, 0.0),), rows=100, patience=0.5)
    (one,) = refine(trained, out=tmp_path / "out", options=options).points
    assert one.price <= 1 and (one.price == 1 or one.val_accuracy >= one.val_accuracy_before - 0.05)


def test_other_data_than_the_runs_is_refused(trained: Path) -> None:
    with pytest.raises(DataError, match="digest"):
        data_of(RunDir(trained), "wine")


def test_a_run_knows_where_its_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load("digits", seed=0)
    rows = digits.x_train[:300]
    (tmp_path / "here").mkdir()
    np.savez(tmp_path / "here" / "mine.npz", x=rows, y=digits.y_train[:300])
    monkeypatch.chdir(tmp_path)
    data = load("here/mine.npz", seed=0)
    run = begin(tmp_path / "run", RunRecord("", {"seed": 0}, data.told, {}), drawn(data, 0))
    monkeypatch.chdir("/")
    assert data_of(run, None).digest == data.digest
    moved = (tmp_path / "here" / "mine.npz").rename(tmp_path / "there.npz")
    with pytest.raises(DataError, match="is not found") as found:
        data_of(run, None)
    assert "--data" in str(found.value.hint)
    assert data_of(run, str(moved)).digest == data.digest
    monkeypatch.chdir(tmp_path / "here")
    moved = moved.rename("mine.npz")
    assert data_of(run, None).digest == data.digest
    # the same data from another place is the same run
    same = load(str(moved), seed=0)
    told = replace(same.told, name=data.name)
    assert begin(run.path, RunRecord("", {}, told, {}), drawn(same, 0)).path == run.path


def test_a_network_that_is_not_exact_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_network(3)
    x = np.random.default_rng(0).uniform(-4, 4, (30, 8)).astype(np.float32)
    monkeypatch.setattr(GraphModel, "logits", lambda self, rows: predict(self.graph, rows) + 2.0**-9)
    with pytest.raises(MismatchError, match="reference = keras"):
        prove(graph, x)


def judged(rows: int, wrong: Iterable[int]) -> Judged:
    return Judged(~np.isin(np.arange(rows), list(wrong)), 0.5)


def test_where_rows_are_few_those_of_training_decide_too() -> None:
    """100 validation rows cannot tell 0.2 points; with 900 of training, 2 rows of 1 000 may be lost, and at most what chance does of the 100."""
    before = Judgement(judged(100, []), judged(900, []))
    assert Judgement(judged(100, [0, 1]), judged(900, [])).keeps(before, 0.2)
    assert not Judgement(judged(100, [0]), judged(900, [0, 1])).keeps(before, 0.2)
    # 5 rows lost of 100 and as many gained in training: 5 points, more than 0.2 and 1.645 times the error, 2.24
    worse = Judgement(judged(100, range(5)), judged(900, []))
    assert not worse.keeps(Judgement(judged(100, []), judged(900, range(5))), 0.2)
    assert before.keeps(before, 0.0)


def test_where_rows_are_many_a_loss_holds_with_a_standard_error_to_spare() -> None:
    """5 000 rows of which 16 change sides: 0.08 points of error, so that 0.12 points may be lost, not 0.14."""
    before = Judgement(judged(5000, range(5)))
    assert Judgement(judged(5000, range(5, 16))).keeps(before, 0.2)  # 5 rows gained, 11 lost
    assert not Judgement(judged(5000, range(5, 17))).keeps(before, 0.2)
    assert before.keeps(before, 0.2)


def test_training_rows_are_looked_at_where_validation_rows_are_few() -> None:
    graph = random_network(3, (6, 4))
    x, y = np.random.default_rng(0).normal(size=(3000, *graph[graph.inputs[0]].shape)).astype(np.float32), np.arange(3000) % 4
    few, many = (Judgement.of(graph, (x[:50], y[:50]), (x[50:], y[50:]) if n else (x[50:150], y[50:150]), 0.2) for n in (0, 1))
    assert many.train is None and few.train is not None and len(few.train.right) == 50 and len(few.validation.right) == 100
    assert few.accuracy == pytest.approx((50 * few.train.accuracy + 100 * few.validation.accuracy) / 150)


@pytest.mark.parametrize("method", ["uniform", "adaptive", "multipoint", "digits"])
def test_every_method_makes_exact_points(method: str, trained: Path, tmp_path: Path) -> None:
    bits = {"digits": (5,), "multipoint": (2,)}.get(method, (2, 5))
    options = PtqOptions(method, bits, 5, portion=0.1, max_points=2)
    summary = ptq(str(trained), "digits", tmp_path / "run", options=options)
    points = RunDir(tmp_path / "run").points()
    assert len(points) == (1 if method == "multipoint" else 2)
    bit_exact(tmp_path / "run")
    assert max(p.test_accuracy or 0 for p in points) > summary.float_test_accuracy - 0.08
    again = contents(tmp_path / "run")
    assert ptq(str(trained), "digits", tmp_path / "run", options=options) == summary and contents(tmp_path / "run") == again


def test_an_untrained_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not trained"):
        ptq("mlp:8", "digits", tmp_path / "run")


def test_allocation_keeps_its_budget_and_beats_no_limit_at_all(trained: Path, tmp_path: Path) -> None:
    options = AllocateOptions(weight_bits=(2, 4, 6), activation_bits=(5,), costs="predicted", best=2)
    costs = {}
    for name, budget in (("small", 2600.0), ("large", 6000.0)):
        summary = allocate(str(trained), "digits", tmp_path / name, options=replace(options, budget=budget))
        assert summary.lut <= budget and summary.trials
        assert summary.prediction_error <= 0.12
        costs[name] = summary
        bit_exact(tmp_path / name)
    least = min(t.divergence for t in costs["small"].trials)
    assert min(t.divergence for t in costs["large"].trials) <= least
    assert allocate(str(trained), "digits", tmp_path / "small", options=replace(options, budget=2600.0)) == costs["small"]
    with pytest.raises(BudgetError, match="no design was measured within 3 LUT; the smallest had"):
        allocate(str(trained), "digits", tmp_path / "none", options=replace(options, budget=3.0))


class Tool:
    """Operators and whole designs by the compiled graph, as a tool would measure them; `counted` is how often it ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counted, self.later, self.price = 0, 0.0, Price(None)
        monkeypatch.setattr(flow, "OperatorBench", SimpleNamespace(of=lambda *_: self))
        monkeypatch.setattr("hwq.flow.synth.synth", self.synth)

    def lut(self, graph: Graph) -> float:
        self.counted += 1
        return float(self.price(graph))

    def synth(self, run: Path, board: str, **_: object) -> tuple[None, list[SynthResult]]:
        (point,) = RunDir.open(run).points()
        key = Key("d", "p", "design", board, "yosys", "0.70", "synth")
        lut = self.price(parse(point.graph_path.read_text())) + self.later
        measured = Measurement(key, "f", Resources(lut=lut), Timing(), Latency())
        return None, [SynthResult(point, run, (measured,), {"mismatches": 0}, (), False)]


def test_measured_costs_and_the_proof_of_what_is_chosen(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = Tool(monkeypatch)
    options = AllocateOptions(6000.0, weight_bits=(2, 4), activation_bits=(5,), best=1)
    summary = allocate(str(trained), "digits", tmp_path / "run", options=options)
    assert summary.lut <= 6000 and tool.counted == 2 * 2 + len(summary.trials)
    tool.later = 1.0  # a finished run is not measured again; a tool that makes up its mind anew is told of
    assert allocate(str(trained), "digits", tmp_path / "run", options=options) == summary
    with pytest.raises(ToolError, match="as a trial"):
        allocate(str(trained), "digits", tmp_path / "other", options=options)


def test_the_fewest_luts_that_keep_the_accuracy(trained: Path, tmp_path: Path) -> None:
    options = AllocateOptions(max_loss=3.0, weight_bits=(2, 4, 6), activation_bits=(5,), costs="predicted", objective="roundoff")
    summary = allocate(str(trained), "digits", tmp_path / "run", options=options)
    meta = json.loads((tmp_path / "run" / "run.json").read_text())
    assert summary.val_accuracy >= meta["float"]["val_accuracy"] - 0.03 - 1e-9


@pytest.mark.parametrize(("text", "wanted"), [("4", [4]), ("2,4,6", [2, 4, 6]), ("2-4,8", [2, 3, 4, 8])])
def test_bits_are_read(text: str, wanted: list[int]) -> None:
    assert bits_of(text) == wanted


def test_what_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match="is not like"):
        bits_of("many")
    for bad in ({"method": "magic"}, {"bits": ()}, {"activation_bits": 0}, {"points": 0}):
        with pytest.raises(UsageError):
            PtqOptions(**bad)  # type: ignore[arg-type]
    for bad in ({"max_loss": -1.0}, {"ways": ()}, {"ways": ((2.0, 0.1),)}, {"rows": 0}):
        with pytest.raises(UsageError):
            RefineOptions(**bad)  # type: ignore[arg-type]
    for bad in ({"costs": "free"}, {"budget": 0.0}, {"weight_bits": ()}, {"granularity": "weight"}):
        with pytest.raises(UsageError):
            AllocateOptions(**bad)  # type: ignore[arg-type]
