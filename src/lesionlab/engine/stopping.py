"""Leaving a training early and in order: on a signal, or when its time is over."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopWantedError(Exception):
    """Somebody wants the training to end here; raised inside a step or a validation, which is then as if not begun."""


class Stop:
    """Whether a training shall end before its last step.

    Args:
        max_time_s: How long it may last from now on.
    """

    def __init__(self, *, max_time_s: float = math.inf) -> None:
        self._deadline = time.monotonic() + max_time_s
        self._signal, self._is_asked = 0, False
        self._owner = os.getpid()

    @property
    def is_wanted(self) -> bool:
        """Whether a signal came, the time is over, or somebody asked."""
        return self._is_asked or bool(self._signal) or time.monotonic() > self._deadline

    def ask(self) -> None:
        """Want the training to end."""
        self._is_asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM instead of dying of them; a second one acts as it always does.

        On the way out, the signal that came is let through: SIGINT as KeyboardInterrupt, SIGTERM as SystemExit with
        code 143. Threads other than the main one cannot listen.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        earlier = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
        self._let_through()

    @contextmanager
    def polled_by(self, modules: Sequence[torch.nn.Module]) -> Iterator[None]:
        """Raise `StopWantedError` whenever one of `modules` is called and the stop is wanted."""
        handles = [module.register_forward_pre_hook(self._poll) for module in modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _poll(self, _module: torch.nn.Module, _inputs: Any) -> None:
        if self.is_wanted:
            raise StopWantedError

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a process that prepares samples; it ends when its training does
            return
        self._signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def _let_through(self) -> None:
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal:
            raise SystemExit(128 + self._signal)


def ignore_signals(_worker: int) -> None:
    """Let a process that prepares samples leave signals to its training; for `DataLoader`."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
