"""A sealed test set: refused for training and tuning, and counted whenever it is evaluated."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import StorageError
from lesionlab.core.split import hash_case, read_split, refuse_sealed
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import Checkpoint, holds_pretraining, open_checkpoint

NOTE_FILE = "sealed.json"
"""Lies beside predictions of a network that was trained with a sealed test set."""

COUNT_FILE = "sealed_evaluations.jsonl"
"""One line per evaluation of sealed cases, in the folder of the training."""


def keep_sealed(
    case_ids: Iterable[str], *, out: Path, start_from: Sequence[str], split_file: Path | None
) -> tuple[str, ...]:
    """Refuse to train with sealed cases, and return what stays sealed for the weights.

    Args:
        case_ids: Of training and validation.
        out: Folder of the training; what an earlier one in it sealed stays so.
        start_from: As in `lesionlab.workflows.train.train`; what was sealed for weights of a checkpoint stays so.
        split_file: A split that may seal cases.

    Returns:
        SHA-256 of the ids of all sealed cases, for the plan.

    Raises:
        SplitError: One of the cases is sealed, or the split file cannot be read.
        CheckpointError: A checkpoint is damaged.
    """
    files = (Path(source.partition(":")[2]) for source in start_from)
    folders = (out / "last", *(file.parent for file in files if file.is_file()))
    trained = (folder for folder in folders if (folder / "plan.json").is_file() and not holds_pretraining(folder))
    earlier = {folder: open_checkpoint(folder).plan.sealed for folder in trained}
    if split_file is not None:
        earlier[split_file] = read_split(split_file).sealed
    ids = tuple(case_ids)
    for where, sealed in earlier.items():
        refuse_sealed(ids, sealed, where=where)
    return tuple(sorted({digest for sealed in earlier.values() for digest in sealed}))


def note_sealed(checkpoint: Checkpoint, out: Path) -> None:
    """Leave word beside predictions of what is sealed for the network that made them; nothing where nothing is.

    Raises:
        StorageError: The note could not be written.
    """
    if checkpoint.plan.sealed:
        note = {"checkpoint": str(checkpoint.folder.resolve()), "sealed": checkpoint.plan.sealed}
        write_text_atomically(out / NOTE_FILE, json.dumps(note, indent=1) + "\n")


def count_evaluation(predictions: Path, cases: Sequence[Case], *, out: Path) -> dict[str, str]:
    """Count an evaluation of sealed cases, and say how many there were so far.

    The count is kept beside the checkpoint where the predictions say which one that is, else beside the report.

    Args:
        predictions: Folder with the predictions.
        cases: What is evaluated.
        out: Folder of the report.

    Returns:
        A line for a report's provenance; nothing where no case is sealed.

    Raises:
        StorageError: The note beside the predictions or the count is damaged or cannot be written.
    """
    folder, sealed = _read_note(predictions, otherwise=out)
    opened = sum(hash_case(case.id) in sealed for case in cases)
    if not opened:
        return {}
    path = folder / COUNT_FILE
    earlier = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    line = {"number": len(earlier) + 1, "cases": opened, "when": datetime.now(UTC).isoformat(timespec="seconds")}
    write_text_atomically(path, "\n".join([*earlier, json.dumps(line)]) + "\n")
    return {"sealed test set": f"{opened} cases, evaluation number {len(earlier) + 1}"}


def _read_note(predictions: Path, *, otherwise: Path) -> tuple[Path, set[str]]:
    """Return the folder of the count and the hashes of the sealed cases."""
    path = predictions / NOTE_FILE
    if not path.exists():
        return otherwise, set()
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        checkpoint, sealed = Path(note["checkpoint"]), set(map(str, note["sealed"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "a note of what is sealed", found=f"{type(error).__name__}", where=path, next_step="predict again"
        ) from error
    training = checkpoint.parent if checkpoint.name in ("best", "last") else checkpoint
    return (training if training.is_dir() else otherwise), sealed
