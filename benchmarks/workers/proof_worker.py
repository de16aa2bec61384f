"""hwq's side of the benchmarks feedback and frontier: one stage a process, one JSON object on standard output.

proof_worker.py train DATA OUT OPTIONS.json     one run of hwq train; CPU seconds, over all calls that it took
proof_worker.py refine RUN OUT OPTIONS.json     hwq refine of all its points, digits worth what "prices" says; CPU seconds, likewise
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LEAST_BITS = 0.1  # what a digit is worth that frees nothing: it goes last
NOTED_S = 5.0  # a kill forgets no more CPU time than that


def shuffled(prices: dict[str, dict[str, float]], rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """The same numbers on other layers and terms."""
    places = [(layer, kind) for layer, kinds in prices.items() for kind in kinds]
    values = rng.permutation([prices[layer][kind] for layer, kind in places]).tolist()
    found: dict[str, dict[str, float]] = {layer: {} for layer in prices}
    for (layer, kind), value in zip(places, values, strict=True):
        found[layer][kind] = value
    return found


def place_elsewhere(seed: int, by: str) -> None:
    """The placebos: what pricing finds is permuted, the same way throughout a run.

    Args:
        by: "all": every price on another layer or term. "layers": between layers, with each term's mean over the layers where it lands:
            what the terms are worth stays, which layers are dear does not.
    """
    from hwq.train import pricing

    true_prices = getattr(pricing, "prices_from")  # noqa: B009

    def permuted(*arguments: Any) -> dict[str, dict[str, float]]:
        found, rng = true_prices(*arguments), np.random.default_rng([seed, 7])
        if by == "all":
            return shuffled(found, rng)
        kinds = list(next(iter(found.values())))
        means = {kind: float(np.mean([layer[kind] for layer in found.values()])) or 1.0 for kind in kinds}
        relative = {name: {kind: layer[kind] / means[kind] for kind in kinds} for name, layer in found.items()}
        moved = shuffled(relative, rng)
        return {name: {kind: layer[kind] * means[kind] for kind in kinds} for name, layer in moved.items()}

    setattr(pricing, "prices_from", permuted)  # noqa: B010


def digits_by_ebops() -> None:
    """Digits are worth the EBOPs that go with them: those between a weight's first and last one nothing."""
    from hwq.posttraining import digits

    true_channels = digits.channels_of

    def by_ebops(*arguments: Any, **more: Any) -> list[Any]:
        found = true_channels(*arguments, **more)
        for channel in found:
            width = channel.bits - digits.JOINING
            channel.bits = np.maximum(width * bits_freed(channel.owner, channel.value), LEAST_BITS)
        return found

    digits.channels_of = by_ebops


def bits_freed(owner: np.ndarray, value: np.ndarray) -> np.ndarray:
    """By how many enclosed bits each digit's removal shortens its weight: (digits,) owners and values -> (digits,)."""
    freed = np.zeros(len(value))
    for weight in np.unique(owner):
        places = np.flatnonzero(owner == weight)
        before = enclosed(value[places].sum())
        for place in places:
            freed[place] = before - enclosed(value[places].sum() - value[place])
    return freed


def enclosed(value: float) -> int:
    """Bits from the first to the last that is not zero."""
    odd = abs(float(value).as_integer_ratio()[0])
    return (odd // (odd & -odd)).bit_length() if odd else 0


def digits_elsewhere(seed: int) -> None:
    """The placebo: the bits of adder that digits free, each told of another digit of the network."""
    from hwq.posttraining.digits import Removal

    true_begin, rng = Removal.begin, np.random.default_rng([seed, 7])

    def permuted(*arguments: Any, **more: Any) -> Any:
        removal = true_begin(*arguments, **more)
        channels = [c for many in removal.channels.values() for c in many]
        if channels:
            moved = rng.permutation(np.concatenate([c.bits for c in channels]))
            for channel, bits in zip(channels, np.split(moved, np.cumsum([len(c.bits) for c in channels])[:-1]), strict=True):
                channel.bits = bits
        return removal

    setattr(Removal, "begin", permuted)  # noqa: B010


class Clock:
    """CPU seconds of a stage, over all the calls that it took."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = json.loads(path.read_text())["cpu_s"] if path.is_file() else 0.0
        self.noted = self.began = time.process_time()

    def tick(self, *_: object) -> None:
        if time.process_time() - self.noted > NOTED_S:
            self.save()

    def save(self) -> float:
        self.noted = time.process_time()
        spent = self.before + self.noted - self.began
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"cpu_s": spent}))
        return spent


def run(out: Path, work: Callable[[Clock], None]) -> dict[str, float]:
    """`work` under a clock that is kept beside `out`."""
    from hwq.flow.train import load_framework

    load_framework()  # which no clock should count as training
    clock = Clock(out.with_name(f"{out.name}-cpu.json"))
    work(clock)
    return {"cpu_s": clock.save()}


def train(data: str, out: str, options: str) -> dict[str, float]:
    from hwq.events import Events
    from hwq.flow.train import train as run_train
    from hwq.train.config import TrainConfig

    chosen = json.loads(options)
    placebo = chosen.pop("placebo", None)
    config = TrainConfig(**{"random_rows": 16, **chosen})
    if placebo:
        place_elsewhere(config.seed, placebo)

    def work(clock: Clock) -> None:
        run_train(data, config, Path(out), events=Events(progress=clock.tick))

    return run(Path(out), work)


def refine(source: str, out: str, options: str) -> dict[str, float]:
    from hwq.events import Events
    from hwq.flow.refine import RefineRequest
    from hwq.flow.refine import refine as run_refine
    from hwq.posttraining.refine import RefineOptions

    told = json.loads(options)
    seed, prices, data = told.pop("shuffle", 0), told.pop("prices", "measured"), told.pop("data", None)
    if "ways" in told:
        told["ways"] = tuple((portion, trust) for portion, trust in told["ways"])
    chosen = RefineOptions(**told)
    if prices == "ebops":
        digits_by_ebops()
    elif prices == "placebo":
        digits_elsewhere(seed)

    def work(clock: Clock) -> None:
        events = Events(point=clock.tick, line=clock.tick)
        run_refine(Path(source), out=Path(out), request=RefineRequest("all", data), options=chosen, events=events)

    return run(Path(out), work)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    stages: dict[str, Callable[..., dict[str, float]]] = {"train": train, "refine": refine}
    sys.stdout.write(json.dumps(stages[command](*arguments)) + "\n")
