"""Lattice part names as the open ECP5 tools want them. Only that: it is loaded with every command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwq.errors import BoardError


@dataclass(frozen=True, slots=True)
class Ecp5:
    """What nextpnr-ecp5 and ecppack are told of a part."""

    device: str
    package: str
    speed: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return (f"--{self.device}", "--package", self.package, "--speed", self.speed)


def ecp5_part(part: str) -> Ecp5:
    """`LFE5U-85F-6BG381C` -> 85k, CABGA381, speed grade 6.

    Raises:
        BoardError: no ECP5 part name.
    """
    match = re.fullmatch(r"LFE5(U|UM|UM5G)-(\d+)F-([678])(BG|MG)(\d+)[CI]", part)
    if match is None:
        raise BoardError(f"{part!r} is no part name of an ECP5", hint="as on the chip, for example LFE5U-85F-6BG381C")
    kind, size, speed, package, balls = match.groups()
    prefix = {"U": "", "UM": "um-", "UM5G": "um5g-"}[kind]
    return Ecp5(f"{prefix}{size}k", f"{'CABGA' if package == 'BG' else 'CSFBGA'}{balls}", speed)
