"""A report's points as a pandas frame or CSV."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hwq.views.model import RunReport

if TYPE_CHECKING:
    import pandas as pd


def to_frame(report: RunReport) -> pd.DataFrame:
    """One row a point; what was not measured is missing, not 0."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in report.rows])


def to_csv(report: RunReport) -> str:
    return str(to_frame(report).to_csv(index=False))
