"""A note beside predictions: which checkpoint made them."""

import json
import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lesionlab.core.content_key import content_key
from lesionlab.core.errors import StorageError
from lesionlab.core.storage import write_text_atomically
from lesionlab.engine.checkpoint import Checkpoint, open_checkpoint, training_of

logger = logging.getLogger(__name__)

NOTE_FILE = "made_by.json"


class MadeBy(BaseModel):
    """What made predictions.

    Attributes:
        checkpoint: Its folder then.
        weights: Differs when weights or post-processing do.
        sealed: SHA-256 of the ids of the cases that are sealed for it.
    """

    model_config = ConfigDict(frozen=True)

    checkpoint: Path
    weights: str
    sealed: tuple[str, ...]

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
        found = open_checkpoint(self.checkpoint)
        if maker_key(found) != self.weights:
            logger.info("%s has changed since it made these predictions; its card is left as it is", self.checkpoint)
            return None
        return found


def note_maker(checkpoint: Checkpoint, out: Path) -> None:
    """Leave word beside predictions of the checkpoint that makes them.

    Raises:
        StorageError: The note could not be written.
    """
    note = MadeBy(checkpoint=checkpoint.folder.resolve(), weights=maker_key(checkpoint), sealed=checkpoint.plan.sealed)
    write_text_atomically(out / NOTE_FILE, note.model_dump_json(indent=1) + "\n")


def read_maker(predictions: Path) -> MadeBy | None:
    """Return what made predictions; None where nothing says so, as for those of other tools.

    Raises:
        StorageError: The note is damaged.
    """
    path = predictions / NOTE_FILE
    if not path.exists():
        return None
    try:
        return MadeBy.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StorageError(
            "a note of the checkpoint that made these predictions",
            found=f"{error.error_count()} entries that are wrong or missing",
            where=path,
            next_step="predict again",
        ) from error


def maker_key(checkpoint: Checkpoint) -> str:
    """Return what stands for a checkpoint in the notes beside predictions: of its weights and post-processing."""
    weights = sorted(checkpoint.folder.glob("weights.safetensors"))
    return content_key(weights, settings=json.loads(checkpoint.postprocessing.model_dump_json()))
