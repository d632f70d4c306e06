"""What a training writes down about itself, for programs (JSON lines), for eyes (TensorBoard), and for MLflow."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from torch.utils.tensorboard import SummaryWriter

from lesionlab.core.errors import StorageError
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.snapshot import Picture
from lesionlab.engine.tracking import Tracking

_ENTRY = TypeAdapter(dict[str, float])


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the numbers of every moment of a training by name, "step" among them, as its metrics.jsonl has them.

    Raises:
        StorageError: A line is damaged, or the file cannot be read.
    """
    try:
        entries = [_entry(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    history = [entry for entry in entries if entry is not None]
    if len(history) < len(entries):
        raise _damaged(path, f"line {entries.index(None) + 1} that is none")
    return history


def _entry(line: str) -> dict[str, float] | None:
    """Return the numbers of a line; None where it is damaged."""
    try:
        numbers = _ENTRY.validate_json(line)
    except ValidationError:
        return None
    return numbers if "step" in numbers else None


def _damaged(path: Path, found: str) -> StorageError:
    return StorageError(
        "lines of numbers by name, with their step",
        found=found,
        where=path,
        next_step="take the damaged lines out, or train into another folder",
    )


class Recorder:
    """Appends numbers to metrics.jsonl, to TensorBoard and, if wanted, to MLflow; a context manager.

    What an earlier, killed run wrote beyond the step that training goes on from is dropped, and so is a damaged line.

    Args:
        folder: Of the training.
        step: Where training begins or goes on.
        tracking: Its run of MLflow, if it has one.
    """

    def __init__(self, folder: Path, *, step: int, tracking: Tracking | None = None) -> None:
        path = folder / "metrics.jsonl"
        entries = ((line, _entry(line)) for line in _lines(path))
        kept = [line for line, entry in entries if entry is not None and entry["step"] <= step]
        write_text_atomically(path, "".join(f"{line}\n" for line in kept))
        with _guarded(folder):
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
            self._file = path.open("a", encoding="utf-8")
        self._tracking = tracking

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write numbers of one moment by name.

        Raises:
            StorageError: They could not be written.
        """
        with _guarded(self._file.name):
            self._file.write(json.dumps({"step": step, **numbers}) + "\n")
            self._file.flush()
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()
        if self._tracking:
            self._tracking.write(step, numbers)

    def end(self, *, is_finished: bool) -> None:
        """Note that this call of the training ends."""
        if self._tracking:
            self._tracking.end(is_finished=is_finished)

    def show(self, step: int, name: str, picture: Picture) -> None:
        """Put a picture into TensorBoard.

        Raises:
            StorageError: It could not be written.
        """
        with _guarded(self._file.name):
            self._board.add_image(name, picture, step, dataformats="HWC")
            self._board.flush()


@contextmanager
def _guarded(where: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "to add a line to a training's metrics",
            found=error.strerror or str(error),
            where=error.filename or where,
            next_step="free disk space, or remove what lies there; the same command goes on from the last checkpoint",
        ) from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
