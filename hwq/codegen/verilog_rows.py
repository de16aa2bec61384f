"""The instance of a row of look-up tables: hls_templates/verilog/row.v.j2 with the places of a sum (`hwq.passes.adders.row`)."""

from __future__ import annotations

from collections.abc import Sequence

from hwq.passes.adders.row import SumRow

_INPUTS = 5  # of a table: a bit of each operand, the carry of three from below, and whether carries of three are made


def instance(row: SumRow, vectors: Sequence[str], module: str, name: str) -> list[str]:
    """The wire `name` and the instance that drives it.

    Args:
        vectors: the operands from the first place of the chain on, as Verilog.
    """
    above = row.width - row.start
    signs = [operand.sign < 0 for operand in row.operands]
    starts = [max(operand.up - row.start, 0) for operand in row.operands]
    numbers = {
        "W": above,
        "NB": int(signs[1]),
        "NC": int(signs[-1]) if len(signs) == 3 else 0,
        "B0": starts[1],
        "C0": starts[2] if len(starts) == 3 else 0,
        "LAST": row.last - row.start,
        "EARLY": int(row.early),
        "CARRY": row.carry,
    }
    masks = {"BOTH": row.both, "TERNARY": row.ternary, "ONES": row.slots, "FIRST": row.generate[0], "SECOND": row.generate[1]}
    given = [f".{key}({value})" for key, value in numbers.items() if value]
    given.append(f".INIT(64'h{table(numbers['NB'], numbers['NC']):016x})")
    given += [f".{key}({above}'h{mask >> row.start:x})" for key, mask in masks.items() if mask >> row.start]
    operands = [*vectors, f"{above}'d0"][:3]
    ports = ", ".join(f".{port}({vector})" for port, vector in zip("abc", operands, strict=True))
    return [
        f"wire [{above - 1}:0] {name};",
        f"{module} #({', '.join(given)}) {name}_i ({ports}, .y({name}));",
    ]


def table(invert_b: int, invert_c: int) -> int:
    """What a LUT6_2 holds: in the upper half, for I5 = 1, the sum of I0 to I3; in the lower the carry of I0, I1 and I2.

    Where I4 = 0 the carry is that of two bits and a one: their disjunction.
    """
    found = 0
    for code in range(1 << _INPUTS):
        a, b, c, below, carries = (code >> i & 1 for i in range(_INPUTS))
        b, c = b ^ invert_b, c ^ invert_c
        found |= (a ^ b ^ c ^ below) << (code + (1 << _INPUTS))
        found |= (int(a + b + c >= 2) if carries else a | b | c) << code
    return found
