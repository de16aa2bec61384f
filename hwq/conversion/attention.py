"""Attention: projections, products of two activations, and softmaxes over the steps that a constant mask leaves."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops
from hwq.conversion.floats import Given, Symbol, Whole
from hwq.conversion.norms import normalised_length
from hwq.errors import UnsupportedLayerError
from hwq.layers.rearrange import Rearrange

L = keras.layers
Keep = npt.NDArray[np.bool_]  # (steps that ask, steps that are asked)


def masked_softmax(scores: Symbol, keep: Keep | None, name: str) -> Symbol:
    """The softmax of scores (batch, ..., T, S) over those of S that `keep` (T, S) names; zero elsewhere.

    Rows that keep different steps have softmaxes of their own, over what they keep: nothing is computed for the rest.
    """
    if keep is None or keep.all():
        return L.Softmax(name=f"{name}_softmax")(scores)
    if not keep.any(axis=1).all():
        raise UnsupportedLayerError(f"layer {name!r} has a step that attends to none", hint="a mask that leaves one step at least")
    shape = tuple(int(n) for n in scores.shape[1:])
    places = np.arange(math.prod(shape)).reshape(shape)
    index = np.full(shape, -1)
    parts, start = [], 0
    for number, row in enumerate(np.unique(keep, axis=0)):
        asking = np.flatnonzero((keep == row).all(axis=1))
        taken = places[..., asking, :][..., row]
        chosen = Rearrange(taken.ravel().tolist(), taken.shape, name=f"{name}_steps_{number}")(scores)
        parts.append(L.Softmax(name=f"{name}_softmax_{number}")(chosen))
        index.ravel()[taken.ravel()] = np.arange(taken.size) + start
        start += taken.size
    return Rearrange(index.ravel().tolist(), shape, name=f"{name}_masked")(parts if len(parts) > 1 else parts[0])


def constant_mask(name: str, mask: Given, steps: tuple[int, int]) -> Keep | None:
    """A mask of constants as (T, S); None for none.

    Raises:
        UnsupportedLayerError: it depends on the row, the batch or the head.
    """
    if mask is None:
        return None
    if isinstance(mask, keras.KerasTensor):
        raise UnsupportedLayerError(
            f"layer {name!r} is given a mask that depends on the row", hint="give a constant mask, or use_causal_mask=True"
        )
    found = np.asarray(ops.convert_to_numpy(mask)).astype(bool)
    rows = np.broadcast_to(found, (*found.shape[:-2], *steps)).reshape(-1, *steps)
    if not (rows == rows[:1]).all():
        raise UnsupportedLayerError(
            f"layer {name!r} has a mask that differs from row to row", hint="give one mask of (steps, steps)"
        )
    return np.asarray(rows[0], bool)


def _multi_head(layer: Whole, query: Given, value: Given, key: Given = None, **kwargs: Given) -> Given:
    """MultiHeadAttention, and GroupedQueryAttention, whose keys several heads share."""
    name, key = layer.name, value if key is None else key
    dynamic = [kwargs.get(which) for which in ("query_mask", "value_mask", "key_mask")]
    if any(mask is not None for mask in dynamic) or any(getattr(t, "_keras_mask", None) is not None for t in (query, value, key)):
        raise UnsupportedLayerError(
            f"layer {name!r} is given a mask that depends on the row", hint="leave out Masking and mask_zero"
        )
    axes = getattr(layer, "_attention_axes", (1,))
    if len(axes) != 1 or len(query.shape) != 3:
        raise UnsupportedLayerError(
            f"layer {name!r} attends over {len(axes)} axes of rows of {len(query.shape) - 1}",
            hint="reshape the steps into one axis",
        )
    steps = (int(query.shape[1]), int(value.shape[1]))
    fixed = [np.zeros((1, *t.shape[1:]), np.float32) for t in (query, value)]
    mask = kwargs.get("attention_mask")
    constant_mask(name, mask, steps)
    keep = constant_mask(
        name,
        layer._compute_attention_mask(*fixed, attention_mask=mask, use_causal_mask=bool(kwargs.get("use_causal_mask", False))),
        steps,
    )
    gate = layer._gate_dense(query) if getattr(layer, "_use_gate", getattr(layer, "use_gate", False)) else None
    q, k, v = (
        _projected(dense, t) for dense, t in ((layer._query_dense, query), (layer._key_dense, key), (layer._value_dense, value))
    )
    repeats = int(getattr(layer, "num_repeats", 1))
    if repeats > 1:
        k, v = ops.repeat(k, repeats, axis=2), ops.repeat(v, repeats, axis=2)
    y, weights = attended((q, k, v), 1 / math.sqrt(int(q.shape[-1])), keep, name)
    y = layer._output_dense(y if gate is None else ops.multiply(y, gate))
    return [y, weights] if kwargs.get("return_attention_scores") else y


def _projected(dense: Whole, x: Symbol) -> Symbol:
    """A projection of each step; Keras leaves the number of steps open there."""
    y = dense(x)
    return ops.reshape(y, (-1, int(x.shape[1]), *y.shape[2:]))


def attended(tensors: tuple[Symbol, Symbol, Symbol], scale: float, keep: Keep | None, name: str) -> tuple[Symbol, Symbol]:
    """(answers (batch, T, heads, n), weights (batch, heads, T, S)) of queries, keys and values (batch, steps, heads, n)."""
    q, k, v = tensors
    scores = ops.einsum("btnh,bsnh->bnts", q * scale, k)
    weights = masked_softmax(scores, keep, name)
    return ops.einsum("bnts,bsnh->btnh", weights, v), weights


def dot_product_attention(operation: Whole, query: Given, key: Given, value: Given, *args: Given, **kwargs: Given) -> Given:
    """`keras.ops.dot_product_attention`."""
    given = {**dict(zip(("bias", "mask", "scale"), args, strict=False)), **kwargs}
    if given.get("bias") is not None or operation.attn_logits_soft_cap is not None:
        raise UnsupportedLayerError(f"layer {operation.name!r} adds a bias to its scores, or caps them", hint="leave them out")
    steps = (int(query.shape[1]), int(key.shape[1]))
    keep = constant_mask(operation.name, given.get("mask"), steps)
    if operation.is_causal:
        causal = np.tril(np.ones(steps, bool))
        keep = causal if keep is None else keep & causal
    scale = given.get("scale")
    scale = 1 / math.sqrt(int(query.shape[-1])) if scale is None else float(scale)
    return attended((query, key, value), scale, keep, operation.name)[0]


def _attention(layer: Whole, inputs: Given, mask: Given = None, **kwargs: Given) -> Given:
    """Attention and AdditiveAttention: they have no projections."""
    query, value = inputs[0], inputs[1]
    key = inputs[2] if len(inputs) > 2 else value
    masks = list(mask) if isinstance(mask, (list, tuple)) else [mask]
    if any(one is not None for one in masks):
        raise UnsupportedLayerError(
            f"layer {layer.name!r} is given a mask that depends on the row", hint="leave out Masking and mask_zero"
        )
    scores = layer._calculate_scores(query=query, key=key)
    steps = (int(query.shape[-2]), int(key.shape[-2]))
    weights = masked_softmax(scores, np.tril(np.ones(steps, bool)) if kwargs.get("use_causal_mask") else None, layer.name)
    y = ops.matmul(weights, value)
    return [y, weights] if kwargs.get("return_attention_scores") else y


def _dot(layer: Whole, inputs: Given, **kwargs: Given) -> Given:
    """The layer Dot: a sum of products over an axis of each of two tensors."""
    a, b = inputs
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    axes = [axis % len(t.shape) for axis, t in zip(axes, (a, b), strict=True)]
    if layer.normalize:
        a, b = (normalised_length(t, axis, f"{layer.name}_{side}") for t, axis, side in zip((a, b), axes, "ab", strict=True))
    first, second = list("abcdefgh"[: len(a.shape)]), list("aijklmno"[: len(b.shape)])
    second[axes[1]] = first[axes[0]]
    result = "".join(c for i, c in enumerate(first) if i != axes[0]) + "".join(
        c for i, c in enumerate(second) if i not in (0, axes[1])
    )
    if len(result) == 1:  # two vectors to one number
        return ops.sum(ops.multiply(a, b), axis=1, keepdims=True)
    return ops.einsum(f"{''.join(first)},{''.join(second)}->{result}", a, b)


ATTENTION: dict[str, Callable[..., Given]] = {
    **dict.fromkeys(("Attention", "AdditiveAttention"), _attention),
    **dict.fromkeys(("MultiHeadAttention", "GroupedQueryAttention"), _multi_head),
    "Dot": _dot,
}
