"""Cost models in files that people can read and put under version control: coefficients as TOML, beside them the measurements as CSV."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwq.cost.fit import target_of
from hwq.cost.model import CostModel, ModelKey
from hwq.cost.terms import TARGETS
from hwq.errors import CostModelError
from hwq.measure.measurement import Key, Measurement
from hwq.reports.types import Latency, Resources, Timing

FORMAT = 1
_NUMBERS = ("trained_on", "groups", "cv_error", "cv_worst", "spread")
_TABLES = ("coefficients", "residual", "misses")
_COLUMNS = ("group", "board", "design", "plan", "target_ns", "inverters", "seconds", "when")


@dataclass(frozen=True, slots=True)
class Library:
    """The models that were fitted to one tool's measurements.

    Attributes:
        models: by target and moment.
        path: the file that they were read from.
    """

    key: ModelKey
    models: Mapping[tuple[str, str], CostModel]
    path: Path

    def rows(self) -> list[Measurement]:
        """The measurements that the models were fitted to.

        Raises:
            CostModelError: the file beside it is damaged.
        """
        return read_rows(self.path.with_suffix(".csv"), self.key)


def file_name(key: ModelKey) -> str:
    """`xcup-yosys-synth-three.toml`, `xcup-yosys-synth-after-bambu.toml`: the packaging of a tool and all versions are told inside."""
    parts = (key.family, key.tool.removeprefix("yowasp-"), key.stage, *(("after", key.compiler) if key.compiler else ()))
    parts += ("three",) if key.adders == "three" else ()
    words = ("".join(c if c.isalnum() else " " for c in part.lower()).split() for part in parts)
    return "-".join("-".join(word) for word in words) + ".toml"


def to_text(key: ModelKey, models: Sequence[CostModel], note: str = "") -> str:
    """The file of `models`, all of one key."""
    lines = [
        "# Cost models, written by hwq calibrate; docs/reference/cost-models.md says what the terms mean.",
        *([f"# {note}"] if note else []),
        f"format = {FORMAT}",
        *(f"{name} = {json.dumps(getattr(key, name))}" for name in ("family", "tool", "version", "stage")),
        *([f"options = {json.dumps(key.options)}"] if key.options else []),
    ]
    for m in models:
        lines += ["", "[[model]]", f'target = "{m.target}"', f'moment = "{m.moment}"']
        lines += [f"{name} = {_number(getattr(m, name))}" for name in _NUMBERS]
        for table in _TABLES:
            content: Mapping[str, float] = getattr(m, table)
            lines += [f"[model.{table}]", *(f"{name} = {_number(value)}" for name, value in content.items())]
        lines.append("[model.valid_range]")
        lines += [f"{name} = [{_number(low)}, {_number(high)}]" for name, (low, high) in m.valid_range.items()]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}" if value == value and abs(value) != float("inf") else str(value)


def read(path: Path) -> Library:
    """The models of a file.

    Raises:
        CostModelError: it cannot be read, is of another format, or lacks something.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text())
        if content["format"] != FORMAT:
            raise CostModelError(f"{path} has format {content['format']}; this hwq reads {FORMAT}", hint="run hwq calibrate again")
        key = ModelKey(content["family"], content["tool"], content["version"], content["stage"], str(content.get("options", "")))
        models = [_model(key, entry) for entry in content["model"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CostModelError(
            f"{path} holds no cost models: {type(error).__name__} {error}", hint="delete it, or run hwq calibrate again"
        ) from error
    return Library(key, {(m.target, m.moment): m for m in models}, path)


def _model(key: ModelKey, entry: Mapping[str, Any]) -> CostModel:
    ranges = {name: (float(low), float(high)) for name, (low, high) in entry["valid_range"].items()}
    coefficients, residual, misses = ({name: float(v) for name, v in entry[table].items()} for table in _TABLES)
    return CostModel(
        key,
        str(entry["target"]),
        coefficients,
        int(entry["trained_on"]),
        float(entry["cv_error"]),
        float(entry["cv_worst"]),
        ranges,
        moment=str(entry["moment"]),
        groups=int(entry["groups"]),
        spread=float(entry["spread"]),
        misses=misses,
        residual=residual,
    )


def write_rows(stream: Any, rows: Sequence[Measurement]) -> None:
    """Write measurements as CSV: what identifies them, the targets, and f_<feature> for each feature."""
    features = sorted({name for m in rows for name in m.features})
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(t for t in TARGETS if t != "seconds"), *(f"f_{name}" for name in features)])
    for m in sorted(rows, key=lambda m: (m.group, m.key.design, m.key.plan)):
        first = [m.group, m.key.board, m.key.design, m.key.plan, _cell(m.timing.period_ns), _cell(m.resources.inverters)]
        values = [_cell(target_of(m, t)) for t in TARGETS if t != "seconds"]
        writer.writerow([*first, _cell(m.seconds), m.when, *values, *(_cell(m.features.get(name)) for name in features)])


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def read_rows(path: Path, key: ModelKey) -> list[Measurement]:
    """The inverse of `write_rows`.

    Raises:
        CostModelError: the file cannot be read, or a row is damaged.
    """
    rows = []
    try:
        with path.open(newline="") as stream:
            for number, row in enumerate(csv.reader(stream)):
                if number == 0:
                    header = row
                else:
                    rows.append(_measurement(header, row, key))
    except (OSError, ValueError, KeyError, UnboundLocalError) as error:
        raise CostModelError(f"{path} holds no measurements: {error}", hint="run hwq calibrate again") from error
    return rows


def _measurement(header: Sequence[str], row: Sequence[str], key: ModelKey) -> Measurement:
    cell = dict(zip(header, row, strict=True))

    def number(text: str) -> float | None:
        return float(text) if text else None

    cells = {name: number(cell[name]) for name in TARGETS if name != "seconds"}
    reached, cycles = cells["period_ns"], cells["latency_cycles"]
    latency = None if cycles is None else int(cycles)
    asked = number(cell["target_ns"])
    return Measurement(
        Key(cell["design"], cell["plan"], "design", cell["board"], key.tool, key.version, key.stage, key.options),
        key.family,
        Resources(
            lut=cells["lut"],
            ff=cells["ff"],
            dsp=cells["dsp"],
            bram36=cells["bram36"],
            carry=cells["carry"],
            inverters=number(cell["inverters"]),
        ),
        Timing(asked, None if asked is None or reached is None else asked - reached, None if not reached else 1e3 / reached),
        Latency(latency, latency, None if latency is None else 1),
        features={name[2:]: float(value) for name, value in cell.items() if name.startswith("f_") and value},
        seconds=number(cell["seconds"]) or 0.0,
        when=cell["when"],
        group=cell["group"],
    )
