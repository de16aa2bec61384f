"""Graph passes that leave every output bit as it was, and the way down to a Circuit. No text is generated here.

`optimise` runs them in order with the verifier after each; `lower` and `pipeline` make the adder graph. The passes work for one
graph; what it costs is not their business (`hwq.cost`).
"""

from __future__ import annotations

from hwq.ir import Graph, verify
from hwq.passes.merge_rounding import merge_rounding
from hwq.passes.narrow import narrow
from hwq.passes.prune import prune

__all__ = ["merge_rounding", "narrow", "optimise", "prune"]


def optimise(graph: Graph) -> Graph:
    """All passes, in the order that lets each see what the one before made smaller; the verifier runs after each."""
    for step in (narrow, prune, merge_rounding, narrow, prune, narrow):
        graph = verify(step(graph))
    return graph
