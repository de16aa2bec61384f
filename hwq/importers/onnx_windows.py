"""Windows that a file writes as a product of gathered elements: a convolution, or a sum over windows, where the places are those of one.

hwq writes convolutions in float64 so, which onnxruntime lacks; the Einsum's text says of which grid the places are, and is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.importers.builder import Builder
from hwq.importers.fixed_point import zeros
from hwq.ir import Attr, Constant, Node
from hwq.ir.windows import window_grid

WINDOWS = "zpkgc,kgcm->zpgm"  # places, pixels of a window, groups, channels of a group, results of a group
COUNTS = {"image": 3, "size": 2, "strides": 2, "pads": 4, "dilation": 2}


def window_node(builder: Builder, name: str, source: Node, kernel: Constant, text: str) -> Node | None:
    """The convolution or sum of windows of such an Einsum, in the Einsum's shape; None where the text does not say which.

    Args:
        source: what is read, (places, pixels, groups, channels).
        kernel: (pixels, groups, channels, results).
        text: the node's own.
    """
    told = _grid(text)
    if told is None or source.op != "take" or len(source.inputs) != 1 or len(source.shape) != 4 or len(kernel.shape) != 4:
        return None
    image, size = told["image"], told["size"]
    given = builder.named(source.inputs[0])
    groups, channels, results = kernel.shape[1:]
    if math.prod(image) != given.type.size or groups * channels != image[2] or kernel.shape[0] != math.prod(size):
        return None
    try:
        pads = told["pads"]
        ends = (pads[0], pads[1], pads[2], pads[3])
        grid = window_grid((image[0], image[1]), (size[0], size[1]), _two(told, "strides"), ends, _two(told, "dilation"))
    except GraphError:
        return None
    (rows, columns), pixels = grid
    places = np.where(pixels[..., None] >= 0, pixels[..., None] * image[2] + np.arange(image[2]), -1)
    if not np.array_equal(places.ravel(), source.integers("index")):
        return None
    if given.shape != image:
        given = builder.add(f"{name}_image", "reshape", [given], name, shape=image)
    strides = _two(told, "strides")
    if channels == results == 1 and groups > 1 and set(told["dilation"]) == {1} and _ones(kernel):
        made = builder.add(name, "sum_pool2d", [given], name, size=size, strides=strides, pads=pads)
    else:
        turned = Constant(_turned(kernel.mantissas, size), _types(kernel, size))
        more: dict[str, Attr] = {"strides": strides, "pads": pads, "dilation": _two(told, "dilation"), "groups": groups}
        made = builder.add(name, "conv2d", [given], name, kernel=turned, bias=zeros((groups * results,)), **more)
    return builder.add(f"{name}_places", "reshape", [made], name, shape=(rows * columns, groups, results))


def _two(told: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, int]:
    a, b = told[name]
    return a, b


def _grid(text: str) -> dict[str, tuple[int, ...]] | None:
    """What the text says of a grid: small whole numbers, and as many as there are."""
    try:
        told = json.loads(text)
        found = {name: tuple(int(n) for n in told[name]) for name in COUNTS}
    except (ValueError, TypeError, KeyError):
        return None
    fine = all(len(found[name]) == count and all(0 <= n < 1 << 20 for n in found[name]) for name, count in COUNTS.items())
    return found if fine and min(*found["size"], *found["strides"], *found["dilation"]) > 0 else None


def _turned(values: npt.NDArray[np.generic], size: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """(pixels, groups, channels, results) as a convolution has them: (height, width, channels, groups * results)."""
    groups, channels, results = values.shape[1:]
    return np.asarray(values.transpose(0, 2, 1, 3).reshape(*size, channels, groups * results))


def _types(kernel: Constant, size: tuple[int, ...]) -> TypeArray:
    t = kernel.types
    signed, width, frac = (_turned(part, size) for part in (t.signed, t.width, t.frac))
    return TypeArray.of(signed, width, frac)


def _ones(kernel: Constant) -> bool:
    return bool((kernel.mantissas == 1).all() and (kernel.types.frac == 0).all())
