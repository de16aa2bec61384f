"""The intermediate representation: Graph (tensors of integers) and Circuit (scalar adder graph), with their text forms."""

from hwq.ir.circuit import Circuit, CircuitBuilder, Opcode
from hwq.ir.graph import Attr, Constant, Graph, Node
from hwq.ir.ops import OPS, OpSpec, make_node
from hwq.ir.text import digest, parse, text
from hwq.ir.verify import verify

__all__ = [
    "OPS",
    "Attr",
    "Circuit",
    "CircuitBuilder",
    "Constant",
    "Graph",
    "Node",
    "OpSpec",
    "Opcode",
    "digest",
    "make_node",
    "parse",
    "text",
    "verify",
]
