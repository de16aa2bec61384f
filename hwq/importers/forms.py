"""Quantisers and tables that are spread over several nodes, put together again. hwq writes them so: `hwq.exporters.program` says why.

    Floor(x / step) * step, or Round              a quantiser without ends
    Quant(x + step/2), FLOOR                      rounds ties upward
    Min(Max(Quant(x), low), high)                 saturates each element to its own type
    q - Quant(q + span/2), q a Quant              wraps to a range of the length `span`
    Gather(entries, Cast(x * factor + offset))    a table
    Max(x, x / 2^n)                               a leaky ReLU

A form is taken where it is exactly one; other nodes stay as they are. What the result becomes is in `hwq.importers.onnx_parts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwq.importers.walk import FIXED, TABLE, OnnxNode
from hwq.tensors import Numbers

ENDLESS = 200  # bits of a quantiser without ends
FLOATS, WHOLES = (1, 11), (6, 7)  # float32 and float64, int32 and int64, as ONNX numbers its types


@dataclass(frozen=True, slots=True)
class _Rounded:
    """One Quant, with what stands before it to round ties upward."""

    node: OnnxNode
    source: str
    step: Numbers
    bits: int
    signed: int
    narrow: int
    rounding: str


@dataclass(slots=True)
class _FormSearch:
    nodes: dict[str, OnnxNode]  # by output
    constants: Mapping[str, Any]
    uses: Counter[str] = field(default_factory=Counter)
    gone: set[str] = field(default_factory=set)

    def constant(self, name: str) -> Numbers | None:
        found = self.constants.get(name)
        return np.asarray(found, np.float64) if isinstance(found, np.ndarray) else None

    def of(self, name: str, op: str, uses: int = 1) -> OnnxNode | None:
        """The node that gives a tensor, where it is of this operation and nothing else reads it."""
        node = self.nodes.get(name)
        return node if node is not None and node.op == op and self.uses[name] == uses else None

    def with_constant(self, name: str, op: str) -> tuple[str, Numbers] | None:
        """(what it reads, the constant) of a node of a tensor and a constant."""
        node = self.of(name, op)
        if node is None or len(node.inputs) != 2:
            return None
        constant = self.constant(node.inputs[1])
        return None if constant is None else (node.inputs[0], constant)


def recognised(nodes: Sequence[OnnxNode], constants: Mapping[str, Any], outputs: Collection[str]) -> list[OnnxNode]:
    """The nodes, of which those of a form are one."""
    nodes = _without_casts(nodes, outputs)
    search = _FormSearch({out: node for node in nodes for out in node.outputs}, constants)
    search.uses.update(name for node in nodes for name in node.inputs)
    search.uses.update(outputs)
    for node in nodes:
        match = {"Min": _clip, "Sub": _wrap, "Quant": _half, "Gather": _table, "Max": _leaky, "Mul": _endless}.get(node.op)
        found = match(search, node) if match is not None else None
        if found is not None:
            search.nodes[node.outputs[0]] = found
    read = set(outputs)
    kept = []
    for node in reversed(nodes):
        now = search.nodes[node.outputs[0]]
        if node.outputs[0] in search.gone and not read.intersection(node.outputs):
            continue
        read.update(now.inputs)
        kept.append(now)
    return kept[::-1]


def _without_casts(nodes: Sequence[OnnxNode], outputs: Collection[str]) -> list[OnnxNode]:
    """A Quant takes the name of the cast to floats behind it: a design's numbers have no other kind."""
    uses = Counter(name for node in nodes for name in node.inputs)
    quants = {n.outputs[0]: n for n in nodes if n.op == "Quant" and uses[n.outputs[0]] == 1 and n.outputs[0] not in outputs}
    casts = {n.inputs[0]: n for n in nodes if n.op == "Cast" and n.attributes.get("to") in FLOATS and n.inputs[0] in quants}
    kept = [node for node in nodes if node not in casts.values()]
    return [
        replace(node, name=casts[node.outputs[0]].name, outputs=casts[node.outputs[0]].outputs)
        if node.outputs[0] in casts
        else node
        for node in kept
    ]


def _rounded(search: _FormSearch, node: OnnxNode) -> _Rounded | None:
    step, zero, bits = (search.constant(name) for name in node.inputs[1:4])
    if step is None or zero is None or bits is None or zero.any() or bits.size != 1 or not (np.frexp(step)[0] == 0.5).all():
        return None
    mode = node.attributes.get("rounding_mode", "ROUND")
    told = {"ROUND": "RND_CONV", "HALF_EVEN": "RND_CONV", "FLOOR": "TRN"}
    name = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    if name not in told:
        return None
    signed, narrow = int(node.attributes.get("signed", 1)), int(node.attributes.get("narrow", 0))
    return _halved(search, _Rounded(node, node.inputs[0], step, int(bits.ravel()[0]), signed, narrow, told[name]))


def _halved(search: _FormSearch, plain: _Rounded) -> _Rounded:
    """With the half step that was added before, and with what made room for it."""
    half = search.with_constant(plain.source, "Add")
    if plain.rounding != "TRN" or half is None or not _equal(half[1], plain.step / 2):
        return plain
    search.gone.add(plain.source)
    inner, source = _quant_of(search, half[0], 1), half[0]
    enough = inner is not None and inner.rounding == "TRN" and inner.signed and inner.bits > plain.bits + 1 - plain.signed
    if inner is not None and (enough or inner.bits >= ENDLESS) and _equal(inner.step, plain.step / 2):
        search.gone.add(half[0])
        source = inner.source
    return replace(plain, source=source, rounding="RND")


def _endless(search: _FormSearch, node: OnnxNode) -> OnnxNode | None:
    step = search.constant(node.inputs[1])
    whole = search.of(node.inputs[0], "Floor") or search.of(node.inputs[0], "Round")
    codes = None if whole is None else search.with_constant(whole.inputs[0], "Mul")
    if step is None or whole is None or codes is None or not (np.frexp(step)[0] == 0.5).all() or not _equal(codes[1], 1 / step):
        return None
    search.gone |= {node.inputs[0], whole.inputs[0]}
    rounding = "TRN" if whole.op == "Floor" else "RND_CONV"
    found = _halved(search, _Rounded(node, codes[0], step, ENDLESS, 1, 0, rounding))
    return _fixed(node, found, np.ones((), np.int64), np.full((), ENDLESS), "SAT")


def _equal(a: Numbers, b: Numbers) -> bool:
    """Whether two constants are the same once spread to one shape."""
    a, b = np.broadcast_arrays(a, b)
    return bool((a == b).all())


def _fixed(like: OnnxNode, told: _Rounded, signed: Numbers, width: Numbers, overflow: str, whole: int = 0) -> OnnxNode:
    """A quantiser of per-element types in place of the last node of a form."""
    frac = 1 - np.frexp(told.step)[1].astype(np.int64)
    attributes = {
        "signed": signed.astype(np.int64),
        "width": width.astype(np.int64),
        "frac": frac,
        "rounding": told.rounding,
        "overflow": overflow,
        "whole": whole,
    }
    return OnnxNode(like.name, FIXED, (told.source,), like.outputs, attributes, like.version)


def _half(search: _FormSearch, node: OnnxNode) -> OnnxNode | None:
    found = _rounded(search, node)
    if found is None or found.rounding != "RND" or (found.narrow and not found.signed):
        return None
    one = np.ones((), np.int64)
    return _fixed(node, found, one * found.signed, one * found.bits, "SAT_SYM" if found.narrow else "SAT")


def _quant_of(search: _FormSearch, name: str, uses: int) -> _Rounded | None:
    """A Quant, or what `_half` made of it."""
    node = search.of(name, "Quant", uses) or search.of(name, FIXED, uses)
    if node is None:
        return None
    if node.op == "Quant":
        return _rounded(search, node)
    a = node.attributes
    if a["overflow"] != "SAT" or a["width"].size != 1:
        return None
    step = np.ldexp(1.0, -a["frac"])
    return _Rounded(node, node.inputs[0], step, int(a["width"]), int(a["signed"]), 0, a["rounding"])


def _clip(search: _FormSearch, node: OnnxNode) -> OnnxNode | None:
    high = search.constant(node.inputs[1]) if len(node.inputs) == 2 else None
    low = search.with_constant(node.inputs[0], "Max")
    if high is None or low is None:
        return None
    quant = _quant_of(search, low[0], 1)
    if quant is None or not quant.signed or quant.narrow:
        return None
    bottom, top = np.broadcast_arrays(low[1] / quant.step, high / quant.step)
    limit = 2.0 ** (quant.bits - 1)
    if bottom.min() < -limit or top.max() > limit - 1:
        return None
    powers = np.frexp(top + 1)
    whole = (powers[0] == 0.5) & (top >= 0)
    bits = powers[1].astype(np.int64) - 1  # of top
    unsigned, full, even = whole & (bottom == 0), whole & (bottom == -top - 1), whole & (bottom == -top) & (top > 0)
    for signed, overflow in ((full, "SAT"), (even | (full & (top == 0)), "SAT_SYM")):
        if (unsigned | signed).all():
            search.gone |= {node.inputs[0], low[0]}
            return _fixed(node, quant, signed & ~unsigned, bits + (signed & ~unsigned), overflow)
    return None


def _wrap(search: _FormSearch, node: OnnxNode) -> OnnxNode | None:
    whole, over = _quant_of(search, node.inputs[0], 2), _quant_of(search, node.inputs[1], 1)
    if whole is None or over is None or not whole.signed or not over.signed or whole.narrow or over.narrow:
        return None
    half = over.step / 2 if over.rounding == "RND" else np.zeros(())
    read = over.source
    if over.rounding == "TRN" and read != node.inputs[0]:  # half of some spans only: of the signed types
        up = search.with_constant(read, "Add")
        if up is None:
            return None
        search.gone.add(read)
        read, half = up
    if read != node.inputs[0] or over.rounding == "RND_CONV":
        return None
    half, span, step = np.broadcast_arrays(half, over.step, whole.step)
    width = np.frexp(span)[1].astype(np.int64) - np.frexp(step)[1]
    signed = half == span / 2
    if (width < 0).any() or not (signed | (half == 0)).all() or over.bits < min(whole.bits - int(width.min()) + 1, ENDLESS):
        return None
    search.gone |= {node.inputs[0], node.inputs[1]}
    return _fixed(node, whole, signed, width, "WRAP", whole.bits)


def _table(search: _FormSearch, node: OnnxNode) -> OnnxNode | None:
    entries = search.constant(node.inputs[0])
    cast = search.of(node.inputs[1], "Cast")
    if entries is None or entries.ndim != 1 or cast is None or cast.attributes.get("to") not in WHOLES:
        return None
    place = search.with_constant(cast.inputs[0], "Add")
    code = None if place is None else search.with_constant(place[0], "Mul")
    if place is None or code is None:
        return None
    search.gone |= {node.inputs[1], cast.inputs[0], place[0]}
    attributes = {"entries": entries, "factor": code[1], "offset": place[1]}
    return OnnxNode(node.name, TABLE, (code[0],), node.outputs, attributes, node.version)


def _leaky(search: _FormSearch, node: OnnxNode) -> OnnxNode | None:
    below = search.with_constant(node.inputs[1], "Mul") if len(node.inputs) == 2 else None
    if below is None or below[0] != node.inputs[0] or below[1].size != 1 or not 0 < below[1].ravel()[0] <= 1:
        return None
    search.gone.add(node.inputs[1])
    return OnnxNode(node.name, "LeakyRelu", node.inputs[:1], node.outputs, {"alpha": float(below[1].ravel()[0])}, node.version)
