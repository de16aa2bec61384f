"""The printed form of a Graph: canonical, read back without loss, and what `digest` hashes.

    hwq-graph 1
    inputs x
    outputs dense
    node x input()
      type [2] RND WRAP u4.2*2
    node dense dense(x) source "dense_1"
      bias const [1] TRN WRAP u0.0 = 0
      kernel const [2,1] TRN WRAP s3.1 u1.0 = -3 1
      type [1] TRN WRAP s8.3

A type is s or u, the width, a dot, the fractional bits; `*n` repeats what stands before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir.graph import Attr, Constant, Graph, Node

HEADER = "hwq-graph 1"
_NODE = re.compile(r"node (\w+) (\w+)\(([\w,]*)\)(?: source (\".*\"))?")
_TYPE = re.compile(r"([su])(\d+)\.(-?\d+)")


def _runs(items: Iterable[str]) -> str:
    out: list[tuple[str, int]] = []
    for item in items:
        if out and out[-1][0] == item:
            out[-1] = (item, out[-1][1] + 1)
        else:
            out.append((item, 1))
    return " ".join(item if n == 1 else f"{item}*{n}" for item, n in out)


def _expand(words: str) -> Iterator[str]:
    for word in words.split():
        item, _, count = word.partition("*")
        for _ in range(int(count or 1)):
            yield item


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _types(types: TypeArray) -> str:
    signs = np.where(types.signed.ravel() != 0, "s", "u")
    each = (f"{s}{w}.{f}" for s, w, f in zip(signs, types.width.ravel(), types.frac.ravel(), strict=True))
    return f"{_shape(types.shape)} {types.rounding} {types.overflow} {_runs(each)}".rstrip()


def _attr(value: Attr) -> str:
    if isinstance(value, Constant):
        return f"const {_types(value.types)} = {_runs(str(int(v)) for v in value.mantissas.ravel())}".rstrip()
    return f"json {json.dumps(value)}"


def text(graph: Graph) -> str:
    """The canonical text of `graph`; `parse(text(graph))` equals it."""
    lines = [HEADER, f"inputs {' '.join(graph.inputs)}", f"outputs {' '.join(graph.outputs)}"]
    for node in graph.nodes:
        source = f" source {json.dumps(node.source)}" if node.source else ""
        lines.append(f"node {node.name} {node.op}({','.join(node.inputs)}){source}")
        lines += [f"  {key} {_attr(node.attrs[key])}" for key in sorted(node.attrs)]
        lines.append(f"  type {_types(node.type)}")
    return "\n".join(lines) + "\n"


def digest(graph: Graph) -> str:
    """16 hexadecimal digits of the SHA-256 of the text: equal designs have equal digests."""
    return hashlib.sha256(text(graph).encode()).hexdigest()[:16]


def parse(source: str) -> Graph:
    """Read what `text` wrote.

    Raises:
        GraphError: the line number and what was expected there.
    """
    lines = source.splitlines()
    if lines[:1] != [HEADER]:
        raise GraphError(f"line 1: not an hwq graph: expected {HEADER!r}")
    number = 0
    try:
        number = 2
        inputs = tuple(_after(lines[1], "inputs"))
        number = 3
        outputs = tuple(_after(lines[2], "outputs"))
        nodes: list[Node] = []
        attrs: dict[str, Attr] = {}
        head: re.Match[str] | None = None
        for line in lines[3:]:
            number += 1
            if not line.startswith("  "):
                head, attrs = _NODE.fullmatch(line), {}
                if head is None:
                    raise ValueError("expected: node NAME OP(INPUTS)")
                continue
            if head is None:
                raise ValueError("an attribute before the first node")
            key, _, value = line.strip().partition(" ")
            if key == "type":
                names = tuple(filter(None, head[3].split(",")))
                nodes.append(Node(head[1], head[2], names, _parse_types(value), attrs, json.loads(head[4]) if head[4] else ""))
            else:
                attrs[key] = _parse_attr(value)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise GraphError(f"line {number}: cannot read the graph: {error}") from error
    return Graph(tuple(nodes), inputs, outputs)


def _after(line: str, word: str) -> list[str]:
    first, *rest = line.split()
    if first != word:
        raise ValueError(f"expected {word!r}")
    return rest


def _parse_types(value: str) -> TypeArray:
    shape_text, rounding, overflow, *rest = value.split(" ", 3)
    shape = tuple(int(n) for n in shape_text.strip("[]").split(",") if n)
    triples = []
    for item in _expand(rest[0] if rest else ""):
        match = _TYPE.fullmatch(item)
        if match is None:
            raise ValueError(f"{item!r} is no type")
        triples.append((match[1] == "s", int(match[2]), int(match[3])))
    columns = np.array(triples, np.int64).reshape(-1, 3).T
    if columns.shape[1] != int(np.prod(shape)):
        raise ValueError(f"{columns.shape[1]} types for the shape {shape}")
    signed, width, frac = (column.reshape(shape) for column in columns)
    return TypeArray.of(signed, width, frac, Rounding(rounding), Overflow(overflow))


def _parse_attr(value: str) -> Attr:
    kind, _, rest = value.partition(" ")
    if kind == "const":
        types_text, _, numbers = rest.partition(" =")
        types = _parse_types(types_text)
        mantissas = np.array([int(n) for n in _expand(numbers)] or [], object).reshape(types.shape)
        wide = types.size and int(types.width.max()) > 62
        return Constant(mantissas if wide else mantissas.astype(np.int64), types)
    if kind != "json":
        raise ValueError("an attribute is 'const ...' or 'json ...'")
    loaded = json.loads(rest)
    if isinstance(loaded, list):
        return tuple(int(n) for n in loaded)
    if not isinstance(loaded, (int, str, bool)):
        raise ValueError(f"{rest!r} is no attribute value")
    return loaded
