"""Spread independent pieces of work over processes."""

import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias

from lesionlab.core.errors import OptionError

Each: TypeAlias = Callable[..., Iterator[Any]]
"""Like `map`: of a function and sequences of its arguments, the results in their order."""


@contextmanager
def spread(workers: int) -> Iterator[Each]:
    """Yield a `map` that works in so many processes, all pieces at once; for 1 in this one, as results are asked for.

    When a piece fails, those not begun are dropped, and its error is raised.

    Args:
        workers: They start afresh, for a copy of a process that holds threads can hang, and run nothing of the
            script that asks for them.

    Raises:
        OptionError: `workers` is less than one.
    """
    if workers < 1:
        raise OptionError("at least one worker", found=str(workers), where="workers", next_step="leave it out")
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:

        def each(function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
            needs_script = b"__main__" in pickle.dumps(function)  # a protocol that the user's own script defines
            with nullcontext() if needs_script else _hidden_script():
                return pool.map(function, *arguments)  # which starts the processes

        yield each


@contextmanager
def _hidden_script() -> Iterator[None]:
    """Let processes that start within this context not run the user's script, which may have no main guard.

    A process that is spawned imports the main module by the two names that are hidden here; see
    https://docs.python.org/3/library/multiprocessing.html#the-spawn-and-forkserver-start-methods.
    """
    script = sys.modules["__main__"]
    names = {name: value for name in ("__file__", "__spec__") if (value := getattr(script, name, None)) is not None}
    for name in names:
        setattr(script, name, None)
    try:
        yield
    finally:
        for name, value in names.items():
            setattr(script, name, value)
