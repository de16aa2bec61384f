"""The operators of a network measured on the tool: LUTs of each linear operation at each width, out of context, kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.boards import Board
from hwq.codegen.build import build
from hwq.design.point import features_of
from hwq.errors import ReportError, ToolError
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, verify
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.posttraining.channels import Group, column, divided, layer_numbers
from hwq.posttraining.quantize import Bits, quantised
from hwq.posttraining.sensitivity import part_of
from hwq.posttraining.statistics import linear_nodes
from hwq.synthesis.measuring import key_of, measure, options_of, require_mapped
from hwq.toolchains.synthesis import Synthesiser, synthesise
from hwq.units import Period

OPERATOR = "operator"  # the scope of such a measurement: no cost model of whole designs is fitted to it


@dataclass(frozen=True, slots=True)
class Bench:
    """Where operators are measured.

    Attributes:
        folder: one folder a plan below it.
        jobs: tools at a time.
    """

    board: Board
    period: Period
    synthesiser: Synthesiser
    store: Store
    folder: Path
    jobs: int = 2

    def lut(self, part: Graph) -> float:
        """LUTs of one operator: from the store, or by running the tool now.

        Raises:
            ToolError, ReportError.
        """
        if not optimise(part)[part.outputs[0]].type.width.any():
            return 0.0  # all its weights are zero: nothing to synthesise
        made = build(part, self.board, self.period)
        plan = made.plan
        summary = {"design": plan.design, "plan": plan.digest, "features": features_of(made), "latency_cycles": plan.latency_cycles}
        summary |= {"top": plan.top, "board": self.board.name, "period_ns": plan.period_ns, "interval": 1}
        steps = self.synthesiser.steps
        step = [s for s in steps if s.measures][-1]
        tool = self.synthesiser.tool_of(step)
        options = options_of(step, {s: str(self.synthesiser.tool_of(s)) for s in steps[: steps.index(step)]})
        key = replace(key_of(self.board, step, tool.name, tool.version, options, summary), scope=OPERATOR)
        known = self.store.get(key)
        if known is None:
            place = self.folder / plan.digest[:16]
            plan.write(place)
            records = synthesise(self.synthesiser, place, plan.digest)
            require_mapped(made, place)
            try:
                found, artefacts = measure(step, records[step.name], place, self.board, summary, options)
            except ReportError as error:
                raise ToolError(f"the operator in {place} has no measurement: {error.message}", hint=error.hint) from error
            known = replace(found, key=key)
            self.store.put(known, artefacts)
        return float(known.resources.lut or 0.0)


def cost_table(
    fine: Graph,
    groups: Sequence[str],
    choices: Sequence[Bits],
    rows: IntArray,
    lut: Callable[[Graph], float],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float64]:
    """(groups, choices): what each operation costs at each width, with what follows it up to the next quantiser.

    Args:
        lut: the cost of one out-of-context design.
        progress: told how many of how many are known.
    """
    parts = [part for many in _parts(fine, groups, choices, rows) for part in many]
    out = np.zeros(len(parts))
    pool = ThreadPoolExecutor(max(1, jobs))
    try:
        for number, value in enumerate(pool.map(lut, parts)):
            out[number] = value
            if progress:
                progress(number + 1, len(parts))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return out.reshape(len(choices), len(groups)).T


def _parts(fine: Graph, layers: Sequence[str], choices: Sequence[Bits], rows: IntArray) -> Iterator[list[Graph]]:
    """For each choice, the out-of-context design of every layer."""
    for bits in choices:
        graph = verify(quantised(fine, {node.name: bits for node in linear_nodes(fine)}, rows))
        yield [verify(part_of(graph, name)) for name in layers]


def channel_costs(
    fine: Graph,
    groups: Sequence[Group],
    choices: Sequence[Bits],
    rows: IntArray,
    layers: npt.NDArray[np.float64],
    price: Callable[[Graph], float],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float64]:
    """(groups, choices): what each channel costs, so that the channels of a layer at one width cost what the layer does.

    Columns compiled alone share no sub-expressions, so that their sum is more than the layer; `price` only says how the layer's own cost
    divides over them. That cost may be measured: the tool then runs once a layer and pair of widths, not once a channel.

    Args:
        layers: (layers, choices) cost of each layer, in the order in which `groups` names them, as `cost_table` gives it.
        price: of the out-of-context design of a layer with the weights of one channel only.
        progress: told how many of how many channels are priced.
    """
    names = list(dict.fromkeys(group.layer for group in groups))
    out = np.zeros((len(groups), len(choices)))
    for c, many in enumerate(_parts(fine, names, choices, rows)):
        parts = dict(zip(names, many, strict=True))
        for g, group in enumerate(groups):
            out[g, c] = 0.0 if group.channel is None else price(column(parts[group.layer], group))
            if progress:
                progress(c * len(groups) + g + 1, out.size)
    return divided(layers, out, layer_numbers(groups))
