"""JSON that came from elsewhere, typed: the members of an object, each checked when it is asked for. No file is read or written here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias, TypeGuard

from hwq.errors import RunError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
HUGE = 1 << 1000  # a whole number from here is no number of anything, and too large for a float


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of a JSON object that came from elsewhere, each checked when it is asked for; null stands for "not there".

    Args:
        where: the file, and the place in it, for errors.
        hint: how a damaged file is mended.

    Raises:
        RunError: by every method: the member is not there, or of another kind. A method with a `default` gives that where it is not there.
    """

    content: Mapping[str, Json]
    where: str
    hint: str | None = None

    def has(self, name: str) -> bool:
        """Whether it is there, and not null."""
        return self.content.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        value = self._get(name, default)
        return value if isinstance(value, str) else self._refuse(name, "a text")

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self._get(name, default)
        return value if isinstance(value, bool) else self._refuse(name, "true or false")

    def whole(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        value = self._get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self._refuse(name, f"a whole number from {least}")

    def number(
        self, name: str, default: float | None = None, *, least: float = -math.inf, most: float = math.inf, finite: bool = True
    ) -> float:
        """As the file has it: 5 stays 5, and 5.0 stays 5.0."""
        value = self._get(name, default)
        if is_number(value, finite=finite) and (not finite or least <= value <= most):
            return value
        bounds = "" if math.isinf(least) else f" from {least:g}" + ("" if math.isinf(most) else f" to {most:g}")
        self._refuse(name, f"a number{bounds}")

    def share(self, name: str) -> float:
        """A number from 0 to 1."""
        return self.number(name, least=0.0, most=1.0)

    def maybe_number(self, name: str) -> float | None:
        return self.number(name) if self.has(name) else None

    def maybe_share(self, name: str) -> float | None:
        return self.share(name) if self.has(name) else None

    def inner(self, name: str) -> Fields:
        value = self._get(name, None)
        return Fields(value if isinstance(value, dict) else self._refuse(name, "an object"), f"{self.where}: {name}", self.hint)

    def mapping(self, name: str) -> dict[str, Json]:
        """An object whose members nobody knows here."""
        return dict(self.inner(name).content)

    def texts_by_name(self, name: str) -> dict[str, str]:
        inner = self.inner(name)
        return {key: inner.text(key) for key in inner.content}

    def numbers_by_name(self, name: str) -> dict[str, float]:
        inner = self.inner(name)
        return {key: inner.number(key) for key in inner.content}

    def listed(self, name: str) -> list[Json]:
        value = self._get(name, None)
        return value if isinstance(value, list) else self._refuse(name, "a list")

    def texts(self, name: str) -> tuple[str, ...]:
        found = tuple(one for one in self.listed(name) if isinstance(one, str))
        return found if len(found) == len(self.listed(name)) else self._refuse(name, "a list of texts")

    def wholes(self, name: str) -> tuple[int, ...]:
        found = tuple(one for one in self.listed(name) if isinstance(one, int) and not isinstance(one, bool))
        return found if len(found) == len(self.listed(name)) else self._refuse(name, "a list of whole numbers")

    def numbers(self, name: str) -> tuple[float, ...]:
        found = tuple(one for one in self.listed(name) if is_number(one))
        return found if len(found) == len(self.listed(name)) else self._refuse(name, "a list of numbers")

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        found = [one for one in self.listed(name) if isinstance(one, dict)]
        if len(found) != len(self.listed(name)):
            self._refuse(name, "a list of objects")
        return [Fields(one, f"{self.where}: {name} {number}", self.hint) for number, one in enumerate(found)]

    def rest(self, *known: str) -> dict[str, Json]:
        """The members that are none of these."""
        return {name: value for name, value in self.content.items() if name not in known}

    def _get(self, name: str, default: Json) -> Json:
        value = self.content.get(name)
        return default if value is None else value

    def _refuse(self, name: str, wanted: str) -> NoReturn:
        found = "not there" if name not in self.content else f"{str(self.content[name])[:60]!r}"
        raise RunError(f"{self.where} is damaged: {name} is {found}, expected {wanted}", hint=self.hint)


def as_json(content: Mapping[str, object]) -> dict[str, Json]:
    """A record as JSON gives it back: tuples are lists.

    Raises:
        TypeError: something in it is no JSON.
    """
    found: dict[str, Json] = json.loads(json.dumps(content))
    return found


def is_number(value: object, *, finite: bool = True) -> TypeGuard[float]:
    """Whether it is a number; true and false are none."""
    if isinstance(value, float):
        return not finite or math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < HUGE
