"""AMD's block memories as tables of constants: what a mapped netlist reads from one that is never written, on bit planes.

Written from the vendor's memory guides (UG573 for RAMB18E2 and RAMB36E2, UG473 for RAMB18E1 and RAMB36E1). A memory that can be written, or that
has an output register, is refused: no pipeline of hwq has one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.sim.cells import CellFunction, CellOutputs, Planes, Unsupported
from hwq.sim.planes import Plane, pack, unpack

PARITY = {9: 1, 18: 2, 36: 4, 72: 8}  # read width -> bits of it that lie in the memory's second part


def _names(kind: str, port: str) -> tuple[str, str, str]:
    """Data, parity and address of a port."""
    old = kind.endswith("E1")
    data, parity = (f"DO{port}DO", f"DOP{port}DOP") if old else (f"DOUT{port}DOUT", f"DOUTP{port}DOUTP")
    return data, parity, "ADDRARDADDR" if port == "A" else "ADDRBWRADDR"


def _content(p: Planes, prefix: str, width: int) -> npt.NDArray[np.int64]:
    """The words of one part of the memory, `width` bits each."""
    names = sorted(name for name in p.parameters if name.startswith(prefix) and len(name) == len(prefix) + 2)
    raw = b"".join(p.number(name).to_bytes(32, "little") for name in names)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    words = bits[: len(bits) // width * width].reshape(-1, width).astype(np.int64)
    return np.asarray(words @ (np.int64(1) << np.arange(width, dtype=np.int64)))


def _require_constant(p: Planes, kind: str) -> None:
    writes = ("WEA", "WEBWE", "REGCEAREGCE", "REGCEB", "RSTRAMARSTRAM", "RSTRAMB", "RSTREGARSTREG", "RSTREGB")
    busy = next((name for name in writes if any(plane.any() for plane in p.ports.get(name, ()))), None)
    busy = busy or next((name for name in ("DOA_REG", "DOB_REG", "WRITE_WIDTH_A", "WRITE_WIDTH_B") if p.number(name)), None)
    inverted = [name for name in p.parameters if name.startswith("IS_") and p.number(name)]
    if busy is not None or inverted:
        raise Unsupported(f"a {kind} that is no table: {busy or inverted[0]}")


def _block(kind: str) -> CellFunction:
    large = "36" in kind
    bits, side = (15, 32) if large else (14, 16)

    def read(p: Planes, port: str, width: int) -> dict[str, tuple[Plane, ...]]:
        data, parity, address = _names(kind, port)
        words = len(p.low)
        data_width = width - PARITY.get(width, 0)
        low = data_width.bit_length() - 1
        planes = p.bits(address, bits)
        at = unpack(lambda bit: planes[low + bit], bits - low, False, 64 * words)
        found = {"D": (_content(p, "INIT_", data_width), data_width)}
        if PARITY.get(width):
            found["P"] = (_content(p, "INITP_", PARITY[width]), PARITY[width])
        out: dict[str, tuple[Plane, ...]] = {}
        for part, (content, size) in found.items():
            values = content[np.minimum(at, len(content) - 1)]
            whole = tuple(pack(values, bit, words) for bit in range(size))
            limit = side if part == "D" else side // 8
            out[data if part == "D" else parity] = whole[:limit]
            if size > limit:  # twice the width of a port: the other port's pins give the upper half
                other = _names(kind, "B" if port == "A" else "A")
                out[other[0] if part == "D" else other[1]] = whole[limit:]
        return out

    def evaluate(p: Planes) -> CellOutputs:
        _require_constant(p, kind)
        enables = {"A": "ENARDEN", "B": "ENBWREN"}
        out: CellOutputs = {}
        for port, enable in enables.items():
            width = p.number(f"READ_WIDTH_{port}")
            if width and p.ports.get(enable) and p.bit(enable).all():
                out |= read(p, port, width)
        return out

    names = [name for port in "AB" for name in _names(kind, port)[:2]]
    return CellFunction(tuple(names), evaluate)


KINDS = ("RAMB18E1", "RAMB36E1", "RAMB18E2", "RAMB36E2")
MEMORIES: dict[str, CellFunction] = {kind: _block(kind) for kind in KINDS}
