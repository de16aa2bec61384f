"""Measurement: what one tool run found of one design, with everything that decides whether two of them may be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from hwq.measure.check import check_content, check_key, parse_body
from hwq.reports.types import Latency, Resources, Timing

WHOLE = "design"
ROWS = "sums of three"  # among the options of what was measured of designs whose sums have three operands


@dataclass(frozen=True, slots=True)
class Key:
    """What identifies a measurement: the same key is never measured twice.

    Attributes:
        design: digest of the graph.
        plan: digest of all generated files.
        scope: "design", or the name of one node.
        board, tool, version, stage: where and how it was measured.
        options: what else was asked of the tool, as text.
    """

    design: str
    plan: str
    scope: str
    board: str
    tool: str
    version: str
    stage: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the store.

    Attributes:
        family: the board's family, across whose parts cost models hold.
        features: what the design consists of (`hwq.cost.features`), so that a model can be fitted without its files.
        seconds, peak_mb: what the tool took.
        group: the kind of design: those of one group are alike, and a fit is tested on groups that it has not seen.
        power_w: estimated power of the routed design in W, where the tool was asked for it.
        when: ISO 8601, UTC.
        log: the tool's log file; host: the machine.
    """

    key: Key
    family: str
    resources: Resources
    timing: Timing
    latency: Latency
    features: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    peak_mb: float = 0.0
    when: str = ""
    log: str = ""
    host: str = ""
    power_w: float | None = None
    group: str = ""

    def content(self) -> dict[str, object]:
        """Everything but the key."""
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "key"}
        parts = {name: asdict(content[name]) for name in ("resources", "timing", "latency")}
        return {**content, **parts, "features": dict(self.features)}

    def body(self) -> str:
        """Everything but the key, as JSON."""
        return json.dumps(self.content(), sort_keys=True)

    @classmethod
    def of(cls, key: Key, body: object) -> Measurement:
        """The inverse of `body`; raises FieldError where a field of key or body cannot be."""
        check_key(asdict(key))
        content = parse_body(body)
        content["resources"] = Resources(**content["resources"])
        content["timing"] = Timing(**content["timing"])
        content["latency"] = Latency(**content["latency"])
        return cls(key=key, **content)

    def check(self) -> None:
        """Raises FieldError: a field cannot be, such as a negative count or one that is not finite."""
        check_key(asdict(self.key))
        check_content(self.content())
