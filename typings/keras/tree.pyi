from collections.abc import Callable
from typing import TypeVar

Structure = TypeVar("Structure")

def map_structure(func: Callable[[object], object], structure: Structure) -> Structure: ...
