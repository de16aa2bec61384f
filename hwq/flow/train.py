"""`hwq train`: load the data, look up measured prices where asked for, and train. TensorFlow loads in here, not before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwq.boards import load as load_board
from hwq.cost.fit import fit
from hwq.cost.model import CostModel
from hwq.cost.terms import LAYER_COSTS, LINEAR, TRAINING
from hwq.data import load
from hwq.errors import CostModelError
from hwq.flow.models import comparable, find_models, libraries
from hwq.measure.store import Store
from hwq.rundir import RunDir
from hwq.train.config import TrainConfig
from hwq.train.progress import Progress, TrainSummary

if TYPE_CHECKING:
    from hwq.data import Dataset


def train(
    data: str,
    config: TrainConfig,
    out: Path,
    *,
    board: str = "xcvu9p",
    store_path: Path | str | None = None,
    notice: Callable[[str], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainSummary:
    """Train a run, or go on with it.

    Raises:
        DataError, ModelError, TrainingError, RunError, and CostModelError where measured prices cannot be had.
    """
    dataset: Dataset = load(data, seed=config.seed, notice=notice)
    config = config.resolved(len(dataset.x_train))
    if config.costs == "measured" or "lut" in config.budget:
        config = replace(config, prices=_prices(out, board, store_path, notice, measured=config.costs == "measured"))
    if notice:
        notice("loading TensorFlow")
    from hwq.train import trainer

    return trainer.train(dataset, config, out, progress=progress)


def load_framework() -> None:
    """Load TensorFlow now, which takes seconds that a clock should not count as training."""
    from hwq.train import trainer as trainer


def float_network(
    data: str,
    config: TrainConfig,
    out: Path,
    *,
    notice: Callable[[str], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train the float network of `config` alone, into the .keras file `out`; nothing is done where that is there already.

    Raises:
        DataError, ModelError, TrainingError, RunError.
    """
    if out.is_file():
        return out
    dataset: Dataset = load(data, seed=config.seed, notice=notice)
    from hwq.train import trainer

    trainer.train_float(dataset, config.resolved(len(dataset.x_train)), out, progress=progress)
    return out


def _prices(
    out: Path, board: str, store_path: Path | str | None, notice: Callable[[str], None] | None, *, measured: bool
) -> dict[str, float]:
    """The prices that a run was begun with, else those of the tool with most measurements on the board's family.

    Args:
        measured: whether bits are paid for with them, not only a budget held against them: which model is told of.
    """
    if (out / "run.json").is_file():
        recorded = RunDir.open(out).meta().get("config", {})
        if recorded.get("prices"):
            return dict(recorded["prices"])
    model = price_model(board, store_path)
    found = {name: value for name, value in model.coefficients.items() if name in LAYER_COSTS}
    with suppress(CostModelError):  # with the model of a whole network, prices follow the network
        whole = price_model(board, store_path, TRAINING)
        found |= whole.coefficients
        model = whole if measured else model
    if notice:
        notice(f"prices: {model}")
    return found


def price_model(board: str, store_path: Path | str | None, moment: str = LINEAR) -> CostModel:
    """The model of LUTs that prices come from: of the tool with most measurements on the board's family, else one that comes with hwq.

    Raises:
        CostModelError: there is none for the family, and too few measurements.
    """
    known = load_board(board)
    store = Store.open(store_path)
    keys = {(m.key.tool, m.key.version, m.key.stage) for m in store.find()}
    groups = {key: comparable(store, known, *key) for key in sorted(keys)}
    for key, rows in sorted(groups.items(), key=lambda item: -len(item[1])):
        found = find_models(known, *key)
        model = found.model("lut", moment) if found is not None and found.exact else None
        if rows and model is not None:
            return model
        with suppress(CostModelError):
            return fit(rows, "lut", moment)
    for library in libraries():
        if library.key.family in (known.family, known.yosys_family) and ("lut", moment) in library.models:
            return library.models["lut", moment]
    raise CostModelError(
        f"nothing has been measured on {known.family} yet", hint=f"hwq calibrate --board {board}, or hwq synth RUN --point all"
    )
