"""What an author decides about pre-training before seeing data, and what became of it."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lesionlab.core.errors import CheckpointError
from lesionlab.core.json_files import JsonFile
from lesionlab.core.numbers import Ascending, Fraction, FractionBelowOne, PositiveInt, Seed, Side
from lesionlab.core.recipe import Choice, Modalities, Preprocessing, Section, Title, read_content, recipe_error

_STRIDE = 32
"""Voxels of a patch per token of the deepest features."""


class Objective(Section):
    """Options of a registered pretext, and how much its loss counts."""

    weight: float = Field(default=1.0, gt=0)
    options: dict[str, Any] = Field(default={})


class CutOut(Section):
    """What is taken out of a view: boxes until up to `share` of it is gone, first for noise, then for other patients.

    Each edge of a box lies between the two `edges`, as shares of the patch. Boxes that overlap count twice.
    """

    share: Fraction = 0.3
    edges: Annotated[tuple[Fraction, Fraction], Ascending] = (0.05, 0.25)


class PretrainingSchedule(Section):
    """How long and how fast to learn; `validate_every` counts steps, `validation_share` patients held out for it."""

    steps: PositiveInt
    batch: Annotated[PositiveInt, Field(ge=2)] = 2
    learning_rate: float = Field(default=4e-4, gt=0)
    final_learning_rate: float = Field(default=0.0, ge=0)
    weight_decay: float = Field(default=0.1, ge=0)
    warm_up: FractionBelowOne = 0.05
    clip_norm: float = Field(default=1.0, gt=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: Seed = 0
    validate_every: PositiveInt = 100
    validation_share: float = Field(default=0.1, gt=0, lt=1)


class PretrainingRecipe(Section):
    """A whole pre-training decision, read from TOML; nothing is inherited and no key is ignored.

    `objectives` are named as registered. Cases whose category is among `healthy`, or which have no category but an
    empty mask, are healthy. `size` is that of patches: multiples of 32, the last two equal, so that quarter turns fit.
    """

    name: Title
    description: str = ""
    task: Literal["pretrain"]
    modalities: Modalities
    healthy: tuple[str, ...] = ("healthy", "control", "normal", "0")
    preprocessing: Preprocessing = Preprocessing(straighten=True)
    network: Choice
    objectives: dict[str, Objective] = Field(min_length=1)
    cut_out: CutOut = CutOut()
    size: tuple[Side, Side, Side] = (96, 96, 96)
    schedule: PretrainingSchedule

    @model_validator(mode="after")
    def _check_size(self) -> "PretrainingRecipe":
        if any(side % _STRIDE for side in self.size) or self.size[1] != self.size[2] or max(self.size) == _STRIDE:
            raise ValueError(f"size {self.size} must be multiples of {_STRIDE}, not all {_STRIDE}, the last two equal")
        return self


class PretrainingPlan(Section):
    """A recipe resolved against cases; saved with the weights, never edited.

    Attributes:
        version: Of this schema.
        recipe: With the objectives that the data allow, and all options filled in.
        layout: Name of the layout that the data had.
        training_cases: Ids of the cases that weights were fitted to.
        validation_cases: Ids of the cases that choose the best weights.
        sealed: SHA-256 of the ids of the cases that nothing may be learned from.
        training_images: For each training case, the keys of its images; empty in older plans.
        validation_images: The same for each validation case.
    """

    version: Literal[1] = 1
    recipe: PretrainingRecipe
    layout: str
    training_cases: tuple[str, ...]
    validation_cases: tuple[str, ...]
    sealed: tuple[str, ...] = ()
    training_images: tuple[tuple[str, ...], ...] = ()
    validation_images: tuple[tuple[str, ...], ...] = ()


def read_pretraining_recipe(name_or_file: str, *, changes: tuple[str, ...] = ()) -> PretrainingRecipe:
    """Read a recipe for pre-training that comes with lesionlab, or any TOML file.

    Args:
        name_or_file: "pretrain_t1", or a path that ends with .toml.
        changes: As in `lesionlab.core.recipe.read_recipe`.

    Raises:
        RecipeError: No such recipe, not TOML, a misspelt key (with the nearest right one), or an impossible value.
    """
    content, where = read_content(name_or_file, changes=changes)
    try:
        return PretrainingRecipe.model_validate(content)
    except ValidationError as error:
        raise recipe_error(error, model=PretrainingRecipe, where=where) from error


_PLAN_FILE = JsonFile(
    schema=PretrainingPlan,
    error=CheckpointError,
    wanted="the plan of a pre-training",
    next_step="give the folder that lesionlab pretrain wrote, with the version that wrote it",
)


def parse_pretraining_plan(text: str | bytes, *, where: str) -> PretrainingPlan:
    """Read a plan that was saved with pre-trained weights.

    Raises:
        CheckpointError: The text is no plan of a pre-training of this version.
    """
    return _PLAN_FILE.parse(text, where=where)
