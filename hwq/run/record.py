"""What run.json and point.json say, typed: the one reader and writer of each. A member of another kind is an error, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from hwq.data.facts import DataFacts
from hwq.data.task import CLASSES, Task
from hwq.fields import Fields, Json

FORMAT = 1
_RUN = ("format", "state", "config", "dataset", "derived", "digests", "float", "uniform8", "budget_met", "synth", "task")
_POINT = ("epoch", "val_accuracy", "ebops", "beta", "test_accuracy", "terms", "digests", "features")
_SCORES = ("val_accuracy", "test_accuracy")
_POINT_MORE = ("widest_accumulator_bits", "keras_dtype")


@dataclass(frozen=True, slots=True)
class Link:
    """What a run was synthesised with last: everything of a measurement's key that its plan does not say."""

    board: str
    kind: str
    tool: str
    version: str
    stage: str
    period_ns: float
    options: str = ""


@dataclass(frozen=True, slots=True)
class Synthesised:
    """The last synthesis of a run.

    Attributes:
        folders: point -> its folder below RUN/synth.
        sealed: False where hwq 0.1.0 wrote it, which knew neither options nor seals.
    """

    link: Link
    folders: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = True

    def adding(self, link: Link, point: str, folder: str) -> Synthesised:
        """With one more folder; those of designs that were synthesised otherwise go."""
        return Synthesised(link, {**(self.folders if link == self.link else {}), point: folder})

    def to_json(self) -> dict[str, object]:
        told = {**asdict(self.link), "folders": dict(self.folders)}
        if not self.sealed:
            del told["options"]
        return told

    @classmethod
    def of(cls, told: Fields) -> Synthesised:
        """Raises RunError: hwq never wrote this."""
        board, kind, tool, version, stage = (told.text(name) for name in ("board", "kind", "tool", "version", "stage"))
        link = Link(board, kind, tool, version, stage, told.number("period_ns", least=1e-6), told.text("options", ""))
        return cls(link, told.texts_by_name("folders"), told.has("options") or "options" in told.content)


@dataclass(frozen=True, slots=True)
class Scores:
    """Accuracies of a float network, 0 to 1, or what its task has in their place; None where nobody looked."""

    val_accuracy: float | None = None
    test_accuracy: float | None = None

    def to_json(self, task: Task = CLASSES) -> dict[str, object]:
        return {_called(name, task): value for name, value in asdict(self).items() if value is not None}


def _called(name: str, task: Task) -> str:
    """`val_accuracy` and `test_accuracy` by the name of the task's own metric, as the file has them."""
    return name.replace("accuracy", task.metric) if name in _SCORES else name


def _told_task(told: Fields) -> Task:
    return Task.of(told.inner("task")) if told.has("task") else CLASSES


def _score(told: Fields, name: str, task: Task) -> float | None:
    called = _called(name, task)
    return told.maybe_share(called) if task.plain or not told.has(called) else told.number(called)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """run.json.

    Attributes:
        state: "training" or "trained".
        config: what it was trained or made with; what a method of another version says stays as it is.
        derived: the method with its options, of a run that no training made: a second call must share it.
        digests: file -> SHA-256, since hwq 0.1.0.
        scores: of the float network (`float` in the file).
        uniform8: EBOPs of the float network with 8 bits everywhere: "ebops" exact, "declared".
        budget_met: whether every point keeps the budget that training was given; None: there was none.
        synth: the last synthesis, as the file has it; `synthesised` reads it.
        more: what only a person, or the method that wrote it, looks at.
        task: what was learned; its metric names the scores in the file.
    """

    state: str = ""
    config: Mapping[str, object] | None = None
    dataset: DataFacts | None = None
    derived: Mapping[str, object] | None = None
    digests: Mapping[str, str] | None = None
    scores: Scores | None = None
    uniform8: Mapping[str, float] | None = None
    budget_met: bool | None = None
    synth: Json = None
    more: Mapping[str, object] = field(default_factory=dict)
    task: Task = CLASSES

    @property
    def trained(self) -> bool:
        return self.state == "trained"

    def derive(self, method: Mapping[str, object]) -> RunRecord:
        """The record of a run that a method makes of this one: the same data, and the figures of the same float network."""
        more = {name: value for name, value in self.more.items() if name == "conversion"}
        return replace(
            RunRecord("", self.config, self.dataset, method), scores=self.scores, uniform8=self.uniform8, more=more, task=self.task
        )

    def finished(self, found: RunRecord) -> RunRecord:
        """With what a method found out, and that it is done."""
        return replace(
            self,
            state="trained",
            scores=found.scores or self.scores,
            uniform8=found.uniform8 or self.uniform8,
            budget_met=self.budget_met if found.budget_met is None else found.budget_met,
            more={**self.more, **found.more},
        )

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {
            **self.more,
            "format": FORMAT,
            "state": self.state or None,
            "config": self.config,
            "dataset": self.dataset.to_json() if self.dataset else None,
            "derived": self.derived,
            "digests": self.digests,
            "float": self.scores.to_json(self.task) if self.scores else None,
            "task": None if self.task.plain else self.task.to_json(),
            "uniform8": self.uniform8,
            "budget_met": self.budget_met,
            "synth": self.synth,
        }
        return {name: value for name, value in told.items() if value is not None or name in self.more}

    @classmethod
    def of(cls, told: Fields) -> RunRecord:
        """The inverse of `to_json`.

        Raises:
            RunError: a member of another kind.
        """
        return cls(
            told.text("state", ""),
            told.mapping("config") if told.has("config") else None,
            DataFacts.of(told.inner("dataset")) if told.has("dataset") else None,
            told.mapping("derived") if told.has("derived") else None,
            told.texts_by_name("digests") if told.has("digests") else None,
            _scores(told.inner("float"), _told_task(told)) if told.has("float") else None,
            told.numbers_by_name("uniform8") if told.has("uniform8") else None,
            told.flag("budget_met") if told.has("budget_met") else None,
            told.content.get("synth"),
            told.rest(*_RUN),
            _told_task(told),
        )


def _scores(told: Fields, task: Task) -> Scores:
    return Scores(_score(told, "val_accuracy", task), _score(told, "test_accuracy", task))


@dataclass(frozen=True, slots=True)
class PointRecord:
    """point.json.

    Attributes:
        epoch, beta: of the training at which it was kept; 0 where no training made it.
        val_accuracy, test_accuracy: of the task's metric, of classes the accuracy, 0 to 1; None: nobody looked at those rows, or
            there are none. The file has them by the name of the metric.
        terms: signed powers of two that its weights were trained to consist of; 1 where nothing is said.
        digests: file -> SHA-256 of the files beside it, since hwq 0.1.0.
        features: what the network consists of (`hwq.cost.features.graph_features`).
        widest_accumulator_bits: of the widest result of arithmetic, before it is quantised.
        keras_dtype: in which Keras computed its answers.
        more: what the method that wrote it says, by its name.
        task: what was learned.
    """

    epoch: int
    val_accuracy: float | None
    ebops: float
    beta: float
    test_accuracy: float | None = None
    terms: int = 1
    digests: Mapping[str, str] | None = None
    features: Mapping[str, float] | None = None
    widest_accumulator_bits: int | None = None
    keras_dtype: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    task: Task = CLASSES

    @property
    def score(self) -> float | None:
        """The validation rows' value of the metric as a number of which more is better."""
        return None if self.val_accuracy is None else self.task.score(self.val_accuracy)

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {name: getattr(self, name) for name in (*_POINT, *_POINT_MORE)}
        return {
            **self.more,
            **{_called(name, self.task): value for name, value in told.items() if value is not None or name in _SCORES},
            **({} if self.task.plain else {"task": self.task.to_json()}),
        }

    @classmethod
    def of(cls, told: Fields) -> PointRecord:
        """The inverse of `to_json`.

        Raises:
            RunError: a member of another kind, or a number that cannot be.
        """
        task = _told_task(told)
        return cls(
            told.whole("epoch"),
            _score(told, "val_accuracy", task),
            told.number("ebops", least=0.0),
            told.number("beta"),
            _score(told, "test_accuracy", task),
            told.whole("terms", 1, least=1),
            told.texts_by_name("digests") if told.has("digests") else None,
            told.numbers_by_name("features") if told.has("features") else None,
            told.whole("widest_accumulator_bits") if told.has("widest_accumulator_bits") else None,
            told.text("keras_dtype") if told.has("keras_dtype") else None,
            told.rest(*(_called(name, task) for name in _POINT), *_POINT_MORE, "task"),
            task,
        )
