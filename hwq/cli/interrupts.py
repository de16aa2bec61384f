"""Ctrl-C is heard: an interrupt that a library swallowed is raised again until the command ends. What is said then is the caller's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_S = 2.0  # longer than the command needs to end by itself


@contextmanager
def heard() -> Iterator[None]:
    """Interrupts of this block end it, even where some code catches the first.

    TensorFlow has bare `except:` around optional imports, and Python drops what is raised in a `__del__`: one Ctrl-C in sixteen during
    `import tensorflow` was lost, and the training went on.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield  # whoever started hwq decided otherwise: `nohup`, a shell's background job, a notebook
        return
    ended = threading.Event()
    watching = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not watching.is_set():
            watching.set()
            threading.Thread(target=_repeat, args=(ended,), daemon=True).start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _repeat(ended: threading.Event) -> None:
    main = threading.main_thread().ident or 0
    while not ended.wait(AGAIN_S):
        signal.pthread_kill(main, signal.SIGINT)  # as a signal, so that it ends a wait in the kernel too
