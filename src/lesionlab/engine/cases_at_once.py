"""Work on several cases at once, as many as cores and memory allow, and never more."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from lesionlab.core.progress import Tracker
from lesionlab.engine.memory import USABLE, free_bytes

Item = TypeVar("Item")
Result = TypeVar("Result")


def how_many_at_once(bytes_each: int) -> int:
    """Return how many pieces of work that take so much memory may be under way: at least one, at most one per core."""
    fitting = int(USABLE * free_bytes(torch.device("cpu"))) // max(1, bytes_each)
    return max(1, min(_cores(), fitting))


def work_through(
    items: Sequence[Item], work: Callable[[Item], Result], *, at_once: int, tracker: Tracker
) -> tuple[Result, ...]:
    """Return what `work` gives for each item, in their order.

    Threads, not processes: unpacking files, hashing and the arithmetic of arrays let go of Python's lock, and nothing
    is loaded or copied twice. No more items than `at_once` are under way, so their memory is bounded however many
    there are. When one fails, those not begun are dropped, and its error is raised.
    """
    results = []
    with ThreadPoolExecutor(at_once) as pool:
        for result in pool.map(work, items):
            results.append(result)
            tracker.advance()
    return tuple(results)


def _cores() -> int:
    """Return the cores that this process may use; a cluster's job often has fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
