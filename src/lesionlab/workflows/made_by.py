"""Prediction provenance: notes beside predictions, of the checkpoint that made each of them."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lesionlab.core.case import Case
from lesionlab.core.content_key import content_key, file_digest
from lesionlab.core.errors import StorageError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.learned_cases import LearnedCases
from lesionlab.core.postprocessing import GIVEN, Postprocessing
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import Checkpoint, open_checkpoint, training_of
from lesionlab.engine.finished_work import read_finished
from lesionlab.workflows.category_files import TABLE_FILE, read_category_file, table_of

logger = logging.getLogger(__name__)

NOTE_FILE = "made_by.json"
LEARNED = "cases that the network learned from"
"""Name of the line of a report's provenance that says so."""

RECORD_FILE = "predictions.json"
"""Which masks are finished, and which checkpoint made each of them."""


class MadeBy(BaseModel):
    """What made predictions.

    Attributes:
        checkpoint: Its folder then.
        weights: Differs when weights or post-processing do.
        sealed: SHA-256 of the ids of the cases that are sealed for it.
        postprocessing: Threshold and smallest lesion of the masks, the checkpoint's or given with the command.
        learned: Its training and validation cases.
    """

    model_config = ConfigDict(frozen=True)

    checkpoint: Path
    weights: str
    sealed: tuple[str, ...]
    postprocessing: Postprocessing = Postprocessing()
    learned: LearnedCases = LearnedCases()

    @property
    def training(self) -> Path:
        """Folder of the training that the checkpoint is of."""
        return training_of(self.checkpoint)

    def find(self) -> Checkpoint | None:
        """Return the checkpoint; None where it is gone, or is another by now.

        Raises:
            CheckpointError: It is damaged.
        """
        if not self.checkpoint.is_dir():
            logger.info(
                "the checkpoint of these predictions is gone from %s; no model card is written", self.checkpoint
            )
            return None
        if self.postprocessing.chosen_by == GIVEN:
            logger.info(
                "threshold %g and smallest lesion %g were given for these masks; the card of %s is left as it is",
                self.postprocessing.threshold,
                self.postprocessing.smallest_lesion_mm3,
                self.checkpoint,
            )
            return None
        found = open_checkpoint(self.checkpoint)
        if maker_key(found) != self.weights:
            logger.info("%s has changed since it made these predictions; its card is left as it is", self.checkpoint)
            return None
        return found


class _Note(MadeBy):
    """The content of made_by.json: the last maker, and earlier ones of which predictions are still there."""

    earlier: tuple[MadeBy, ...] = ()

    @property
    def makers(self) -> dict[str, MadeBy]:
        """All of them by key."""
        return {maker.weights: _plain(maker) for maker in (*self.earlier, self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Makers:
    """Which checkpoints made the predictions of some cases.

    Attributes:
        cases: Ids of all cases.
        made: Case id -> the checkpoint that made its prediction; only those that a note beside it speaks of.
        changed: Ids of those whose prediction is not as that checkpoint wrote it.
    """

    cases: tuple[str, ...]
    made: dict[str, MadeBy]
    changed: frozenset[str]

    @property
    def sole(self) -> MadeBy | None:
        """The one checkpoint that made every prediction, each being as it was written; None where there is none."""
        makers = {maker.weights: maker for maker in self.made.values()}
        is_whole = len(makers) == 1 and len(self.made) == len(self.cases) and not self.changed
        return next(iter(makers.values())) if is_whole else None

    def describe(self) -> str:
        """Return in words who made the predictions; an empty string where no note speaks of any of them."""
        counts = Counter((maker.training.name, maker.weights) for maker in self.made.values())
        words = [f"{name} (key {key}): {count} cases" for (name, key), count in sorted(counts.items())]
        unknown = len(self.cases) - len(self.made)
        if words and unknown:
            words.append(f"unknown: {unknown} cases")
        if self.changed:
            words.append(f"changed since they were written: {len(self.changed)} cases")
        return "; ".join(words)

    def describe_overlap(self, cases: Sequence[Case]) -> str:
        """Return in one line which cases their own makers learned from; an empty string where none did."""
        said = []
        for key, maker in {maker.weights: maker for maker in self.made.values()}.items():
            own = [case for case in cases if case.id in self.made and self.made[case.id].weights == key]
            said.append(maker.learned.overlap(own).describe(total=len(own)))
        return "; ".join(words for words in said if words)


NOBODY = Makers(cases=(), made={}, changed=frozenset())


def note_maker(checkpoint: Checkpoint, out: Path) -> None:
    """Leave word beside predictions of the checkpoint that makes them, and of those that made others still there.

    Raises:
        StorageError: The note could not be written.
    """
    key = maker_key(checkpoint)
    categories = read_category_file(out)
    used = {entry.made_by for entry in read_finished(out / RECORD_FILE).values()}
    used |= {said.made_by for said in (categories.cases.values() if categories else ())}
    try:
        earlier = _read_note(out)
    except StorageError as error:
        logger.warning("%s; it is written anew", error)
        earlier = None
    makers = earlier.makers.values() if earlier else ()
    note = _Note(
        checkpoint=checkpoint.folder.resolve(),
        weights=key,
        sealed=checkpoint.plan.sealed,
        learned=LearnedCases.of(checkpoint.plan),
        earlier=tuple(_plain(maker) for maker in makers if maker.weights in used - {key}),
        postprocessing=checkpoint.postprocessing,
    )
    write_text_atomically(out / NOTE_FILE, note.model_dump_json(indent=1) + "\n")


def read_maker(predictions: Path) -> MadeBy | None:
    """Return what made predictions last; None where nothing says so, as for those of other tools.

    Raises:
        StorageError: The note is damaged.
    """
    note = _read_note(predictions)
    return None if note is None else _plain(note)


def makers_of_masks(masks: Mapping[str, Path]) -> Makers:
    """Return which checkpoints made masks, by case id, wherever they lie.

    Raises:
        StorageError: A note beside them is damaged.
    """
    made: dict[str, MadeBy] = {}
    changed = set()
    for folder in {mask.parent for mask in masks.values()}:
        makers = _makers_in(folder)
        entries = {name: entry for entry in read_finished(folder / RECORD_FILE).values() for name in entry.files}
        for case_id, mask in masks.items():
            entry = entries.get(mask.name) if mask.parent == folder else None
            if entry is not None and entry.made_by in makers:
                made[case_id] = makers[entry.made_by]
                if entry.digests.get(mask.name) != file_digest(mask):
                    changed.add(case_id)
    return Makers(cases=tuple(masks), made=made, changed=frozenset(changed))


def learned_line(makers: Makers, cases: Sequence[Case]) -> dict[str, str]:
    """Return a line for a report's provenance, and warn, where makers learned from what they predicted."""
    overlap = makers.describe_overlap(cases)
    if overlap:
        logger.warning("%s; scores of new patients will be lower", overlap)
    return {LEARNED: overlap} if overlap else {}


def join_notices(notice: str, provenance: Mapping[str, str]) -> str:
    """Return a page's notice with the line of `learned_line` behind it, where there is one."""
    learned = f"{provenance[LEARNED]}; scores of new patients will be lower." if LEARNED in provenance else ""
    return " ".join(words for words in (notice, learned) if words)


def makers_of_categories(table: Path, case_ids: Sequence[str]) -> Makers:
    """Return which checkpoints made the probabilities of a table.

    Raises:
        StorageError: A note beside it is damaged.
    """
    content = read_category_file(table.parent) if table.name == TABLE_FILE else None
    if content is None:
        return Makers(cases=tuple(case_ids), made={}, changed=frozenset())
    makers = _makers_in(table.parent)
    keys = {case_id: content.cases[case_id].made_by for case_id in case_ids if case_id in content.cases}
    made = {case_id: makers[key] for case_id, key in keys.items() if key in makers}
    is_changed = table.read_bytes().splitlines() != table_of(content).encode().splitlines()
    return Makers(cases=tuple(case_ids), made=made, changed=frozenset(made if is_changed else ()))


def _makers_in(folder: Path) -> dict[str, MadeBy]:
    note = _read_note(folder)
    return note.makers if note else {}


_NOTE = JsonFile(
    schema=_Note,
    error=StorageError,
    wanted="a note of the checkpoint that made these predictions",
    next_step="predict again",
)


def _read_note(folder: Path) -> _Note | None:
    path = folder / NOTE_FILE
    return _NOTE.read(path) if path.exists() else None


def _plain(maker: MadeBy) -> MadeBy:
    return MadeBy.model_validate(maker.model_dump(include=set(MadeBy.model_fields)))


def maker_key(checkpoint: Checkpoint) -> str:
    """Return what stands for a checkpoint in the notes beside predictions: of its weights and post-processing."""
    weights = sorted(checkpoint.folder.glob("weights.safetensors"))
    return content_key(weights, settings=json.loads(checkpoint.postprocessing.model_dump_json()))
