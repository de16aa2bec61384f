"""What a design consists of, counted at two moments: from the graph (constants known) and from the pipelined circuit.

from the graph           unit
ebops                    sum over all products of the design of enclosed bits(weight) x width(input element): a weight that serves
                         many places (a convolution) counts at each; of two activations, width x width;
                         for tables the 6-input LUTs that hold them: hwq.cost.multiplications
weight_bits              sum over weights and biases of enclosed bits, each counted once
activation_bits          sum of the widths of all quantised elements and results of tables
nonzero, digits          non-zero weights and biases; their canonical signed digits
from the circuit
adders, adder_bits       additions; full adders they need: the bits of the result above those that bypass
clamp_bits               width of every clamp's source, and of every maximum and minimum (comparators and selections)
product_bits             sum over products of two activations of width x width
table_bits               bits of all tables that are read, entry by entry, for each use
register_bits            flip-flops of the emitted Verilog
latency_cycles           pipeline depth
"""

from __future__ import annotations

import numpy as np

from hwq.cost.multiplications import ebops, enclosed_bits
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
        if node.op in ("input", "quantize", "table"):
            totals["activation_bits"] += float(node.type.width.sum())
        totals["ebops"] += ebops(node, [nodes[name].type for name in node.inputs])
        for name, value in _constants(node).items():
            totals[name] += value
    return totals


def _constants(node: Node) -> dict[str, float]:
    """Features of the weights themselves, each counted once."""
    found = [odd_form(node.constant(name))[0] for name in ("kernel", "factor", "bias") if name in node.attrs]
    values = [int(v) for mantissas in found for v in mantissas.ravel() if v]
    return {
        "weight_bits": float(sum(enclosed_bits(mantissas).sum() for mantissas in found)),
        "nonzero": float(len(values)),
        "digits": float(sum(len(csd(v)) for v in values)),
    }


def circuit_features(circuit: Circuit) -> dict[str, float]:
    """The features of a pipelined circuit, by name."""
    adders = np.isin(circuit.opcode, (Opcode.ADD, Opcode.SUB, Opcode.NEG))
    clamps = np.flatnonzero(circuit.opcode == Opcode.CLAMP)
    choices = np.flatnonzero(np.isin(circuit.opcode, (Opcode.MAX, Opcode.MIN)))
    products, tables = (np.flatnonzero(circuit.opcode == op) for op in (Opcode.MUL, Opcode.TABLE))
    widths = circuit.widths
    return {
        "adders": float(adders.sum()),
        "adder_bits": float(sum(_full_adders(circuit, int(w), widths) for w in np.flatnonzero(adders))),
        "clamp_bits": float(sum(int(widths[circuit.a[w]]) for w in clamps) + sum(int(widths[w]) for w in choices)),
        "product_bits": float(sum(int(widths[circuit.a[w]]) * int(widths[circuit.b[w]]) for w in products)),
        "table_bits": float(sum(int(widths[w]) * len(circuit.tables[int(circuit.b[w])]) for w in tables)),
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
