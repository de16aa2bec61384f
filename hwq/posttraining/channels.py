"""Widths of single output channels: groups of a layer that share its activation width, and how what a layer loses and costs divides over them.

A channel is a slice of the last axis of a kernel. Losses and costs of single channels do not add up to those of their layer: errors of
channels meet in the layers behind, and columns compiled alone share no sub-expressions. So they only say how a layer's own, known at
each pair of uniform widths, divide over its channels; with equal widths, a table of channels says what one of layers does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwq.events import Progress, Watch, quiet
from hwq.fixed import Overflow, TypeArray, requantize, to_float
from hwq.fixed.arithmetic import IntArray
from hwq.ir import OPS, Constant, Graph, Node
from hwq.ir.windows import Index
from hwq.posttraining.quantize import Bits, Widths, channels_of, coarse_rows, per_channel, quantized, rounded_bias
from hwq.posttraining.rebuild import exact, real, rebuilt
from hwq.posttraining.sensitivity import answers, divergence, told
from hwq.sim.compare import output_types
from hwq.sim.reference import evaluate_nodes
from hwq.tensors import Floats

KEPT = 24  # bits at which the weights of a fine network are what they are
ROOM = 2  # bits more of every hidden range: what one badly rounded channel may need


@dataclass(frozen=True, slots=True)
class Group:
    """What has a weight width of its own: one channel of a linear operation, or all of it (None)."""

    layer: str
    channel: int | None = None


def groups_of(fine: Graph, layers: Sequence[str]) -> list[Group]:
    """The channels of each operation in order; an operation that sums over the last axis of its kernel is one group."""
    found: list[Group] = []
    for name in layers:
        node = fine[name]
        apart = channels_of(node, fine[node.inputs[0]].shape) is not None
        found += [Group(name, j) for j in range(node.constant("kernel").shape[-1])] if apart else [Group(name)]
    return found


def layer_numbers(groups: Sequence[Group]) -> Index:
    """(groups,) number of each group's layer, in the order in which layers first appear."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(group.layer for group in groups))}
    return np.array([numbers[group.layer] for group in groups], np.int64)


def together(groups: Sequence[Group], chosen: Sequence[Bits]) -> dict[str, Bits]:
    """What `quantized` takes, of the choice for each group; the channels of a layer in order, with one activation width."""
    out: dict[str, Bits] = {}
    apart: dict[str, tuple[int, ...]] = {}
    for group, bits in zip(groups, chosen, strict=True):
        if group.channel is not None and isinstance(bits.weights, int):
            apart[group.layer] = (*apart.get(group.layer, ()), bits.weights)
            bits = Bits(apart[group.layer], bits.activations)
        out[group.layer] = bits
    return out


def divided(total: Floats, parts: Floats, layer: Index) -> Floats:
    """(groups, choices): the total of each layer, divided as its groups' parts are; evenly where those are all 0.

    Args:
        total: (layers, choices); parts: (groups, choices), not negative; layer: (groups,) as `layer_numbers` gives it.
    """
    sums = np.zeros_like(total)
    np.add.at(sums, layer, parts)
    even = 1.0 / np.bincount(layer, minlength=len(total))[layer]
    share = np.where(sums[layer] > 0, parts / np.where(sums > 0, sums, 1.0)[layer], even[:, None])
    out: Floats = total[layer] * share
    return out


def by_divergence(
    fine: Graph,
    groups: Sequence[Group],
    choices: Sequence[Bits],
    rows: IntArray,
    *,
    progress: Watch = quiet,
) -> Floats:
    """(groups, choices): KL of the answers with the weights of that group alone quantised, and its even share of that of the activations.

    The two are evaluated apart and added: each channel once a weight width, each layer once an activation width. Only what lies behind
    a channel is computed anew, in the fine network with ROOM for the ranges. Single parts do not add up to what their layer loses as a
    whole: see `divided`.

    Args:
        rows: input mantissas of `fine` for unlabelled rows.
    """
    graph = _roomy(fine)
    values = evaluate_nodes(graph, rows)
    wanted = _logits(graph, values)
    weight_bits, activation_bits = list(dict.fromkeys(b.weights for b in choices)), sorted({b.activations for b in choices})
    layer = layer_numbers(groups)
    parts = {name: Bits(KEPT, 0) for name in dict.fromkeys(g.layer for g in groups)}
    weights, activations = np.zeros((len(groups), len(weight_bits))), np.zeros((len(parts), len(activation_bits)))
    for n, name in enumerate(parts):
        mine = [g for g, group in enumerate(groups) if group.layer == name]
        for w, bits in enumerate(weight_bits):
            weights[mine, w] = _alone(graph, values, wanted, name, [groups[g] for g in mine], bits)
            progress(Progress("sensitivities of channels", mine[0] * len(weight_bits) + (w + 1) * len(mine), weights.size))
        for a, wide in enumerate(activation_bits):
            coarse = quantized(fine, {name: Bits(KEPT, wide)}, rows)
            activations[n, a] = max(divergence(wanted, answers(coarse, coarse_rows(fine, coarse, rows))), 0.0)
    even = 1.0 / np.bincount(layer)[layer]
    columns = [(weight_bits.index(b.weights), activation_bits.index(b.activations)) for b in choices]
    return np.stack([weights[:, w] + activations[layer, a] * even for w, a in columns], axis=1)


def _alone(
    graph: Graph, values: Mapping[str, IntArray], wanted: Floats, name: str, groups: Sequence[Group], bits: Widths
) -> Floats:
    """(groups,): KL with the weights of one group of the operation at `bits` bits. The operation is computed once, its results exchanged."""
    node, source = graph[name], graph[graph[name].inputs[0]]
    kernel, bias = exact(per_channel(node, bits)), exact(rounded_bias(node, int(np.max(bits))))
    made = rebuilt(node.with_(attrs={**node.attrs, "kernel": kernel, "bias": bias}), [source])
    found = OPS[made.op].evaluate(made, [source.type], [values[source.name]])
    wide = TypeArray.of(1, np.full(node.shape, 62), node.type.frac)
    found = np.asarray(requantize(found, made.type.frac, wide))
    of = channels_of(node, source.shape)
    out = np.zeros(len(groups))
    for g, group in enumerate(groups):
        here = found
        if of is not None and group.channel is not None:
            here = np.where((of[0] == group.channel).reshape(node.shape), found, values[name])
        out[g] = max(divergence(wanted, _logits(graph, {**values, **_behind(graph, values, name, here)})), 0.0)
    return out


def _behind(graph: Graph, values: Mapping[str, IntArray], name: str, mantissas: IntArray) -> dict[str, IntArray]:
    """What changes in the network where one node has other mantissas."""
    changed = {name: mantissas}
    nodes = graph.by_name()
    for node in graph.nodes:
        if node.name != name and any(source in changed for source in node.inputs):
            operands = [changed.get(source, values[source]) for source in node.inputs]
            changed[node.name] = OPS[node.op].evaluate(node, [nodes[source].type for source in node.inputs], operands)
    return changed


def _logits(graph: Graph, values: Mapping[str, IntArray]) -> Floats:
    rows = len(next(iter(values.values())))
    flat = np.concatenate([values[name].reshape(rows, -1) for name in graph.outputs], axis=1)
    return told(to_float(flat, output_types(graph).frac))


def _roomy(fine: Graph) -> Graph:
    """The network with wider hidden ranges, which saturate."""
    nodes: dict[str, Node] = {}
    for node in fine.nodes:
        if node.op == "quantize":
            t = node.type
            width = np.where(t.width > 0, t.width.astype(np.int64) + ROOM, 0)
            node = node.with_(type=TypeArray.of(t.signed, width, t.frac, t.rounding, Overflow.SAT))
        nodes[node.name] = rebuilt(node, [nodes[name] for name in node.inputs])
    return fine.with_nodes(nodes.values())


def by_roundoff(fine: Graph, groups: Sequence[Group], choices: Sequence[Bits]) -> Floats:
    """(groups, choices): as `hwq.posttraining.sensitivity.by_roundoff`, whose value for a layer these of its channels sum to."""
    layer = layer_numbers(groups)
    even = 1.0 / np.bincount(layer)[layer]
    out = np.zeros((len(groups), len(choices)))
    for name in dict.fromkeys(group.layer for group in groups):
        node = fine[name]
        w = real(node.constant("kernel"))
        floor = max(float(((per_channel(node, 8) - w) ** 2).sum()), 1e-30)
        for c, bits in enumerate(choices):
            each = ((per_channel(node, bits.weights) - w) ** 2).reshape(-1, w.shape[-1]).sum(axis=0) / floor
            for g, group in enumerate(groups):
                if group.layer == name:
                    mine = float(each.sum() if group.channel is None else each[group.channel])
                    out[g, c] = mine + even[g] * 4.0 ** (8 - bits.activations)
    return out


def column(part: Graph, group: Group) -> Graph:
    """The out-of-context design of an operation (`hwq.posttraining.sensitivity.part_of`) with one channel's weights only, all others zero."""
    nodes: dict[str, Node] = {}
    for node in part.nodes:
        of = channels_of(node, part[node.inputs[0]].shape) if node.name == group.layer else None
        if of is not None and group.channel is not None:
            kernel, bias = node.constant("kernel"), node.constant("bias")
            mine = np.arange(kernel.shape[-1]) == group.channel
            made = {"kernel": _masked(kernel, mine), "bias": _masked(bias, (of[1] == group.channel).reshape(bias.shape))}
            node = node.with_(attrs={**node.attrs, **made})
        nodes[node.name] = rebuilt(node, [nodes[name] for name in node.inputs])
    return part.with_nodes(nodes.values())


def _masked(constant: Constant, kept: np.ndarray) -> Constant:
    t = constant.types
    return Constant(constant.mantissas * kept, TypeArray.of(t.signed * kept, t.width * kept, t.frac * kept, t.rounding, t.overflow))
