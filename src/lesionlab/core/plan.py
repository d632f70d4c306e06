"""A recipe resolved against data: every default filled, frozen, saved with the weights."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lesionlab.core.errors import CheckpointError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.labels import Labels
from lesionlab.core.names import FileName
from lesionlab.core.recipe import Recipe

PLAN_VERSION: Literal[1] = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fingerprint(_Frozen):
    """What was measured on the training cases.

    Attributes:
        cases: How many.
        median_shape: Voxels of the preprocessed foreground.
        median_spacing_mm: Of the preprocessed grid.
        slices: Axial slices of all cases.
        lesion_slices: Those with at least one lesion voxel.
        median_lesion_volume_ml: Of all regions together, per case.
    """

    cases: int
    median_shape: tuple[float, float, float]
    median_spacing_mm: tuple[float, float, float]
    slices: int
    lesion_slices: int
    median_lesion_volume_ml: float


class Plan(_Frozen):
    """Everything that training, tuning and prediction must agree on.

    Attributes:
        version: Of this schema.
        recipe: With all options of network, loss and augmentation completed.
        regions: Region name -> stored label values.
        ignored: Stored label values that count nowhere.
        layout: Name of the layout that the training data had.
        training_cases: Ids of the cases that weights were fitted to.
        validation_cases: Ids of the cases that choose the best weights, the threshold and the smallest lesion.
        fingerprint: Measured on the training cases.
        steps_per_epoch: Batches in one pass through the playlist.
        total_steps: Where training ends.
        validate_every: Steps between two validations.
        started_from: "KIND:KEY" of the weights that it began with instead of random ones.
        lesion_above: As in `lesionlab.core.labels.Labels`.
        categories: What a classifier tells apart, in the order of its outputs; empty for segmentation.
        category_cases: How many training cases each of them has.
        sealed: SHA-256 of the ids of the cases that neither training nor tuning may use.
        training_images: For each training case, the keys of its images (see `lesionlab.core.learned_cases`); empty in
            plans that were made before there were any.
        validation_images: The same for each validation case.
        colours: As in `lesionlab.core.labels.Labels`.
    """

    version: Literal[1] = PLAN_VERSION
    recipe: Recipe
    regions: dict[FileName, tuple[int, ...]]
    ignored: tuple[int, ...]
    layout: str
    training_cases: tuple[str, ...]
    validation_cases: tuple[str, ...]
    fingerprint: Fingerprint
    steps_per_epoch: int
    total_steps: int
    validate_every: int
    started_from: tuple[str, ...] = ()
    lesion_above: float | None = None
    categories: tuple[FileName, ...] = ()
    category_cases: tuple[int, ...] = ()
    sealed: tuple[str, ...] = ()
    training_images: tuple[tuple[str, ...], ...] = ()
    validation_images: tuple[tuple[str, ...], ...] = ()
    colours: dict[FileName, tuple[int, int, int]] = {}

    @property
    def chosen_by(self) -> str:
        """What the best weights are chosen by, in a reader's words."""
        return self.recipe.classification.chosen_by.replace("_", " ") if self.categories else "Dice"

    @property
    def labels(self) -> Labels:
        """What stored mask values mean."""
        regions = {name: frozenset(values) for name, values in self.regions.items()}
        ignored = frozenset(self.ignored)
        return Labels(regions=regions, ignored=ignored, lesion_above=self.lesion_above, colours=self.colours)

    @property
    def targets(self) -> Labels:
        """What a network is trained to tell: the regions, or single stored values as exclusive classes."""
        return targets(self.recipe, self.labels)

    @property
    def outputs(self) -> int:
        """Channels of the network's logits: one per category of a classifier, else as `outputs`."""
        return len(self.categories) or outputs(self.recipe, self.labels)


def targets(recipe: Recipe, labels: Labels) -> Labels:
    """Return what a network is trained to tell; see `Plan.targets`."""
    return labels if recipe.classes == "regions" else labels.by_value()


def outputs(recipe: Recipe, labels: Labels) -> int:
    """Return the channels of logits: one per target, and one more for the background of exclusive classes."""
    return len(targets(recipe, labels).names) + (recipe.classes == "values")


_PLAN_FILE = JsonFile(
    schema=Plan,
    error=CheckpointError,
    wanted=f"a plan of version {PLAN_VERSION}",
    next_step="use the lesionlab version that trained this checkpoint, or train again",
)


def parse_plan(text: str | bytes, *, where: str) -> Plan:
    """Read a plan that was saved with weights.

    Raises:
        CheckpointError: The text is no plan of this version.
    """
    return _PLAN_FILE.parse(text, where=where)
