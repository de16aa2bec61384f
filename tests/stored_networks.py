"""Changes to what a stored Keras network tells of its layers, for tests of importers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def layer_of(told: Any, kind: str) -> Any:
    """The first layer of a class."""
    return next(layer for layer in told["config"]["layers"] if layer["class_name"] == kind)


def becomes(kind: str, new: str) -> Callable[[Any], None]:
    """Another class for the first layer of one."""

    def change(told: Any) -> None:
        layer_of(told, kind)["class_name"] = new

    return change


def option(kind: str, **options: Any) -> Callable[[Any], None]:
    """Other options for the first layer of a class."""

    def change(told: Any) -> None:
        layer_of(told, kind)["config"].update(options)

    return change
