"""Which cost models hold for a board and tool: those that `hwq calibrate` made here, else those that come with hwq."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from hwq.boards import Board, load, names
from hwq.cost.fit import fit
from hwq.cost.library import Library, read
from hwq.cost.model import CostModel, ModelKey, hardware_of
from hwq.cost.terms import COMPILED
from hwq.errors import BoardError, CostModelError
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import Selection, Store
from hwq.places import directory, user_data
from hwq.toolchains.registry import program_of

SHIPPED = "cost_models"
ENOUGH = 8  # measured designs from which a fit of one's own is better than that of another version of the tool


def own_models() -> Path:
    """Where `hwq calibrate` writes: $HWQ_COST_MODELS, else cost_models in the user's data folder."""
    chosen = os.environ.get("HWQ_COST_MODELS")
    if chosen:
        return Path(chosen)
    return user_data() / SHIPPED


def model_family(board: Board, tool: str) -> str:
    """Across which parts measurements of a tool can be compared: the open tools map alike for all parts of an architecture."""
    program = program_of(tool)
    alike = board.yosys_family and program is not None and program.by_yosys_family
    return board.yosys_family if alike else board.family


def plain_tool(tool: str) -> str:
    """A program's name without what packages it."""
    return tool.removeprefix("yowasp-")


def libraries(folder: Path | None = None) -> list[Library]:
    """All models there are, those made here first; or those of one folder.

    Raises:
        CostModelError: a file of them is damaged.
    """
    folders = [folder] if folder is not None else [own_models(), directory(SHIPPED)]
    return [read(path) for place in folders if place.is_dir() for path in sorted(place.glob("*.toml"))]


@dataclass(frozen=True, slots=True)
class Found:
    """A model for a question, and whether it is of the very version asked for."""

    library: Library
    exact: bool

    def model(self, target: str, moment: str) -> CostModel | None:
        """None where the tool does not report the target."""
        return self.library.models.get((target, moment))


@dataclass(frozen=True, slots=True, order=True)
class ModelSource:
    """Which program's reports of which stage, with what else a measurement depends on (`hwq.measure.measurement.Key`)."""

    tool: str
    version: str
    stage: str
    options: str = ""

    @classmethod
    def of(cls, key: Key) -> ModelSource:
        return cls(key.tool, key.version, key.stage, key.options)


def find_models(board: Board, source: ModelSource, folder: Path | None = None) -> Found | None:
    """The models for a source on a board: its very own, else of other versions; None where there are none.

    What another compiler made of the C++ is another source, whatever program mapped it, and so are sums of three operands.

    Raises:
        CostModelError: a file of them is damaged.
    """
    wanted = ModelKey(model_family(board, source.tool), plain_tool(source.tool), source.version, source.stage, source.options)
    near: Found | None = None
    alike = [one for one in libraries(folder) if bool(hardware_of(one.key.options)) == bool(hardware_of(source.options))]
    for library in alike:
        key = library.key
        kind = (key.family, plain_tool(key.tool), key.stage, key.compiler, key.adders)
        if kind != (wanted.family, wanted.tool, wanted.stage, wanted.compiler, wanted.adders):
            continue
        if key.version == source.version and key.options in (source.options, ""):
            return Found(library, True)
        near = near or Found(library, False)
    return near


def selection(board: Board, source: ModelSource, counted: float | None = None) -> Selection:
    """All stored measurements that may stand in one model with those of `source` on `board`; of one count of features, or of all."""
    family = model_family(board, source.tool)
    families = {name: _family(name, source.tool) for name in names()}
    same = tuple(name for name, other in families.items() if other == family)
    others = tuple(name for name in families if name not in same)
    return Selection(source.tool, source.version, source.stage, source.options, family, same, others, counted)


def comparable(store: Store, chosen: Selection, apart: Iterable[str] = ()) -> list[Measurement]:
    """What is fitted together, its family as the models name it: all of it, or a draw where there is more than a fit needs.

    Args:
        apart: designs that are not drawn.
    """
    return [replace(m, family=chosen.family) for m in store.select(chosen, apart)]


def _family(name: str, tool: str) -> str:
    try:
        return model_family(load(name), tool)
    except BoardError:
        return ""


def models_without(design: str, measured: Sequence[Measurement], found: Found | None, targets: Sequence[str]) -> list[CostModel]:
    """The compiled design's models of `targets`, made without the measurement of `design`; those that cannot be had are left out.

    Args:
        measured: comparable ones from the store: what is fitted where no models were made before, or only for another version.
    """
    rows = [m for m in measured if m.key.design != design]
    if found is not None and (found.exact or len({m.key.design for m in rows}) < ENOUGH):
        known = [found.model(target, COMPILED) for target in targets]
        used = found.library.rows() if found.exact else []
        if all(m.key.design != design for m in used):
            return [model for model in known if model is not None]
        rows = [m for m in used if m.key.design != design]
    models = []
    for target in targets:
        with suppress(CostModelError):  # too few designs yet: then there is no prediction
            models.append(fit(rows, target))
    return models


@dataclass(frozen=True, slots=True)
class Beside:
    """`models_without` for many designs, fitted once for all that no fit knows."""

    measured: Sequence[Measurement]
    found: Found | None
    targets: Sequence[str]
    _made: dict[str, list[CostModel]] = field(default_factory=dict)

    def without(self, design: str) -> list[CostModel]:
        """The models made without that design's own measurement."""
        if "" not in self._made:
            self._made[""] = models_without("", self.measured, self.found, self.targets)
        used = self.found.library.rows() if self.found is not None and self.found.exact else []
        name = design if any(m.key.design == design for m in (*self.measured, *used)) else ""
        if name not in self._made:
            self._made[name] = models_without(name, self.measured, self.found, self.targets)
        return self._made[name]
