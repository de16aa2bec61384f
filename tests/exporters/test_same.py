"""When two graphs are the same network: names, shapes that cancel and how constants are written do not matter, all else does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwq.exporters.same import difference
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify


def net(prefix: str = "", more: int = 0, **changes: object) -> Graph:
    """x -> dense -> quantize, `more` bits behind each constant that are zero."""
    told = {"weight": 3, "rounding": Rounding.RND, "width": 4, "op": "relu", "shapes": False, **changes}
    x = make_node(f"{prefix}x", "input", type=TypeArray.of(1, [5, 5], 2, Rounding.RND, Overflow.SAT))
    mantissas = np.array([[told["weight"]], [-5]], np.int64) << more
    kernel = Constant(mantissas, TypeArray.of(1, np.full((2, 1), 5 + more), 1 + more))
    bias = Constant(np.zeros(1, np.int64), TypeArray.of(0, np.zeros(1), 0))
    nodes: list[Node] = [x]
    if told["shapes"]:
        nodes.append(make_node(f"{prefix}one", "reshape", [x], attrs={"shape": (2, 1)}))
        nodes.append(make_node(f"{prefix}two", "reshape", [nodes[-1]], attrs={"shape": (2,)}))
    nodes.append(make_node(f"{prefix}d", "dense", [nodes[-1]], attrs={"kernel": kernel, "bias": bias}))
    types = TypeArray.of(1, [told["width"]], 0, told["rounding"], Overflow.SAT)  # type: ignore[arg-type]
    nodes.append(make_node(f"{prefix}q", "quantize", [nodes[-1]], type=types))
    attrs = {"shift": 1} if told["op"] == "leaky_relu" else {}
    nodes.append(make_node(f"{prefix}r", str(told["op"]), [nodes[-1]], attrs=attrs))
    return verify(Graph(tuple(nodes), (f"{prefix}x",), (f"{prefix}r",)))


@pytest.mark.parametrize("other", [lambda: net("a_"), lambda: net(more=3), lambda: net(shapes=True)])
def test_the_same_network_written_otherwise(other: Callable[[], Graph]) -> None:
    assert difference(net(), other()) == "" == difference(other(), net())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weight": 1}, "the types of d (dense)"),
        ({"rounding": Rounding.TRN}, "the types of d (dense)"),
        ({"width": 3}, "the types of r (relu)"),
        ({"op": "leaky_relu"}, "r (relu) and r (leaky_relu)"),
    ],
)
def test_what_differs_is_named(changes: dict[str, object], told: str) -> None:
    found = difference(net(), net(**changes))  # type: ignore[arg-type]
    assert found.startswith(told), found
