"""What a design consists of, counted at two moments: from the graph (constants known) and from the pipelined circuit.

from the graph           unit
ebops                    sum over non-zero weights of enclosed bits(weight) x width(input element)
weight_bits              sum over weights and biases of enclosed bits
activation_bits          sum of the widths of all quantised elements
nonzero, digits          non-zero weights and biases; their canonical signed digits
from the circuit
adders, adder_bits       additions; full adders they need: the bits of the result above those that bypass
clamp_bits               width of every clamp's source (comparators and selections)
register_bits            flip-flops of the emitted Verilog
latency_cycles           pipeline depth
"""

from __future__ import annotations

import numpy as np

from hwq.ir import Circuit, Graph, Node, Opcode
from hwq.ir.ops import odd_form
from hwq.passes.pipeline import register_bits
from hwq.passes.wires import csd

TRAINING = ("ebops", "weight_bits", "activation_bits")


def graph_features(graph: Graph) -> dict[str, float]:
    """The features of a graph, by name."""
    totals = dict.fromkeys(("ebops", "weight_bits", "activation_bits", "nonzero", "digits"), 0.0)
    nodes = graph.by_name()
    for node in graph.nodes:
        if node.op in ("input", "quantize"):
            totals["activation_bits"] += float(node.type.width.sum())
        if node.op == "dense":
            for name, value in _dense(node, nodes[node.inputs[0]]).items():
                totals[name] += value
    return totals


def enclosed_bits(mantissas: np.ndarray) -> np.ndarray:
    """Bits between the first and the last non-zero bit of each integer, 0 for 0."""
    flat = [int(abs(v)) for v in mantissas.ravel()]
    return np.array([(v // (v & -v)).bit_length() if v else 0 for v in flat], np.int64).reshape(mantissas.shape)


def _dense(node: Node, source: Node) -> dict[str, float]:
    kernel, _ = odd_form(node.constant("kernel"))
    bias, _ = odd_form(node.constant("bias"))
    bits = enclosed_bits(kernel)
    widths = source.type.width.astype(np.int64).reshape(-1, kernel.shape[0]).sum(axis=0)
    constants = [int(v) for v in (*kernel.ravel(), *bias.ravel()) if v]
    return {
        "ebops": float((widths[:, None] * bits).sum()),
        "weight_bits": float(bits.sum() + enclosed_bits(bias).sum()),
        "nonzero": float(len(constants)),
        "digits": float(sum(len(csd(v)) for v in constants)),
    }


def circuit_features(circuit: Circuit) -> dict[str, float]:
    """The features of a pipelined circuit, by name."""
    adders = np.isin(circuit.opcode, (Opcode.ADD, Opcode.SUB, Opcode.NEG))
    clamps = np.flatnonzero(circuit.opcode == Opcode.CLAMP)
    widths = circuit.widths
    return {
        "adders": float(adders.sum()),
        "adder_bits": float(sum(_full_adders(circuit, int(w), widths) for w in np.flatnonzero(adders))),
        "clamp_bits": float(sum(int(widths[circuit.a[w]]) for w in clamps)),
        "register_bits": float(register_bits(circuit)),
        "latency_cycles": float(circuit.latency),
    }


def _full_adders(circuit: Circuit, wire: int, widths: np.ndarray) -> int:
    """Bits of the sum at which both operands can be other than zero or sign: the lowest `shift` bits of the finer operand bypass."""
    width, shift = int(widths[wire]), int(circuit.shift[wire])
    if circuit.opcode[wire] == Opcode.NEG:
        return width
    fine = circuit.a[wire] if shift > 0 else circuit.b[wire]
    subtracts = circuit.opcode[wire] == Opcode.SUB and shift < 0
    bypass = 0 if subtracts else abs(shift)
    if circuit.low[fine] >= 0 and int(widths[fine]) <= bypass and not subtracts:
        return 0  # the operands do not overlap: wires only
    return max(width - bypass, 0)
