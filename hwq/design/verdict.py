"""What the evaluators of a design said of each other (sim.json), bound to the files that they judged. Nothing is simulated here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hwq.errors import RunError
from hwq.files import read_json, sha256_of, write_json
from hwq.run.directory import Point, RunDir
from hwq.sim.compare import Comparison, Mismatch


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparisons of one design.

    Attributes:
        samples: rows that the reference and Keras answered; an evaluator may have seen fewer, which its comparison tells.
        accuracy: share of the test rows that the simulated RTL classifies right.
        judged: file or input -> SHA-256 at the time of the comparison.
    """

    comparisons: tuple[Comparison, ...]
    samples: int
    accuracy: float
    judged: Mapping[str, str] = field(default_factory=dict)

    @property
    def mismatches(self) -> int:
        return sum(c.mismatches for c in self.comparisons)

    def told(self) -> str:
        """`0 mismatches in 10360 rows`, and who saw fewer."""
        return f"{self.mismatches} mismatches in {rows_told(self.comparisons)}"

    def of(self, stage: str) -> Comparison | None:
        """The comparison of the reference with this evaluator."""
        return next((c for c in self.comparisons if c.stage_b == stage), None)

    def holds_for(self, now: Mapping[str, str]) -> bool:
        """Whether what was judged is what is there now."""
        return all(self.judged.get(name) == digest for name, digest in now.items())

    def adding(self, comparison: Comparison, judged: Mapping[str, str]) -> Verdict:
        """With one more comparison, in the place of an earlier one of the same evaluator."""
        kept = tuple(c for c in self.comparisons if c.stage_b != comparison.stage_b)
        return replace(self, comparisons=(*kept, comparison), judged={**self.judged, **judged})

    def without(self, stage: str) -> Verdict:
        return replace(self, comparisons=tuple(c for c in self.comparisons if c.stage_b != stage))

    def to_json(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return {
            "comparisons": [asdict(c) for c in self.comparisons],
            "mismatches": self.mismatches,
            "samples": self.samples,
            "accuracy": self.accuracy,
            "judged": dict(self.judged),
        }

    def write(self, path: Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path, *, sealed: bool = True) -> Verdict:
        """Raises RunError: no such file, changed, or damaged; or without a seal, where one must be there."""
        content = read_json(path, sealed=sealed)
        try:
            found = []
            for c in content["comparisons"]:
                first = Mismatch(**c["first"]) if c["first"] else None
                found.append(Comparison(**{**c, "first": first}))
            accuracy = float(content["accuracy"])
            if not 0 <= accuracy <= 1 or any(c.mismatches < 0 for c in found):
                raise ValueError("its numbers cannot be")
            return cls(tuple(found), int(content["samples"]), accuracy, dict(content.get("judged", {})))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{path} is damaged: {type(error).__name__} {error}", hint="run hwq sim again") from error


FACTS = (
    "design",
    "board",
    "latency_cycles",
    "period_ns",
    "interval",
    "group",
    "features",
    "adders",
)  # of build.json, beside the plan's digest


def judged_inputs(summary: Mapping[str, Any], point: Point, run: RunDir) -> dict[str, str]:
    """What a verdict on a design is about: its build.json, the point's graph and Keras' answers, the rows."""
    facts = json.dumps([summary.get(name) for name in FACTS], sort_keys=True)
    known = {"plan": str(summary["plan"]), "facts": hashlib.sha256(facts.encode()).hexdigest()}
    return {**known, **{p.name: sha256_of(p) for p in (point.graph_path, point.keras_path, run.vectors_path)}}


def rows_told(comparisons: Sequence[Comparison]) -> str:
    """`10360 rows`, or `10360 rows (csim, rtl: 1024)` where some evaluators saw fewer than the run has."""
    most = next((c.samples for c in comparisons), 0)  # Keras' comparison is the first, and of all rows
    fewer: dict[int, list[str]] = {}
    for c in comparisons:
        if c.samples < most:
            fewer.setdefault(c.samples, []).append(c.stage_b)
    more = "; ".join(f"{', '.join(names)}: {count}" for count, names in sorted(fewer.items(), reverse=True))
    return f"{most} rows" + (f" ({more})" if more else "")
