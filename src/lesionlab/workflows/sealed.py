"""A sealed test set: refused for training and tuning, and counted whenever it is evaluated."""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from lesionlab.core.case import Case
from lesionlab.core.errors import CheckpointError, SplitError, StorageError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.learned_cases import recognise
from lesionlab.core.split import hash_case, read_split, refuse_sealed
from lesionlab.core.split_rule import name_cases
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import Checkpoint
from lesionlab.workflows.made_by import NOBODY, Makers, read_maker

logger = logging.getLogger(__name__)

SEALED = "sealed test set"
"""Name of the line of a report's provenance that counts."""

COUNT_FILE = "sealed_evaluations.jsonl"
"""One line per evaluation of sealed cases, in the folder of the training, else beside the split file or the report."""


def keep_sealed(
    case_ids: Iterable[str], *, out: Path, start_from: Sequence[str], split_file: Path | None, test: Sequence[Case] = ()
) -> tuple[str, ...]:
    """Refuse to learn from sealed cases, now or by weights that did so earlier; return what stays sealed.

    Weights that learned from cases which are test cases now, but not sealed, are warned of.

    Args:
        case_ids: Of training and validation.
        out: Folder of the training or pre-training; what an earlier one in it sealed stays so.
        start_from: As in `lesionlab.workflows.train.train`; what was sealed for weights of a checkpoint stays so.
        split_file: A split that may seal cases.
        test: The test cases of the dataset, sealed ones among them.

    Returns:
        SHA-256 of the ids of all sealed cases, for the plan.

    Raises:
        SplitError: One of the cases is sealed, the weights to start from learned from one, or the split file cannot be
            read.
        CheckpointError: A checkpoint is damaged.
    """
    files = (Path(source.partition(":")[2]) for source in start_from)
    folders = (out / "last", *(file.parent for file in files if file.is_file()))
    earlier = {folder: _PLAN.read(folder / "plan.json") for folder in folders if (folder / "plan.json").exists()}
    seals: dict[str | Path, Collection[str]] = {folder: history.sealed for folder, history in earlier.items()}
    if split_file is not None:
        seals[split_file] = read_split(split_file).sealed
    seals["the dataset"] = {hash_case(case.id) for case in test if case.is_sealed}
    ids = tuple(case_ids)
    for where, sealed in seals.items():
        refuse_sealed(ids, sealed, where=where)
    everything = tuple(sorted({digest for sealed in seals.values() for digest in sealed}))
    for folder, history in earlier.items():
        _check_history(history, folder, sealed=everything, test=test)
    return everything


def count_evaluation(
    predictions: Path, cases: Sequence[Case], *, out: Path, split_file: Path | None = None, makers: Makers = NOBODY
) -> dict[str, str]:
    """Count an evaluation of sealed cases, and say how many there were so far.

    A case is sealed when the checkpoint that made its prediction keeps it so, or the split file, or the dataset. The
    count is kept beside that checkpoint where a note says which one it is, else beside the split file, else beside the
    report.

    Args:
        predictions: Folder with the predictions, or a table of them.
        cases: What is evaluated.
        out: Folder of the report.
        split_file: That the cases were divided by.
        makers: Of the predictions, by case.

    Returns:
        A line for a report's provenance; nothing where no case is sealed.

    Raises:
        StorageError: The note beside the predictions or the count is damaged or cannot be written.
    """
    last = read_maker(predictions)
    opened: Counter[Path] = Counter()
    for case in cases:
        maker = makers.made.get(case.id, last)
        if case.is_sealed or (maker is not None and hash_case(case.id) in maker.sealed):
            opened[_place(maker.training if maker is not None else None, split_file, out)] += 1
    return _count(opened)


def count_subsets(
    checkpoint: Checkpoint, cases: Sequence[Case], *, out: Path, split_file: Path | None = None
) -> dict[str, str]:
    """Count an evaluation of sealed cases by a checkpoint itself, as `count_evaluation` does with its predictions.

    Raises:
        StorageError: The count is damaged or cannot be written.
    """
    opened = sum(case.is_sealed or hash_case(case.id) in checkpoint.plan.sealed for case in cases)
    return _count({_place(checkpoint.training, split_file, out): opened} if opened else {})


def _place(training: Path | None, split_file: Path | None, out: Path) -> Path:
    """Return the first folder for a count that can be written to; the report's own is made when it is needed."""
    preferred = (training, split_file and split_file.parent)
    return next((folder for folder in preferred if folder is not None and os.access(folder, os.W_OK)), out)


def _count(opened: Mapping[Path, int]) -> dict[str, str]:
    """Add a line to the count in each folder, and say the numbers."""
    said = []
    for folder, cases in opened.items():
        path = folder / COUNT_FILE
        earlier = _COUNT.read_lines(path) if path.exists() else ()
        when = datetime.now(UTC).isoformat(timespec="seconds")
        lines = (*earlier, _Evaluation(number=len(earlier) + 1, cases=cases, when=when))
        write_text_atomically(path, "".join(line.model_dump_json() + "\n" for line in lines))
        said.append(f"{cases} cases, evaluation number {len(lines)}")
    return {SEALED: "; ".join(said)} if said else {}


class _Evaluation(BaseModel):
    """A line of the count: the number of an evaluation, how many sealed cases it scored, and when."""

    number: int
    cases: int
    when: str


_COUNT = JsonFile(
    schema=_Evaluation,
    error=StorageError,
    wanted="a count of the evaluations of sealed cases",
    next_step="restore the file; a count that began anew would be wrong",
)


class _History(BaseModel):
    """What plans of any kind and version say they learned from, so that no checkpoint is left unasked.

    Attributes:
        training_cases: Ids.
        validation_cases: Ids.
        training_images: The keys of their images.
        validation_images: The keys of their images.
        sealed: SHA-256 of the ids of the cases that were sealed for it.
    """

    training_cases: tuple[str, ...]
    validation_cases: tuple[str, ...]
    training_images: tuple[tuple[str, ...], ...] = ()
    validation_images: tuple[tuple[str, ...], ...] = ()
    sealed: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Of its training and validation cases."""
        return (*self.training_cases, *self.validation_cases)

    @property
    def images(self) -> tuple[tuple[str, ...], ...]:
        """The keys of the images of its training and validation cases."""
        return (*self.training_images, *self.validation_images)


_PLAN = JsonFile(
    schema=_History,
    error=CheckpointError,
    wanted="a plan that names the cases it learned from",
    next_step="start from the weights of a whole checkpoint",
)


def _check_history(history: _History, folder: Path, *, sealed: Collection[str], test: Sequence[Case]) -> None:
    """Refuse weights that learned from sealed cases; warn of those that learned from test cases.

    Raises:
        SplitError: They learned from a sealed case.
    """
    recognised = set(recognise(test, history.images))
    seen = {case.id for case in test if case.id in history.ids or case.id in recognised}
    opened = [case_id for case_id in history.ids if hash_case(case_id) in sealed]
    opened += [case.id for case in test if case.is_sealed and case.id in recognised and case.id not in opened]
    if opened:
        raise SplitError(
            "weights that never learned from a sealed case",
            found=f"{len(opened)} of the sealed test set among the cases of these: {name_cases(opened)}",
            where=folder,
            next_step="start from other weights, or pre-train again with the split file that sealed them",
        )
    if seen:
        logger.warning(
            "the weights of %s learned from %d of the test cases: %s", folder, len(seen), name_cases(sorted(seen))
        )
