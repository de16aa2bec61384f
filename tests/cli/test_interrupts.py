"""Ctrl-C ends a command, even where a library catches the first one."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from hwq.cli.interrupts import heard

SWALLOWS = """
import os, signal, time
from hwq.cli import interrupts
interrupts.AGAIN_S = 0.05
{before}
try:
    with interrupts.heard():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)
        except:
            print("swallowed", flush=True)
        time.sleep(20)
    print("went on")
except KeyboardInterrupt:
    print("ended")
"""


def _run(before: str = "") -> str:
    # a shell that started the tests in the background made its children ignore interrupts
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + SWALLOWS.format(before=before)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_swallowed_interrupt_is_raised_again() -> None:
    assert _run().split() == ["swallowed", "ended"]


def test_an_interrupt_of_another_thread_wakes_the_main_one() -> None:
    """The kernel may give it to any thread; the main one waits for a lock, and would for good."""
    code = """
import signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from hwq.cli import interrupts
interrupts.AGAIN_S = 0.05

def take():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(60)

threading.Thread(target=take, daemon=True).start()
try:
    with interrupts.heard():
        threading.Event().wait()
except KeyboardInterrupt:
    print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["ended"]


def test_who_ignores_interrupts_is_left_alone() -> None:
    quick = "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep = lambda s: None"
    assert _run(quick).split() == ["went", "on"]


def test_the_handler_of_before_is_back_afterwards() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), heard():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
