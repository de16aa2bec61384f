"""A Graph as a list of hls4ml's layers, with the precision of each; hls4ml itself is not needed here.

hls4ml gives a layer one type for its weights and one for its results. Weights of different widths fit into one type exactly. Activations
of different types are what its FixedPointQuantizer is for: a line of C++ for each element, with io_parallel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.fixed import TypeArray, to_float
from hwq.ir import Constant, Graph, Node
from hwq.ir.ops.table import code_counts, rows_of
from hwq.ir.spec import odd_form
from hwq.tensors import Floats

Described = Mapping[str, object]  # what hls4ml's converters say of a layer
TIES = 25  # bits below half a step that tell a float32 from a tie
NOWHERE = -(1 << 20)  # fractional bits of a number that is always zero


@dataclass(slots=True)
class LayerList:
    """Layers made so far.

    Attributes:
        layers: as hls4ml's converters describe them.
        precision: by layer and by what of it, as `ap_fixed<W,I>`.
        tensors: by node, the layer that gives its result.
        inputs: names of the rows' layers.
    """

    graph: Graph
    layers: list[Described] = field(default_factory=list)
    precision: dict[str, dict[str, str]] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def add(self, kind: str, name: str, inputs: Sequence[str], result: str, **told: object) -> str:
        self.layers.append({"class_name": kind, "name": name, "inputs": list(inputs), "outputs": [name], **told})
        self.precision[name] = {"result": result}
        return name

    def fresh(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def reads(self, node: Node) -> list[str]:
        return [self.tensors[name] for name in node.inputs]

    def type_of(self, node: Node, place: int = 0) -> TypeArray:
        return self.graph[node.inputs[place]].type


def layers_of(graph: Graph) -> LayerList:
    """The layers, in order.

    Raises:
        UnsupportedLayerError: names each node that hls4ml has no layer for, or whose types it cannot express, and why.
    """
    found = LayerList(graph, taken={node.name for node in graph.nodes})
    faults = []
    for node in graph.nodes:
        reason = _reason(node, graph)
        if reason:
            source = f" of layer {node.source!r}" if node.source else ""
            faults.append(f"{node.name} ({node.op}){source}: {reason}")
    if faults:
        listed = "; ".join(faults[:6]) + (" ..." if len(faults) > 6 else "")
        raise UnsupportedLayerError(f"hls4ml cannot express {listed}", hint="--to qonnx and --to keras take every network")
    for node in graph.nodes:
        found.tensors[node.name] = LAYERS[node.op](found, node)
    return found


def _reason(node: Node, graph: Graph) -> str:
    """Why hls4ml cannot express a node; nothing where it can."""
    if node.op not in LAYERS:
        return "hls4ml has no such layer"
    if node.op == "table":
        return _table_reason(node, graph[node.inputs[0]].type)
    if node.op == "conv2d":
        groups = node.integer("groups")
        if set(node.integers("dilation")) != {1}:
            return "it is dilated"
        if groups not in (1, graph[node.inputs[0]].shape[2]) or (groups > 1 and node.shape[2] != groups):
            return f"it has {groups} groups; hls4ml has one, or a group for each channel with one result each"
    if node.op == "max_pool2d" and any(node.integers("pads")):
        return "its windows reach over the border"
    if node.op in ("permute", "concatenate") and len(node.shape) > 3:
        return f"it has {len(node.shape)} axes"
    if node.op == "pad" and (len(node.shape) != 3 or any(node.integers("pads")[4:])):
        return "it pads another axis than height and width"
    return ""


def _table_reason(node: Node, types: TypeArray) -> str:
    kinds = {str(kind) for kind in types}
    rows = set(node.integers("index"))
    if len(kinds) > 1 or len(rows) > 1:
        return f"its elements have {len(kinds)} types and {len(rows)} functions; a table of hls4ml has one of each"
    if int(code_counts(types).max()) != 1 << int(types.width.max()):
        return "its input leaves the lowest code out (SAT_SYM)"
    return ""


def fixed(signed: bool, whole: int, frac: int, modes: str = "") -> str:
    """`ap_fixed<W,I>` of so many bits before the point, the sign included, and behind it."""
    width = max(whole + frac, 1)
    return f"ap_{'' if signed else 'u'}fixed<{width},{width - frac}{modes}>"


def holding(types: TypeArray) -> str:
    """One type that holds every element's."""
    alive = types.width.ravel() > 0
    if not alive.any():
        return "ap_ufixed<1,1>"
    signed = bool(types.signed.ravel()[alive].any())
    whole = (types.width.astype(np.int64) - types.frac).ravel()[alive] + (signed & (types.signed.ravel()[alive] == 0))
    return fixed(signed, int(whole.max()), int(types.frac.ravel()[alive].max()))


def constant_type(constant: Constant) -> str:
    """One type that holds every constant."""
    mantissas, frac = odd_form(constant)
    return holding(TypeArray.enclosing(np.minimum(mantissas, 0), np.maximum(mantissas, 0), frac))


def values_of(constant: Constant) -> Floats:
    return to_float(constant.mantissas, constant.types.frac)


def _finest(constant: Constant) -> int:
    mantissas, frac = odd_form(constant)
    return int(np.where(mantissas != 0, frac, NOWHERE).max(initial=NOWHERE))


def _sum_type(node: Node, types: TypeArray, kernel: Constant, bias: Constant) -> str:
    """The type of partial sums, which holds every bit of every product; above, they wrap as the sum itself does."""
    x = int(np.where(types.width > 0, types.frac.astype(np.int64), NOWHERE).max(initial=NOWHERE))
    frac = max(x + _finest(kernel), _finest(bias), int(node.type.frac.max(initial=0)))
    alive = node.type.width > 0
    whole = int(np.where(alive, node.type.width.astype(np.int64) - node.type.frac, -frac).max(initial=1 - frac)) + 1
    return fixed(True, max(whole, 1 - frac), frac)


# what each operation is


def _input(found: LayerList, node: Node) -> str:
    """A port that the host feeds with floats, and a quantiser; where all elements are alike the port is of their type."""
    t, name = node.type, found.fresh(f"{node.name}_row")
    found.inputs.append(name)
    shape = list(node.shape)
    modes = f",AP_{t.rounding},AP_{t.overflow}"
    if len({str(kind) for kind in t}) == 1 and int(t.width.max(initial=0)) > 0:
        whole = int(t.width.ravel()[0]) - int(t.frac.ravel()[0])
        port = fixed(bool(t.signed.ravel()[0]), whole, int(t.frac.ravel()[0]), modes)
        return found.add("InputLayer", name, [], port, input_shape=shape)
    alive = t.width > 0
    finest = int(np.where(alive, t.frac.astype(np.int64), 0).max(initial=0)) + (str(t.rounding) == "RND")
    finest += TIES if str(t.rounding) == "RND_CONV" else 0
    whole = int(np.where(alive, t.width.astype(np.int64) - t.frac, 1 - finest).max(initial=1 - finest)) + 1
    port = fixed(True, whole, finest, ",AP_TRN,AP_WRAP" if str(t.overflow) == "WRAP" else ",AP_TRN,AP_SAT")
    found.add("InputLayer", name, [], port, input_shape=shape)
    return _quantizer(found, node, name)


def _quantizer(found: LayerList, node: Node, source: str) -> str:
    """A type for each element."""
    t = node.type
    kinds = tuple(np.asarray(part, np.int16)[None] for part in (t.signed, t.width, t.width - t.frac))
    told = {"mask_kbi": kinds, "RND": str(t.rounding), "SAT": str(t.overflow), "fusible": False, "overrides": {}}
    # its C++ function has its name, in a namespace that has functions of its own
    return found.add("FixedPointQuantizer", found.fresh(f"{node.name}_fixed"), [source], holding(t), **told)


def _quantize(found: LayerList, node: Node) -> str:
    return _quantizer(found, node, found.reads(node)[0])


def _dense(found: LayerList, node: Node) -> str:
    """A dense layer; for rows of more axes, a convolution of one pixel."""
    kernel, bias = node.constant("kernel"), node.constant("bias")
    n, m = kernel.shape
    if len(node.shape) > 1:
        places = math.prod(node.shape[:-1])
        line = _reshaped(found, node.name, found.reads(node)[0], (1, places, n), holding(found.type_of(node)))
        window = {"filter": (1, 1), "strides": (1, 1), "pads": (0, 0, 0, 0)}
        made = _conv(found, node, line, (1, places, n), (1, places, m), window)
        return _reshaped(found, node.name, made, node.shape, holding(node.type))
    told = {"n_in": n, "n_out": m, "data_format": "channels_last", "use_bias": True}
    made = found.add("Dense", node.name, found.reads(node), holding(node.type), **told, **_weights(kernel, bias))
    _set_weights(found, node, made)
    return made


def _weights(kernel: Constant, bias: Constant) -> dict[str, Floats]:
    return {"weight_data": values_of(kernel), "bias_data": values_of(bias)}


def _set_weights(found: LayerList, node: Node, name: str) -> None:
    kernel, bias = node.constant("kernel"), node.constant("bias")
    accum = _sum_type(node, found.type_of(node), kernel, bias)
    found.precision[name] |= {"weight": constant_type(kernel), "bias": constant_type(bias), "accum": accum}


def _reshaped(found: LayerList, name: str, source: str, shape: Sequence[int], result: str) -> str:
    return found.add("Reshape", found.fresh(f"{name}_shape"), [source], result, target_shape=list(shape))


def _window(shape: Sequence[int], out: Sequence[int], window: Mapping[str, Sequence[int]], what: str) -> dict[str, object]:
    (height, width, channels), (rows, columns, filters) = shape, out
    top, bottom, left, right = window["pads"]
    told = {"in_height": height, "in_width": width, "n_chan": channels, "out_height": rows, "out_width": columns, "n_filt": filters}
    told |= {"stride_height": window["strides"][0], "stride_width": window["strides"][1]}
    told |= {f"{what}_height": window["filter"][0], f"{what}_width": window["filter"][1]}
    return {**told, "pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right, "data_format": "channels_last"}


def _conv(
    found: LayerList, node: Node, source: str, shape: Sequence[int], out: Sequence[int], window: Mapping[str, Sequence[int]]
) -> str:
    kernel, bias = node.constant("kernel"), node.constant("bias")
    values = values_of(kernel)
    values = values if values.ndim == 4 else values[None, None]
    told = _window(shape, out, window, "filt") | {"weight_data": values, "bias_data": values_of(bias), "use_bias": True}
    made = found.add("Conv2D", node.name, [source], holding(node.type), **told)
    _set_weights(found, node, made)
    return made


def _conv2d(found: LayerList, node: Node) -> str:
    kernel, shape = node.constant("kernel"), found.type_of(node).shape
    window = {"filter": kernel.shape[:2], "strides": node.integers("strides"), "pads": node.integers("pads")}
    if node.integer("groups") == 1:
        return _conv(found, node, found.reads(node)[0], shape, node.shape, window)
    return _depthwise(found, node, window, values_of(kernel).reshape(*kernel.shape[:2], -1, 1))


def _depthwise(found: LayerList, node: Node, window: Mapping[str, Sequence[int]], values: Floats) -> str:
    told = _window(found.type_of(node).shape, node.shape, window, "filt")
    bias = values_of(node.constant("bias")) if "bias" in node.attrs else np.zeros(node.shape[2])
    told |= {"depthwise_data": values, "weight_data": values, "bias_data": bias, "depth_multiplier": 1, "use_bias": True}
    made = found.add("DepthwiseConv2D", node.name, found.reads(node), holding(node.type), **told)
    if "kernel" in node.attrs:
        _set_weights(found, node, made)
    else:
        frac = int(found.type_of(node).frac.max(initial=0))
        whole = int((node.type.width.astype(np.int64) - node.type.frac).max(initial=1)) + 1
        found.precision[made] |= {"weight": "ap_ufixed<1,1>", "bias": "ap_ufixed<1,1>", "accum": fixed(True, whole, frac)}
    return made


def _sum_pool(found: LayerList, node: Node) -> str:
    """As a convolution with ones for each channel: hls4ml has means only."""
    window = {"filter": node.integers("size"), "strides": node.integers("strides"), "pads": node.integers("pads")}
    return _depthwise(found, node, window, np.ones((*node.integers("size"), node.shape[2], 1)))


def _max_pool(found: LayerList, node: Node) -> str:
    window = {"filter": node.integers("size"), "strides": node.integers("strides"), "pads": node.integers("pads")}
    told = _window(found.type_of(node).shape, node.shape, window, "pool")
    made = found.add("MaxPooling2D", node.name, found.reads(node), holding(node.type), **told)
    found.precision[made]["accum"] = holding(found.type_of(node))
    return made


def _relu(found: LayerList, node: Node) -> str:
    return found.add("Activation", node.name, found.reads(node), holding(node.type), activation="relu", n_in=node.type.size)


def _leaky(found: LayerList, node: Node) -> str:
    shift = node.integer("shift")
    told = {"activation": "leakyrelu", "activ_param": 2.0**-shift, "n_in": node.type.size}
    made = found.add("LeakyReLU", node.name, found.reads(node), holding(node.type), **told)
    found.precision[made]["param"] = fixed(False, 1, shift)
    return made


def _merge(found: LayerList, node: Node) -> str:
    return found.add("Merge", node.name, found.reads(node), holding(node.type), op=node.op)


def _affine(found: LayerList, node: Node) -> str:
    """Times a constant and plus a constant, of which one does nothing."""
    one = node.constant("factor" if node.op == "scale" else "bias")
    values, ones = values_of(one).ravel(), np.ones(node.type.size)
    scale, bias = (values, 0 * ones) if node.op == "scale" else (ones, values)
    told = {"scale_data": scale, "bias_data": bias, "n_in": node.type.size, "n_filt": -1}
    made = found.add("ApplyAlpha", node.name, found.reads(node), holding(node.type), **told)
    kinds = [constant_type(one), "ap_ufixed<1,1>"]
    found.precision[made] |= dict(zip(("scale", "bias"), kinds if node.op == "scale" else kinds[::-1], strict=True))
    return made


def _reshape(found: LayerList, node: Node) -> str:
    told = list(node.shape)
    return found.add("Reshape", node.name, found.reads(node), holding(node.type), target_shape=told)


def _permute(found: LayerList, node: Node) -> str:
    return found.add("Transpose", node.name, found.reads(node), holding(node.type), perm=list(node.integers("dims")))


def _concatenate(found: LayerList, node: Node) -> str:
    """Two at a time."""
    axis, parts = node.integer("axis") % len(node.shape), found.reads(node)
    types = [found.type_of(node, place) for place in range(len(parts))]
    last = parts[0]
    for number, (part, _) in enumerate(zip(parts[1:], types[1:], strict=True), 2):
        name = node.name if number == len(parts) else found.fresh(f"{node.name}_{number}")
        last = found.add("Concatenate", name, [last, part], holding(node.type), axis=axis + 1, op=f"concatenate{len(node.shape)}d")
    return last


def _pad(found: LayerList, node: Node) -> str:
    top, bottom, left, right = node.integers("pads")[:4]
    height, width, channels = found.type_of(node).shape
    told = {"in_height": height, "in_width": width, "n_chan": channels, "out_height": node.shape[0], "out_width": node.shape[1]}
    told |= {"pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right}
    return found.add("ZeroPadding2D", node.name, found.reads(node), holding(node.type), **told, data_format="channels_last")


def _table(found: LayerList, node: Node) -> str:
    """Entries by the code as an unsigned number: those of negative codes are behind the others."""
    types = found.type_of(node)
    mantissas, frac = rows_of(node)
    row = node.integers("index")[0]
    count = 1 << int(types.width.max())
    values = to_float(mantissas[row, :count], frac[row])
    values = np.roll(values, count // 2) if types.signed.any() else values
    made = found.add("UnaryLUT", node.name, found.reads(node), holding(node.type), table_data=values, activation="unary_lut")
    found.precision[made]["table"] = holding(node.type)
    return made


LAYERS: dict[str, Callable[[LayerList, Node], str]] = {
    "input": _input,
    "quantize": _quantize,
    "dense": _dense,
    "conv2d": _conv2d,
    "sum_pool2d": _sum_pool,
    "max_pool2d": _max_pool,
    "relu": _relu,
    "leaky_relu": _leaky,
    "add": _merge,
    "subtract": _merge,
    "multiply": _merge,
    "maximum": _merge,
    "minimum": _merge,
    "scale": _affine,
    "bias": _affine,
    "reshape": _reshape,
    "permute": _permute,
    "concatenate": _concatenate,
    "pad": _pad,
    "table": _table,
}
