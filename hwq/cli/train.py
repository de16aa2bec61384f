"""`hwq train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import as_json, emit, note, say, store_option
from hwq.cli.progress import Bar, elapsed
from hwq.cli.target import BoardOption, target_options
from hwq.events import Events
from hwq.train.config import METHODS, TASKS, TrainConfig, require_read

_DEFAULT = TrainConfig()


def _budget(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, float]:
    name, _, limit = (value or "").partition("=")
    if not value:
        return {}
    try:
        return {name: float(limit)}
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not like ebops=2000 or lut=3000") from error


@click.command()
@click.argument("data")
@click.option("--model", default=_DEFAULT.model, show_default=True, help="mlp:64,32 · a float .keras file · module:function")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=_DEFAULT.method,
    show_default=True,
    help="Learned bitwidths; sums of powers of two; one width for all; one width and pruning.",
)
@click.option("--terms", default=_DEFAULT.terms, show_default=True, help="shift: powers of two a weight, 1 to 3.")
@click.option("--levels", default=_DEFAULT.levels, show_default=True, help="shift: powers of two to choose from.")
@click.option(
    "--blend", default=_DEFAULT.blend, show_default=True, help="shift: share of the way to its powers a weight goes a step."
)
@click.option(
    "--anneal", default=_DEFAULT.anneal, show_default=True, help="shift: share of the epochs until the quantiser is hard."
)
@click.option(
    "--activations",
    type=click.Choice(["fixed", "pow2"]),
    default=_DEFAULT.activations,
    show_default=True,
    help="shift: of hidden ReLUs, fixed point or powers of two.",
)
@click.option("--bits", default=_DEFAULT.bits, show_default=True, help="uniform, prune: of weights and activations, without sign.")
@click.option(
    "--widths",
    type=click.Path(path_type=Path),
    help="uniform, prune: in place of --bits, the widths that this run of hwq allocate chose.",
)
@click.option("--width", default=_DEFAULT.width, show_default=True, help="Factor on the hidden layers of an mlp.")
@click.option("--sparsity", default=_DEFAULT.sparsity, show_default=True, help="prune: share of weights that become zero.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; default runs/DATA.")
@click.option("--seed", default=_DEFAULT.seed, show_default=True, help="Of the split, the first weights and the order of the rows.")
@click.option("--epochs", type=int, help="Epochs of the quantised training; default chosen from the number of rows.")
@click.option(
    "--float-epochs", default=_DEFAULT.float_epochs, show_default=True, help="At most so many epochs for the float network."
)
@click.option("--batch-size", type=int, help="Rows a step; default chosen from the number of rows.")
@click.option("--learning-rate", type=float, help="Adam step of the weights; default 0.006 for hgq, 0.001 for other methods.")
@click.option("--bits-learning-rate", default=_DEFAULT.bits_learning_rate, show_default=True, help="Adam step of the bitwidths.")
@click.option("--beta-start", default=_DEFAULT.beta_start, show_default=True, help="First price of an EBOP.")
@click.option("--beta-end", default=_DEFAULT.beta_end, show_default=True, help="Last price of an EBOP.")
@click.option(
    "--warmup", default=_DEFAULT.warmup, show_default=True, help="Share of the rising epochs that stay at the first price."
)
@click.option("--settle", default=_DEFAULT.settle, show_default=True, help="Share of the epochs in which the front settles.")
@click.option("--population", default=_DEFAULT.population, show_default=True, help="Networks that settle side by side.")
@click.option(
    "--budget", callback=_budget, metavar="ebops=N|lut=N", help="Steer the price to this cost instead of through its range."
)
@click.option("--gamma", default=_DEFAULT.gamma, show_default=True, help="Price of a bit, as a multiple of beta.")
@click.option("--l1", default=_DEFAULT.l1, show_default=True, help="Price of absolute weights, as a multiple of beta.")
@click.option("--initial-bits", default=_DEFAULT.initial_bits, show_default=True)
@click.option("--range-margin", default=_DEFAULT.range_margin, show_default=True, help="Factor on observed activation ranges.")
@click.option(
    "--overflow", type=click.Choice(["WRAP", "SAT"]), default=_DEFAULT.overflow, show_default=True, help="Of hidden activations."
)
@click.option("--max-points", default=_DEFAULT.max_points, show_default=True, help="Points of the front to keep.")
@click.option(
    "--costs", type=click.Choice(["ebops", "measured"]), default="ebops", show_default=True, help="What bits are priced by."
)
@click.option(
    "--task",
    type=click.Choice(["auto", *TASKS]),
    default="auto",
    show_default=True,
    help="Classes, one yes or no, several, numbers, the row itself; auto: by what the labels are.",
)
@click.option(
    "--metric", default="", help="What the front is chosen by: accuracy, auc, mae, mse, rmse, r2; default the task's own."
)
@click.option("--loss", default="", help="A loss of Keras by name, as huber; default the task's own.")
@click.option("--label", "labels", multiple=True, help="A column of DATA that is a target; more than one may be given.")
@click.option(
    "--scaled/--unscaled",
    default=True,
    show_default=True,
    help="Features standardised by the training rows, or as they are: codes.",
)
@click.option("--sample-weights", default="", help="The column of DATA with the weight of each row.")
@click.option(
    "--class-weights", type=click.Choice(["none", "balanced"]), default="none", show_default=True, help="Of each class in the loss."
)
@target_options("board", board=BoardOption("Whose measurements --costs measured takes.", default=DEFAULT_BOARD))
@store_option
@as_json
def train(
    data: str, out: Path | None, board: str, store: Path | str | None, widths: Path | None, as_json: bool, **options: Any
) -> None:
    """Learn a bitwidth for every weight and activation of a network on DATA.

    DATA is digits, breast_cancer, wine, mnist, jets, a .npz, .csv, .tsv or .parquet file, or module:function. One run gives the whole
    Pareto front of validation accuracy against cost; the test rows are looked at once, at the end. The same command resumes.
    """
    from hwq.flow.train import train as run_training

    if widths is not None:
        from hwq.posttraining.widths import widths_of

        options["widths"] = widths_of(widths)
    context = click.get_current_context()
    require_read(options["method"], [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE])
    config = TrainConfig(**options)
    target = out or Path("runs") / Path(data.replace(":", "_")).stem
    with Bar() as bar:
        summary = run_training(data, config, target, board=board, store_path=store, events=Events(note=note, progress=bar))
    if as_json:
        emit({"run": target, "summary": summary})
        return
    say(
        f"{target}: {summary.points} points, best {summary.best}; float network {summary.float_test_accuracy:.4f} on the test rows"
        f"{summary.told}; {elapsed(summary.seconds)}"
    )
    if summary.budget_met is False:
        note("no network kept the budget; the points are the nearest: a higher --beta-start, more --epochs or a smaller --model")
    say(f"next: hwq synth {target} --board {board}")
