"""What the documentation takes from docstrings: the Python interface and the table of packages. `python docs/generate.py` writes both.

tests/docs/test_generated.py fails while a page is not what this writes.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INTERFACE, ARCHITECTURE = ROOT / "docs" / "reference" / "api.md", ROOT / "docs" / "explanation" / "architecture.md"
MEMBERS = ("Design", "Run", "Target", "Store", "Graph")  # classes whose own methods are used from a notebook
MODULES = ("boards", "callbacks", "errors", "layers")
HEAD = """\
# Every public name

Made by `python docs/generate.py` from the docstrings, which `help(hwq.compile)` shows too. [Python interface](python.md) says what they are for.

"""
BETWEEN = re.compile(r"(<!-- packages -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


def pages() -> dict[Path, str]:
    """What each page must hold."""
    return {INTERFACE: interface(), ARCHITECTURE: BETWEEN.sub(rf"\1{table()}\2", ARCHITECTURE.read_text())}


def interface() -> str:
    """A section for each public name, layer, callback and method."""
    import hwq

    parts = [HEAD]
    for name in hwq.__all__:
        found = getattr(hwq, name)
        parts.append(_section(f"hwq.{name}", found, 2))
        for member in _members(name, found):
            parts.append(_section(f"hwq.{name}.{member}", inspect.getattr_static(found, member), 3))
    return "".join(parts).rstrip("\n") + "\n"


def _members(name: str, found: object) -> list[str]:
    """What belongs to a module or class, and is public there: in the order of the source for a class, else by name."""
    own = vars(found)
    if name in MODULES:
        module = getattr(found, "__name__", "")
        listed = getattr(found, "__all__", None) or [n for n, v in own.items() if getattr(v, "__module__", "") == module]
        return sorted(n for n in listed if not n.startswith("_") and callable(own[n]) and inspect.getdoc(own[n]))
    if name in MEMBERS:
        return [n for n, v in own.items() if not n.startswith("_") and _documented(v)]
    return []


def _documented(member: object) -> bool:
    inner = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
    return inspect.isfunction(inner) and bool(inspect.getdoc(inner))


def _section(title: str, found: object, level: int) -> str:
    inner = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__func__", found)
    called = _called(inner) if inner is found or hasattr(found, "__func__") else ""
    return f"{'#' * level} {title}\n```text\n{title}{called}\n\n{inspect.getdoc(inner)}\n```\n\n"


def _called(found: object) -> str:
    """Names and defaults of the arguments."""
    if inspect.ismodule(found):
        return ""
    try:
        signature = inspect.signature(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values() if p.name not in ("self", "cls")]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def table() -> str:
    """Packages and modules of hwq, each with the first line of its docstring."""
    rows = ["| package | holds |\n|---|---|\n"]
    for path in sorted((ROOT / "hwq").iterdir()):
        file = path / "__init__.py" if path.is_dir() else path
        if file.is_file() and file.suffix == ".py" and path.name != "__init__.py":
            first = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]
            rows.append(f"| `hwq.{path.stem}` | {first.replace('|', chr(92) + '|')} |\n")
    return "".join(rows)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
