"""`hwq train`: load the data, look up measured prices where asked for, and train. TensorFlow loads in here, not before."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwq.boards import DEFAULT_BOARD
from hwq.boards import load as load_board
from hwq.cost.predict import price_for, price_model
from hwq.cost.terms import LAYER_COSTS, TRAINING
from hwq.data import load
from hwq.errors import CostModelError
from hwq.events import QUIET, Events
from hwq.locks import one_writer
from hwq.run.directory import RunDir
from hwq.train.config import TrainConfig
from hwq.train.summary import TrainSummary

if TYPE_CHECKING:
    from hwq.data import Dataset


@one_writer(lambda out: out)
def train(
    data: str,
    config: TrainConfig,
    out: Path,
    *,
    board: str = DEFAULT_BOARD,
    store_path: Path | str | None = None,
    events: Events = QUIET,
) -> TrainSummary:
    """Train a run, or go on with it; the summary's seconds are those of the whole call, loading of TensorFlow included.

    Raises:
        BoardError, DataError, ModelError, TrainingError, RunError, and CostModelError where measured prices cannot be had.
    """
    started = time.monotonic()
    load_board(board)
    dataset: Dataset = load(
        data, seed=config.seed, notice=events.note, digest=_digest(out), scaled=config.scaled, asked=config.asked
    )
    events.note(dataset.summary())
    config = replace(config.resolved(len(dataset.x_train)), task=dataset.task.name, metric=_metric(dataset, config))
    if config.costs == "measured" or "lut" in config.budget:
        config = replace(config, prices=_prices(out, board, store_path, events, measured=config.costs == "measured"))
    events.note("loading TensorFlow")
    from hwq.train import trainer

    price = price_for(board, store_path) if "lut" in config.budget else None
    summary = trainer.train(dataset, config, out, lut=price if price and price.model else None, progress=events.progress)
    return replace(summary, seconds=time.monotonic() - started)


def _metric(dataset: Dataset, config: TrainConfig) -> str:
    """The metric's name, where it is not the one that classes have."""
    return config.metric if dataset.task.plain else dataset.task.metric


def _digest(run: Path) -> str | None:
    """The digest of the data that a run was begun with, where there is one."""
    told = RunDir.open(run).record().dataset if (run / "run.json").is_file() else None
    return told.digest or None if told else None


def load_framework() -> None:
    """Load TensorFlow now, which takes seconds that a clock should not count as training."""
    from hwq.train import trainer as trainer


def float_network(data: str, config: TrainConfig, out: Path, events: Events = QUIET) -> Path:
    """Train the float network of `config` alone, into the .keras file `out`; nothing is done where that is there already.

    Raises:
        DataError, ModelError, TrainingError, RunError.
    """
    if out.is_file():
        return out
    dataset: Dataset = load(data, seed=config.seed, notice=events.note, scaled=config.scaled, asked=config.asked)
    from hwq.train import trainer

    trainer.train_float(dataset, config.resolved(len(dataset.x_train)), out, progress=events.progress)
    return out


def _prices(out: Path, board: str, store_path: Path | str | None, events: Events, *, measured: bool) -> dict[str, float]:
    """The prices that a run was begun with, else those of the tool with most measurements on the board's family.

    Args:
        measured: whether bits are paid for with them, not only a budget held against them: which model is told of.
    """
    if (out / "run.json").is_file():
        recorded = RunDir.open(out).settings()
        if recorded.has("prices") and (prices := recorded.numbers_by_name("prices")):
            return prices
    model = price_model(board, store_path)
    found = {name: value for name, value in model.coefficients.items() if name in LAYER_COSTS}
    with suppress(CostModelError):  # with the model of a whole network, prices follow the network
        whole = price_model(board, store_path, TRAINING)
        found |= whole.coefficients
        model = whole if measured else model
    events.note(f"prices: {model}")
    return found
