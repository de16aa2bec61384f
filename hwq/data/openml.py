"""Data sets from OpenML: its description, its ARFF file with the checksum that OpenML publishes, and a reader of plain ARFF."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwq.data.download import fetch, local, read_json
from hwq.errors import DataError, RunError
from hwq.events import Notice, quiet
from hwq.fields import Fields

SERVER = "https://www.openml.org"
JETS = "hls4ml_lhcjets_hlf"
JETS_ID = 42468


@dataclass(frozen=True, slots=True)
class OpenMLTable:
    """An OpenML data set: features (rows, columns) float32, labels (rows,) as text, the features' names."""

    x: Any
    y: Any
    features: tuple[str, ...] = ()


def openml(data_id: int, name: str, *, notice: Notice = quiet, server: str = SERVER) -> OpenMLTable:
    """Data set `data_id`, which must be the one called `name`.

    The ARFF file is taken from $HWQ_DATA or the cache where it is there, else downloaded.

    Raises:
        DataError: offline, another data set than expected, another checksum, or a file that cannot be read.
    """
    own = local(f"{name}.arff")
    if own is not None:
        return read_arff(own)
    said = read_json(f"{server}/api/v1/json/data/{data_id}", name)
    try:
        told = Fields(said, f"OpenML's description of data set {data_id}").inner("data_set_description")
        found, url, checksum = told.text("name"), told.text("url"), told.text("md5_checksum")
        target = told.text("default_target_attribute", "class")
    except RunError as error:
        raise DataError(error.message, hint="try again later") from error
    if found != name:
        raise DataError(
            f"OpenML's data set {data_id} is {found!r}, expected {name!r}", hint="download the right one as a .csv file"
        )
    path = fetch(url, f"{name}.arff", md5=checksum, notice=notice)
    return read_arff(path, target or "class")


def read_arff(path: Path, target: str = "class") -> OpenMLTable:
    """A dense ARFF file of numbers with one nominal column, the target.

    Raises:
        DataError: no ARFF, no such column, text in another column, or a line of another length.
    """
    import pandas as pd

    names: list[str] = []
    try:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                word = line.split(maxsplit=1)
                if word and word[0].lower() == "@attribute":
                    names.append(next(csv.reader([word[1].replace("\t", " ")], delimiter=" ", quotechar="'"))[0].strip('"'))
                elif word and word[0].lower() == "@data":
                    break
            else:
                raise DataError(f"{path} is no ARFF file: it has no @data", hint="delete it, and it is downloaded again")
            frame = pd.read_csv(stream, header=None, names=names, index_col=False, comment="%", na_values=["?"], quotechar="'")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", hint="delete it, and it is downloaded again") from error
    if target not in names:
        raise DataError(f"{path} has no column {target!r}; it has {', '.join(names)}", hint="give the data as a .csv file instead")
    features = frame.drop(columns=[target])
    text = [str(c) for c in features.columns if features[c].dtype.kind not in "biuf"]
    if text:
        raise DataError(f"{path}: column {text[0]!r} is no number", hint="give the data as a .csv file instead")
    return OpenMLTable(features.to_numpy(np.float32), frame[target].to_numpy(str), tuple(map(str, features.columns)))
