"""`hwq allocate`: widths for the layers or channels of a trained float model by integer programming over measured costs.

OHQ (arXiv 2309.01945) where layers have the widths.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from hwq.boards import DEFAULT_BOARD
from hwq.boards import load as load_board
from hwq.cost.predict import price_for
from hwq.data import Dataset, load
from hwq.design.target import Work
from hwq.errors import BudgetError, ToolError, UsageError
from hwq.events import QUIET, Events, Notice, Progress, Watch
from hwq.ir import Graph, verify
from hwq.locks import one_writer
from hwq.measure.store import Store
from hwq.posttraining import channels
from hwq.posttraining.allocation import NAME, Allocation, Attempt
from hwq.posttraining.channels import Group, groups_of, layer_numbers, together
from hwq.posttraining.float_model import FloatModel, read_float
from hwq.posttraining.milp import ChoiceTable, Chosen, solve
from hwq.posttraining.operation_costs import OperatorBench, WidthChoices, channel_costs, cost_table
from hwq.posttraining.quantize import Bits, Widths, coarse_rows, quantized
from hwq.posttraining.rounding import adaptive
from hwq.posttraining.runs import Origin, accuracy, begin, drawn, write_point
from hwq.posttraining.sensitivity import answers, by_divergence, by_roundoff, divergence
from hwq.posttraining.statistics import linear_nodes
from hwq.run.directory import RunDir
from hwq.run.record import RunRecord, Scores
from hwq.toolchains.synthesiser import choose

ROUNDS = 8
SENSED_ROWS = 1024
LEAST_LOSS = 1e-9  # what is no loss at all, for logarithms


@dataclass(frozen=True, slots=True)
class AllocateOptions:
    """One call.

    Attributes:
        budget: LUTs at most; None: the fewest LUTs that keep the accuracy.
        max_loss: points of a hundred of validation accuracy that may be lost, without a budget.
        weight_bits, activation_bits: widths to choose from.
        costs: "measured" on the tool, or "predicted" from the compiled graph.
        objective: "kl" of the answers on unlabelled rows, or "roundoff" of the weights.
        adaptive: round the weights of the whole design for their layers' outputs.
        best: how many solutions are evaluated before one is synthesised.
        seed: of the split and of the rows.
        granularity: "layer": one weight width a layer; "channel": one for each output channel, all with the layer's activation width.
    """

    budget: float | None = None
    max_loss: float = 0.5
    weight_bits: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    activation_bits: tuple[int, ...] = (4, 6)
    costs: str = "measured"
    objective: str = "kl"
    adaptive: bool = False
    best: int = 8
    seed: int = 0
    granularity: str = "layer"

    def __post_init__(self) -> None:
        if self.granularity not in ("layer", "channel"):
            raise UsageError("granularity is layer or channel")
        if self.costs not in ("measured", "predicted") or self.objective not in ("kl", "roundoff"):
            raise UsageError("costs is measured or predicted, objective is kl or roundoff")
        if self.budget is not None and self.budget <= 0:
            raise UsageError("the budget must be above 0")
        if not 0 <= self.max_loss <= 100:
            raise UsageError("max_loss must be 0 to 100 points of a hundred")
        if self.best < 1 or not self.weight_bits or not self.activation_bits:
            raise UsageError("there must be widths to choose from, and best at least 1")
        if not all(2 <= w <= 14 for w in self.weight_bits) or not all(1 <= a <= 14 for a in self.activation_bits):
            raise UsageError("weight_bits must be 2 to 14, the sign included, and activation_bits 1 to 14")

    @property
    def choices(self) -> list[Bits]:
        """Every pair of widths."""
        return [Bits(w, a) for a in self.activation_bits for w in self.weight_bits]


@dataclass(frozen=True, slots=True)
class Tools:
    """Whose tool measures, where what it measured is kept, and how many run at a time."""

    board: str = DEFAULT_BOARD
    store_path: Path | str | None = None
    jobs: int = 2


@dataclass(frozen=True, slots=True)
class AllocateSummary:
    """What came of it; `trials` in the order in which they were synthesised, `chosen` among them."""

    run: Path
    lut: float
    prediction_error: float
    val_accuracy: float
    test_accuracy: float
    float_test_accuracy: float
    bits: dict[str, tuple[Widths, int]]
    trials: tuple[Attempt, ...] = field(default_factory=tuple)


@dataclass(slots=True)
class Search:
    """One allocation: the tables, and how whole designs are made, judged and measured.

    `layers` is the table with one width a layer where `table` has one a channel.
    """

    network: FloatModel
    dataset: Dataset
    options: AllocateOptions
    table: ChoiceTable
    groups: list[Group]
    measure: Callable[[Graph], float]
    say: Notice
    layers: ChoiceTable | None = None
    glue: float = 0.0
    trials: list[tuple[Attempt, Graph]] = field(default_factory=list)

    def graph(self, chosen: Chosen) -> Graph:
        """The whole design."""
        made = adaptive if self.options.adaptive else quantized
        return verify(made(self.network.fine, self.widths(chosen), self.network.rows))

    def widths(self, chosen: Chosen) -> dict[str, Bits]:
        """The choice by layer."""
        return together(self.groups, [self.options.choices[c] for c in chosen.choice])

    def loss(self, graph: Graph) -> float:
        """Divergence of the whole design's answers: those of single layers do not add up at few bits."""
        rows = self.network.rows
        return divergence(answers(self.network.fine, rows), answers(graph, coarse_rows(self.network.fine, graph, rows)))

    def attempt(self, chosen: Chosen, graph: Graph, loss: float) -> Attempt:
        """Measure a whole design, and put the difference to its parts (the glue) into the next prediction."""
        bits = {name: (b.weights, b.activations) for name, b in self.widths(chosen).items()}
        predicted = chosen.cost + self.glue
        measured = self.measure(graph)
        trial = Attempt(bits, predicted, measured, loss)
        self.trials.append((trial, graph))
        self.glue = measured - chosen.cost
        self.say(f"predicted {predicted:.0f} LUT, measured {measured:.0f}, divergence {loss:.4g}")
        return trial

    def within(self, budget: float) -> tuple[Attempt, Graph]:
        """The measured design of least divergence within the budget.

        Raises:
            BudgetError: nothing does.
        """
        tried: set[tuple[int, ...]] = set()
        for _ in range(ROUNDS):
            fresh = [c for c in self._fitting(budget, self.options.best + len(tried)) if c.choice not in tried]
            judged = [(self.loss(graph), n, c, graph) for n, c in enumerate(fresh) for graph in (self.graph(c),)]
            settled = [t.divergence for t, _ in self.trials if t.measured <= budget and t.close]
            # what a design taught may let a better one in
            judged = [one for one in judged if one[0] < min(settled, default=np.inf)]
            if not judged:
                break
            loss, _, chosen, graph = min(judged, key=lambda one: one[:2])
            tried.add(chosen.choice)
            self.attempt(chosen, graph, loss)
        fitting = [one for one in self.trials if one[0].measured <= budget]
        if not fitting:
            least = min(t.measured for t, _ in self.trials)
            raise BudgetError(f"no design was measured within {budget:g} LUT; the smallest had {least:g}", hint="a larger budget")
        return min(fitting, key=lambda one: one[0].divergence)

    def _fitting(self, budget: float, count: int) -> list[Chosen]:
        """The best choices within the budget as predicted; where there is none, the cheapest, since a whole may cost less than its parts."""
        try:
            return self._solved(budget=budget - self.glue, count=count)
        except BudgetError:
            return solve(self.table, most_loss=float(self.table.loss.max(axis=1).sum()) + LEAST_LOSS)

    def _solved(self, *, budget: float | None = None, most_loss: float | None = None, count: int = 1) -> list[Chosen]:
        """The best choices, those of channels followed by those of whole layers: at few bits a sum over channels says less."""
        found = solve(self.table, budget=budget, most_loss=most_loss, count=count)
        if self.layers is not None:
            with suppress(BudgetError):
                plain = solve(self.layers, budget=budget, most_loss=most_loss, count=count)
                found += [replace(c, choice=tuple(c.choice[n] for n in layer_numbers(self.groups))) for c in plain]
        return list({c.choice: c for c in found}.values())

    def cheapest(self, max_loss: float) -> tuple[Attempt, Graph]:
        """The fewest LUTs whose validation accuracy is at most `max_loss` points below the float model's."""
        best = self._within_loss(float(self.table.loss.min(axis=1).sum()), max_loss)
        if best is None:
            raise BudgetError(
                f"even the widest choice loses more than {max_loss:g} points", hint="wider --weight-bits or --activation-bits"
            )
        ends = (float(end.sum()) for end in (self.table.loss.min(axis=1), self.table.loss.max(axis=1)))
        low, high = (float(np.log(max(end, LEAST_LOSS))) for end in ends)
        for _ in range(ROUNDS):
            middle = (low + high) / 2
            found = self._within_loss(float(np.exp(middle)), max_loss)
            if found is None:
                high = middle
            else:
                best, low = min(best, found, key=lambda one: one[0].cost), middle
        self.attempt(*best, self.loss(best[1]))
        return self.trials[-1]

    def _within_loss(self, limit: float, max_loss: float) -> tuple[Chosen, Graph] | None:
        """The cheapest choice by the program's own measure of loss; None where its accuracy does not hold."""
        for chosen in self._solved(most_loss=limit * (1 + 1e-6) + LEAST_LOSS):
            graph = self.graph(chosen)
            found = accuracy(graph, self.dataset.x_val, self.dataset.y_val)
            if self.network.val_accuracy - found <= max_loss / 100 + 1e-12:
                return chosen, graph
        return None


@one_writer(lambda out: out)
def allocate(
    model: str,
    data: str,
    out: Path,
    *,
    options: AllocateOptions | None = None,
    tools: Tools = Tools(),
    events: Events = QUIET,
) -> AllocateSummary:
    """Choose widths, and write the network as a run of one bit-exact point.

    Args:
        model, data: as `hwq.flow.ptq.ptq` takes them.
        out: the run; what operators and trials cost is kept in the store.
        tools: whose tool measures, and where what it measured is kept.

    Raises:
        BudgetError: nothing keeps the budget, or the accuracy.
        DataError, ModelError, RunError, BoardError, ToolError, ReportError, MismatchError.
    """
    options, say = options or AllocateOptions(), events.note
    load_board(tools.board)  # a wrong one costs no reading and leaves no run
    dataset = load(data, seed=options.seed, notice=say)
    asked = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
    if options.granularity == "layer":
        del asked["granularity"]  # runs made before there was a choice say nothing of it
    derived = {"method": "allocate", "model": model, "board": tools.board, "options": asked}
    record = RunRecord("training", {"model": model, "seed": options.seed}, dataset.told, derived)
    say("reading the model")
    # a model that cannot be read leaves no run behind
    network = None if (out / "run.json").is_file() else read_float(model, dataset, seed=options.seed)
    run = begin(out, record, drawn(dataset, options.seed))
    if not run.record().trained:
        network = network or read_float(model, dataset, seed=options.seed)
        search = prepare(network, dataset, out / "trials", options, tools, events)
        trial, graph = search.cheapest(options.max_loss) if options.budget is None else search.within(options.budget)
        told = Allocation(trial, tuple(t for t, _ in search.trials), options.costs)
        write_point(run, "0000", graph, dataset, Origin(more={NAME: told.to_json()}))
        if options.costs == "measured":
            _proven(run, tools, trial.measured, say)
        found = network.found()
        run.update(lambda now: now.finished(found))
    return _summary(run)


def prepare(
    network: FloatModel,
    dataset: Dataset,
    folder: Path,
    options: AllocateOptions,
    tools: Tools = Tools(),
    events: Events = QUIET,
) -> Search:
    """Sensitivities and costs, and how a whole design is measured.

    Args:
        folder: where tools work on what is not in the store yet.

    Raises:
        BoardError, ToolError, ReportError.
    """
    say = events.note
    layers = [node.name for node in linear_nodes(network.fine)]
    lut: Callable[[Graph], float] = price_for(tools.board, tools.store_path)
    if options.costs == "measured":
        chosen = load_board(tools.board)
        synthesiser = choose("auto", chosen, period_ns=chosen.default_clock.ns)
        lut = OperatorBench.of(chosen, synthesiser, Store.open(tools.store_path), folder).lut
    tenths = _each_tenth(say)
    among = WidthChoices(network.fine, options.choices, network.rows)
    costs = cost_table(among, layers, lut, jobs=tools.jobs, progress=tenths)
    rows = network.rows[:SENSED_ROWS]
    if options.objective == "kl":
        loss = by_divergence(network.fine, layers, options.choices, rows, progress=tenths)
    else:
        loss = by_roundoff(network.fine, layers, options.choices)
    table = ChoiceTable(loss, costs)
    if options.granularity == "layer":
        return Search(network, dataset, options, table, [Group(name) for name in layers], lut, say)
    groups = groups_of(network.fine, layers)
    return Search(network, dataset, options, _of_channels(among, options, groups, table, tenths), groups, lut, say, table)


def _of_channels(
    among: WidthChoices, options: AllocateOptions, groups: list[Group], layers: ChoiceTable, tenths: Watch
) -> ChoiceTable:
    """The table of the layers, divided over their channels, which share the activation width."""
    fine, choices = among.fine, among.choices
    costs = channel_costs(among, groups, layers.cost, price_for(None, None), progress=tenths)
    if options.objective == "kl":
        rows = among.rows[:SENSED_ROWS]
        parts = channels.by_divergence(fine, groups, choices, rows, progress=tenths)
    else:
        parts = channels.by_roundoff(fine, groups, choices)
    numbers = layer_numbers(groups)
    options_of = np.array([options.activation_bits.index(b.activations) for b in choices], np.int64)
    return ChoiceTable(channels.divided(layers.loss, parts, numbers), costs, np.tile(options_of, (len(groups), 1)), numbers)


def _proven(run: RunDir, tools: Tools, measured: float, say: Notice) -> None:
    """Prove and synthesise the chosen design as `hwq synth` does; the trials before it were synthesised alone.

    Raises:
        ToolError: the tool made another design of the same files.
    """
    from hwq.flow.synth import synth

    _, (result,) = synth(
        run.path, tools.board, store_path=tools.store_path, work=Work(events=Events(point=lambda p, what: say(f"  {what}")))
    )
    lut = result.measurement.resources.lut if result.measurement else None
    if lut != measured:
        raise ToolError(
            f"the same design had {measured:g} LUT as a trial and {lut} now", hint="call it again: the store keeps both"
        )


def _each_tenth(say: Notice) -> Watch:
    """Progress in sentences."""

    def told(p: Progress) -> None:
        if p.step == p.steps or p.step % max(1, p.steps // 10) == 0:
            say(f"{p.phase}: {p.step} of {p.steps}")

    return told


def _summary(run: RunDir) -> AllocateSummary:
    (point,) = run.points()
    told = Allocation.of(point)
    chosen = told.chosen
    error = abs(chosen.predicted - chosen.measured) / max(chosen.measured, 1e-30)
    scores = (point.test_accuracy, (run.record().scores or Scores()).test_accuracy)
    test, of_float = (float("nan") if score is None else score for score in scores)
    return AllocateSummary(run.path, chosen.measured, error, point.validated, test, of_float, chosen.bits, told.trials)
