"""The text form: golden text, round trip, digest, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import random_network

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import OPS, Constant, Graph, digest, make_node, parse, text, verify

GOLDEN = """\
hwq-graph 1
inputs x
outputs q
node x input()
  type [2] RND WRAP u4.2*2
node dense dense(x) source "my \\"layer\\""
  bias const [2] TRN WRAP u0.0 s2.1 = 0 -1
  kernel const [2,2] TRN WRAP s3.1 u0.0 u1.0 s3.2 = -3 0 1 -2
  type [2] TRN WRAP s7.3 s6.3
node q quantize(dense)
  type [2] RND SAT s4.1*2
"""


def small() -> Graph:
    x = make_node("x", "input", type=TypeArray.of(0, [4, 4], 2, Rounding.RND))
    kernel = Constant(np.array([[-3, 0], [1, -2]]), TypeArray.of([[1, 0], [0, 1]], [[3, 0], [1, 3]], [[1, 0], [0, 2]]))
    bias = Constant(np.array([0, -1]), TypeArray.of([0, 1], [0, 2], [0, 1]))
    dense = make_node("dense", "dense", [x], attrs={"kernel": kernel, "bias": bias}, source='my "layer"')
    q = make_node("q", "quantize", [dense], type=TypeArray.of(1, [4, 4], 1, Rounding.RND, Overflow.SAT))
    return verify(Graph((x, dense, q), ("x",), ("q",)))


def test_golden_text() -> None:
    assert text(small()) == GOLDEN


@pytest.mark.parametrize("seed", range(10))
def test_round_trip(seed: int) -> None:
    graph = random_network(seed, skip=seed % 2 == 0)
    again = parse(text(graph))
    assert text(again) == text(graph)
    assert digest(again) == digest(graph)
    assert verify(again) is again


def test_digest_tells_designs_apart() -> None:
    assert digest(random_network(0)) != digest(random_network(1))


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("hwq-graph 1", "hwq-graph 9", "line 1"),
        ("inputs x", "input x", "line 2"),
        ("u4.2*2", "u4.2*3", "line 5"),
        ("u4.2*2", "q4.2*2", "line 5"),
        ("= 0 -1", "= 0 minus", "line 7"),
        ("node q quantize(dense)", "node q quantize dense", "line 10"),
    ],
)
def test_damage_is_named_by_line(old: str, new: str, where: str) -> None:
    with pytest.raises(GraphError, match=where):
        parse(GOLDEN.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("quantize(dense)", "quantize(nothing)", "reads nothing"),
        ("node dense dense", "node x dense", "two nodes"),
        ("outputs q", "outputs z", "is no node"),
        ("= -3 0 1 -2", "= -9 0 1 -2", "does not fit its type"),
        ("dense(x)", "dense2(x)", "unknown operation"),
    ],
)
def test_verifier_names_the_rule(old: str, new: str, why: str) -> None:
    with pytest.raises(GraphError, match=why):
        verify(parse(GOLDEN.replace(old, new)))


def test_the_text_in_the_documentation() -> None:
    """The example of docs/ir.md is canonical and obeys the rules; every op stands in its table."""
    page = (Path(__file__).parents[2] / "docs" / "ir.md").read_text()
    example = page.split("```")[1].lstrip("\n")
    assert text(verify(parse(example))) == example
    graph = parse(example)
    assert [make_node(n.name, n.op, [graph[i] for i in n.inputs], attrs=n.attrs).type == n.type for n in graph.nodes[1:]] == [
        True,
        True,
    ]
    assert [op for op in OPS if f"`{op}" not in page] == []
