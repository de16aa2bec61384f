"""From finished steps to rows of the store: the one way, whether a run, a design by itself or another machine made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hwq.boards import Board
from hwq.errors import ReportError
from hwq.measure.measurement import WHOLE, Measurement
from hwq.measure.store import Store
from hwq.synthesis.step_measurement import measure
from hwq.synthesis.step_reports import require_pass, version_doubt
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.runner import Record, record_path
from hwq.toolchains.steps import Step


@dataclass(frozen=True, slots=True)
class Ran:
    """A step that has finished, and what its measurement depends on besides its own program (`step_measurement.options_of`)."""

    step: Step
    record: Record
    options: str


@dataclass(frozen=True, slots=True)
class PlanFolder:
    """Where steps have run.

    Attributes:
        manifest: what is known of the plan there.
        scope: of the measurements: whole designs, or parts of them that no cost model is fitted to.
    """

    folder: Path
    board: Board
    manifest: Manifest
    scope: str = WHOLE


@dataclass(frozen=True, slots=True)
class Stored:
    """Measurements in the order of their steps, and what is odd about the reports, as sentences."""

    measurements: tuple[Measurement, ...]
    doubts: tuple[str, ...]


def store_all(steps: Sequence[Ran], place: PlanFolder, store: Store, *, again: bool = True) -> Stored:
    """Read the reports of every step, and then store them together: none where one cannot be believed, or cannot be written.

    Args:
        again: a step whose report cannot be believed runs again next time: its record goes.

    Raises:
        ReportError: a report that cannot be read or believed, or a co-simulation that failed.
        StoreError: of the store.
    """
    found = [_read(ran, place, again) for ran in steps]
    measured = [one for one in found if one is not None]
    store.put_all(measured)
    doubts = (version_doubt(ran.step, ran.record, place.folder) for ran in steps)
    return Stored(tuple(measurement for measurement, _ in measured), tuple(filter(None, doubts)))


def _read(ran: Ran, place: PlanFolder, again: bool) -> tuple[Measurement, dict[str, bytes]] | None:
    """The measurement of a step and its reports; None where it measures nothing."""
    try:
        require_pass(ran.step, ran.record, place.folder)
        if not ran.step.measures:
            return None
        found, artefacts = measure(ran.step, ran.record, place.folder, place.board, place.manifest, ran.options)
    except ReportError:
        if again:
            record_path(place.folder, ran.step.name).unlink(missing_ok=True)
        raise
    return replace(found, key=replace(found.key, scope=place.scope)), artefacts
