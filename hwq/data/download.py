"""Downloads into a cache: with progress, a checksum, and nothing half-written left behind."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self

from hwq.errors import DataError
from hwq.events import Notice, quiet
from hwq.fields import Json
from hwq.files import atomic_write
from hwq.places import cache

CHUNK = 1 << 20
TIMEOUT_S = 30.0


class Response(Protocol):
    """What a server sends, as urllib gives it."""

    headers: Mapping[str, str]

    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is downloaded, with the checksum of this kind that it must have."""

    name: str
    target: Path
    kind: str
    checksum: str
    notice: Notice


def digest_of(path: Path, kind: str = "sha256") -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def local(name: str) -> Path | None:
    """The file `name` in the user's own folder of data, $HWQ_DATA."""
    folder = os.environ.get("HWQ_DATA")
    path = Path(folder or "") / name
    return path if folder and path.is_file() else None


def fetch(url: str, name: str, *, sha256: str = "", md5: str = "", notice: Notice = quiet) -> Path:
    """The cached file `name`, downloaded from `url` when it is not there with the right checksum.

    Args:
        sha256, md5: the checksum that the source publishes, hexadecimal; one of the two.
        notice: told of the progress, each tenth.

    Raises:
        DataError: offline, refused, cut short, or another checksum; nothing is kept then.
        RunError: the cache cannot be written.
    """
    kind, checksum = ("sha256", sha256) if sha256 else ("md5", md5)
    target = cache() / name
    if target.is_file() and digest_of(target, kind) == checksum:
        return target
    notice(f"downloading {name} to {target.parent}")
    wanted = _Wanted(name, target, kind, checksum, notice)
    with _open(url, name, target) as response:
        atomic_write(target, lambda sink: _copy(response, sink, wanted))
    return target


def read_json(url: str, name: str) -> dict[str, Json]:
    """A JSON object from the network, not cached.

    Raises:
        DataError: offline, refused, or no JSON object.
    """
    with _open(url, name, None) as response:
        try:
            content = json.loads(response.read())
        except (ValueError, OSError, http.client.HTTPException) as error:
            raise DataError(f"cannot read what the server says of {name}: {error}", hint="try again later") from error
    if not isinstance(content, dict):
        raise DataError(f"cannot read what the server says of {name}: expected a JSON object", hint="try again later")
    return content


def _open(url: str, name: str, target: Path | None) -> Response:
    try:
        response: Response = urllib.request.urlopen(url, timeout=TIMEOUT_S)
        return response
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _offline(name, error, target) from error


def _offline(name: str, error: Exception, target: Path | None) -> DataError:
    by_hand = f", or put the file at {target} by hand" if target else ""
    return DataError(f"cannot download {name}: {getattr(error, 'reason', error)}", hint=f"check the network{by_hand}")


def _copy(source: Response, sink: IO[bytes], wanted: _Wanted) -> None:
    name, whole = wanted.name, hashlib.new(wanted.kind)
    total, seen, told = int(source.headers.get("Content-Length") or 0), 0, 0
    while chunk := _read(source, name, wanted.target):
        sink.write(chunk)
        whole.update(chunk)
        seen += len(chunk)
        if total and seen * 10 // total > told:
            told = seen * 10 // total
            wanted.notice(f"{name}: {seen / 1e6:.1f} of {total / 1e6:.1f} MB")
    if total and seen != total:
        raise DataError(f"the download of {name} was cut short: {seen} of {total} bytes", hint="try again")
    if whole.hexdigest() != wanted.checksum:
        raise DataError(
            f"{name} has another checksum than expected",
            hint="the source has changed or the download was tampered with; nothing was kept",
        )


def _read(source: Response, name: str, target: Path) -> bytes:
    """Apart from the writing, so that a broken connection is not taken for a full disk."""
    try:
        return bytes(source.read(CHUNK))
    except (OSError, http.client.HTTPException) as error:
        raise _offline(name, error, target) from error
