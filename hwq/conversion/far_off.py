"""Whether a twin answers like its float model on the rows that its bitwidths begin from. Nothing is mended here."""

from __future__ import annotations

import numpy as np

from hwq.backend import keras
from hwq.conversion import freeze
from hwq.tensors import Floats, Singles

MOST_ROWS = 4096  # that are compared
FAR = 0.25  # of the range of the float model's answers
NARROW = 1 / 16  # of the widest output's range: that of an output which hardly changes
FEW = 16  # rows, up to which the greatest answer stands for the range
SHOWN = 4  # answers of a row


def far_off(model: keras.Model, twin: keras.Model, rows: Singles) -> str | None:
    """What to say of rows on which the two differ by a quarter of the range of the answers or more; None where there are none.

    Args:
        rows: as `checked_rows` gives them; of many, MOST_ROWS are compared.
    """
    step = -(-len(rows) // MOST_ROWS)
    some = rows[::step]
    try:
        want = _answers(model, some)
    except Exception as fault:  # what a backend lacks may have a twin: TensorFlow dilates no transposed convolution on some CPUs
        return f"the float model cannot be computed here ({type(fault).__name__}): the twin was not compared with it"
    got = _answers(twin, some)
    told = np.isfinite(want).all(axis=1)  # a float model that answers NaN says nothing of what is right
    want, got, numbers = want[told], got[told], (np.arange(len(rows))[::step])[told]
    if not len(want):
        return None
    spread = np.ptp(want, axis=0)
    if len(want) < FEW or not spread.any():  # a few rows say nothing of the range
        spread = np.maximum(spread, np.abs(want).max(initial=0.0))
    spread = np.maximum(spread, NARROW * spread.max(initial=0.0))
    error = np.abs(got - want)
    worse = (error > FAR * spread) & (error > 0)
    far = worse.any(axis=1)
    if not far.any():
        return None
    share = np.where(worse, error / np.where(spread > 0, spread, 1.0), 0.0).max(axis=1)
    row = int(share.argmax())
    start = max(0, min(int((error[row] / np.where(spread > 0, spread, 1.0)).argmax()) - SHOWN + 1, want.shape[1] - SHOWN))
    shown = (np.array2string(v[row, start : start + SHOWN], precision=3) for v in (got, want))
    mine, its = (text if want.shape[1] <= SHOWN else f"{text} (of {want.shape[1]})" for text in shown)
    return (
        f"before training, the twin is far from the float model on {int(far.sum())} of {len(want)} rows: row {numbers[row]} gives "
        f"{mine} in place of {its}; other bitwidths, rows of one scale, or training may bring it nearer"
    )


def _answers(model: keras.Model, rows: Singles) -> Floats:
    """(rows, values) of all outputs."""
    found: Floats = np.asarray(freeze.outputs(model, rows), np.float64).reshape(len(rows), -1)
    return found
