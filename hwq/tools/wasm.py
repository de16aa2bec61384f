"""Programs that a Python package carries as WebAssembly, and that this interpreter starts; native ones are found by `hwq.tools.find`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from hwq.tools.find import Tool

PREFIX = "yowasp-"  # of the names of these builds, so that their measurements are not taken for those of a native program
FIRST_CALL = "compiling it for this machine, once: about a minute"


def find_packaged(program: str, package: str) -> Tool | None:
    """`program` from the Python package `package`, or None where that is not installed."""
    module = package.replace("-", "_")
    if importlib.util.find_spec(module) is None:
        return None
    from importlib.metadata import version

    start = f"import sys, {module} as m; sys.exit(m.run_{program.replace('-', '_')}(sys.argv[1:]))"
    return Tool(PREFIX + program, (sys.executable, "-c", start), version(package), module)


def compiled(tool: Tool) -> bool:
    """Whether a WebAssembly program has been compiled on this machine before; native ones always have."""
    if not tool.package:
        return True
    import platformdirs

    return any(Path(platformdirs.user_cache_dir("YoWASP", appauthor=False)).glob(f"{tool.package}/**/*"))
