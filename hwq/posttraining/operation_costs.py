"""The operators of a network measured on the tool: LUTs of each linear operation at each width, out of context, kept in the store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.boards import Board
from hwq.codegen.build import build
from hwq.errors import ReportError, ToolError
from hwq.events import Progress, Watch, quiet
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, verify
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.posttraining.channels import Group, column, divided, layer_numbers
from hwq.posttraining.quantize import Bits, quantized
from hwq.posttraining.sensitivity import part_of
from hwq.posttraining.statistics import linear_nodes
from hwq.synthesis.single import Bench, measured
from hwq.toolchains.synthesiser import Synthesiser
from hwq.units import Period

OPERATOR = "operator"  # the scope of such a measurement: no cost model of whole designs is fitted to it


@dataclass(frozen=True, slots=True)
class OperatorBench:
    """Where operators are measured, out of context, at a clock."""

    bench: Bench
    period: Period

    @classmethod
    def of(cls, board: Board, synthesiser: Synthesiser, store: Store, folder: Path) -> OperatorBench:
        """At the board's own clock; `folder` has one folder a plan."""
        return cls(Bench(board, synthesiser, store, folder, OPERATOR), board.default_clock)

    def lut(self, part: Graph) -> float:
        """LUTs of one operator: from the store, or by running the tool now.

        Raises:
            ToolError, ReportError.
        """
        if not optimise(part)[part.outputs[0]].type.width.any():
            return 0.0  # all its weights are zero: nothing to synthesise
        try:
            found = measured(build(part, self.bench.board, self.period), self.bench, "")
        except ReportError as error:
            raise ToolError(f"an operator in {self.bench.folder} has no measurement: {error.message}", hint=error.hint) from error
        for doubt in found.doubts:
            warnings.warn(doubt, stacklevel=2)
        return float(found.measurements[-1].resources.lut or 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class WidthChoices:
    """The networks among which an allocation chooses: a fine graph, the widths to choose from, and calibration rows."""

    fine: Graph
    choices: Sequence[Bits]
    rows: IntArray

    def parts(self, layers: Sequence[str]) -> Iterator[list[Graph]]:
        """For each choice, the out-of-context design of every layer."""
        for bits in self.choices:
            graph = verify(quantized(self.fine, {node.name: bits for node in linear_nodes(self.fine)}, self.rows))
            yield [verify(part_of(graph, name)) for name in layers]


def cost_table(
    among: WidthChoices,
    groups: Sequence[str],
    lut: Callable[[Graph], float],
    *,
    jobs: int = 1,
    progress: Watch = quiet,
) -> npt.NDArray[np.float64]:
    """(groups, choices): what each operation costs at each width, with what follows it up to the next quantiser.

    Args:
        lut: the cost of one out-of-context design.
        progress: told how many of how many are known.
    """
    parts = [part for many in among.parts(groups) for part in many]
    out = np.zeros(len(parts))
    pool = ThreadPoolExecutor(max(1, jobs))
    try:
        for number, value in enumerate(pool.map(lut, parts)):
            out[number] = value
            progress(Progress("operators measured", number + 1, len(parts)))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return out.reshape(len(among.choices), len(groups)).T


def channel_costs(
    among: WidthChoices,
    groups: Sequence[Group],
    layers: npt.NDArray[np.float64],
    price: Callable[[Graph], float],
    *,
    progress: Watch = quiet,
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
    out = np.zeros((len(groups), len(among.choices)))
    for c, many in enumerate(among.parts(names)):
        parts = dict(zip(names, many, strict=True))
        for g, group in enumerate(groups):
            out[g, c] = 0.0 if group.channel is None else price(column(parts[group.layer], group))
            progress(Progress("channels priced", c * len(groups) + g + 1, out.size))
    return divided(layers, out, layer_numbers(groups))
