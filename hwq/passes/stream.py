"""Cut an image network into stages that work on a stream of pixels: each computes one result from one window that slides over the image.

    input (H, W, C) -> [conv2d or pool, or nothing] and what follows it element by element -> ... -> reshape -> anything

Each stage is a small graph of its own, from one window (k_h, k_w, C) to one pixel (1, 1, M), and the same at every place: so the types and
constants of what it does element by element must not change over the image. What follows the reshape to a vector is a last stage whose
window is the whole image. Nothing is approximated: a stream computes what its graph does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify
from hwq.ir.graph import Attr
from hwq.ir.ops import spec_of
from hwq.passes import optimise
from hwq.passes.tables import renumbered

_ONE_PLACE: dict[str, Attr] = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1)}
_HINT = "an image network is streamed when it is a chain of convolutions, pools and activations with one type a channel; use io=parallel"


@dataclass(frozen=True, slots=True)
class Window:
    """How a window slides: over an image of `rows` x `columns` pixels; pairs are (vertical, horizontal), pads (top, bottom, left, right)."""

    rows: int
    columns: int
    size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels from the first to the last tap, in each direction."""
        return self.dilation[0] * (self.size[0] - 1) + 1, self.dilation[1] * (self.size[1] - 1) + 1

    @property
    def results(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        (kh, kw), (top, bottom, left, right) = self.reach, self.pads
        return (self.rows + top + bottom - kh) // self.strides[0] + 1, (self.columns + left + right - kw) // self.strides[1] + 1


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its window, and the optimised graph from one window to one result."""

    name: str
    window: Window
    graph: Graph


def stages(graph: Graph) -> list[Stage]:
    """The stages of `graph`, in order; the pixels of one stage's result are the next one's input.

    Args:
        graph: as the front end made it; `narrow` would give an image's edges types of their own.

    Raises:
        GraphError: it is no chain, or changes over the image; names the node.
    """
    chain, rest = _chain(graph)
    shape = _image(chain[0])
    types = _channel_types(chain[0], chain[0].type.reshape(shape))
    found: list[Stage] = []
    for part in _parts(chain[1:]):
        stage, shape = _stage(graph, part, shape, types)
        found.append(stage)
        types = _output_types(stage)
    if rest or not found:
        found.append(_last(graph, rest, chain[-1], shape, types))
    return found


def _chain(graph: Graph) -> tuple[list[Node], list[Node]]:
    """(the input and what follows it on the image, what follows the reshape to a vector)."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise GraphError(f"a stream has one input and one output, not {len(graph.inputs)} and {len(graph.outputs)}", hint=_HINT)
    chain = [graph[graph.inputs[0]]]
    while chain[-1].name not in graph.outputs:
        users = graph.users(chain[-1].name)
        node = users[0]
        if len(users) == 1 and node.op == "reshape" and not _keeps_pixels(chain[-1], node):
            break
        if len(users) != 1 or len(node.inputs) != 1:
            raise GraphError(f"node {chain[-1].name} has more than one reader, or joins another, on the image", hint=_HINT)
        if not (spec_of(node.op).taps or spec_of(node.op).pointwise or node.op == "reshape"):
            raise GraphError(f"node {node.name}: {node.op} cannot be streamed over an image", hint=_HINT)
        chain.append(node)
    names = {node.name for node in chain}
    return chain, [node for node in graph.nodes if node.name not in names]


def _keeps_pixels(x: Node, node: Node) -> bool:
    """Whether a reshape leaves a stream of pixels as it is: (L, C) to (1, L, C), say."""
    return len(node.shape) in (2, 3) and len(x.shape) in (2, 3) and node.shape[-1] == x.shape[-1]


def _image(node: Node) -> tuple[int, int, int]:
    shape = node.shape
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    if len(shape) != 3:
        raise GraphError(f"node {node.name} has the shape {shape}, which is no image", hint=_HINT)
    return shape


def _parts(nodes: list[Node]) -> list[list[Node]]:
    """Each convolution or pool with what follows it; what comes first, if it is none, by itself."""
    parts: list[list[Node]] = []
    for node in nodes:
        if spec_of(node.op).taps or not parts:
            parts.append([])
        parts[-1].append(node)
    return parts


def _stage(graph: Graph, part: list[Node], shape: tuple[int, int, int], types: TypeArray) -> tuple[Stage, tuple[int, int, int]]:
    first = part[0]
    window = _window(first, shape)
    kh, kw = window.size
    x = make_node(graph.inputs[0], "input", type=_repeated(types, kh, kw))
    nodes = [x]
    rows, columns = window.results
    for node in part:
        if node.op == "reshape":
            if node.shape[-1] != nodes[-1].shape[-1]:
                raise GraphError(f"node {node.name} changes the channels of an image", hint=_HINT)
            rows, columns, _ = _image(node)
            continue
        nodes.append(_placed(node, nodes[-1], graph[node.inputs[0]]))
    taps = spec_of(first.op).taps
    if taps is not None and not taps(first).zeros and any(window.pads) and int(types.lowest.min(initial=0)) < 0:
        raise GraphError(f"node {first.name}: a padded maximum of values that can be negative cannot be streamed", hint=_HINT)
    small = optimise(verify(Graph(tuple(nodes), (x.name,), (nodes[-1].name,))))
    return Stage(first.name, window, small), (rows, columns, nodes[-1].shape[-1])


def _window(node: Node, shape: tuple[int, int, int]) -> Window:
    taps = spec_of(node.op).taps
    if taps is None:
        return Window(shape[0], shape[1])
    t = taps(node)
    top, bottom, left, right = t.pads
    window = Window(shape[0], shape[1], t.size, t.strides, t.pads, t.dilation)
    if top + bottom >= window.reach[0] or left + right >= window.reach[1]:
        raise GraphError(f"node {node.name} pads by as much as its window's size", hint=_HINT)
    return window


def _placed(node: Node, x: Node, old: Node) -> Node:
    """`node` at one place: on one window or pixel `x` instead of the image `old`."""
    spec = spec_of(node.op)
    attrs: dict[str, Attr] = dict(node.attrs)
    if spec.taps:
        attrs.update({name: value for name, value in _ONE_PLACE.items() if name in attrs})
    for name in spec.each:
        attrs[name] = _one_place(node, node.constant(name))
    if spec.lookups:
        return _placed_table(node, x, old)
    declared = _channel_types(node, node.type).reshape((1, 1, node.shape[-1])) if spec.declares_type else None
    return make_node(node.name, node.op, [x], attrs=attrs, type=declared, source=node.source)


def _placed_table(node: Node, x: Node, old: Node) -> Node:
    """Codes are those of the input's type, which the stage has narrowed: the table follows."""
    channels = x.shape[-1]
    index = np.reshape(node.integers("index"), (-1, channels))
    if (index != index[0]).any():
        raise GraphError(f"node {node.name} has other tables at other places", hint=_HINT)
    types = _channel_types(node, old.type).reshape(x.shape)
    place = node.with_(attrs={**node.attrs, "index": tuple(int(i) for i in index[0])})
    return make_node(node.name, node.op, [x], attrs=renumbered(place, types, x.type).attrs, source=node.source)


def _last(graph: Graph, rest: list[Node], before: Node, shape: tuple[int, int, int], types: TypeArray) -> Stage:
    """What works on the whole image at once."""
    x = make_node(before.name, "input", type=_repeated(types, shape[0], shape[1]).reshape(before.shape))
    made = {x.name: x}
    for node in rest:
        inputs = [made[name] for name in node.inputs]
        spec = spec_of(node.op)
        declared = node.type if spec.declares_type else None
        attrs = node.attrs
        if spec.lookups:
            attrs = renumbered(node, graph[node.inputs[0]].type, inputs[0].type).attrs
        made[node.name] = make_node(node.name, node.op, inputs, attrs=attrs, type=declared, source=node.source)
    small = optimise(verify(Graph(tuple(made.values()), (x.name,), graph.outputs)))
    name = rest[0].name if rest else before.name
    return Stage(name, Window(shape[0], shape[1], (shape[0], shape[1])), small)


def _channel_types(node: Node, types: TypeArray) -> TypeArray:
    """The types of one pixel (channels,).

    Raises:
        GraphError: they change over the image.
    """
    parts = [a.reshape(-1, types.shape[-1]) for a in (types.signed, types.width, types.frac)]
    if any((a != a[0]).any() for a in parts):
        raise GraphError(f"node {node.name} has other types at other places of the image", hint=_HINT)
    signed, width, frac = (a[0] for a in parts)
    return TypeArray.of(signed, width, frac, types.rounding, types.overflow)


def _repeated(types: TypeArray, rows: int, columns: int) -> TypeArray:
    """The pixel's types (channels,) at every place of a window."""
    signed, width, frac = (np.broadcast_to(a, (rows, columns, types.size)) for a in (types.signed, types.width, types.frac))
    return TypeArray.of(signed, width, frac, types.rounding, types.overflow)


def _output_types(stage: Stage) -> TypeArray:
    t = stage.graph[stage.graph.outputs[0]].type
    return TypeArray.of(t.signed.ravel(), t.width.ravel(), t.frac.ravel())


def _one_place(node: Node, constant: Constant) -> Constant:
    channels = constant.shape[-1]
    types = _channel_types(node, constant.types)
    mantissas = constant.mantissas.reshape(-1, channels)
    if (mantissas != mantissas[0]).any():
        raise GraphError(f"node {node.name} has other constants at other places of the image", hint=_HINT)
    return Constant(mantissas[0].reshape(1, 1, channels), types.reshape((1, 1, channels)))
