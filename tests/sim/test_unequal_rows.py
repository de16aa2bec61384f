"""What two evaluators' answers are called equal, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_network, random_rows

from hwq.sim.compare import compare, mantissas_of
from hwq.sim.reference import evaluate

GRAPH = random_network(0)
ANSWERS = evaluate(GRAPH, random_rows(GRAPH, 20))


@pytest.mark.parametrize("other", [ANSWERS[:19], ANSWERS[:, :-1], ANSWERS[:0], ANSWERS.ravel(), np.repeat(ANSWERS, 2, axis=0)])
def test_fewer_rows_or_outputs_are_no_agreement(other: np.ndarray) -> None:
    assert compare(GRAPH, "reference", ANSWERS, "other", ANSWERS).mismatches == 0
    assert compare(GRAPH, "reference", ANSWERS, "other", other).mismatches > 0
    assert compare(GRAPH, "other", other, "reference", ANSWERS).mismatches > 0


def test_nothing_of_two_shapes_is_no_agreement() -> None:
    assert compare(GRAPH, "a", ANSWERS[:0], "b", ANSWERS[:0, :1]).mismatches > 0


def test_a_value_between_two_steps_is_no_integer() -> None:
    frac = GRAPH[GRAPH.outputs[0]].type.frac.astype(int)
    values = np.ldexp(ANSWERS.astype(float), -frac)
    assert compare(GRAPH, "reference", ANSWERS, "keras", mantissas_of(values, GRAPH)).mismatches == 0
    for odd in (2.0**-60, np.nan, np.inf):
        changed = values.copy()
        changed[3, 1] += odd
        found = compare(GRAPH, "reference", ANSWERS, "keras", mantissas_of(changed, GRAPH))
        if np.isfinite(odd) and changed[3, 1] == values[3, 1]:
            continue  # beyond a float's resolution
        assert found.mismatches == 1 and found.first is not None and found.first.sample == 3
