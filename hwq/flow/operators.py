"""The operators of a network measured on the tool: LUTs of each linear operation at each width, out of context, kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.allocate.quantise import Bits, quantised, uniform
from hwq.allocate.sensitivity import part_of
from hwq.boards import Board
from hwq.codegen.build import build
from hwq.errors import ReportError, ToolError
from hwq.fixed.arithmetic import IntArray
from hwq.flow.design import features_of
from hwq.flow.measuring import key_of, measure, options_of
from hwq.ir import Graph, verify
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.tools.synthesis import Synthesiser, synthesise
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
    parts = []
    for bits in choices:
        graph = verify(quantised(fine, uniform(fine, bits.weights, bits.activations), rows))
        parts += [verify(part_of(graph, name)) for name in groups]
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
