"""What the pipelined circuit will occupy, counted bit by bit (`hwq.cost.bits`): the features of the models after compilation.

Each counts what a tool makes one cell of. Where fabrics differ, each has its own: lookup tables of 6 inputs and carry cells of 4 bits
(AMD), lookup tables of 4 inputs and carry cells of 2 bits (ECP5); adders shorter than a carry chain's least length become gates.
docs/reference/cost-models.md says what they mean, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hwq.cost.bits import Adder, BitView, Gate, bit_view
from hwq.cost.tables import lookup_tables, multiplexers, truth_tables
from hwq.ir import Circuit, Opcode

SHORT6, SHORT4 = 3, 5  # the shortest carry chains that Yosys makes on fabrics with 6-input and with 4-input tables
_CHOICES = (Opcode.MAX, Opcode.MIN)
NAMES = (
    "chains",
    "chain_bits",
    "pair_bits",
    "long_pair_bits",
    "short_bits",
    "short3",
    "short4",
    "carry4_cells",
    "carry2_cells",
    "relu_bits",
    "relu_gates",
    "relu_subtracted",
    "saturated_bits",
    "saturation_bits",
    "choice_bits",
    "compare_bits",
    "compare4_cells",
    "compare2_cells",
    "products",
    "partial_products",
    "table6",
    "table4",
    "table_joins",
    "ff_bits",
)


def structure(circuit: Circuit) -> dict[str, float]:
    """The features in NAMES, of the whole circuit."""
    return structure_of(circuit, bit_view(circuit))


def structure_of(circuit: Circuit, view: BitView, node: int | None = None) -> dict[str, float]:
    """As `structure`, from a view of the circuit; of one graph node's wires where `node` is given."""

    def mine(wire: int) -> bool:
        return node is None or int(circuit.node[wire]) == node

    found = dict.fromkeys(NAMES, 0.0)
    _chains(found, [a for a in view.adders if mine(a.wire)])
    for gate in view.gates:
        if mine(gate.wire):
            _gate(found, circuit, view, gate)
    if node is None:
        found["ff_bits"] = float(view.register_bits)
    else:
        found["ff_bits"] = float(sum(view.kept[bit] for bit in _made(circuit, view, node)))
    return found


def _made(circuit: Circuit, view: BitView, node: int) -> Iterable[int]:
    """The bits that a node's operations make, each once."""
    wires = set(np.flatnonzero(circuit.node == node).tolist())
    before = {bit for wire, bits in enumerate(view.bits) if wire not in wires and wire < min(wires, default=0) for bit in bits}
    return {bit for wire in wires for bit in view.bits[wire] if bit > 1} - before


def _chains(found: dict[str, float], adders: list[Adder]) -> None:
    for a in adders:
        pairs = a.pairs + a.first
        found["chains"] += 1
        found["chain_bits"] += a.length
        if a.length < SHORT6:
            found["short_bits"] += a.length
        else:
            found["pair_bits"] += pairs
            found["carry4_cells"] += -(-a.length // 4)
        if a.length < SHORT4:
            if a.length >= SHORT6:
                found[f"short{a.length}"] += 1
        else:
            found["long_pair_bits"] += pairs
            found["carry2_cells"] += -(-a.length // 2)


def _gate(found: dict[str, float], circuit: Circuit, view: BitView, gate: Gate) -> None:
    live = [bit for bit in gate.outputs if view.live[bit]]
    if not live:
        return
    source, other = int(circuit.a[gate.wire]), int(circuit.b[gate.wire])
    widths = circuit.widths
    width = int(widths[source])
    if gate.opcode is Opcode.CLAMP:
        if gate.relu:
            found["relu_bits"] += len(live)
            found["relu_gates"] += sum(view.bare[bit] for bit in live)
            found["relu_subtracted"] += sum(view.subtracted[bit] and not view.bare[bit] for bit in live)
        else:
            found["saturated_bits"] += len(live)
            found["saturation_bits"] += max(width - len(gate.outputs), 0)
    elif gate.opcode in _CHOICES:
        found["choice_bits"] += len(live)
        if not _shifted(circuit, source, other):
            length = len(gate.inputs[0]) // 2
            found["compare_bits"] += length
            found["compare4_cells"] += length // 8
            found["compare2_cells"] += length // 2 if length > 4 else 0
    elif gate.opcode is Opcode.MUL:
        found["products"] += 1
        found["partial_products"] += width * int(widths[other])
    else:
        functions = truth_tables(circuit.tables[other], int(circuit.low[source]), width, len(gate.outputs))
        functions = functions[[i for i, bit in enumerate(gate.outputs) if view.live[bit]]]
        found["table6"] += lookup_tables(functions, 6)
        found["table4"] += lookup_tables(functions, 4)
        found["table_joins"] += multiplexers(functions, 8)


def _shifted(circuit: Circuit, a: int, b: int) -> bool:
    """Whether one of two wires is the other shifted up: the sign alone then says which is greater."""
    return any(circuit.opcode[y] == Opcode.SHIFT and circuit.a[y] == x and circuit.shift[y] < 0 for x, y in ((a, b), (b, a)))
