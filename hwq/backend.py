"""The one place that loads Keras: on TensorFlow unless KERAS_BACKEND says otherwise; quietly, on the CPU's own threads, deterministic.

`tf` is None on another backend: layers and conversion do without it, the compiled training of `hwq train` does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its fused kernels round differently from run to run
if "tensorflow" not in sys.modules:  # whoever loaded it himself may want his GPU
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what TensorFlow's libraries write to standard error while they load, before any log level is heeded."""
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


with _quiet():
    import keras
    from keras import ops

    # to the type checker it is always there: who uses it asks first, or needs TensorFlow anyway
    if TYPE_CHECKING or keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.list_physical_devices()  # the first look for devices is what complains
        tf.get_logger().setLevel("ERROR")
    else:
        tf = None

__all__ = ["deterministic", "fresh", "keras", "ops", "tf"]


def deterministic(seed: int) -> None:
    """Seed every generator and make the kernels of TensorFlow deterministic: one seed, one result."""
    keras.utils.set_random_seed(seed)
    if tf is not None:
        tf.config.experimental.enable_op_determinism()


def fresh(seed: int) -> None:
    """As `deterministic`, and Keras forgets the models before: one run after another in a process is as each in its own."""
    keras.backend.clear_session()
    deterministic(seed)
