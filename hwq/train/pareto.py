"""The Pareto archive: validation accuracy against cost, no dominated and no tied points, thinned evenly over the logarithm of cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwq.fields import Fields

BINS_PER_OCTAVE = 6  # two points closer than 12 % in cost say the same; the more accurate one stays
USEFUL = 0.7  # of the way from chance to the best accuracy: nobody builds what knows less, and points there are missed elsewhere


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network seen while training, `member` of the population of that epoch: its weights are in the checkpoint folder under its key."""

    epoch: int
    val_accuracy: float
    ebops: float
    beta: float
    member: int = 0

    # val_accuracy is a score: accuracy, or another metric as a number of which more is better (`hwq.data.task.Task.score`)
    @classmethod
    def of(cls, told: Fields) -> Candidate:
        """Raises RunError: it is no candidate as a file has it."""
        numbers = (told.number("val_accuracy"), told.number("ebops", least=0.0), told.number("beta"))
        return cls(told.whole("epoch"), *numbers, told.whole("member", 0))

    @property
    def key(self) -> str:
        return f"{self.epoch}-{self.member}"


def admits(archive: Sequence[Candidate], new: Candidate) -> bool:
    """Whether no point of the archive is at least as good in both."""
    return not any(c.val_accuracy >= new.val_accuracy and c.ebops <= new.ebops for c in archive)


def insert(archive: Sequence[Candidate], new: Candidate) -> list[Candidate]:
    """The archive with `new` in it, where it belongs: without what it dominates, one point a bin of cost."""
    if new.ebops <= 0 or not admits(archive, new):
        return list(archive)
    kept = [c for c in archive if not (new.val_accuracy >= c.val_accuracy and new.ebops <= c.ebops)]
    rivals = [c for c in kept if _bin(c) == _bin(new)]
    if any(c.val_accuracy >= new.val_accuracy for c in rivals):
        return sorted(kept, key=lambda c: c.ebops)
    kept = [c for c in kept if _bin(c) != _bin(new)]
    return sorted([*kept, new], key=lambda c: c.ebops)


def _bin(candidate: Candidate) -> int:
    return math.floor(math.log2(candidate.ebops) * BINS_PER_OCTAVE)


def thin(archive: Sequence[Candidate], count: int, *, chance: float) -> list[Candidate]:
    """At most `count` points: the most accurate one, the cheapest useful one, and between them evenly over log cost."""
    if not archive:
        return []
    top = max(archive, key=lambda c: (c.val_accuracy, -c.ebops))
    least = chance + USEFUL * max(top.val_accuracy - chance, 0.0)
    useful = [c for c in archive if c.val_accuracy >= least] or [top]
    if len(useful) <= count:
        return useful
    low, high = math.log(useful[0].ebops), math.log(top.ebops)
    chosen = {top.key: top}
    for step in range(count - 1):
        aim = low + (high - low) * step / (count - 1)
        rest = [c for c in useful if c.key not in chosen]
        nearest = min(rest, key=lambda c: abs(math.log(c.ebops) - aim))
        chosen[nearest.key] = nearest
    return sorted(chosen.values(), key=lambda c: c.ebops)
