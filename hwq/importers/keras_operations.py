"""Plain Keras models whose numbers are quantised by operations of Keras (`keras.ops.floor`, `round`): read as the ONNX nodes that they are.

`hwq export --to keras` writes such models. Layers of a peer's package are read elsewhere; float models are refused elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import FixedType
from hwq.importers.keras_files import StoredLayer, config_of, read_keras
from hwq.importers.onnx_network import NodeList, network_of
from hwq.importers.report import ImportedNetwork
from hwq.importers.walk import OnnxNode
from hwq.tensors import Numbers

ROUNDING = frozenset({"Floor", "Round"})
LOWEST = -3e38  # around what a maximum is taken of, no number
FLOATS, WHOLE = {"float32": 1, "float64": 11}, 6
FIRST, BACK = (0, 3, 1, 2), (0, 2, 3, 1)  # channels first, and last again


@dataclass(frozen=True, slots=True)
class _Call:
    """One layer or operation of the file: its options, the tensors and constants that it is called with, and its arrays."""

    name: str
    kind: str
    config: Mapping[str, Any]
    tensors: tuple[str, ...]
    constants: tuple[Numbers, ...]
    shapes: tuple[tuple[int, ...], ...]  # of the tensors, with the batch
    first: bool  # whether a tensor comes before the constant
    stored: StoredLayer

    def option(self, name: str, default: Any) -> Any:
        found = self.config.get(name)
        return default if found is None else found


@dataclass(slots=True)
class _Listing:
    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    quantized: set[str] = field(default_factory=set)
    pads: dict[str, tuple[str, list[list[int]], float]] = field(default_factory=dict)  # by name: source, pairs, value
    windows: set[str] = field(default_factory=set)  # results of windows without padding of their own
    uses: Counter[str] = field(default_factory=Counter)

    def const(self, name: str, values: Any, weights: bool = False) -> str:
        self.constants[name] = np.asarray(values)
        if weights:
            self.quantized.add(name)
        return name

    def node(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(OnnxNode(name, op, tuple(inputs), (name,), attributes))
        return name


def is_operations(config: Mapping[str, Any]) -> bool:
    """Whether numbers are rounded by operations of Keras itself."""
    inner = config.get("config")
    layers = inner.get("layers", []) if isinstance(inner, dict) else []
    told = {str(one.get("class_name")) for one in layers if str(one.get("module", "")).startswith("keras.src.ops")}
    return bool(told & ROUNDING)


def read_operations(path: Path, given: FixedType | None = None) -> ImportedNetwork:
    """The network of such a file.

    Raises:
        ModelError: a damaged file.
        UnsupportedLayerError: names every layer that has no exact form here.
    """
    config, file = config_of(path), read_keras(path)
    stored = {layer.name: layer for layer in file.layers}
    calls = [_call(told, stored) for told in config["config"]["layers"]]
    inputs = [call for call in calls if call.kind == "InputLayer"]
    if len(inputs) != 1:
        raise UnsupportedLayerError(f"the network has {len(inputs)} inputs", hint="join them to one in front of the network")
    others = [call for call in calls if call.kind not in WRITTEN]
    if others:
        listed = ", ".join(f"{call.name!r} ({call.kind})" for call in others[:8])
        raise UnsupportedLayerError(f"refused: {listed}", hint=f"layers that are read: {', '.join(sorted(WRITTEN))}")
    row = tuple(int(n) for n in inputs[0].option("batch_shape", [None])[1:])
    if not row:
        raise ModelError("the file does not tell the shape of the input", hint="fix all its axes but the batch")
    listing = _Listing(uses=Counter([name for call in calls for name in call.tensors] + list(file.outputs)))
    for call in calls:
        WRITTEN[call.kind](listing, call)
    told = NodeList("Keras", tuple(listing.nodes), listing.constants, (inputs[0].name, row), file.outputs, listing.quantized)
    return network_of(told, given)


def _call(told: Mapping[str, Any], stored: Mapping[str, StoredLayer]) -> _Call:
    name = str(told.get("name") or told["config"]["name"])
    nodes = told.get("inbound_nodes") or [{"args": [], "kwargs": {}}]
    pending: list[Any] = [*nodes[0]["args"], *nodes[0]["kwargs"].values()]
    order: list[bool] = []
    tensors, constants, shapes = [], [], []
    while pending:
        item = pending.pop(0)
        kind = item.get("class_name") if isinstance(item, dict) else None
        if kind == "__keras_tensor__":
            tensors.append(str(item["config"]["keras_history"][0]))
            shapes.append(tuple(int(n or 0) for n in item["config"].get("shape", ())))
            order.append(True)
        elif kind in ("__numpy__", "__tensor__"):
            constants.append(np.asarray(item["config"]["value"], item["config"]["dtype"]))
            order.append(False)
        elif isinstance(item, list):
            pending = [*item, *pending]
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            constants.append(np.asarray(item))
            order.append(False)
    made = (tuple(tensors), tuple(constants), tuple(shapes))
    return _Call(name, str(told["class_name"]), told["config"], *made, order[:1] == [True], stored[name])


def _input(listing: _Listing, call: _Call) -> None:
    """Its row is the network's."""


def _pair(op: str) -> Callable[[_Listing, _Call], None]:
    def write(listing: _Listing, call: _Call) -> None:
        inputs = list(call.tensors)
        values = [-one for one in call.constants] if op == "Sub" and call.first else list(call.constants)
        named = [listing.const(f"{call.name}#{k}", one, True) for k, one in enumerate(values)]
        inputs = [*inputs, *named] if call.first else [*named, *inputs]
        if len(inputs) != 2:
            raise UnsupportedLayerError(f"layer {call.name!r} ({call.kind}) reads {len(inputs)} tensors", hint="two")
        listing.node("Add" if op == "Sub" and named and call.first else op, inputs, call.name)

    return write


def _plain(op: str) -> Callable[[_Listing, _Call], None]:
    def write(listing: _Listing, call: _Call) -> None:
        if call.option("decimals", 0) or call.option("negative_slope", 0) or call.config.get("max_value") is not None:
            raise UnsupportedLayerError(f"layer {call.name!r} ({call.kind}) has options that are not read", hint="none of them")
        listing.node(op, call.tensors, call.name)

    return write


def _cast(listing: _Listing, call: _Call) -> None:
    kind = str(call.option("dtype", ""))
    listing.node("Cast", call.tensors, call.name, to=FLOATS.get(kind, WHOLE if kind in ("int32", "int64") else 0))


def _take(listing: _Listing, call: _Call) -> None:
    if len(call.constants) != 1 or not call.first:
        raise UnsupportedLayerError(f"layer {call.name!r} (Take) reads places that are no constant", hint="a constant list")
    if _strided(listing, call):
        return
    listing.node(
        "Gather", [*call.tensors, listing.const(f"{call.name}#0", call.constants[0])], call.name, axis=int(call.option("axis", 0))
    )


def _strided(listing: _Listing, call: _Call) -> bool:
    """Whether it leaves every so many pixels of a window that only this reads: then those are the window's strides."""
    source, places, axis = call.tensors[0], call.constants[0], int(call.option("axis", 0))
    if source not in listing.windows or listing.uses[source] != 1 or axis not in (1, 2) or places.ndim != 1 or not places.size:
        return False
    step = int(places[1] - places[0]) if len(places) > 1 else int(call.shapes[0][axis])
    whole = call.shapes[0][axis]
    if step < 1 or not np.array_equal(places, np.arange(0, whole, step)):
        return False
    *before, window, last = listing.nodes
    strides = list(window.attributes["strides"])
    strides[axis - 1] *= step
    window = replace(window, attributes={**window.attributes, "strides": tuple(strides)})
    if last.name != source or window.outputs != last.inputs:
        return False
    listing.nodes = [*before, window, replace(last, name=call.name, outputs=(call.name,))]
    listing.windows.add(call.name)
    return True


def _pad(listing: _Listing, call: _Call) -> None:
    if call.option("mode", "constant") != "constant":
        raise UnsupportedLayerError(
            f"layer {call.name!r} (Pad) has the mode {call.option('mode', '')}", hint="zeros around each row"
        )
    pairs = [[int(n) for n in pair] for pair in call.option("pad_width", [])]
    value = float(call.constants[0]) if call.constants else 0.0
    listing.pads[call.name] = (call.tensors[0], pairs, value)
    if value > LOWEST:
        _padded(listing, call.name)


def _padded(listing: _Listing, name: str) -> None:
    source, pairs, value = listing.pads[name]
    told = listing.const(f"{name}#0", [a for a, _ in pairs] + [b for _, b in pairs])
    listing.node("Pad", [source, told, listing.const(f"{name}#1", value)], name)


def _transpose(listing: _Listing, call: _Call) -> None:
    axes = call.option("axes", None) if call.kind == "Transpose" else [0, *call.option("dims", [])]
    listing.node("Transpose", call.tensors, call.name, **({} if axes is None else {"perm": [int(a) for a in axes]}))


def _concatenate(listing: _Listing, call: _Call) -> None:
    listing.node("Concat", call.tensors, call.name, axis=int(call.option("axis", -1)))


def _reshape(listing: _Listing, call: _Call) -> None:
    if call.kind == "Flatten":
        listing.node("Flatten", call.tensors, call.name)
        return
    shape = call.config.get("target_shape")
    told = [0, *shape] if shape is not None else list(call.option("newshape", []))
    listing.node("Reshape", [*call.tensors, listing.const(f"{call.name}#0", told)], call.name)


def _linear(call: _Call) -> None:
    """Raises UnsupportedLayerError: a layer with an activation of its own, or channels first."""
    if call.option("activation", "linear") != "linear" or call.option("data_format", "channels_last") != "channels_last":
        raise UnsupportedLayerError(
            f"layer {call.name!r} ({call.kind}) has an activation or channels first",
            hint="the activation as a layer, channels last",
        )


def _weights(listing: _Listing, call: _Call, names: Sequence[str]) -> dict[str, Numbers]:
    _linear(call)
    kept = [name for name in names if name != "bias" or call.option("use_bias", True)]
    return call.stored.variables(kept)


def _dense(listing: _Listing, call: _Call) -> None:
    found = _weights(listing, call, ("kernel", "bias"))
    name = f"{call.name}#product" if "bias" in found else call.name
    listing.node("MatMul", [*call.tensors, listing.const(f"{call.name}#kernel", found["kernel"], True)], name)
    if "bias" in found:
        listing.node("Add", [name, listing.const(f"{call.name}#bias", found["bias"], True)], call.name)


def _einsum(listing: _Listing, call: _Call) -> None:
    if call.kind == "Einsum":
        equation, kernel = str(call.option("subscripts", "")), call.constants[0]
    else:
        if call.config.get("bias_axes"):
            raise UnsupportedLayerError(f"layer {call.name!r} (EinsumDense) has a bias", hint="bias_axes=None, and a sum behind it")
        equation, kernel = str(call.option("equation", "")), _weights(listing, call, ("kernel",))["kernel"]
    listing.node("Einsum", [*call.tensors, listing.const(f"{call.name}#kernel", kernel, True)], call.name, equation=equation)


def _before(listing: _Listing, call: _Call, value: float) -> tuple[str, list[int]]:
    """(source, pads as ONNX has them) of a window, with the padding that was written for it."""
    source = call.tensors[0]
    if source in listing.pads and (source == f"{call.name}.pad" or value < 0):
        inner, pairs, around = listing.pads[source]
        if len(pairs) == 4 and pairs[0] == pairs[3] == [0, 0] and (around <= value if value < 0 else around == value):
            listing.nodes = [node for node in listing.nodes if node.name != source]
            return inner, [pairs[1][0], pairs[2][0], pairs[1][1], pairs[2][1]]
    return source, [0, 0, 0, 0]


def _conv(listing: _Listing, call: _Call) -> None:
    depthwise = call.kind == "DepthwiseConv2D"
    found = _weights(listing, call, ("kernel", "bias"))
    kernel = found["kernel"].transpose(3, 2, 0, 1)
    groups = int(call.option("groups", 1))
    if depthwise:
        height, width, groups, each = found["kernel"].shape
        kernel = found["kernel"].reshape(height, width, 1, groups * each).transpose(3, 2, 0, 1)
    source, pads = _before(listing, call, 0.0)
    inner = [listing.const(f"{call.name}#kernel", kernel, True)]
    inner += [listing.const(f"{call.name}#bias", found["bias"], True)] if "bias" in found else []
    told = {"dilations": _two(call, "dilation_rate"), "group": groups, "kernel_shape": kernel.shape[2:]}
    _window(listing, call, "Conv", [source, *inner], pads=pads, **told)


def _max_pool(listing: _Listing, call: _Call) -> None:
    _linear(call)
    source, pads = _before(listing, call, LOWEST)
    _window(listing, call, "MaxPool", [source], pads=pads, kernel_shape=_two(call, "pool_size"))


def _window(listing: _Listing, call: _Call, op: str, inputs: list[str], **attributes: Any) -> None:
    if str(call.option("padding", "valid")) == "same":
        attributes["auto_pad"] = "SAME_UPPER"
    first = listing.node("Transpose", inputs[:1], f"{call.name}#first", perm=FIRST)
    inner = listing.node(op, [first, *inputs[1:]], f"{call.name}#window", strides=_two(call, "strides"), **attributes)
    listing.node("Transpose", [inner], call.name, perm=BACK)
    if "auto_pad" not in attributes:
        listing.windows.add(call.name)


def _two(call: _Call, name: str) -> tuple[int, int]:
    found = call.option(name, 1)
    a, b = (found, found) if isinstance(found, int) else found
    return int(a), int(b)


def _embedding(listing: _Listing, call: _Call) -> None:
    entries = call.stored.variables(["embeddings"])["embeddings"]
    if entries.shape[1:] != (1,) or call.option("mask_zero", False):
        raise UnsupportedLayerError(
            f"layer {call.name!r} (Embedding) has {math.prod(entries.shape[1:])} entries a code", hint="one"
        )
    listing.node("Gather", [listing.const(f"{call.name}#entries", entries.ravel()), *call.tensors], call.name, axis=0)


WRITTEN: dict[str, Callable[[_Listing, _Call], None]] = {
    "InputLayer": _input,
    "Multiply": _pair("Mul"),
    "Subtract": _pair("Sub"),
    "Add": _pair("Add"),
    "Maximum": _pair("Max"),
    "Minimum": _pair("Min"),
    "Floor": _plain("Floor"),
    "Round": _plain("Round"),
    "Relu": _plain("Relu"),
    "ReLU": _plain("Relu"),
    "Cast": _cast,
    "Take": _take,
    "Pad": _pad,
    "Transpose": _transpose,
    "Permute": _transpose,
    "Concatenate": _concatenate,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Dense": _dense,
    "Einsum": _einsum,
    "EinsumDense": _einsum,
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "MaxPooling2D": _max_pool,
    "Embedding": _embedding,
}
