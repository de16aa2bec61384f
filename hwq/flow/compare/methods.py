"""The methods that `hwq compare` knows: one table of functions, each of which leaves finished runs.

A method takes a `Case` and returns run directories below `case.folder`. It must go on where a kill left it, and do nothing where
its runs are finished; what it trains on is `case.seed`'s split of the data. To add one, write such a function and give it a line
in `METHODS`; a part of the name behind a colon, as in `shift:2`, reaches it as `case.variant`. One that works on what another
method made is in `AFTER` too, and finds those runs in `case.sources`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwq.cost.predict import CostSource
from hwq.errors import BudgetError, UsageError
from hwq.events import QUIET, Events, Told
from hwq.flow.allocate import AllocateOptions, Tools
from hwq.flow.allocate import allocate as run_allocation
from hwq.flow.ptq import METHODS as PTQ_METHODS
from hwq.flow.ptq import PtqOptions
from hwq.flow.ptq import ptq as run_ptq
from hwq.flow.refine import RefineRequest
from hwq.flow.refine import refine as run_refine
from hwq.flow.train import float_network, train
from hwq.train.config import TrainConfig

UNIFORM = ((2, 1.0), (3, 1.0), (4, 1.0), (6, 1.0), (3, 0.5), (4, 0.5), (6, 0.5))  # (bits, factor on the hidden layers)
PRUNE = ((4, 0.5), (4, 0.75), (4, 0.9), (6, 0.75), (6, 0.9))  # (bits, sparsity)
ACTIVATIONS = (4, 5, 6)  # bits of a ptq run each
WEIGHTS = {"uniform": (2, 3, 4, 5, 6), "adaptive": (2, 3, 4, 5, 6), "multipoint": (2,), "digits": (6,)}
LOSSES = (0.2, 0.5, 1.0, 2.0)  # points of validation accuracy that allocate may lose, a run each


@dataclass(frozen=True, slots=True)
class Case:
    """One method on one split.

    Attributes:
        data, model, board: as `hwq train` and `hwq synth` take them.
        seed: of the split, the first weights and the order of rows.
        variant: what follows the method's name behind a colon; "" for nothing.
        folder: of this method and seed alone.
        shared: of this seed, for all methods.
        sources: finished runs of the method that this one works on, where it is in `AFTER`.
        settings: further fields of `TrainConfig`, such as epochs, the same for all methods.
    """

    data: str
    model: str
    board: str
    seed: int
    variant: str
    folder: Path
    shared: Path
    sources: tuple[Path, ...] = ()
    store_path: Path | str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    events: Events = QUIET

    @property
    def float_path(self) -> Path:
        """The trained float network of this seed, from which every method starts: a .keras file."""
        return self.shared / "float.keras"

    @property
    def config(self) -> TrainConfig:
        """The settings of a run that starts from the float network."""
        return TrainConfig(**{**self.settings, "seed": self.seed, "model": str(self.float_path), "float_epochs": 0})

    def run(self, config: TrainConfig, name: str = "run") -> Path:
        """Train a run below the case's folder, or what is left of it."""
        path = self.folder / name
        train(self.data, config, path, board=self.board, store_path=self.store_path, events=self.events)
        return path


Method = Callable[[Case], list[Path]]


def hgq(case: Case) -> list[Path]:
    """High Granularity Quantization: one run, one front."""
    return [case.run(case.config)]


def shift(case: Case) -> list[Path]:
    """Sums of powers of two; the variant is the number of terms."""
    return [case.run(replace(case.config, method="shift", terms=_number(case, 1, 3) if case.variant else 1))]


def uniform(case: Case) -> list[Path]:
    """One width for all weights and activations, a run each for several widths; the variant is a single one.

    An mlp also gets narrower hidden layers, trained from float like the whole one: with many bits they can beat more layers with few.
    """
    chosen = [(_number(case, 1, 30), 1.0)] if case.variant else UNIFORM
    runs = []
    for bits, width in chosen:
        if width == 1.0:
            runs.append(case.run(replace(case.config, method="uniform", bits=bits), f"{bits}-bit"))
        elif case.model.startswith("mlp:"):
            own = TrainConfig(**{**case.settings, "seed": case.seed, "model": case.model})
            runs.append(case.run(replace(own, method="uniform", bits=bits, width=width), f"{bits}-bit-width-{width:g}"))
    return runs


def prune(case: Case) -> list[Path]:
    """Quantisation-aware pruning at a few widths and sparsities; the variant is one width."""
    chosen = [(b, s) for b, s in PRUNE if b == 4] if case.variant else list(PRUNE)
    if case.variant:
        chosen = [(_number(case, 1, 30), sparsity) for _, sparsity in chosen]
    return [
        case.run(replace(case.config, method="prune", bits=bits, sparsity=sparsity), f"{bits}-bit-{sparsity:g}")
        for bits, sparsity in chosen
    ]


def refine(case: Case) -> list[Path]:
    """Digits removed from every point of HGQ's front; the variant is another method whose runs are refined."""
    runs = []
    for source in case.sources:
        out = case.folder / source.name
        request = RefineRequest("all", case.data, CostSource(case.board, case.store_path))
        run_refine(source, out=out, request=request, events=Events(point=_teller(case)))
        runs.append(out)
    return runs


def ptq(case: Case) -> list[Path]:
    """Quantised after training, a run for each width of the activations; the variant is the method, digits without."""
    method = case.variant or "digits"
    if method not in PTQ_METHODS:
        raise UsageError(f"{method!r} behind the colon is no method of hwq ptq", hint=f"choose one of {', '.join(PTQ_METHODS)}")
    runs = []
    for bits in ACTIVATIONS:
        out, options = case.folder / f"{bits}-bit", PtqOptions(method, WEIGHTS[method], bits, seed=case.seed)
        costs = CostSource(case.board, case.store_path)
        run_ptq(str(case.float_path), case.data, out, options=options, costs=costs, events=case.events)
        runs.append(out)
    return runs


def allocate(case: Case) -> list[Path]:
    """Widths by integer programming, a run for each loss; the variant is where costs come from, predicted without, or "channel", or both.

    A loss that cannot be kept on this split gives no run, and a notice.

    Raises:
        UsageError: a variant that means nothing, such as two sources of costs.
    """
    words = case.variant.split(":") if case.variant else []
    granularity = "channel" if "channel" in words else "layer"
    costs = ":".join(word for word in words if word != "channel") or "predicted"
    runs = []
    for loss in LOSSES:
        out = case.folder / f"loss-{loss:g}"
        options = AllocateOptions(max_loss=loss, activation_bits=ACTIVATIONS, costs=costs, seed=case.seed, granularity=granularity)
        try:
            tools = Tools(case.board, case.store_path)
            run_allocation(str(case.float_path), case.data, out, options=options, tools=tools, events=case.events)
        except BudgetError as error:
            case.events.note(f"no run for a loss of {loss:g} points: {error.message}")
            continue
        runs.append(out)
    return runs


METHODS: dict[str, Method] = {
    "hgq": hgq,
    "shift": shift,
    "uniform": uniform,
    "prune": prune,
    "refine": refine,
    "ptq": ptq,
    "allocate": allocate,
}
AFTER: dict[str, str] = {"refine": "hgq"}  # methods that work on the runs of another: of this one, or of their variant


def method_of(name: str) -> Method:
    """The method that `name`, with or without a variant, means.

    Raises:
        UsageError: none of that name.
    """
    known = name.partition(":")[0]
    if known not in METHODS:
        near = difflib.get_close_matches(known, METHODS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"methods: {', '.join(METHODS)}"
        raise UsageError(f"there is no method {name!r}", hint=hint)
    return METHODS[known]


def base_of(name: str) -> str | None:
    """The method on whose runs `name` works: refine's is hgq, refine:shift's shift; None where it starts from the float network.

    Raises:
        UsageError: that method does not exist.
    """
    known, _, variant = name.partition(":")
    if known not in AFTER:
        return None
    base = variant or AFTER[known]
    method_of(base)
    return base


def train_float(case: Case) -> Path:
    """The float network of the case's seed, trained once for all methods."""
    config = TrainConfig(**{**case.settings, "seed": case.seed, "model": case.model})
    return float_network(case.data, config, case.float_path, case.events)


def _teller(case: Case) -> Told:
    return lambda point, what: case.events.note(f"point {point}: {what}" if point else what)


def _number(case: Case, least: int, most: int) -> int:
    if not case.variant.isdigit() or not least <= int(case.variant) <= most:
        raise UsageError(f"{case.variant!r} behind the colon is no number from {least} to {most}")
    return int(case.variant)
