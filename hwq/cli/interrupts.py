"""Ctrl-C is heard: an interrupt that was lost on its way is raised again until the command ends. What is said then is the caller's."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_S = 2.0  # longer than the command needs to end by itself


@contextmanager
def heard() -> Iterator[None]:
    """Interrupts of this block end it, even where the first is lost.

    TensorFlow has bare `except:` around optional imports, and Python drops what is raised in a `__del__`: one Ctrl-C in sixteen during
    `import tensorflow` was lost, and the training went on. A main thread that waits for others is not woken by a signal that the
    kernel gave to one of those, or that came just before it began to wait. The descriptor is written in every case.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield  # whoever started hwq decided otherwise: `nohup`, a shell's background job, a notebook
        return
    ended = threading.Event()
    told, tell = os.pipe()
    os.set_blocking(tell, False)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_repeat, args=(told, ended), daemon=True)
    watcher.start()
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(before)
        os.close(tell)  # the watcher reads its end, and leaves


def _repeat(told: int, ended: threading.Event) -> None:
    """Wait for the byte of an interrupt, then interrupt the main thread again and again."""
    main = threading.main_thread().ident or 0
    with os.fdopen(told, "rb", buffering=0) as stream:
        while byte := stream.read(1):
            while byte[0] == signal.SIGINT and not ended.wait(AGAIN_S):
                signal.pthread_kill(main, signal.SIGINT)  # as a signal, so that it ends a wait in the kernel too
