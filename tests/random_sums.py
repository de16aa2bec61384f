"""Random circuits of sums of two and three operands: every sign, shift and width, signed and not, constants among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwq.codegen.ports import Element, Ports
from hwq.ir import Circuit, CircuitBuilder

SIGNS = ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1), (1, -1, -1), (-1, 1, -1), (1, 1), (1, -1))


def random_sums(seed: int, count: int, widest: int = 6, constants: float = 0.15) -> tuple[Circuit, Ports]:
    """`count` sums, each of inputs of its own and at times a constant, in one stage behind the inputs' own."""
    rng = np.random.default_rng(seed)
    builder = CircuitBuilder()
    builder.enter("n")
    inputs: list[Element] = []
    outputs: list[int] = []
    while len(outputs) < count:
        signs = SIGNS[int(rng.integers(len(SIGNS)))]
        ups = rng.choice([0, 0, 0, 1, 2, 4], len(signs))
        terms = []
        for place, (up, sign) in enumerate(zip(ups - ups.min(), signs, strict=True)):
            if place < len(signs) - 1 and rng.random() < constants:
                wire = builder.constant(int(rng.choice([-9, -5, -2, -1, 0, 1, 3, 6, 13])), 0)
            else:
                wire = _input(builder, rng, inputs, widest)
            terms.append((wire, int(up), sign))
        ends = [sorted(sign * (v << up) for v in builder.bounds(w)) for w, up, sign in terms]
        outputs.append(builder.sum_of(terms, sum(low for low, _ in ends), sum(high for _, high in ends), 0))
    circuit = replace(builder.build(outputs), fused=True)
    circuit = replace(circuit, stage=(circuit.opcode != 0).astype(np.int32))
    elements, offset = [], 0
    for number, wire in enumerate(circuit.outputs.tolist()):
        width = int(circuit.widths[wire])
        elements.append(Element("y", number, offset, width, bool(circuit.signed[wire])))
        offset += width
    return circuit, Ports(tuple(inputs), tuple(elements))


def _input(builder: CircuitBuilder, rng: np.random.Generator, inputs: list[Element], widest: int) -> int:
    width, signed = int(rng.integers(1, widest + 1)), bool(rng.integers(2))
    offset = inputs[-1].offset + inputs[-1].width if inputs else 0
    inputs.append(Element("x", len(inputs), offset, width, signed))
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    return builder.input(len(inputs) - 1, low, high, 0)


def rows_for(ports: Ports, rows: int, seed: int = 0) -> np.ndarray:
    """Random values of every input (rows, inputs), its least and its greatest first."""
    ends = [(-(1 << (e.width - 1)), (1 << (e.width - 1)) - 1) if e.signed else (0, (1 << e.width) - 1) for e in ports.inputs]
    low, high = (np.array(column, np.int64) for column in zip(*ends, strict=True))
    x = np.random.default_rng(seed).integers(low, high + 1, (rows, len(ends)))
    x[0], x[1] = low, high
    return x
