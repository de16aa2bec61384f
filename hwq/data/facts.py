"""What a run's record says of its data: what must be the same for it to be the same data, and where to read it again."""

from __future__ import annotations

from dataclasses import dataclass

from hwq.data.preprocess import Preprocess
from hwq.fields import Fields


@dataclass(frozen=True, slots=True)
class DataFacts:
    """One data set, without its rows. Of a record, None or nothing stands for what it does not say.

    Attributes:
        digest: 16 hexadecimal digits over all arrays.
        shape: of one row.
        train, validation, test: how many rows each part has.
        file: absolute path of the file that it came from, empty where it came from none; it may have moved since.
        preprocess: what made the rows of the user's own; None in runs of hwq 0.1.0, which do not say.
    """

    name: str
    digest: str = ""
    n_classes: int | None = None
    shape: tuple[int, ...] | None = None
    train: int = 0
    validation: int = 0
    test: int = 0
    file: str = ""
    preprocess: Preprocess | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.train} training, {self.validation} validation, {self.test} test rows"

    def identity(self) -> dict[str, object]:
        """What must be the same for it to be the same data."""
        return {name: value for name, value in self.to_json().items() if name not in ("file", "preprocess")}

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {"name": self.name, "digest": self.digest, "n_classes": self.n_classes}
        told |= {"shape": None if self.shape is None else list(self.shape)}
        told |= {"train": self.train, "validation": self.validation, "test": self.test, "file": self.file}
        told |= {"preprocess": None if self.preprocess is None else self.preprocess.to_json()}
        return {name: value for name, value in told.items() if value is not None and value != ""}

    @classmethod
    def of(cls, told: Fields) -> DataFacts:
        """The inverse of `to_json`.

        Raises:
            RunError: it says something of another kind.
        """
        return cls(
            told.text("name"),
            told.text("digest", ""),
            told.whole("n_classes") if told.has("n_classes") else None,
            told.wholes("shape") if told.has("shape") else None,
            told.whole("train", 0),
            told.whole("validation", 0),
            told.whole("test", 0),
            told.text("file", ""),
            Preprocess.of(told.inner("preprocess")) if told.has("preprocess") else None,
        )
