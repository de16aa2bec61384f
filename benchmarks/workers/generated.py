"""Hashes of everything that hwq makes of graphs: generated.py CHECKOUT < {"name": "text of a graph"}; of the hwq in that checkout."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping

CHECKOUT = sys.argv[1]
sys.path.insert(0, CHECKOUT)

import hwq  # noqa: E402  (of that checkout)
from hwq import boards  # noqa: E402  (of that checkout)
from hwq.codegen.build import Form, build  # noqa: E402  (of that checkout)
from hwq.codegen.stream import build_stream  # noqa: E402  (of that checkout)
from hwq.cost.features import features, graph_features, network_features  # noqa: E402  (of that checkout)
from hwq.errors import HwqError  # noqa: E402  (of that checkout)
from hwq.ir import Graph, digest, parse, text, verify  # noqa: E402  (of that checkout)
from hwq.styles.choice import build_at  # noqa: E402  (of that checkout)

BOARDS = ("zcu104", "ulx3s-85f")
FORMS = {"multiply": Form(), "adders": Form("adders"), "shifts": Form(terms=3), "registered": Form(registered_inputs=True)}
STYLES, INTERVAL = ("serial", "mac", "auto"), 4
Made = Mapping[str, str]  # file, or kind of figures -> text


def made_of(graph: Graph) -> Iterator[tuple[str, Callable[[], Made]]]:
    """(what, how it is made) of every form, style and board."""
    first = boards.load(BOARDS[0])

    def plain(board: str, form: str) -> Made:
        made = build(graph, boards.load(board), None, FORMS[form])
        return {**made.plan.files, "features": repr(sorted(features(made.graph, made.circuit).items()))}

    def styled(fold: str) -> Made:
        made = build_at(graph, first, None, Form(fold=fold), INTERVAL)
        return {**made.plan.files, "features": repr(sorted((made.features or {}).items())), "hardware": made.plan.hardware}

    yield "graph", lambda: {"text": text(graph), "features": repr((graph_features(graph), network_features(graph)))}
    for board, form in [(BOARDS[0], form) for form in FORMS] + [(BOARDS[1], "multiply")]:
        yield f"{board}, {form}", lambda board=board, form=form: plain(board, form)  # type: ignore[misc]
    for fold in STYLES:
        yield f"style {fold}", lambda fold=fold: styled(fold)  # type: ignore[misc]
    yield "stream", lambda: build_stream(graph, first).plan.files


def hashes(graph: Graph) -> Iterator[tuple[str, str]]:
    """(what and file, hash); what is refused has its reason in the place of a hash."""
    for what, make in made_of(graph):
        try:
            for name, content in make().items():
                yield f"{what}: {name}", hashlib.sha256(content.encode()).hexdigest()[:16]
        except HwqError as error:
            yield what, f"{type(error).__name__}: {error}"


graphs = {name: verify(parse(content)) for name, content in json.load(sys.stdin).items()}
found = {f"{name}, {what}": value for name, graph in graphs.items() for what, value in hashes(graph)}
print(json.dumps({"version": hwq.__version__, "at": hwq.__file__, "graphs": sorted(map(digest, graphs.values())), "found": found}))
