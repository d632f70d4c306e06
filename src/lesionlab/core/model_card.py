"""What is known of a trained network besides its weights: what it learned from, and how well it does on what.

The page that people read is made of it by `lesionlab.pages.model_card_page`. What a card says follows Mitchell et al.
2019, "Model Cards for Model Reporting", doi:10.1145/3287560.3287596.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lesionlab.core.case import DataKind
from lesionlab.core.errors import CheckpointError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.storage import write_text_atomically

RECORD_FILE = "model_card.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Source(_Frozen):
    """The data that weights were fitted to.

    Attributes:
        citation: Of the dataset, as its own files state it; empty where they do not.
        licence: The same of its licence.
        patients: How many, all visits of one together; None for pictures of which nobody said whose they are.
        kind: What its images are.
        sites: Site -> cases; empty where the dataset does not tell sites apart.
    """

    citation: str
    licence: str
    patients: int | None
    kind: DataKind = "volume"
    sites: dict[str, int]


class Figure(_Frozen):
    """One number with its interval.

    Attributes:
        name: What was measured, with protocol and region.
        unit: As in `lesionlab.core.metric.Score`.
        value: Mean over cases, or of a classifier the measure over all; NaN where it is undefined.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end.
        n: Cases that it is made of.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    n: int


class Part(_Frozen):
    """The figure of some of the patients or lesions.

    Attributes:
        by: What divides them ("site").
        name: Which part ("Utrecht").
        counted: What `figure.n` counts: "patients" or "lesions".
        figure: Of this part.
    """

    by: str
    name: str
    counted: str
    figure: Figure


class Result(_Frozen):
    """One evaluation.

    Attributes:
        key: The same for two evaluations of the same cases.
        title: As its page has it.
        notice: A sentence that nobody may overlook, or empty.
        data: Layout of the cases.
        citation: Of the dataset, as its own files state it; empty where they do not.
        cases: How many.
        patients: How many; None as in `Source`.
        learned_from: Cases among them that weights were fitted to.
        chosen_by: Cases among them that chose the best weights and the post-processing.
        sealed: What the report says of a sealed test set, or empty.
        day: Of the evaluation, ISO 8601.
        figures: Every metric over all cases.
        parts: The leading metric by site, lesion load and lesion size.
    """

    key: str
    title: str
    notice: str
    data: str
    citation: str
    cases: int
    patients: int | None
    learned_from: int
    chosen_by: int
    sealed: str
    day: str
    figures: tuple[Figure, ...]
    parts: tuple[Part, ...]


class SubsetFigure(_Frozen):
    """How well a checkpoint does with some of its modalities.

    Attributes:
        modalities: Those that it was shown.
        region: Of the labels.
        cases: How many were scored; a case whose masks are both empty counts as 1.
        mean_dice: Over them.
        retention: That mean as a share of the one with all modalities; NaN where that is 0.
    """

    modalities: tuple[str, ...]
    region: str
    cases: int
    mean_dice: float
    retention: float


class ModelCard(_Frozen):
    """Everything that a card says and that the plan and the provenance of its checkpoint do not.

    Attributes:
        source: None for weights whose training nobody recorded here.
        training_hours: By the clock, of all calls together; NaN where it is not known.
        results: Evaluations, the oldest first; of the same cases the latest only.
        subsets: One entry per subset of the modalities and region.
    """

    source: Source | None = None
    training_hours: float = float("nan")
    results: tuple[Result, ...] = ()
    subsets: tuple[SubsetFigure, ...] = ()

    def with_result(self, result: Result) -> "ModelCard":
        """Return the card with one more evaluation, in the place of an earlier one of the same cases."""
        others = tuple(earlier for earlier in self.results if earlier.key != result.key)
        return self.model_copy(update={"results": (*others, result)})


_RECORD = JsonFile(
    schema=ModelCard,
    error=CheckpointError,
    wanted="the record of a model card",
    next_step="remove it and evaluate again",
)


def read_card(folder: Path) -> ModelCard:
    """Return the record in a checkpoint's folder; an empty one where there is none.

    Raises:
        CheckpointError: The record is damaged.
    """
    path = folder / RECORD_FILE
    if not path.exists():
        return ModelCard()
    return _RECORD.read(path)


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the record into a checkpoint's folder.

    Raises:
        StorageError: It could not be written whole.
    """
    write_text_atomically(folder / RECORD_FILE, card.model_dump_json(indent=1) + "\n")
