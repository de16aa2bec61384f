"""For all tests: nothing of the user's is read or written, and the Verilog is simulated by CXXRTL, which builds small models twice as fast."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# small networks train for less time than XLA takes to optimise their code; before TensorFlow is imported, here and in commands
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# how long an example takes says how loaded the machine is, nothing else
settings.register_profile("hwq", deadline=None)
settings.load_profile("hwq")


@pytest.fixture(scope="session", autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A measurement store of its own for each test process, and no data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWQ_STORE", str(tmp_path_factory.mktemp("store") / "measurements.sqlite"))
        patch.setenv("HWQ_COST_MODELS", str(tmp_path_factory.mktemp("models")))
        patch.delenv("HWQ_DATA", raising=False)
        # its builds take twice the time of CXXRTL's for designs as small as these; the test that compares the two asks for it
        patch.setenv("HWQ_VERILATOR", "none")
        yield
