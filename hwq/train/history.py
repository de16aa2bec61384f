"""history.csv of a run: a line for every network after every epoch, for the user's own plots."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from hwq.files import write_text
from hwq.train.config import PRICES
from hwq.train.pareto import Candidate

COLUMNS = ("epoch", "phase", "member", "beta", "loss", "val_accuracy", *PRICES)


class History:
    """Appends to the file of a run.

    Args:
        path: the file.
        done: epochs that a resumed run has behind it; what the file tells of later ones will be told again, and is dropped.
    """

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        lines = path.read_text().splitlines()[1:] if path.is_file() and done else []
        kept = [line for line in lines if line.count(",") == len(COLUMNS) - 1 and int(line.partition(",")[0]) < done]
        write_text(path, "".join(f"{line}\n" for line in (",".join(COLUMNS), *kept)))

    def add(self, epoch: int, phase: str, candidate: Candidate, loss: float, costs: Mapping[str, float]) -> None:
        """One network after one epoch; its costs are the exact ones."""
        row = [epoch, phase, candidate.member, candidate.beta, loss, candidate.val_accuracy, *(costs[name] for name in PRICES)]
        with self.path.open("a", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow(row)
