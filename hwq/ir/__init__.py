"""The intermediate representation: Graph (tensors of integers) and Circuit (scalar adder graph), their operations, and their text.

No generator, tool or framework is loaded here: operations write their forms for those against interfaces (`hwq.ir.forms`).
"""

from hwq.ir.builder import CircuitBuilder
from hwq.ir.circuit import Circuit, Opcode
from hwq.ir.graph import FLOAT64_BITS, Attr, Constant, Graph, Node, fresh_name
from hwq.ir.ops import OPS, OpSpec, make_node
from hwq.ir.text import digest, parse, text
from hwq.ir.verify import verify

__all__ = [
    "FLOAT64_BITS",
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
    "fresh_name",
    "make_node",
    "parse",
    "text",
    "verify",
]
