"""Load samples: batches of a dataset, prepared by worker processes."""

import traceback
from collections.abc import Generator
from typing import Any

from lightning_fabric import Fabric
from torch.utils.data import DataLoader, Dataset

from lesionlab.core.errors import StorageError
from lesionlab.engine.stopping import ignore_signals

_NO_ROOM = ("shared memory", "Bus error")
"""In what PyTorch says when workers cannot hand over a sample: it was refused the memory, or killed for using it."""


def load_samples(
    fabric: Fabric, dataset: "Dataset[Any]", *, positions: range, batch: int, workers: int
) -> Generator[Any, None, None]:
    """Yield the samples of `positions` in batches, on the device of `fabric`.

    Args:
        fabric: The device, launched.
        dataset: What samples are drawn from.
        positions: Of this process's samples.
        batch: Samples in each.
        workers: Processes that prepare them; 0 prepares them between steps.

    Raises:
        StorageError: Shared memory is too small for what the workers prepare.
    """
    loader = DataLoader(
        dataset, batch_size=batch, sampler=positions, num_workers=workers, worker_init_fn=ignore_signals
    )
    try:
        yield from fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    except RuntimeError as error:
        traceback.clear_frames(error.__traceback__)  # they hold the workers, which the exit would wait for without end
        if not any(words in str(error) for words in _NO_ROOM):
            raise
        raise StorageError(
            "room in shared memory for the samples that workers prepare",
            found=str(error).strip().splitlines()[-1].removeprefix("RuntimeError: "),
            where="/dev/shm",
            next_step="make it larger (a container: --shm-size=8g), or prepare samples without them: --workers 0",
        ) from None
