"""The C++ of a node: straight-line statements, one scalar variable an element, `<node>_<element>`; what each op writes is in `hwq.ir.ops`.

Sums are accumulated in a type that holds the final value exactly; partial sums may wrap on the way, which is exact modulo 2^n.
Elements of width 0 have no variable: nothing may name them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwq.codegen.cpp_quantize import conversion
from hwq.codegen.cpp_sums import sums
from hwq.codegen.cpp_text import Section, ap_type, from_bits, literal, summary, table_lookup
from hwq.codegen.cpp_weights import weight_lines, weight_name
from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.ir import Node
from hwq.ir.forms import elements, present
from hwq.ir.ops import constants, is_wiring, matrix_of, odd_form, places, spec_of


class CppWriter:
    """The pieces of C++ that operations write with (`hwq.ir.forms.Cpp`)."""

    ap_type = staticmethod(ap_type)
    literal = staticmethod(literal)
    from_bits = staticmethod(from_bits)
    quantized = staticmethod(conversion)
    table_lookup = staticmethod(table_lookup)

    @staticmethod
    def cast(target: FixedType, source: FixedType, name: str) -> str:
        """`name` as an expression of the type `target`, which holds all its values."""
        same = (source.signed, source.width, source.frac) == (target.signed, target.width, target.frac)
        plain = source.rounding is Rounding.TRN and source.overflow is Overflow.WRAP
        return name if same and plain else f"{ap_type(target)}({name})"


def section_of(node: Node, inputs: Sequence[Node]) -> Section:
    """The statements of any node but an input.

    Raises:
        GraphError: its op has no C++ form.
    """
    spec = spec_of(node.op)
    if spec.cpp is not None:
        what, lines = spec.cpp(CppWriter(), node, inputs)
    elif spec.matrix is not None:
        what, lines = spec.matrix.describe(node, inputs[0]), _products(node, inputs[0])
    elif is_wiring(node):
        what, lines = f"{node.op} to {list(node.shape)}", _wires(node, inputs)
    else:
        raise GraphError(f"node {node.name}: {node.op} has no C++ form")
    return Section(summary(node, what), tuple(lines))


def describe(node: Node, inputs: Sequence[Node]) -> str:
    """What a matrix or a product with a constant is, for the comment over its statements."""
    spec = spec_of(node.op)
    return spec.cpp(CppWriter(), node, inputs)[0] if spec.cpp is not None else matrix_of(node).describe(node, inputs[0])


def _products(node: Node, source: Node) -> list[str]:
    k, k_frac = (a.ravel() for a in odd_form(constants(node)[0]))
    weights = weight_lines(node.name, zip(map(int, k[k != 0]), map(int, k_frac[k != 0]), strict=True))

    def product(out: int, element: int, w: int) -> list[str]:
        if not present(source, element):
            return []
        weight = weight_name(node.name, (int(k[w]), int(k_frac[w])))
        return [f"add_product({node.name}_{out}, {source.name}_{element}, {weight});"]

    return [*weights, *sums(node, source, product)]


def _wires(node: Node, inputs: Sequence[Node]) -> list[str]:
    every = [f"{source.name}_{i}" for source in inputs for i in range(source.type.size)]
    found = places(node, [source.shape for source in inputs]).ravel().tolist()
    return [f"{ap_type(t)} {name} = {every[found[i]]};" for i, t, name in elements(node)]
