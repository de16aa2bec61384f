"""What a design consists of, at three moments: while it trains (bits, no values), after export (constants known), after compilation.

docs/reference/cost-models.md describes every feature with its unit. A model of a moment uses the features of that moment alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hwq.cost.layer_bits import layer_bits, shared_bits, tree_bits
from hwq.cost.multiplications import ebops
from hwq.cost.paths import paths
from hwq.cost.structure import structure
from hwq.cost.tables import lookup_tables, multiplexers, truth_tables
from hwq.ir import Circuit, Graph, Node, Opcode
from hwq.ir.circuit import ADDERS, WIRES_C
from hwq.ir.forms import Lookup
from hwq.ir.ops import odd_form, spec_of
from hwq.ir.spec import enclosed_bits
from hwq.passes.adders.row import row_of
from hwq.passes.pipeline import register_bits
from hwq.passes.wires import csd

VERSION = 3.0  # of the features' meaning: what was counted by another is counted anew


def features(graph: Graph, circuit: Circuit) -> dict[str, float]:
    """All features of a design, by name: those of its optimised graph and of its pipelined circuit; `counted` is VERSION."""
    return {**graph_features(graph), **network_features(graph), **circuit_features(circuit), "counted": VERSION}


def graph_features(graph: Graph) -> dict[str, float]:
    """ebops, weight_bits, activation_bits, nonzero and digits of a graph."""
    totals = dict.fromkeys(("ebops", "weight_bits", "activation_bits", "nonzero", "digits"), 0.0)
    nodes = graph.by_name()
    for node in graph.nodes:
        if spec_of(node.op).declares_type or spec_of(node.op).lookups:
            totals["activation_bits"] += float(node.type.width.sum())
        totals["ebops"] += ebops(node, [nodes[name].type for name in node.inputs])
        for name, value in _constants(node).items():
            totals[name] += value
    return totals


def network_features(graph: Graph) -> dict[str, float]:
    """What the graph says of its size before an adder graph is solved.

    net_* are known while training, from bits alone; exact_* need the constants.
    """
    layers = layer_bits(graph)
    nodes = graph.by_name()
    found = {
        "net_adder_bits": sum(shared_bits(layer) for layer in layers),
        "exact_adder_bits": sum(shared_bits(layer, exact=True) for layer in layers),
        "exact_tree_bits": sum(layer.places * tree_bits(layer, exact=True) for layer in layers),
        **dict.fromkeys(("net_relu_bits", "net_saturated_bits", "net_choice_bits", "net_products", "net_table_bits"), 0.0),
        **dict.fromkeys(("net_sum_bits", "exact_table6", "exact_table4", "exact_table_joins"), 0.0),
    }
    for node in graph.nodes:
        for name, value in _besides(node, [nodes[name] for name in node.inputs]).items():
            found[name] += value
    return found


def _besides(node: Node, sources: list[Node]) -> dict[str, float]:
    """What a node does besides products with constant matrices."""
    spec, types = spec_of(node.op), [s.type for s in sources]
    effort = spec.effort(node, types)
    found = {
        "net_sum_bits": effort.sums,
        "net_choice_bits": effort.choices,
        "net_products": effort.products,
        "net_saturated_bits": effort.saturations,
    }
    if node.op == "quantize" and sources[0].op == "relu" and not effort.saturations:  # a saturation takes the relu in
        found["net_relu_bits"] = float(node.type.width.sum())
    if spec.lookups is not None:
        widths = types[0].width.astype(np.int64).ravel()
        found["net_table_bits"] = float((np.exp2(widths - 6) * node.type.width.ravel()).sum())
        found.update(_tables(spec.lookups(node, types[0])))
    return found


def _tables(lookups: Iterable[Lookup]) -> dict[str, float]:
    found = dict.fromkeys(("exact_table6", "exact_table4", "exact_table_joins"), 0.0)
    for one in lookups:
        functions = truth_tables(one.entries, one.lowest, one.width, one.result)
        found["exact_table6"] += lookup_tables(functions, 6)
        found["exact_table4"] += lookup_tables(functions, 4)
        found["exact_table_joins"] += multiplexers(functions, 8)
    return found


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
    """The features of a pipelined circuit, by name; those of `hwq.cost.structure` and `hwq.cost.paths` among them."""
    adders = np.isin(circuit.opcode, ADDERS)
    clamps = np.flatnonzero(circuit.opcode == Opcode.CLAMP)
    choices = np.flatnonzero(np.isin(circuit.opcode, (Opcode.MAX, Opcode.MIN)))
    products, tables = (np.flatnonzero(circuit.opcode == op) for op in (Opcode.MUL, Opcode.TABLE))
    widths = circuit.widths
    return {
        "adders": float(adders.sum()),
        "rows": float(circuit.count(*WIRES_C)),
        "adder_bits": float(sum(_full_adders(circuit, int(w), widths) for w in np.flatnonzero(adders))),
        "clamp_bits": float(sum(int(widths[circuit.a[w]]) for w in clamps) + sum(int(widths[w]) for w in choices)),
        "product_bits": float(sum(int(widths[circuit.a[w]]) * int(widths[circuit.b[w]]) for w in products)),
        "table_bits": float(sum(int(widths[w]) * len(circuit.tables[int(circuit.b[w])]) for w in tables)),
        "register_bits": float(register_bits(circuit)),
        "latency_cycles": float(circuit.latency),
        **structure(circuit),
        **paths(circuit),
    }


def _full_adders(circuit: Circuit, wire: int, widths: np.ndarray) -> int:
    """Bits of the sum at which both operands can be other than zero or sign: the lowest `shift` bits of the finer operand bypass."""
    width, shift = int(widths[wire]), int(circuit.shift[wire])
    if circuit.opcode[wire] == Opcode.NEG:
        return width
    if circuit.opcode[wire] in WIRES_C:
        return width - row_of(circuit, wire).start
    fine = circuit.a[wire] if shift > 0 else circuit.b[wire]
    subtracts = circuit.opcode[wire] == Opcode.SUB and shift < 0
    bypass = 0 if subtracts else abs(shift)
    if circuit.low[fine] >= 0 and int(widths[fine]) <= bypass and not subtracts:
        return 0  # the operands do not overlap: wires only
    return max(width - bypass, 0)
