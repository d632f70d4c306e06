"""Spread independent pieces of work over processes."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

from lesionlab.core.errors import OptionError

Each: TypeAlias = Callable[..., Iterator[Any]]
"""Like `map`: of a function and sequences of its arguments, the results in their order."""


@contextmanager
def spread(workers: int) -> Iterator[Each]:
    """Yield a `map` that works in so many processes, all pieces at once; for 1 in this one, as results are asked for.

    When a piece fails, those not begun are dropped, and its error is raised.

    Args:
        workers: They start afresh, for a copy of a process that holds threads can hang.

    Raises:
        OptionError: `workers` is less than one.
    """
    if workers < 1:
        raise OptionError("at least one worker", found=str(workers), where="workers", next_step="leave it out")
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map
