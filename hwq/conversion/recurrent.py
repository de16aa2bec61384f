"""Recurrent layers, unrolled: their cells as Dense layers, sums, products and tables, called once for each step. Layers for each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hwq.backend import keras, ops
from hwq.conversion.floats import Given, Symbol, Whole
from hwq.errors import UnsupportedLayerError
from hwq.layers.rearrange import Rearrange

L = keras.layers
States = list[Symbol]


@dataclass(slots=True)
class _CellParts:
    """The parts of a cell, each made once and called at every step: a step has the same widths as every other."""

    cell: Whole
    name: str
    made: dict[str, Given] = field(default_factory=dict)

    def part(self, name: str, make: Callable[[str], Whole]) -> Whole:
        if name not in self.made:
            self.made[name] = make(f"{self.name}_{name}")
        return self.made[name]

    def dense(self, name: str, kernel: Given, bias: Given, x: Symbol) -> Symbol:
        def make(own: str) -> Whole:
            layer: Whole = L.Dense(int(kernel.shape[-1]), use_bias=bias is not None, name=own)
            layer.build((None, int(kernel.shape[0])))
            layer.kernel.assign(kernel)
            if bias is not None:
                layer.bias.assign(bias)
            layer.trainable = self.cell.trainable
            return layer

        return self.part(name, make)(x)

    def function(self, name: str, function: Given, x: Symbol) -> Symbol:
        return self.part(name, lambda own: L.Activation(function, name=own))(x)

    def join(self, kind: str, name: str, *tensors: Symbol) -> Symbol:
        return self.part(name, lambda own: getattr(L, kind)(name=own))(list(tensors))

    def zeros(self, x: Symbol) -> States:
        """States of zeros, made from what the cell reads."""
        sizes = self.cell.state_size
        several = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
        return [Rearrange([-1] * n, (n,), name=f"{self.name}_zeros_{i}")(x) for i, n in enumerate(several)]


def _simple(c: _CellParts, x: Symbol, states: States) -> tuple[Symbol, States]:
    cell = c.cell
    own = c.dense("input", cell.kernel, cell.bias if cell.use_bias else None, x)
    back = c.dense("recurrent", cell.recurrent_kernel, None, states[0])
    y = c.function("state", cell.activation, c.join("Add", "sum", own, back))
    return y, [y]


def _lstm(c: _CellParts, x: Symbol, states: States) -> tuple[Symbol, States]:
    cell, n = c.cell, c.cell.units
    own = c.dense("input", cell.kernel, cell.bias if cell.use_bias else None, x)
    z = c.join("Add", "sum", own, c.dense("recurrent", cell.recurrent_kernel, None, states[0]))
    i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
    i, f, o = (c.function("gate", cell.recurrent_activation, gate) for gate in (i, f, o))
    kept = c.join("Multiply", "kept", f, states[1])
    fresh = c.join("Multiply", "fresh", i, c.function("candidate", cell.activation, g))
    carry = c.join("Add", "carry", kept, fresh)
    y = c.join("Multiply", "state", o, c.function("output", cell.activation, carry))
    return y, [y, carry]


def _gru(c: _CellParts, x: Symbol, states: States) -> tuple[Symbol, States]:
    cell, n, h = c.cell, c.cell.units, states[0]
    bias = np.asarray(ops.convert_to_numpy(cell.bias)) if cell.use_bias else None
    after = bool(cell.reset_after)
    first = None if bias is None else bias[0] if after else bias
    kernel = np.asarray(ops.convert_to_numpy(cell.recurrent_kernel))
    own = c.dense("input", cell.kernel, first, x)
    if after:
        back = c.dense("recurrent", kernel, None if bias is None else bias[1], h)
    else:
        back = c.dense("recurrent", kernel[:, : 2 * n], None, h)
    both = c.join("Add", "sum", own[:, : 2 * n], back[:, : 2 * n])
    z, r = (c.function("gate", cell.recurrent_activation, gate) for gate in (both[:, :n], both[:, n:]))
    if after:
        again = c.join("Multiply", "reset", r, back[:, 2 * n :])
    else:
        again = c.dense("candidate_recurrent", kernel[:, 2 * n :], None, c.join("Multiply", "reset", r, h))
    g = c.function("candidate", cell.activation, c.join("Add", "candidate_sum", own[:, 2 * n :], again))
    # z h + (1 - z) g with one product
    y = c.join("Add", "state", g, c.join("Multiply", "kept", z, c.join("Subtract", "change", h, g)))
    return y, [y]


STEPS: dict[str, Callable[[_CellParts, Given, States], tuple[Given, States]]] = {
    "SimpleRNNCell": _simple,
    "LSTMCell": _lstm,
    "GRUCell": _gru,
}


def _cells(layer: Whole) -> list[_CellParts]:
    cell: Whole = layer.cell
    inner = list(cell.cells) if isinstance(cell, L.StackedRNNCells) else [cell]
    for one in inner:
        if type(one).__name__ not in STEPS or getattr(L, type(one).__name__, None) is not type(one):
            raise UnsupportedLayerError(
                f"layer {layer.name!r} repeats a {type(one).__name__}, a cell that hwq does not know",
                hint="take SimpleRNNCell, LSTMCell or GRUCell",
            )
    return [_CellParts(one, layer.name if len(inner) == 1 else f"{layer.name}_{number}") for number, one in enumerate(inner)]


def unrolled(
    layer: Whole, sequence: Symbol, initial_state: Given = None, mask: object = None, training: object = None
) -> list[Symbol]:
    """The results of a recurrent layer: its output, or those of all steps; then its last states where it returns them."""
    _without_mask(layer, sequence, mask)
    if layer.stateful:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} keeps its state from one row to the next",
            hint="take stateful=False: a design answers each row by itself",
        )
    length = sequence.shape[1]
    if length is None:
        raise UnsupportedLayerError(f"layer {layer.name!r} reads an unknown number of steps", hint="give keras.Input a whole shape")
    cells, order = _cells(layer), range(int(length))
    given = None if initial_state is None else list(keras.tree.flatten(initial_state))
    states: list[States] = []
    outputs = []
    for t in reversed(order) if layer.go_backwards else order:
        x = sequence[:, t]
        for number, c in enumerate(cells):
            if len(states) <= number:
                count = len(c.cell.state_size) if isinstance(c.cell.state_size, (list, tuple)) else 1
                states.append([given.pop(0) for _ in range(count)] if given else c.zeros(x))
            x, states[number] = STEPS[type(c.cell).__name__](c, x, states[number])
        outputs.append(x)
    first = ops.stack(outputs, axis=1) if layer.return_sequences else outputs[-1]
    return [first, *(state for each in states for state in each)] if layer.return_state else [first]


def _without_mask(layer: Whole, x: Symbol, mask: object) -> None:
    if mask is not None or getattr(x, "_keras_mask", None) is not None:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} is given a mask: how many steps count depends on the row",
            hint="leave out Masking and mask_zero; pad the rows with zeros in front instead",
        )


def _bidirectional(layer: Whole, sequence: Symbol, initial_state: Given = None, mask: object = None, **kwargs: Given) -> Given:
    given = [] if initial_state is None else list(initial_state)
    half = len(given) // 2
    ahead, *first = unrolled(layer.forward_layer, sequence, given[:half] or None, mask)
    back, *second = unrolled(layer.backward_layer, sequence, given[half:] or None, mask)
    if layer.return_sequences:
        back = ops.flip(back, axis=1)
    if layer.merge_mode is None:
        results = [ahead, back]
    elif layer.merge_mode == "concat":
        results = [ops.concatenate([ahead, back], axis=-1)]
    else:
        kind = {"sum": L.Add, "ave": L.Average, "mul": L.Multiply}[layer.merge_mode]
        results = [kind(name=f"{layer.name}_{layer.merge_mode}")([ahead, back])]
    return [*results, *first, *second] if layer.return_state else results


SAME_IN_TIME = ("Activation", "Dense", "Dropout", "ELU", "LeakyReLU", "ReLU")  # they work on the last axis, or on each number


def _time_distributed(layer: Whole, x: Symbol, mask: object = None, **kwargs: Given) -> Symbol:
    _without_mask(layer, x, mask)
    if type(layer.layer).__name__ in SAME_IN_TIME:
        return layer.layer(x)
    if x.shape[1] is None:
        raise UnsupportedLayerError(f"layer {layer.name!r} reads an unknown number of steps", hint="give keras.Input a whole shape")
    return ops.stack([layer.layer(x[:, t]) for t in range(int(x.shape[1]))], axis=1)


RECURRENT: dict[str, Callable[..., Given]] = {
    **dict.fromkeys(("RNN", "SimpleRNN", "LSTM", "GRU"), unrolled),
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
}
