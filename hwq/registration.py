"""`import hwq` is enough for Keras to load what hwq saved: its layers are registered once Keras is there. No Keras is loaded here."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

KERAS = "keras"
REGISTERED = (
    "hwq.layers",
    "hwq.quantizers.powers",
    "hwq.layers.model",
    "hwq.conversion.parts",
    "hwq.conversion.functional",
    "hwq.conversion.activations",
)


def register_with_keras() -> None:
    """Register now where Keras is loaded, else as soon as somebody loads it."""
    if KERAS in sys.modules:
        _unless_loading()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def register() -> None:
    """Load everything of hwq that a saved model may name."""
    for name in REGISTERED:
        importlib.import_module(name)


def _unless_loading() -> None:
    # hwq's own import of Keras goes on to the layers by itself
    if "hwq.backend" not in sys.modules:
        register()


class _Finder(MetaPathFinder):
    """Finds Keras as everybody does, and has the layers registered after it was loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != KERAS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader)
        return spec


class _Then(Loader):
    """A module's own loader, and the registration after it."""

    def __init__(self, own: Loader) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self.own  # whoever asks later, for its resources say, meets its own loader
        module.__loader__ = self.own
        self.own.exec_module(module)
        _unless_loading()
