"""The text form: golden text, round trip, digest, and errors that name the line."""

from __future__ import annotations

import contextlib
import random
import re
import time
from pathlib import Path

import numpy as np
import pytest
from networks import random_graph, random_network

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import OPS, Constant, Graph, digest, make_node, parse, text, verify
from hwq.passes import narrow, optimise

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


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("u4.2*2", "u4.2*99999999999", "more, where the shape has 2"),
        ("u4.2*2", "u4.2*0 u4.2*2", "where the shape has 2"),
        ("u4.2*2", "u4.2*1", "1 items where the shape has 2"),
        ("[2] RND WRAP u4.2*2", "[99999999] RND WRAP u4.2*99999999", "a graph may have 16777216"),
        ("[2] RND WRAP u4.2*2", "[-2] RND WRAP u4.2*2", "is no shape"),
        ("u4.2*2", "u512.2*2", "types have 0 to 511 bits"),
        ("u4.2*2", "u4.-600*2", "fractional bits"),
        ("= 0 -1", "= 0*99999999999", "where the shape has 2"),
        ("= 0 -1", "= 0 -4", "does not fit its type"),
        ("  type [2] RND SAT", "  shift json 1e999\n  type [2] RND SAT", "no attribute value"),
        ("  type [2] RND SAT", "  shift json [1.5]\n  type [2] RND SAT", "no attribute value"),
        ("  type [2] RND SAT", "  a json 1\n  a json 2\n  type [2] RND SAT", "a is there twice"),
        ("  type [2] RND SAT s4.1*2\n", "", "node q has no type"),
        ("s7.3 s6.3\n", "s7.3 s6.3\n  after json 1\n", "behind its node's type"),
    ],
)
def test_counts_and_limits_are_checked_as_they_are_read(old: str, new: str, why: str) -> None:
    assert old in GOLDEN
    start = time.perf_counter()
    with pytest.raises(GraphError, match=why):
        parse(GOLDEN.replace(old, new))
    assert time.perf_counter() - start < 10


IMAGE = """\
hwq-graph 1
inputs x
outputs y
node x input()
  type [2,2,1] RND WRAP u4.2*4
node y {op}
  type [1] RND WRAP u4.2
"""


@pytest.mark.parametrize(
    ("op", "why"),
    [
        ("pad(x)\n  pads json [0, 99999999, 0, 0, 0, 0]", "integers of at least 0"),
        ("pad(x)\n  pads json [0, 999999, 9, 0, 0, 0]", "a tensor may have 4194304"),
        ("max_pool2d(x)\n  pads json [0, 3999999, 0, 9999]\n  size json [1, 1]\n  strides json [1, 1]", "indices"),
        ("sum_pool2d(x)\n  pads json [0, 3999999, 0, 9]\n  size json [1, 1]\n  strides json [1, 1]", "indices|elements"),
        ("leaky_relu(x)\n  shift json 99999999", "at most 511"),
        ("reshape(x)\n  shape json [4, 99999999999]", "integers"),
        ("concatenate(x,x)\n  axis json 99999999999", "none of the 3 axes"),
    ],
)
def test_sizes_are_checked_before_anything_is_made_of_them(op: str, why: str) -> None:
    start = time.perf_counter()
    with pytest.raises(GraphError, match=why):
        verify(parse(IMAGE.format(op=op)))
    assert time.perf_counter() - start < 10


def test_sizes_that_double_are_stopped() -> None:
    """Forty concatenations of a tensor with itself: each says what it has, and the types of a text have a limit together."""
    lines = ["hwq-graph 1", "inputs x", "outputs n40", "node x input()", "  type [1] RND WRAP u4.2"]
    for k in range(1, 41):
        before = f"n{k - 1}" if k > 1 else "x"
        lines += [f"node n{k} concatenate({before},{before})", "  axis json 0", f"  type [{1 << k}] RND WRAP u4.2*{1 << k}"]
    with pytest.raises(GraphError, match="a graph may have 16777216"):
        parse("\n".join(lines) + "\n")


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_a_graph_error(seed: int) -> None:
    """Numbers exchanged, characters, lines and operations changed: what is left is a graph, or refused; nothing else, and soon."""
    rng = random.Random(seed)
    for _ in range(8):
        source = damaged(text(random_graph(rng.randrange(50), ops=4)), rng)
        start = time.perf_counter()
        with contextlib.suppress(GraphError):
            optimise(verify(parse(source)))
        assert time.perf_counter() - start < 60


NUMBERS = [
    "0",
    "-1",
    "1",
    "7",
    "128",
    "511",
    "512",
    "99999999999",
    "16777217",
    "9" * 30,
    "9" * 5000,
    "1e400",
    "NaN",
    "null",
    "true",
    '"a"',
    "[]",
]


def damaged(source: str, rng: random.Random) -> str:
    kind = rng.randrange(5)
    if kind < 2:
        match = rng.choice(list(re.finditer(r"-?\d+", source)))
        return source[: match.start()] + rng.choice(NUMBERS) + source[match.end() :]
    if kind == 2:
        at = rng.randrange(len(source))
        return source[:at] + rng.choice("\0\n *[]=01\u2028") + source[at + rng.randrange(30) :]
    if kind == 3:
        lines = source.splitlines()
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
        return "\n".join(lines[: rng.choice([len(lines), b + 1])]) + "\n"
    old = rng.choice(re.findall(r"node \w+ (\w+)\(", source))
    return source.replace(f"{old}(", f"{rng.choice(list(OPS))}(", 1)


def test_a_table_whose_input_is_wider_than_its_text_says() -> None:
    lines = [
        "hwq-graph 1",
        "inputs x",
        "outputs y",
        "node x input()",
        "  type [1] TRN WRAP u60.0",
        "node r relu(x)",
        "  type [1] TRN WRAP u1.0",
    ]
    lines += ["node y table(r)", "  index json [0]", "  values const [1,2] TRN WRAP u1.0*2 = 0 1", "  type [1] TRN WRAP u1.0"]
    with pytest.raises(GraphError, match=r"node y .table.: its input can take 60 bits"):
        narrow(verify(parse("\n".join(lines) + "\n")))


def test_wide_types_are_written_and_read() -> None:
    x = make_node("x", "input", type=TypeArray.of([1, 0], [511, 200], [-511, 300]))
    graph = verify(Graph((x, make_node("y", "relu", [x])), ("x",), ("y",)))
    assert text(parse(text(graph))) == text(graph) and "s511.-511 u200.300" in text(graph)


def test_an_inferred_type_beyond_the_limits_names_its_node() -> None:
    x = make_node("x", "input", type=TypeArray.of([1], 300, 0))
    with pytest.raises(GraphError, match=r"node square \(multiply\): element 0 would need the type u599.0") as caught:
        make_node("square", "multiply", [x, x])
    assert "quantize" in str(caught.value.hint)
    lines = text(Graph((x,), ("x",), ("x",))) + "node square multiply(x,x)\n  type [1] TRN WRAP u8.0\n"
    with pytest.raises(GraphError, match="node square"):
        narrow(verify(parse(lines.replace("outputs x", "outputs square"))))


def test_the_text_in_the_documentation() -> None:
    """The example of docs/reference/ir.md is canonical and obeys the rules; every op stands in its table."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "ir.md").read_text()
    example = page.split("```")[1].lstrip("\n")
    assert text(verify(parse(example))) == example
    graph = parse(example)
    assert [make_node(n.name, n.op, [graph[i] for i in n.inputs], attrs=n.attrs).type == n.type for n in graph.nodes[1:]] == [
        True,
        True,
    ]
    assert [op for op in OPS if f"`{op}" not in page] == []


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ("hwq-graph 2", "line 1: not an hwq graph"),
        ("hwq-graph 1", "line 1: .*expected: outputs"),
        ("hwq-graph 1\ninput x", "line 2: .*expected 'inputs'"),
        ("hwq-graph 1\ninputs x", "line 3: .*expected: outputs"),
        ("hwq-graph 1\ninputs x\noutputs x\nnode x input", "line 4: .*expected: node NAME"),
        ("hwq-graph 1\ninputs x\noutputs x\nnode x input()", "line 5: .*node x has no type"),
    ],
)
def test_a_text_that_breaks_off_is_told_by_line(lines: str, where: str) -> None:
    with pytest.raises(GraphError, match=where):
        parse(lines)
