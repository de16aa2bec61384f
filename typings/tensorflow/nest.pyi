from collections.abc import Callable
from typing import TypeVar

from hwq.tensors import Tensor

T = TypeVar("T")

def map_structure(func: Callable[[Tensor], Tensor], structure: T) -> T: ...
