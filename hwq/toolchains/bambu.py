"""What Bambu 2024.10 needs to know of a board: the device whose delays it schedules with."""

from __future__ import annotations

from hwq.boards import Board

FOLDER = "bambu"  # of a plan: Bambu leaves its working files where it runs
# Yosys' family -> the devices of AMD that Bambu 2024.10 has measured delays of (its etc/devices/Xilinx_devices), the usual choice first
DEVICES: dict[str, tuple[str, ...]] = {
    "xc7": (
        "xc7a100t-1csg324-VVD",
        "xc7z020-1clg484-VVD",
        "xc7z045-2ffg900-VVD",
        "xc7vx485t-2ffg1761-VVD",
        "xc7vx690t-3ffg1930-VVD",
    ),
    "xcu": ("xcku060-3ffva1156-VVD",),
    "xcup": ("xcu280-2Lfsvh2892-VVD",),
}


def device(board: Board) -> str:
    """The device nearest to the board's part: of its family, with the longest part of the name in common."""
    return max(DEVICES[board.yosys_family], key=lambda name: _alike(name, board.part))


def _alike(a: str, b: str) -> int:
    """How many characters two names begin with in common."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
