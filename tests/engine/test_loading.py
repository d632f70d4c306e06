"""Samples come in order; a failure ends the workers, and too little shared memory is said plainly."""

import multiprocessing

import pytest
from torch.utils.data import Dataset

from lesionlab.core.errors import StorageError
from lesionlab.engine.loading import load_samples
from lesionlab.engine.precision import make_fabric

NO_ROOM = "unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)"
KILLED = "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that shared memory is full."


class Failing(Dataset[int]):
    """Numbers, until one fails."""

    def __init__(self, words: str = "", *, at: int = -1) -> None:
        self._words, self._at = words, at

    def __getitem__(self, position: int) -> int:
        if position == self._at:
            raise RuntimeError(self._words)
        return position


def load(dataset: Failing, *, workers: int) -> list[list[int]]:
    fabric = make_fabric("float32")
    return [batch.tolist() for batch in load_samples(fabric, dataset, positions=range(1, 7), batch=2, workers=workers)]


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_in_order(workers: int):
    assert load(Failing(), workers=workers) == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("words", [NO_ROOM, KILLED])
def test_too_little_shared_memory_is_one_plain_line(words: str, workers: int):
    with pytest.raises(StorageError, match=r"--workers 0") as refused:
        load(Failing(words, at=4), workers=workers)
    assert refused.value.found == words
    assert multiprocessing.active_children() == []


def test_another_failure_is_raised_as_it_is_and_ends_the_workers():
    with pytest.raises(RuntimeError, match="something else"):
        load(Failing("something else", at=4), workers=1)
    assert multiprocessing.active_children() == []
