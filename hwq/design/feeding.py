"""How a design is fed, for people and programs that have nothing but its folder: README.md and preprocess.json beside the plan.

They name classes, features and the run, and so are no part of the plan's files: equal designs keep equal digests.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.codegen.build import Build
from hwq.codegen.ports import Element
from hwq.codegen.stream import StreamBuild
from hwq.data.dataset import check_rows
from hwq.data.preprocess import AS_IT_IS, Preprocess
from hwq.errors import DataError
from hwq.files import sha256_of, write_text
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.ir import Graph
from hwq.run.directory import RunDir
from hwq.sim.compare import output_types
from hwq.templates import render
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.registry import contents

FILES = README, PREPROCESS = "README.md", "preprocess.json"
FORMAT = 1
SHOWN = 100  # elements in a table of README.md
# of a design's folder, before and after its tools' own; a name with a slash at its end stands for what begins with it
SOURCES = {
    "graph.hwq": "the network in integers, as text",
    "hls/": contents()["hls/"],
    "rtl/": "Verilog",
    "sim/": "drivers and proofs of the Verilog for simulators",
}
OTHERS = {
    "board/": "the design behind a serial line, for the board itself",
    "run.sh": "runs the tools where hwq is not installed",
}
_ROUNDING = {
    Rounding.TRN: ("down, floor(q)", "np.floor(z * 2.0**frac)"),
    Rounding.RND: ("to the nearest, halves up, floor(q + 1/2)", "np.floor(z * 2.0**frac + 0.5)"),
    Rounding.RND_CONV: ("to the nearest, halves to the even one", "np.rint(z * 2.0**frac)"),
}
_OVERFLOW = {
    Overflow.SAT: (
        "Saturate: q below `lowest` becomes `lowest`, above `highest` it becomes `highest`",
        "np.clip({}, lowest, highest)",
    ),
    Overflow.SAT_SYM: (
        "Saturate: q below `lowest` becomes `lowest`, above `highest` it becomes `highest`",
        "np.clip({}, lowest, highest)",
    ),
    Overflow.WRAP: ("Wrap: keep the lowest `width` bits of q", "({} - lowest) % (highest - lowest + 1) + lowest"),
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One element of port x; `lowest` and `highest` are the integers that it can be."""

    index: int
    name: str
    mean: float
    deviation: float
    offset: int
    width: int
    signed: bool
    frac: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class Output:
    """One element of port y."""

    index: int
    name: str
    offset: int
    width: int
    signed: bool
    frac: int


@dataclass(frozen=True, slots=True)
class Feeding:
    """Everything about the ports of a design.

    Attributes:
        known: what was done to the rows before training; None where that is not known.
    """

    made: Build | StreamBuild
    known: Preprocess | None
    features: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    rounding: Rounding
    overflow: Overflow

    @classmethod
    def of(cls, made: Build | StreamBuild, graph: Graph, known: Preprocess | None) -> Feeding:
        """How to feed a design that was made of `graph`, which says how floats become integers."""
        types = [t for name in graph.inputs for t in graph[name].type]
        shape = graph[graph.inputs[0]].shape if len(graph.inputs) == 1 else (len(types),)
        told = known or AS_IT_IS
        mean, deviation = (np.broadcast_to(np.array(v), len(types)).tolist() for v in (told.mean, told.deviation))
        features = tuple(
            _feature(i, told.name_of(i, shape), (mean[i], deviation[i]), element, t)
            for i, (element, t) in enumerate(zip(made.ports.inputs, types, strict=True))
        )
        fracs = output_types(made.graph).frac
        names = told.classes if len(told.classes) == len(fracs) else tuple(f"y{i}" for i in range(len(fracs)))
        outputs = tuple(Output(i, names[i], e.offset, e.width, e.signed, int(fracs[i])) for i, e in enumerate(made.ports.outputs))
        first = graph[graph.inputs[0]].type
        return cls(made, known, features, outputs, first.rounding, first.overflow)

    @property
    def named(self) -> bool:
        """Whether the outputs are classes by name."""
        return self.known is not None and len(self.known.classes) == len(self.outputs)

    @property
    def interval(self) -> int:
        return self.made.interval

    def to_json(self) -> dict[str, object]:
        """What preprocess.json says."""
        plan = self.made.plan
        return {
            "format": FORMAT,
            "top": plan.top,
            "plan": plan.digest,
            "board": plan.board,
            "period_ns": plan.period_ns,
            "latency_cycles": plan.latency_cycles,
            "interval_cycles": self.interval,
            "stream": isinstance(self.made, StreamBuild),
            "standardised": None if self.known is None else self.known.standardised,
            "label": None if self.known is None else self.known.label,
            **self._targets(),
            "rounding": str(self.rounding),
            "overflow": str(self.overflow),
            "features": [asdict(f) for f in self.features],
            "classes": [asdict(o) for o in self.outputs],
        }

    def _targets(self) -> dict[str, object]:
        """For a regression: how answers become numbers in the user's units."""
        if self.known is None or not self.known.target_deviation:
            return {}
        return {"target_mean": list(self.known.target_mean), "target_deviation": list(self.known.target_deviation)}

    def readme(self, run: str = "", point: str = "") -> str:
        """The text of README.md; run and point where the design is of one."""
        plan, known = self.made.plan, self.known or AS_IT_IS
        rounding, overflow = _ROUNDING[self.rounding], _OVERFLOW[self.overflow]
        stream = isinstance(self.made, StreamBuild)
        hidden = () if point else ("run.sh",)  # it needs the build.json of a run
        present = [
            (path, what)
            for path, what in (SOURCES | contents() | OTHERS).items()
            if path not in hidden and any(f == path or (path.endswith("/") and f.startswith(path)) for f in plan.files)
        ]
        return render(
            "readme/design.md.j2",
            top=plan.top,
            board=plan.board,
            part=plan.part,
            period_ns=plan.period_ns,
            latency=plan.latency_cycles,
            interval=self.interval,
            known=self.known,
            label=_cell(known.label),
            left_out=[_cell(name) for name in known.left_out],
            standardised=known.standardised,
            inputs=[_shown(f) for f in self.features],
            outputs=[_shown(o) for o in self.outputs],
            named=self.named,
            one_frac=len({o.frac for o in self.outputs if o.width}) < 2 and all(o.width for o in self.outputs),
            rounding_told=rounding[0],
            overflow_told=f"{overflow[0]}. The integers `lowest` to `highest` that a feature can be are in `preprocess.json`.",
            python=overflow[1].format(rounding[1]),
            input_bits=max(1, *(f.offset + f.width for f in self.features)),
            output_bits=max(1, *(o.offset + o.width for o in self.outputs)),
            stream=stream,
            serial=isinstance(self.made, Build) and self.interval > 1,
            most=SHOWN,
            contents=present,
            commands=_commands(plan.files) if point else [],
            run=_cell(run),
            point=point,
        )


def write_feeding(folder: Path, feeding: Feeding, run: str = "", point: str = "") -> dict[str, str]:
    """Write README.md and preprocess.json; what `is_fed` compares: their SHA-256, and that of what they were made from.

    Raises:
        RunError: they cannot be written.
    """
    write_text(folder / README, feeding.readme(run, point))
    write_text(folder / PREPROCESS, json.dumps(feeding.to_json(), indent=1) + "\n")
    return {"of": _digest(feeding.known), **{name: sha256_of(folder / name) for name in FILES}}


def is_fed(folder: Path, manifest: Manifest, known: Preprocess | None) -> bool:
    """Whether both files are there, as build.json has them."""
    told = manifest.feeding or {}
    return told.get("of") == _digest(known) and all(told.get(name) and sha256_of(folder / name) == told[name] for name in FILES)


def _digest(known: Preprocess | None) -> str:
    return hashlib.sha256(json.dumps(known.to_json() if known else None).encode()).hexdigest()[:16]


def preprocess_of(run: RunDir) -> Preprocess | None:
    """What was done to a run's rows before training; None for a run of hwq 0.1.0, which does not say.

    Raises:
        RunError: run.json is damaged.
    """
    told = run.record().dataset
    return None if told is None else told.preprocess


def ready_rows(known: Preprocess | None, rows: Any) -> npt.NDArray[np.float32]:
    """Rows as they are in the user's file, made what the network takes.

    Raises:
        DataError: it is not known how, or they are no such rows.
    """
    if known is None:
        raise DataError(
            "what was done to the rows before training is not known here",
            hint="open the run with hwq.Run(path).design(); for a run of hwq 0.1.0 train again, or give prepared rows to predict",
        )
    return known.apply(check_rows(known.columns_of(rows), "the rows"))


def named_classes(known: Preprocess, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """The name of the highest score of each row, of equals the first; its number where classes have no names."""
    best = scores.reshape(len(scores), -1).argmax(axis=1)
    names: npt.NDArray[np.str_] = np.array(known.classes or range(best.max(initial=0) + 1), str)
    found: npt.NDArray[np.str_] = names[best]
    return found


def as_asked(known: Preprocess, answers: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Answers as the user's file has the labels: names of classes, numbers in its units; others as they are."""
    if known.target_deviation:
        return np.asarray(answers * np.array(known.target_deviation) + np.array(known.target_mean))
    if known.classes and answers.reshape(len(answers), -1).shape[1] == 1:  # one yes or no
        return np.asarray(np.array(known.classes)[(answers.reshape(len(answers)) > 0).astype(int)])
    return named_classes(known, answers) if known.classes else answers


def _feature(index: int, name: str, scale: tuple[float, float], element: Element, t: FixedType) -> Feature:
    mean, deviation = scale
    return Feature(index, name, mean, deviation, element.offset, element.width, element.signed, t.frac, t.lowest, t.highest)


def _cell(text: str) -> str:
    """A name of the user's, fit for a table: on one line, without marks of Markdown and control characters."""
    return (
        re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", " ", text)
        .replace("`", "'")
        .replace("|", "\\|")
        .replace("<", "&lt;")
    )


def _shown(element: Feature | Output) -> dict[str, object]:
    return {**asdict(element), "name": _cell(element.name)}


def _commands(files: Mapping[str, str]) -> list[str]:
    if "run.sh" not in files:
        return []
    chains = re.findall(r"^#   ([\w+-]+): (\S.*)$", files["run.sh"], re.MULTILINE)
    return [f"./run.sh {kind} {stages.split()[-1]}" for kind, stages in chains] + ["hwq import . --run RUN"]
