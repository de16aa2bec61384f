"""`hwq allocate` with a width for each channel, end to end: exact, no worse than layers by its own measure, costs that sum to the layer's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwq.cost.predict import Price, price_for
from hwq.data import Dataset, load
from hwq.errors import RunError
from hwq.events import Progress
from hwq.flow import allocate as flow
from hwq.flow.allocate import AllocateOptions, Search, allocate, prepare
from hwq.ir import Graph, parse, verify
from hwq.posttraining.channels import Group, groups_of, layer_numbers
from hwq.posttraining.float_model import FloatModel, read_float
from hwq.posttraining.milp import ChoiceTable, Chosen, solve
from hwq.posttraining.operation_costs import WidthChoices, channel_costs, cost_table
from hwq.posttraining.quantize import Bits
from hwq.posttraining.statistics import linear_nodes
from hwq.posttraining.widths import widths_of
from hwq.run.directory import RunDir
from hwq.sim.reference import predict
from hwq.train import trainer
from hwq.train.config import TrainConfig

OPTIONS = AllocateOptions(450.0, weight_bits=(2, 4, 6), activation_bits=(4, 6), costs="predicted", best=2)
CHANNELS = replace(OPTIONS, granularity="channel")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("channels") / "run"
    config = TrainConfig(model="mlp:6", epochs=1, float_epochs=25, population=1, random_rows=100, max_points=1)
    trainer.train(load("wine", seed=0), config, run)
    return run


@pytest.fixture(scope="module")
def network(trained: Path) -> tuple[FloatModel, Dataset]:
    dataset = load("wine", seed=0)
    return read_float(str(trained), dataset), dataset


def test_a_channel_allocation_is_exact_and_goes_on(trained: Path, network: tuple[FloatModel, Dataset], tmp_path: Path) -> None:
    summary = allocate(str(trained), "wine", tmp_path / "run", options=CHANNELS)
    (point,) = RunDir(tmp_path / "run").points()
    graph = verify(parse(point.graph_path.read_text()))
    with np.load(RunDir(tmp_path / "run").vectors_path) as vectors, np.load(point.keras_path) as stored:
        assert np.array_equal(stored["logits"], predict(graph, vectors["x"]))
    assert summary.lut <= 450 and summary.lut == pytest.approx(price_for("xcvu9p", None)(graph))
    told = json.loads((point.folder / "point.json").read_text())["allocation"]["chosen"]["bits"]
    sizes = {node.name: node.constant("kernel").shape[-1] for node in linear_nodes(graph)}
    assert {name: len(widths) for name, (widths, _) in told.items()} == sizes == {n: len(w) for n, (w, _) in summary.bits.items()}  # type: ignore[arg-type]
    assert allocate(str(trained), "wine", tmp_path / "run", options=CHANNELS) == summary
    # wine's inputs have a sign, what a relu gives has none
    given = widths_of(tmp_path / "run")
    first, second = (node.name for node in linear_nodes(graph))
    assert given[first] == [[w - 1 for w in summary.bits[first][0]], summary.bits[first][1] - 1]  # type: ignore[union-attr]
    assert given[second][1] == summary.bits[second][1]
    with pytest.raises(RunError, match="no allocated widths"):
        widths_of(trained)


def test_the_program_finds_no_worse_a_choice_than_for_layers(network: tuple[FloatModel, Dataset], tmp_path: Path) -> None:
    """The tables: equal widths lose and cost what the layers do; so the best choice of channels is at most as bad, and its whole too."""
    layers, channels = (prepare(*network, tmp_path, options) for options in (OPTIONS, CHANNELS))
    number = layer_numbers(channels.groups)
    for of_channels, of_layers in ((channels.table.loss, layers.table.loss), (channels.table.cost, layers.table.cost)):
        sums = np.zeros_like(of_layers)
        np.add.at(sums, number, of_channels)
        assert sums == pytest.approx(of_layers) and (of_channels >= 0).all()
    least, most = (float(end.sum()) for end in (layers.table.cost.min(axis=1), layers.table.cost.max(axis=1)))
    for budget in np.geomspace(least * 1.1, most * 0.8, 4):
        found, plain = (solve(search.table, budget=float(budget))[0] for search in (channels, layers))
        assert found.loss <= plain.loss * (1 + 1e-6) and found.cost <= budget * (1 + 1e-6)
        bits = channels.widths(found)
        assert len({c.activations for c in bits.values()}) <= 2 and len(bits) == 2
        assert judged(channels, float(budget)) <= judged(layers, float(budget))
    assert judged(channels, least * 1.5) < judged(layers, least * 1.5)


def judged(search: Search, budget: float) -> float:
    """The divergence of the whole design that is measured first."""
    return min(search.loss(search.graph(chosen)) for chosen in search._fitting(budget, search.options.best))


def test_costs_of_channels_are_shares_of_the_layers_own(network: tuple[FloatModel, Dataset]) -> None:
    """The layer's cost comes from a tool that charges its own way; columns only say how it divides."""
    fine, rows = network[0].fine, network[0].rows
    names, choices = [node.name for node in linear_nodes(fine)], [Bits(2, 4), Bits(5, 4)]
    price, seen = Price(None), list[Graph]()

    def tool(part: Graph) -> float:
        seen.append(part)
        return 100 + 3 * price(part)

    among = WidthChoices(fine, choices, rows)
    layers, groups, told = cost_table(among, names, tool), groups_of(fine, names), list[Progress]()
    found = channel_costs(among, groups, layers, price, progress=told.append)
    assert len(seen) == layers.size and told[-1] == Progress("channels priced", found.size, found.size)
    sums = np.zeros_like(layers)
    np.add.at(sums, layer_numbers(groups), found)
    assert sums == pytest.approx(layers)
    first = found[: sum(group.layer == names[0] for group in groups)]
    assert (first > 0).all() and len(set(first[:, 1].tolist())) > 1


def test_measured_costs_of_channels_take_no_more_runs_of_the_tool(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, counted, price = read_float(str(trained), load("wine", seed=0)), list[Graph](), Price(None)

    class Tool:
        @classmethod
        def of(cls, *_: object) -> Tool:
            return cls()

        def lut(self, graph: Graph) -> float:
            counted.append(graph)
            return float(price(graph))

    monkeypatch.setattr(flow, "OperatorBench", Tool)
    options = replace(CHANNELS, costs="measured", objective="roundoff")
    search = prepare(network, load("wine", seed=0), tmp_path, options)
    assert len(counted) == 2 * len(options.choices) and len(search.groups) == 6 + 3
    trial, _ = search.cheapest(5.0)
    assert len(counted) == 2 * len(options.choices) + 1 and trial.measured > 0


class OnPaper(Search):
    """A search of one group whose designs are numbers: choice c costs what the table says, less 4 in the whole."""

    def graph(self, chosen: Chosen) -> Any:
        return chosen.choice[0]

    def loss(self, graph: Any) -> float:
        return float(self.table.loss[0, graph])

    def widths(self, chosen: Chosen) -> dict[str, Bits]:
        return {"d": self.options.choices[chosen.choice[0]]}


def test_what_a_design_taught_lets_a_better_one_in(network: tuple[FloatModel, Dataset]) -> None:
    """99 fits, and is near enough to what was predicted; but then 103 is known to fit 100, too, and 105 not."""
    table = ChoiceTable(np.array([[0.9, 0.5, 0.3, 0.2]]), np.array([[90.0, 99.0, 103.0, 105.0]]))
    options = AllocateOptions(100.0, weight_bits=(2, 3, 4, 5), activation_bits=(4,))
    search = OnPaper(*network, options, table, [Group("d")], lambda graph: float(table.cost[0, graph] - 4), lambda text: None)  # type: ignore[arg-type, call-overload]
    trial, _ = search.within(100.0)
    assert [t.measured for t, _ in search.trials] == [95.0, 99.0]
    assert trial.measured == 99.0 and trial.divergence == 0.3
