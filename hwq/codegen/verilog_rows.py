"""The instance of a row of look-up tables: hls_templates/verilog/row.v.j2 with the places of a sum (`hwq.passes.adders.row`)."""

from __future__ import annotations

from collections.abc import Sequence

from hwq.passes.adders.row import SumRow

_INPUTS = 5  # of a table: a bit of each operand, the carry of three from below, and the sign that makes an operand zero


def instance(row: SumRow, vectors: Sequence[str], module: str, name: str, sign: str = "1'b0") -> list[str]:
    """The wire `name` and the instance that drives it.

    Args:
        vectors: the operands from the first place of the chain on, as Verilog.
        sign: what makes the row's gated operands zero, as Verilog.
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
        "GATE": sum(1 << number for number in row.gate),
    }
    masks = {"BOTH": row.both, "TERNARY": row.ternary, "ONES": row.slots, "FIRST": row.generate[0], "SECOND": row.generate[1]}
    masks["OWN"] = row.own
    given = [f".{key}({value})" for key, value in numbers.items() if value]
    subtracted = (0, numbers["NB"], numbers["NC"])
    given.append(f".INIT(64'h{table(subtracted, row.gate):016x})")
    given += [f".INIT0(64'h{table(subtracted, row.gate, early=True):016x})"] if row.early else []
    given += [f".{key}({above}'h{mask >> row.start:x})" for key, mask in masks.items() if mask >> row.start]
    operands = [*vectors, f"{above}'d0"][:3]
    ports = ", ".join(f".{port}({vector})" for port, vector in zip("abcg", [*operands, sign], strict=True))
    return [
        f"wire [{above - 1}:0] {name};",
        f"{module} #({', '.join(given)}) {name}_i ({ports}, .y({name}));",
    ]


def table(subtracted: Sequence[int], gate: Sequence[int] = (), *, early: bool = False) -> int:
    """What a LUT6_2 holds: in the upper half, for I5 = 1, the sum of I0 to I3; in the lower the carry of I0, I1 and I2.

    Args:
        subtracted: of each operand, 1 where it is inverted.
        gate: the operands that are zero where I4 is 1.
        early: the carry is that of two bits and a one: their disjunction.
    """
    found = 0
    for code in range(1 << _INPUTS):
        *bits, below, sign = (code >> i & 1 for i in range(_INPUTS))
        gated = [0 if sign and number in gate else bit for number, bit in enumerate(bits)]
        a, b, c = (bit ^ inverted for bit, inverted in zip(gated, subtracted, strict=True))
        found |= (a ^ b ^ c ^ below) << (code + (1 << _INPUTS))
        found |= (a | b | c if early else int(a + b + c >= 2)) << code
    return found
