"""For all tests: nothing of the user's is read or written, and the Verilog is simulated by CXXRTL, which builds small models twice as fast."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# small networks train for less time than XLA takes to optimise their code; before TensorFlow is imported, here and in commands
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# two processes of tests fill two cores: TensorFlow's own threads would only wait for each other
for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(threads, "1")

# traced functions of hundreds of networks stay alive; to look through them for garbage every 700 objects takes a twentieth of the time
gc.set_threshold(50_000, 20, 20)

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


# the files that take longest, first: so both processes of `make test` end at the same time
FIRST = (
    *("train/test_train_run.py", "flow/test_flow.py", "train/test_methods.py", "sim/test_conformance.py", "layers/test_layers.py"),
    *("conversion/test_peers_kinds.py", "layers/test_every_layer.py", "cli/test_cli.py", "flow/test_calibrate.py"),
    *("faults/test_faults.py", "conversion/test_conversion_kinds.py", "conversion/test_quantize_api.py", "flow/test_codesign.py"),
    *("styles/test_serial.py", "styles/test_mac.py", "sim/test_random_graphs.py", "sim/test_stream.py", "train/test_tasks.py"),
    *("flow/test_post_training.py", "design/test_compile.py", "conversion/test_random_models.py", "train/test_pricing.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files in the order of FIRST, the others behind them as they were.

    Names with an address in them differ from process to process, and then none of the tests would run in two.
    """
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:
        raise pytest.UsageError(f"{changing[0]} has an address in its name: give it an id")
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))
