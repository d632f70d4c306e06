"""How fast a training goes, and what it waits for."""

import time
from collections.abc import Generator, Iterable
from typing import TypeVar

Batch = TypeVar("Batch")


class Pace:
    """Times the steps between two validations."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget what was timed; called when other work than steps is done."""
        self._started, self._waited_s, self._steps = time.monotonic(), 0.0, 0

    def timed(self, batches: Iterable[Batch]) -> Generator[Batch, None, None]:
        """Yield the batches, and note how long each took to come."""
        iterator = iter(batches)
        while True:
            asked = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._waited_s += time.monotonic() - asked
            self._steps += 1
            yield batch

    def numbers(self) -> dict[str, float]:
        """Return steps per second, and which share of the time was spent waiting for samples."""
        passed_s = max(time.monotonic() - self._started, 1e-9)
        return {"steps_per_second": self._steps / passed_s, "data_wait_share": self._waited_s / passed_s}
