"""The test harness of a board: the design behind a serial line, its pin file, and the bytes that go over the line.

Written only for boards whose file has a [harness] table and whose bitstream the open tools make (ECP5).
"""

from __future__ import annotations

from collections.abc import Sequence

from hwq.boards import Board
from hwq.codegen.ports import Element, Ports
from hwq.errors import BoardError, DataError
from hwq.templates import render

BAUD = 1_000_000
SMALLEST_DIVISOR = 8  # clock cycles a bit: fewer leave no middle to sample
LARGEST_DRIFT = 0.015  # of a bit time: ten bits later the sample must still lie within its bit
TIMEOUT_MS = 50
MAGIC = b"HWQ1"
IDENTITY_BYTES = 16


def harness_files(ports: Ports, board: Board, top: str, latency: int, design: str, interval: int = 1) -> dict[str, str]:
    """`board/<top>_board.v` and `board/pins.lpf`; nothing for a board without a harness.

    Args:
        interval: above 1 the design has a port `start`.

    Raises:
        BoardError: the board's clock has no divisor for the line's speed.
    """
    if board.harness is None:
        return {}
    clock_hz = round(board.harness.clock.mhz * 1e6)
    divisor = round(clock_hz / BAUD)
    if divisor < SMALLEST_DIVISOR or abs(clock_hz / (divisor * BAUD) - 1) > LARGEST_DRIFT:
        raise BoardError(
            f"{board.name}: the harness cannot make {BAUD} baud from {board.harness.clock}",
            hint=f"it needs a multiple of {BAUD / 1e6:g} MHz, at least {SMALLEST_DIVISOR * BAUD / 1e6:g} MHz",
        )
    y_bytes = bytes_for(ports.output_bits)
    identity = int.from_bytes(identity_of(ports, design), "little")
    values: dict[str, object] = {
        "top": top,
        "board": board.name,
        "baud": BAUD,
        "divisor": divisor,
        "x_bytes": bytes_for(ports.input_bits),
        "y_bytes": y_bytes,
        "out_bytes": max(IDENTITY_BYTES, y_bytes),
        "latency": latency,
        "interval": interval,
        "count_bits": max(16, (latency + 2).bit_length()),
        "timeout": clock_hz * TIMEOUT_MS // 1000,
        "timeout_ms": TIMEOUT_MS,
        "input_bits": ports.input_bits,
        "output_bits": ports.output_bits,
        "identity": f"{8 * IDENTITY_BYTES}'h{identity:x}",
        "harness": board.harness,
        "clock_mhz": f"{board.harness.clock.mhz:g}",
    }
    return {
        f"board/{top}_board.v": render("verilog/board.v.j2", **values),
        "board/pins.lpf": render("verilog/board.lpf.j2", **values),
    }


def bytes_for(bits: int) -> int:
    return -(-bits // 8)


def identity_of(ports: Ports, design: str) -> bytes:
    """What the harness answers to "I": so that a host never reads another design's results as its own."""
    sizes = [bytes_for(bits).to_bytes(2, "little") for bits in (ports.input_bits, ports.output_bits)]
    return MAGIC + b"".join(sizes) + bytes.fromhex(design)[:8].ljust(8, b"\0")


def pack(elements: Sequence[Element], row: Sequence[int], bits: int) -> bytes:
    """One row of mantissas as the bytes of a port of `bits` bits, lowest first.

    Raises:
        DataError: another number of elements, or one that its type does not hold.
    """
    if len(row) != len(elements):
        raise DataError(f"the row has {len(row)} elements, the design {len(elements)}")
    whole = 0
    for e, value in zip(elements, row, strict=True):
        low, high = (-(1 << e.width >> 1), (1 << e.width >> 1) - 1) if e.signed else (0, (1 << e.width) - 1)
        if e.width and not low <= value <= high:
            raise DataError(f"element {e.index} of {e.node} is {value}; {e.width} bits hold {low} ... {high}")
        whole |= (int(value) & ((1 << e.width) - 1)) << e.offset
    return whole.to_bytes(bytes_for(bits), "little")


def unpack(elements: Sequence[Element], content: bytes) -> list[int]:
    """The mantissas in the bytes of a port: the inverse of `pack`."""
    whole = int.from_bytes(content, "little")
    row = []
    for e in elements:
        value = (whole >> e.offset) & ((1 << e.width) - 1)
        row.append(value - (1 << e.width) if e.signed and e.width and value >> (e.width - 1) else value)
    return row
