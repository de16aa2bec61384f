"""What `hwq allocate` says of a point: the designs on the way and the one that was chosen; its one reader and writer."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hwq.fields import Fields, Json
from hwq.posttraining.quantize import Widths
from hwq.run.directory import Point

NAME = "allocation"  # of its part of point.json
CLOSE = 0.05  # of the measured LUTs: how near the prediction must come


@dataclass(frozen=True, slots=True)
class Attempt:
    """One whole design on the way: predicted and measured LUTs, divergence of its answers.

    `bits` are those of weights and activations by layer; the first is a tuple, one for each channel, where channels have their own.
    """

    bits: dict[str, tuple[Widths, int]]
    predicted: float
    measured: float
    divergence: float

    @property
    def close(self) -> bool:
        """Whether the prediction was near enough."""
        return abs(self.predicted - self.measured) <= CLOSE * self.measured

    @classmethod
    def of(cls, told: Fields) -> Attempt:
        """Raises RunError: hwq never wrote this."""
        layers = told.inner("bits")
        bits = {name: _bits(layers, name) for name in layers.content}
        return cls(bits, told.number("predicted"), told.number("measured"), told.number("divergence"))


@dataclass(frozen=True, slots=True)
class Allocation:
    """All designs in the order in which they were measured, the chosen one among them; `costs` is what they were priced by."""

    chosen: Attempt
    trials: tuple[Attempt, ...]
    costs: str

    def to_json(self) -> dict[str, object]:
        return {"chosen": asdict(self.chosen), "trials": [asdict(t) for t in self.trials], "costs": self.costs}

    @classmethod
    def of(cls, point: Point) -> Allocation:
        """Raises RunError: the point says nothing of an allocation, or hwq never wrote what it says."""
        told = point.told(NAME, "delete that point's folder and run hwq allocate again")
        return cls(Attempt.of(told.inner("chosen")), tuple(map(Attempt.of, told.objects("trials"))), told.text("costs"))


def _bits(layers: Fields, name: str) -> tuple[Widths, int]:
    """[bits of the weights, or a list of them; bits of what the layer reads]."""
    both = layers.listed(name)
    pair: dict[str, Json] = dict(zip(("weights", "reads"), both, strict=False))
    told = Fields(pair, f"{layers.where}: {name}", layers.hint)
    weights = told.wholes("weights") if isinstance(pair.get("weights"), list) else told.whole("weights")
    return weights, told.whole("reads")
