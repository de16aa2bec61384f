"""What the evaluators of a design said of each other (sim.json), bound to the files that they judged. Nothing is simulated here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hwq.fields import Fields
from hwq.files import read_fields, sha256_of, write_json
from hwq.run.directory import Point, RunDir
from hwq.sim.compare import Comparison, Mismatch
from hwq.toolchains.manifest import Manifest

EVALUATORS = ("keras", "emulator", "csim", "rtl")  # each must have answered, before a design is believed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparisons of one design.

    Attributes:
        samples: rows that the reference and Keras answered; an evaluator may have seen fewer, which its comparison tells.
        accuracy: share of the test rows that the simulated RTL classifies right, or the value of its task's metric; None where there
            are none.
        judged: file or input -> SHA-256 at the time of the comparison.
        metric: what `accuracy` is of another task than classes.
    """

    comparisons: tuple[Comparison, ...]
    samples: int
    accuracy: float | None
    judged: Mapping[str, str] = field(default_factory=dict)
    metric: str = ""

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

    def covers(self, rows: int, accuracy: float | None, *, stream: bool) -> bool:
        """Whether every evaluator that must agree has said something, of all rows, and nothing is told that cannot be.

        Args:
            rows: how many the run has.
            accuracy: of Keras' answers on the test rows, which the hardware's are where nothing differs; None where nobody can say.
            stream: a stream has no emulator, and its simulations see some of the rows.
        """
        wanted = set(EVALUATORS) - ({"emulator"} if stream else set())
        whole = {"keras"} if stream else wanted
        counts = {c.stage_b: c.samples for c in self.comparisons}
        return (
            wanted <= set(counts)
            and self.samples == rows
            and all(counts[stage] == rows for stage in whole)
            and all(0 < counts[stage] <= rows for stage in wanted)
            and (accuracy is None or self.mismatches > 0 or _equal(self.accuracy, accuracy))
        )

    def adding(self, comparison: Comparison, judged: Mapping[str, str]) -> Verdict:
        """With one more comparison, in the place of an earlier one of the same evaluator."""
        kept = tuple(c for c in self.comparisons if c.stage_b != comparison.stage_b)
        return replace(self, comparisons=(*kept, comparison), judged={**self.judged, **judged})

    def without(self, stage: str) -> Verdict:
        return replace(self, comparisons=tuple(c for c in self.comparisons if c.stage_b != stage))

    def to_json(self) -> dict[str, object]:
        """As it is stored and shown."""
        return {
            "comparisons": [asdict(c) for c in self.comparisons],
            "mismatches": self.mismatches,
            "samples": self.samples,
            "accuracy": self.accuracy,
            "judged": dict(self.judged),
            **({"metric": self.metric} if self.metric else {}),
        }

    def write(self, path: Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path, *, sealed: bool = True) -> Verdict:
        """Raises RunError: no such file, changed, or damaged; or without a seal, where one must be there."""
        told = read_fields(path, sealed=sealed, hint="run hwq sim again")
        comparisons = tuple(_comparison(one) for one in told.objects("comparisons"))
        judged = told.texts_by_name("judged") if told.has("judged") else {}  # hwq 0.1.0 did not say
        metric = told.text("metric", "")
        accuracy = told.maybe_number("accuracy") if metric else told.maybe_share("accuracy")
        return cls(comparisons, told.whole("samples"), accuracy, judged, metric)


def _equal(mine: float | None, other: float) -> bool:
    return mine is not None and abs(mine - other) <= 1e-9 * max(1.0, abs(other))


def _comparison(told: Fields) -> Comparison:
    return Comparison(
        told.text("stage_a"),
        told.text("stage_b"),
        told.whole("samples"),
        told.whole("mismatches"),
        _mismatch(told.inner("first")) if told.has("first") else None,
    )


def _mismatch(told: Fields) -> Mismatch:
    a, b = (told.number(name, finite=False) for name in ("a", "b"))  # what Keras answers may be no number
    return Mismatch(told.whole("sample"), told.text("node"), told.whole("element"), a, b)


FACTS = (
    "design",
    "board",
    "latency_cycles",
    "period_ns",
    "interval",
    "group",
    "features",
    "adders",
    "hardware",
)  # of build.json, beside the plan's digest


def judged_inputs(manifest: Manifest, point: Point, run: RunDir) -> dict[str, str]:
    """What a verdict on a design is about: its build.json, the point's graph and Keras' answers, the rows."""
    told = manifest.to_json()
    facts = json.dumps([told.get(name) for name in FACTS], sort_keys=True)
    known = {"plan": manifest.plan, "facts": hashlib.sha256(facts.encode()).hexdigest()}
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
