"""A sealed test set: refused for training and tuning, and counted whenever it is evaluated."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.split import hash_case, read_split, refuse_sealed
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import holds_pretraining, open_checkpoint
from lesionlab.workflows.made_by import read_maker

SEALED = "sealed test set"
"""Name of the line of a report's provenance that counts."""

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
    maker = read_maker(predictions)
    if maker is None:
        return {}
    opened = sum(hash_case(case.id) in maker.sealed for case in cases)
    if not opened:
        return {}
    path = (maker.training if maker.training.is_dir() else out) / COUNT_FILE
    earlier = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    line = {"number": len(earlier) + 1, "cases": opened, "when": datetime.now(UTC).isoformat(timespec="seconds")}
    write_text_atomically(path, "\n".join([*earlier, json.dumps(line)]) + "\n")
    return {SEALED: f"{opened} cases, evaluation number {len(earlier) + 1}"}
