"""build.json: what a plan in its folder is, with the digests of its files; its one reader and writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, get_args

from hwq.boards import Operands
from hwq.errors import RunError
from hwq.fields import Fields
from hwq.files import inside, read_fields, sha256_of, write_json
from hwq.toolchains.plan import BuildPlan, digest_of

BUILD = "build.json"
_KNOWN = (
    "design",
    "plan",
    "board",
    "top",
    "period_ns",
    "latency_cycles",
    "interval",
    "features",
    "group",
    "adders",
    "point",
    "files",
    "feeding",
    "hardware",
    "test_data",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One plan in its folder.

    Attributes:
        design, plan: digests of the graph and of all generated files.
        interval: clocks from one input to the next.
        features: what the design consists of (`hwq.cost.features`).
        adders: operands of its sums; two before hwq 0.3.0.
        group: what designs of the same data have in common: cost models are tested on groups that they have not seen.
        point, files: of a design of a run; None of one that belongs to no run.
        feeding: digests of README.md and preprocess.json, and of what they were made from.
        hardware: the style of the Verilog (`hwq.toolchains.plan.BuildPlan`); None of one that was written before there was a choice.
        test_data: files of `tb_data/` -> SHA-256; None of a folder that has none, or of an earlier version.
        more: what another version of hwq says.
    """

    design: str
    plan: str
    board: str
    top: str
    period_ns: float
    latency_cycles: int
    features: Mapping[str, float]
    interval: int = 1
    group: str = ""
    adders: Operands = "two"
    point: str | None = None
    files: tuple[str, ...] | None = None
    feeding: Mapping[str, str] | None = None
    hardware: str | None = None
    test_data: Mapping[str, str] | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of_plan(cls, plan: BuildPlan, features: Mapping[str, float], *, interval: int = 1, group: str = "") -> Manifest:
        """The manifest of a design that belongs to no run."""
        numbers = (plan.period_ns, plan.latency_cycles)
        hardware = None if plan.hardware == "parallel" else plan.hardware
        made = cls(plan.design, plan.digest, plan.board, plan.top, *numbers, features, interval, group, plan.adders)
        return replace(made, hardware=hardware)

    @property
    def streamed(self) -> bool:
        """Whether it takes a pixel a clock."""
        return self.interval > 1 and self.hardware is None

    def changed(self, folder: Path) -> str | None:
        """The first of the plan's files that is missing, or "a file" where one is not as it was generated; None where all are.

        Raises:
            RunError: a name that leaves the folder.
        """
        contents: dict[str, bytes] = {}
        for name in self.files or ():
            path = inside(folder, name)
            if not path.is_file():
                return name
            contents[name] = path.read_bytes()
        return None if digest_of(contents) == self.plan else "a file"

    def changed_rows(self, folder: Path) -> list[str]:
        """The files of `tb_data/` that are missing or not as they were written.

        Raises:
            RunError: a name that leaves the folder.
        """
        return [name for name, digest in (self.test_data or {}).items() if sha256_of(inside(folder, name)) != digest]

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {name: getattr(self, name) for name in _KNOWN}
        return {**self.more, **{name: value for name, value in told.items() if value is not None}}

    def write(self, folder: Path) -> None:
        """Raises RunError: it cannot be written."""
        write_json(folder / BUILD, self.to_json())

    @classmethod
    def read(cls, folder: Path, *, sealed: bool = False) -> Manifest:
        """The inverse of `write`.

        Args:
            sealed: a record without a seal is refused; those of hwq 0.1.0 have none.

        Raises:
            RunError: missing, changed, or with a member of another kind.
        """
        hint = "hwq synth writes it again; a plan of another machine: copy its whole folder again"
        return cls.of(read_fields(folder / BUILD, sealed=sealed, hint=hint))

    @classmethod
    def of(cls, told: Fields) -> Manifest:
        """Raises RunError: a member is missing, or of another kind."""
        return cls(
            told.text("design"),
            told.text("plan"),
            told.text("board"),
            told.text("top"),
            told.number("period_ns", least=1e-6),
            told.whole("latency_cycles"),
            told.numbers_by_name("features"),
            told.whole("interval", 1, least=1),
            told.text("group", ""),
            _operands(told),
            told.text("point") if told.has("point") else None,
            told.texts("files") if told.has("files") else None,
            told.texts_by_name("feeding") if told.has("feeding") else None,
            told.text("hardware") if told.has("hardware") else None,
            told.texts_by_name("test_data") if told.has("test_data") else None,
            told.rest(*_KNOWN),
        )


def _operands(told: Fields) -> Operands:
    found = told.text("adders", "two")
    if found not in get_args(Operands):
        raise RunError(
            f"{told.where} is damaged: adders is {found[:20]!r}, expected {' or '.join(get_args(Operands))}", hint=told.hint
        )
    return cast(Operands, found)
