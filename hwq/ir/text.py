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
import math
import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.fixed.arithmetic import SAFE_BITS, greatest
from hwq.ir.graph import MOST_IN_TEXT, Attr, Constant, Graph, Node

HEADER = "hwq-graph 1"
_NODE = re.compile(r"node (\w+) (\w+)\(([\w,]*)\)(?: source (\".*\"))?")
_TYPE = re.compile(r"([su])(\d{1,9})\.(-?\d{1,9})")
_SHAPE = re.compile(r"\[(\d{1,9}(,\d{1,9})*)?\]")


def _runs(items: Iterable[str]) -> str:
    out: list[tuple[str, int]] = []
    for item in items:
        if out and out[-1][0] == item:
            out[-1] = (item, out[-1][1] + 1)
        else:
            out.append((item, 1))
    return " ".join(item if n == 1 else f"{item}*{n}" for item, n in out)


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
        GraphError: the line number and what was expected there. Counts are checked before anything is made of them.
    """
    lines = source.splitlines()
    if lines[:1] != [HEADER]:
        raise GraphError(f"line 1: not an hwq graph: expected {HEADER!r}")
    reader = _TextReader()
    number = 0
    try:
        for number, line in enumerate(lines[1:], 2):
            reader.take(number, line)
        number += 1
        reader.finish()
    except _UNREADABLE as error:
        raise GraphError(f"line {number}: cannot read the graph: {error}") from error
    return Graph(tuple(reader.nodes), reader.inputs, reader.outputs)


_UNREADABLE = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError, GraphError)


class _TextReader:
    """What has been read of a text so far."""

    def __init__(self) -> None:
        self.inputs: tuple[str, ...] = ()
        self.outputs: tuple[str, ...] = ()
        self.nodes: list[Node] = []
        self._head: re.Match[str] | None = None  # of the node whose type is still to come
        self._attrs: dict[str, Attr] = {}
        self._elements = 0

    def take(self, number: int, line: str) -> None:
        if number == 2:
            self.inputs = tuple(_after(line, "inputs"))
        elif number == 3:
            self.outputs = tuple(_after(line, "outputs"))
        elif line.startswith("  "):
            self._attribute(line)
        else:
            self.finish()
            self._head, self._attrs = _NODE.fullmatch(line), {}
            if self._head is None:
                raise ValueError("expected: node NAME OP(INPUTS)")

    def finish(self) -> None:
        """Raises ValueError: the last node has no type."""
        if self._head is not None:
            raise ValueError(f"node {self._head[1]} has no type before this line")
        if not self.outputs:
            raise ValueError("expected: outputs, and at least one name")

    def _attribute(self, line: str) -> None:
        head = self._head
        if head is None:
            raise ValueError("an attribute behind its node's type, or before the first node")
        key, _, value = line.strip().partition(" ")
        if key == "type":
            names = tuple(filter(None, head[3].split(",")))
            source = json.loads(head[4]) if head[4] else ""
            self.nodes.append(Node(head[1], head[2], names, self._types(value), self._attrs, source))
            self._head = None
        elif key in self._attrs:
            raise ValueError(f"{key} is there twice")
        else:
            self._attrs[key] = self._attr(value)

    def _types(self, value: str) -> TypeArray:
        shape_text, rounding, overflow, *rest = value.split(" ", 3)
        shape = _parse_shape(shape_text)
        self._elements += math.prod(shape)
        if self._elements > MOST_IN_TEXT:
            raise ValueError(f"{self._elements} elements up to here; a graph may have {MOST_IN_TEXT}")
        runs = list(_runs_of(rest[0] if rest else "", math.prod(shape)))
        triples = [_parse_type(item) for item, _ in runs]
        columns = np.repeat(np.array(triples, np.int64).reshape(-1, 3), _counts(runs), axis=0).T
        signed, width, frac = (column.reshape(shape) for column in columns)
        return TypeArray.of(signed, width, frac, Rounding(rounding), Overflow(overflow))

    def _attr(self, value: str) -> Attr:
        kind, _, rest = value.partition(" ")
        if kind == "const":
            types_text, _, numbers = rest.partition(" =")
            return _constant(self._types(types_text), numbers)
        if kind != "json":
            raise ValueError("an attribute is 'const ...' or 'json ...'")
        loaded = json.loads(rest)
        if isinstance(loaded, list) and all(type(n) is int for n in loaded):
            return tuple(loaded)
        if not isinstance(loaded, (int, str, bool)):
            raise ValueError(f"{rest[:60]!r} is no attribute value")
        return loaded


def _after(line: str, word: str) -> list[str]:
    first, *rest = line.split()
    if first != word:
        raise ValueError(f"expected {word!r}")
    return rest


def _parse_shape(value: str) -> tuple[int, ...]:
    match = _SHAPE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value[:60]!r} is no shape, like [2,3]")
    return tuple(int(n) for n in value[1:-1].split(",") if n)


def _parse_type(item: str) -> tuple[bool, int, int]:
    match = _TYPE.fullmatch(item)
    if match is None:
        raise ValueError(f"{item[:60]!r} is no type")
    return match[1] == "s", int(match[2]), int(match[3])


def _runs_of(words: str, size: int) -> Iterator[tuple[str, int]]:
    """The items of a list of `size` with their counts.

    Raises:
        ValueError: there are more or fewer.
    """
    total = 0
    for word in words.split():
        item, star, text_of_count = word.partition("*")
        count = int(text_of_count) if star else 1
        total += count
        if count < 1 or total > size:
            break
        yield item, count
    else:
        if total == size:
            return
    raise ValueError(
        f"{total} items, or more, where the shape has {size}" if total > size else f"{total} items where the shape has {size}"
    )


def _counts(runs: list[tuple[str, int]]) -> npt.NDArray[np.int64]:
    return np.array([count for _, count in runs], np.int64)


def _constant(types: TypeArray, numbers: str) -> Constant:
    wide = greatest(types.width) > SAFE_BITS
    runs = list(_runs_of(numbers, types.size))
    values = np.array([int(item) for item, _ in runs] or [], object)
    low, high = (int(types.lowest.min(initial=0)), greatest(types.highest))
    if any(not low <= value <= high for value in values):
        raise ValueError("a mantissa does not fit its type")
    mantissas = np.repeat(values, _counts(runs)).reshape(types.shape)
    return Constant(mantissas if wide else mantissas.astype(np.int64), types)
