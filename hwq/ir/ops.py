"""The operation catalogue: what each op means, how its result is bounded and how the integer reference evaluates it.

One registry, `OPS`. An op's C++ is in `hwq.codegen.cpp` and its adder graph in `hwq.passes.lower`; a test fails while one
of them is missing. `evaluate` is the meaning: everything else is checked against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import TypeArray, requantize
from hwq.fixed.arithmetic import IntArray, as_integers
from hwq.ir.graph import Attr, Constant, Node
from hwq.ir.intervals import Interval, add_bounds, matmul_bounds, requantized


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One operation.

    Attributes:
        name: its name in the text form.
        arity: how many inputs it reads.
        attrs: the attributes it must have.
        declares_type: the node's own `type` is part of its meaning (input, quantize); else the type follows from the inputs.
        infer: (node, bounds of the inputs) -> bounds of the result.
        verify: (node, types of the inputs) -> raises GraphError.
        evaluate: (node, types of the inputs, mantissas of the inputs with a leading batch axis) -> mantissas of the result.
    """

    name: str
    arity: int
    attrs: tuple[str, ...]
    declares_type: bool
    infer: Callable[[Node, Sequence[Interval]], Interval]
    verify: Callable[[Node, Sequence[TypeArray]], None]
    evaluate: Callable[[Node, Sequence[TypeArray], Sequence[IntArray]], IntArray]


def make_node(
    name: str,
    op: str,
    inputs: Sequence[Node] = (),
    *,
    attrs: Mapping[str, Attr] | None = None,
    type: TypeArray | None = None,
    source: str = "",
) -> Node:
    """Build and verify a node, inferring its type from its inputs' types where the op does not declare one.

    Raises:
        GraphError: an unknown op, a wrong number of inputs, attributes or shapes that do not fit.
    """
    spec = spec_of(op)
    if (type is None) == spec.declares_type:
        raise GraphError(f"node {name}: {op} {'needs' if spec.declares_type else 'infers'} its type")
    placeholder = TypeArray.of(0, np.zeros(0), 0)
    node = Node(name, op, tuple(n.name for n in inputs), type or placeholder, dict(attrs or {}), source)
    check_form(node)
    spec.verify(node, [n.type for n in inputs])
    if type is None:
        node = node.with_(type=spec.infer(node, [Interval.of(n.type) for n in inputs]).types)
    return node


def spec_of(op: str) -> OpSpec:
    if op not in OPS:
        raise GraphError(f"unknown operation {op!r}; known: {', '.join(sorted(OPS))}")
    return OPS[op]


def check_form(node: Node) -> None:
    """Arity and attribute names.

    Raises:
        GraphError: they are not those of the op.
    """
    spec = spec_of(node.op)
    if len(node.inputs) != spec.arity:
        raise GraphError(f"node {node.name}: {node.op} reads {spec.arity} input(s), not {len(node.inputs)}")
    if set(node.attrs) != set(spec.attrs):
        raise GraphError(f"node {node.name}: {node.op} has attributes {sorted(spec.attrs)}, not {sorted(node.attrs)}")


def _fail(node: Node, reason: str) -> None:
    raise GraphError(f"node {node.name} ({node.op}): {reason}")


# input: the design's input; its type, with its rounding and overflow, is how the host quantises a float.


def _verify_declared(node: Node, types: Sequence[TypeArray]) -> None:
    if types and types[0].shape != node.shape:
        _fail(node, f"its shape {node.shape} is not that of its input, {types[0].shape}")


def _infer_input(node: Node, _: Sequence[Interval]) -> Interval:
    return Interval.of(node.type)


def _evaluate_input(node: Node, types: Sequence[TypeArray], values: Sequence[IntArray]) -> IntArray:
    raise GraphError(f"node {node.name}: an input is given, not evaluated")


# quantize: y = overflow(round(x)), the only operation that loses information.


def _infer_quantize(node: Node, inputs: Sequence[Interval]) -> Interval:
    return requantized(inputs[0], node.type)


def _evaluate_quantize(node: Node, types: Sequence[TypeArray], values: Sequence[IntArray]) -> IntArray:
    up = np.maximum(node.type.frac.astype(int) - types[0].frac, 0)  # bits a finer target appends before it wraps
    bits = int((types[0].width + up).max(initial=0)) + 1
    return requantize(as_integers(values[0], max(bits, int(node.type.width.max(initial=0)))), types[0].frac, node.type)


# dense: y_j = sum_i x_i * kernel_ij + bias_j, exact, over the last axis.


def _verify_dense(node: Node, types: Sequence[TypeArray]) -> None:
    kernel, bias = node.constant("kernel"), node.constant("bias")
    if len(kernel.shape) != 2 or bias.shape != kernel.shape[1:]:
        _fail(node, f"kernel {kernel.shape} and bias {bias.shape} must be (n, m) and (m,)")
    if types[0].shape[-1:] != kernel.shape[:1]:
        _fail(node, f"the last axis of its input {types[0].shape} must be {kernel.shape[0]}")


def constant_interval(constant: Constant) -> Interval:
    """A constant as bounds, its trailing zero bits removed so that they do not raise the step of a sum."""
    mantissas, frac = odd_form(constant)
    return Interval(mantissas, mantissas, frac)


def odd_form(constant: Constant) -> tuple[IntArray, np.ndarray]:
    """(mantissas, frac) of the same values with every mantissa odd or zero, as Python integers; zeros get frac 0."""
    flat = [int(v) for v in constant.mantissas.ravel()]
    zeros = [((v & -v).bit_length() - 1) if v else 0 for v in flat]
    mantissas = np.array([v >> z for v, z in zip(flat, zeros, strict=True)] or [], object).reshape(constant.shape)
    frac = constant.types.frac.astype(np.int64) - np.array(zeros, np.int64).reshape(constant.shape)
    return mantissas, np.where(mantissas == 0, 0, frac)


def _infer_dense(node: Node, inputs: Sequence[Interval]) -> Interval:
    kernel, kernel_frac = odd_form(node.constant("kernel"))
    bias = constant_interval(node.constant("bias"))
    x = inputs[0]
    rows = [
        add_bounds(matmul_bounds(Interval(x.low[index], x.high[index], x.frac[index]), kernel, kernel_frac), bias)
        for index in np.ndindex(x.shape[:-1])
    ]
    shape = (*x.shape[:-1], kernel.shape[1])
    return Interval(*(np.stack([getattr(row, part) for row in rows]).reshape(shape) for part in ("low", "high", "frac")))


def _evaluate_dense(node: Node, types: Sequence[TypeArray], values: Sequence[IntArray]) -> IntArray:
    kernel, bias = node.constant("kernel"), node.constant("bias")
    x_frac, k_frac = types[0].frac.astype(np.int64), np.where(kernel.mantissas == 0, 0, kernel.types.frac).astype(np.int64)
    b_frac = np.where(bias.mantissas == 0, 0, bias.types.frac).astype(np.int64)
    x_one, k_one = x_frac.max(initial=0), k_frac.max(initial=0)  # one common step for all inputs, one for all weights
    one = max(int(x_one + k_one), int(b_frac.max(initial=0)), int(node.type.frac.max(initial=0)))
    x_bits = int((types[0].width + x_one - x_frac).max(initial=0))
    k_bits = int((kernel.types.width + k_one - k_frac).max(initial=0))
    terms = kernel.shape[0].bit_length() + 1
    bits = max(x_bits + k_bits + terms + one - int(x_one + k_one), int((bias.types.width + one - b_frac).max(initial=0)) + 1)
    x = as_integers(values[0], bits) << as_integers(x_one - x_frac, bits)
    k = as_integers(kernel.mantissas, bits) << as_integers(k_one - k_frac, bits)
    b = as_integers(bias.mantissas, bits) << as_integers(one - b_frac, bits)
    total = ((x @ k) << (one - int(x_one + k_one))) + b
    return total >> as_integers(one - node.type.frac.astype(np.int64), bits)  # exact: the bits shifted out are zero


# relu: y = max(x, 0).


def _verify_any(node: Node, types: Sequence[TypeArray]) -> None:
    return None


def _infer_relu(node: Node, inputs: Sequence[Interval]) -> Interval:
    x = inputs[0]
    return Interval(np.maximum(x.low, 0), np.maximum(x.high, 0), x.frac)


def _evaluate_relu(node: Node, types: Sequence[TypeArray], values: Sequence[IntArray]) -> IntArray:
    return rescale(np.maximum(values[0], 0), types[0], node.type)


def rescale(mantissas: IntArray, source: TypeArray, target: TypeArray) -> IntArray:
    """The same values at the steps of `target`, which must lose nothing (elements that are always zero may change step)."""
    shift = np.where(target.width == 0, 0, target.frac.astype(np.int64) - source.frac)
    bits = int((source.width + np.maximum(shift, 0)).max(initial=0)) + 1
    m = as_integers(mantissas, bits)
    s = as_integers(shift, bits)
    return (m << np.maximum(s, 0)) >> np.maximum(-s, 0)


# add: y = a + b, element by element, exact.


def _verify_add(node: Node, types: Sequence[TypeArray]) -> None:
    if types[0].shape != types[1].shape:
        _fail(node, f"its inputs have shapes {types[0].shape} and {types[1].shape}")


def _infer_add(node: Node, inputs: Sequence[Interval]) -> Interval:
    return add_bounds(inputs[0], inputs[1])


def _evaluate_add(node: Node, types: Sequence[TypeArray], values: Sequence[IntArray]) -> IntArray:
    # elements that are always zero have frac 0 and width 0: bring the others to the step of the sum
    frac = node.type.frac.astype(np.int64)
    one = np.maximum(np.maximum(frac, types[0].frac), types[1].frac)
    bits = max(int((t.width + one - t.frac.astype(np.int64)).max(initial=0)) for t in types) + 1
    a, b = (as_integers(v, bits) << as_integers(one - t.frac, bits) for v, t in zip(values, types, strict=True))
    return (a + b) >> as_integers(one - frac, bits)


# reshape: the same elements in the same (row-major) order.


def _shape_attr(node: Node) -> tuple[int, ...]:
    shape = node.attrs["shape"]
    if not isinstance(shape, tuple):
        raise GraphError(f"node {node.name}: its shape must be a tuple of integers")
    return shape


def _verify_reshape(node: Node, types: Sequence[TypeArray]) -> None:
    if int(np.prod(_shape_attr(node))) != types[0].size:
        _fail(node, f"cannot reshape {types[0].shape} to {_shape_attr(node)}")


def _infer_reshape(node: Node, inputs: Sequence[Interval]) -> Interval:
    return inputs[0].reshape(_shape_attr(node))


def _evaluate_reshape(node: Node, types: Sequence[TypeArray], values: Sequence[IntArray]) -> IntArray:
    shape = _shape_attr(node)
    return rescale(values[0].reshape(-1, *shape), types[0].reshape(shape), node.type)


OPS: dict[str, OpSpec] = {
    spec.name: spec
    for spec in (
        OpSpec("input", 0, (), True, _infer_input, _verify_declared, _evaluate_input),
        OpSpec("quantize", 1, (), True, _infer_quantize, _verify_declared, _evaluate_quantize),
        OpSpec("dense", 1, ("kernel", "bias"), False, _infer_dense, _verify_dense, _evaluate_dense),
        OpSpec("relu", 1, (), False, _infer_relu, _verify_any, _evaluate_relu),
        OpSpec("add", 2, (), False, _infer_add, _verify_add, _evaluate_add),
        OpSpec("reshape", 1, ("shape",), False, _infer_reshape, _verify_reshape, _evaluate_reshape),
    )
}
