"""Hypothesis strategies: random graphs of every op and random networks, in every rounding and overflow mode."""

from __future__ import annotations

from every_op import MODES
from hypothesis import strategies as st
from networks import random_graph, random_network

graphs = st.one_of(
    st.builds(
        lambda seed, mode, skip: random_network(seed, rounding=mode[0], overflow=mode[1], skip=skip),
        st.integers(0, 10**6),
        st.sampled_from(MODES),
        st.booleans(),
    ),
    st.builds(
        lambda seed, mode, ops: random_graph(seed, *mode, ops),
        st.integers(0, 10**6),
        st.sampled_from(MODES),
        st.integers(1, 12),
    ),
)
