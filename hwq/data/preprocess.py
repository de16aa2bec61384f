"""What was done to a table's columns before training, so that it can be done to new rows: names, means, deviations, classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError
from hwq.fields import Fields

BLOCK = 1 << 20  # numbers that are standardised at once, in float64


@dataclass(frozen=True, slots=True)
class Preprocess:
    """From a row as its user has it to what the network takes: (x - mean) / deviation in float64, rounded to float32.

    Attributes:
        features: a name for each element of a row, flattened; empty where they have none.
        mean, deviation: one number for each element, or one for all.
        standardised: whether they are those of the training rows; else a fixed scale.
        classes: a name for each output; empty where they are not known.
        label: the column that held the classes, as it was read.
        left_out: columns that are no features.
        target_mean, target_deviation: of a regression, of each target: the network answers (target - mean) / deviation; else empty.
    """

    features: tuple[str, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)
    standardised: bool = False
    classes: tuple[str, ...] = ()
    label: str = ""
    left_out: tuple[str, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_deviation: tuple[float, ...] = ()

    def apply(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Rows (rows, *features) of numbers as the network takes them, in the same shape.

        Raises:
            DataError: another number of features.
        """
        flat = rows.reshape(len(rows), -1) if rows.size else rows.reshape(0, int(np.prod(rows.shape[1:])))
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        for numbers in (mean, deviation):
            if len(numbers) not in (1, flat.shape[1]):
                raise DataError(
                    f"rows of {flat.shape[1]} features, expected {len(numbers)}",
                    hint="the label is no feature; the order is that of the file",
                )
        ready = np.empty(flat.shape, np.float32)
        each = max(1, BLOCK // max(1, flat.shape[1]))
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which callers refuse
            for i in range(0, len(flat), each):
                ready[i : i + each] = (flat[i : i + each].astype(np.float64) - mean) / deviation
        return ready.reshape(rows.shape)

    def columns_of(self, rows: Any) -> Any:
        """The features of a pandas frame by name, in the order of training; anything else as it is.

        Raises:
            DataError: a column is missing.
        """
        if not self.features or not hasattr(rows, "columns"):
            return rows
        titles = {str(title).strip(): title for title in rows.columns}
        missing = [name for name in self.features if name not in titles]
        if missing:
            raise DataError(f"the rows have no column {missing[0]!r}", hint=f"they have {', '.join(titles)}")
        return rows[[titles[name] for name in self.features]].to_numpy()

    def name_of(self, element: int, shape: tuple[int, ...]) -> str:
        """What the element of a row of this shape is called: x3, or x[2,1] in an image."""
        if len(self.features) == int(np.prod(shape)):
            return self.features[element]
        place = np.unravel_index(element, shape)
        return f"x{element}" if len(shape) < 2 else f"x[{','.join(str(int(i)) for i in place)}]"

    def to_json(self) -> dict[str, object]:
        told = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in told.items() if value or not name.startswith("target_")}

    @classmethod
    def of(cls, told: Fields) -> Preprocess:
        """The inverse of `to_json`.

        Raises:
            RunError: a member is missing, or of another kind.
        """
        return cls(
            told.texts("features"),
            told.numbers("mean"),
            told.numbers("deviation"),
            told.flag("standardised"),
            told.texts("classes"),
            told.text("label"),
            told.texts("left_out"),
            told.numbers("target_mean") if told.has("target_mean") else (),
            told.numbers("target_deviation") if told.has("target_deviation") else (),
        )


AS_IT_IS = Preprocess()  # of data that came ready


def standardising(rows: npt.NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each element of the rows, in float64; an element that never changes becomes 0.

    float32 would lose digits: seconds since 1970 would become steps of two minutes.
    """
    flat = rows.reshape(len(rows), -1)
    mean, deviation = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    low, high = flat.min(axis=0), flat.max(axis=0)
    vanished = (low < high) & (deviation == 0)  # squares of very small numbers are 0 in float64
    if vanished.any():
        unit = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
        deviation = np.where(vanished, (flat / np.where(vanished, unit, 1.0)).std(axis=0, dtype=np.float64) * unit, deviation)
    constant = (low == high) | (deviation == 0)
    mean, deviation = np.where(constant, low, mean), np.where(constant, 1.0, deviation)  # a sum's rounding is no deviation
    return tuple(mean.tolist()), tuple(deviation.tolist())
