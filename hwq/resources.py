"""Where hls_templates/, boards/ and cost_models/ are: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path

from hwq.errors import HwqError

_PACKAGE = Path(__file__).resolve().parent


def directory(name: str) -> Path:
    """The folder `name` ("boards", "hls_templates" or "cost_models").

    An installed wheel carries the folders as `hwq/_resources/<name>`; a checkout and an editable install have them at
    the top level, beside the package.

    Raises:
        HwqError: neither place has it: a broken installation.
    """
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise HwqError(f"the folder {name!r} of hwq is missing", hint="reinstall hwq: pip install --force-reinstall hwq")
