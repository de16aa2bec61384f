"""hwq's classes in the registry of Keras, so that `keras.saving.load_model` opens a twin's file after `import hwq` alone.

Keras finds a class of a file by the name under which it is registered ("hwq>QDense"), wherever its module is, and imports no module
for it. But `import hwq` must not load Keras, which takes seconds. So the registering modules are imported right behind Keras: at once
where it is loaded already, else as soon as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def register() -> None:
    """Import every module that registers a class or a function with Keras."""
    import hwq.conversion.converters
    import hwq.conversion.model
    import hwq.conversion.operators
    import hwq.layers
    import hwq.quantizers.powers  # noqa: F401


def register_with_keras() -> None:
    """Register now, or right after Keras is imported."""
    if "keras" in sys.modules:
        register()
    elif not any(isinstance(finder, _Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watcher())


class _Watcher:
    """A finder that waits for the import of Keras, and finds nothing else."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Keras as Python finds it, with the registration behind it; None for every other module."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        if "hwq.backend" in sys.modules:
            return None  # hwq loads Keras itself, in the middle of an import of what registers
        spec = find_spec(name)  # by the other finders
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_register(module: ModuleType) -> None:
                run(module)
                register()

            setattr(spec.loader, "exec_module", run_and_register)  # noqa: B010  # of this one loader, not of its class
        return spec
