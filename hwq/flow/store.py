"""`hwq store`: the measurement store as a person asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from hwq.errors import StoreError
from hwq.files import atomic_write
from hwq.measure.store import Store


def open_store(place: Path | str | None) -> Store:
    """Raises StoreError: not writable, no database, or of a newer hwq."""
    return Store.open(place)


def write_reports(place: Path | str | None, design: str, out: Path) -> list[Path]:
    """The archived reports and logs of every measurement of a design, below `out/<tool>-<stage>-<board>/`.

    Raises:
        StoreError: no measurement of that design.
        RunError: the folder cannot be written.
    """
    store = Store.open(place)
    found = store.find(design=design)
    if not found:
        raise StoreError(f"{store.database} has no measurement of design {design!r}", hint="hwq store export lists them")
    written = []
    for m in found:
        for name, content in store.artefacts(m.key).items():
            path = out / f"{m.key.tool}-{m.key.version}-{m.key.stage}-{m.key.board}-{m.key.plan}" / name
            _write(path, content)
            written.append(path)
    return written


def _write(path: Path, content: bytes) -> None:
    def fill(stream: IO[bytes]) -> None:
        stream.write(content)

    atomic_write(path, fill)
