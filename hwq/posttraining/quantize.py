"""Fewer bits for a network that has plenty: weights and activations of each linear operation at widths of their own, no training.

The network is a Graph read from a float model at so many bits that it answers as the float model does. Weights are brought to fixed
point channel by channel, at the step with the least squared error; activations keep their range and lose low bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwq.errors import UsageError
from hwq.fixed import TypeArray, requantize
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, Node
from hwq.ir.ops import blocks, spec_of
from hwq.ir.windows import Index
from hwq.posttraining.ranges import retraced
from hwq.posttraining.rebuild import exact, real, rebuilt
from hwq.posttraining.statistics import linear_nodes
from hwq.tensors import Floats

Widths = int | tuple[int, ...]  # of all weights of an operation, or of each of its channels
KernelOf = Callable[[Node, Widths], Floats]  # (linear node of the fine graph, bits) -> kernel


@dataclass(frozen=True, slots=True)
class Bits:
    """Widths of one linear operation: of its weights, all the same or one for each channel (slice of the kernel's last axis),
    and of what it reads."""

    weights: Widths
    activations: int

    def each(self, channels: int) -> Index:
        """(channels,) bits of the weights of each channel.

        Raises:
            UsageError: so many channels have no widths here.
        """
        return _each(self.weights, channels)


def quantized(fine: Graph, choice: Mapping[str, Bits], rows: IntArray, *, weights: KernelOf | None = None) -> Graph:
    """The network at the chosen widths; an operation that is not named keeps what it has.

    Args:
        fine: the network at many bits.
        choice: by the name of linear operations.
        rows: input mantissas of `fine` for calibration rows; hidden ranges are traced on them.
        weights: how kernels are rounded; None: `per_channel`.
    """
    by_name = fine.by_name()
    asked: dict[str, int] = {}
    for name, bits in choice.items():
        place = quantizer_of(fine, by_name[name])
        asked[place] = max(bits.activations, asked.get(place, 0))
    nodes: dict[str, Node] = {}
    for node in fine.nodes:
        sources = [nodes[name] for name in node.inputs]
        if node.name in asked:
            node = node.with_(type=coarser(node.type, asked[node.name]))
        if node.name in choice:
            wide = choice[node.name].weights
            kernel = (weights or per_channel)(node, wide)
            made = {"kernel": exact(kernel), "bias": exact(rounded_bias(node, bias_widths(node, sources[0].shape, wide)))}
            node = node.with_(attrs={**node.attrs, **made})
        nodes[node.name] = rebuilt(node, sources)
    graph = fine.with_nodes(nodes.values())
    return retraced(graph, coarse_rows(fine, graph, rows), narrower=True, apart=True)


def coarse_rows(fine: Graph, graph: Graph, rows: IntArray) -> IntArray:
    """Input mantissas of `fine` as those of `graph`, whose input types are coarser."""
    parts, start = [], 0
    for name in fine.inputs:
        old, new = fine[name].type, graph[name].type
        flat = rows[:, start : start + old.size].reshape(-1, *old.shape)
        parts.append(requantize(flat, old.frac, new).reshape(len(rows), -1))
        start += old.size
    return np.concatenate(parts, axis=1)


def quantizer_of(graph: Graph, node: Node) -> str:
    """The name of the input or quantize node that decides the types of what `node` reads."""
    by_name, name = graph.by_name(), node.inputs[0]
    while not spec_of(by_name[name].op).declares_type:
        name = by_name[name].inputs[0]
    return name


def coarser(types: TypeArray, bits: int) -> TypeArray:
    """The types without low bits, so that the widest has `bits` bits; each element keeps its range."""
    drop = max(int(types.width.max(initial=0)) - bits, 0)
    width = np.maximum(types.width.astype(np.int64) - drop, 0)
    return TypeArray.of(types.signed, width, types.frac.astype(np.int64) - drop, types.rounding, types.overflow)


def per_channel(node: Node, bits: Widths) -> Floats:
    """The kernel in fixed point of `bits` bits, sign included, each channel at the power-of-two step with the least squared error."""
    w = real(node.constant("kernel"))
    step = channel_steps(node, bits)
    limit = 2.0 ** (_each(bits, w.shape[-1]) - 1) - 1
    rounded: Floats = np.clip(np.floor(w / step + 0.5), -limit, limit) * step
    return rounded


def channel_steps(node: Node, bits: Widths) -> Floats:
    """The step of each channel (the last axis of the kernel), a power of two: that with the least squared error of the weights."""
    w = real(node.constant("kernel"))
    flat = w.reshape(-1, w.shape[-1])
    top = np.abs(flat).max(axis=0)
    each = _each(bits, w.shape[-1])
    coarsest = each - 1 - np.ceil(np.log2(np.where(top > 0, top, 1.0)))
    limit = 2.0 ** (each - 1) - 1
    steps = [2.0 ** -(coarsest + finer) for finer in range(3)]
    errors = [((np.clip(np.floor(flat / s + 0.5), -limit, limit) * s - flat) ** 2).sum(axis=0) for s in steps]
    best: Floats = np.choose(np.argmin(errors, axis=0), steps)
    return best


def rounded_bias(node: Node, bits: int | Index) -> Floats:
    """The bias at a step two bits finer than that of weights of `bits` bits in the largest channel.

    Args:
        bits: one for all, or one for each element, as `bias_widths` gives them.
    """
    bias, kernel = (real(node.constant(name)) for name in ("bias", "kernel"))
    top = max(float(np.abs(kernel).max(initial=0)), float(np.abs(bias).max(initial=0))) or 1.0
    step = 2.0 ** -(bits + 1 - np.ceil(np.log2(top)))
    rounded: Floats = np.floor(bias / step + 0.5) * step
    return rounded


def bias_widths(node: Node, shape: tuple[int, ...], bits: Widths) -> int | Index:
    """The bits of the weights that each element of the bias is added to: one for all, or an array of the bias' shape.

    Args:
        shape: of what the operation reads.

    Raises:
        UsageError: widths for each channel, but the operation sums over its channels.
    """
    if isinstance(bits, int):
        return bits
    of = channels_of(node, shape)
    if of is None:
        raise UsageError(f"{node.name} sums over the last axis of its kernel, so that its channels cannot differ in width")
    widths: Index = _each(bits, node.constant("kernel").shape[-1])[of[1]].reshape(node.constant("bias").shape)
    return widths


def channels_of(node: Node, shape: tuple[int, ...]) -> tuple[Index, Index] | None:
    """The channel (slice of the kernel's last axis) of each element of the result and of the bias, row-major.

    Args:
        shape: of what the operation reads.

    Returns:
        None where one result reads the weights of several channels, as some of einsum's do.
    """
    channels = node.constant("kernel").shape[-1]
    results, biases = np.zeros(node.type.size, np.int64), np.zeros(node.constant("bias").types.size, np.int64)
    for block in blocks(node, shape):
        read = block.weights % channels
        if (read != read[:1]).any():
            return None
        results[block.outputs] = read[0]
        biases[block.biases] = read[0]
    return results, biases


def _each(bits: Widths, channels: int) -> Index:
    if not isinstance(bits, int) and len(bits) != channels:
        raise UsageError(f"there are {len(bits)} widths for {channels} channels")
    return np.broadcast_to(np.asarray(bits, np.int64), (channels,))


def uniform(fine: Graph, weights: int, activations: int) -> dict[str, Bits]:
    """The same widths everywhere."""
    return {node.name: Bits(weights, activations) for node in linear_nodes(fine)}
