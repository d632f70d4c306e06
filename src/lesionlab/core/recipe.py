"""What an author decides before seeing data."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationError,
    model_validator,
)

from lesionlab.core.errors import RecipeError
from lesionlab.core.names import FileName
from lesionlab.core.numbers import (
    Apart,
    Fraction,
    FractionBelowOne,
    NonNegativeInt,
    Percentile,
    PositiveInt,
    Seed,
    Side,
    check_distinct,
    spell_out_booleans,
)
from lesionlab.core.problems import first_problem
from lesionlab.core.registry import nearest_name
from lesionlab.core.text_files import read_toml

RECIPE_FOLDER = Path(__file__).parents[1] / "recipes"
"""Where the recipes that come with lesionlab lie; ``published/`` holds those that follow a paper to the letter."""


_ALTERNATIVES = {"steps": "epochs", "epochs": "steps"}
"""A length of training given in one unit replaces the one given in the other."""


Modalities: TypeAlias = Annotated[tuple[FileName, ...], Field(min_length=1), AfterValidator(check_distinct)]


Title: TypeAlias = Annotated[str, Field(pattern=r"\S")]
"""What something is called by people: not blank."""

MOST_NEIGHBOURS = 100
"""Slices on either side that come as further channels."""


def _check_axes(size: tuple[int, ...]) -> tuple[int, ...]:
    if len(size) not in (0, 2, 3):
        raise ValueError("two sizes for slices, three for patches, or none for the largest that fit into memory")
    return size


class Section(BaseModel):
    """A part of a recipe: frozen, and every unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _take_no_boolean_for_a_number(cls, values: object) -> object:
        return spell_out_booleans(cls, values)


class Choice(Section):
    """Something registered, by name, with options that its signature declares."""

    name: str
    options: dict[str, Any] = {}


class Preprocessing(Section):
    """How a case is brought to the canonical grid and scale.

    With `straighten`, the head is turned so that the plane between the hemispheres lies in the middle, which networks
    that see the mirror image need. `window` clips stored values before anything is measured: Hounsfield units of CT.
    `normalisation` names one way for all modalities, or lets each name decide: "unit_range" for ct, "picture" for
    red, green, blue and grey, "z_score" for all others, which are MRI. "unit_range" brings the ends of the window, or
    without one the percentiles of the foreground, to 0 and 1. With the foreground "brain_mask", only what the dataset's
    own mask of the brain shows is kept. The bias field of images with "z_score" is left as it is, or divided out: as N4
    finds it, or, with "mirror", as far as it makes one side of a straightened head brighter than the other.
    """

    foreground: Literal["above_background", "above_minimum", "everything", "brain_mask"] = "above_background"
    bias_field: Literal["as_stored", "n4", "mirror"] = "as_stored"
    normalisation: Literal["by_modality", "z_score", "unit_range", "picture"] = "by_modality"
    percentiles: Annotated[tuple[Percentile, Percentile], Apart] = (2.0, 98.0)
    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    resample_modalities: bool = False
    straighten: bool = False
    window: Annotated[tuple[float, float], Apart] | None = None

    @model_validator(mode="after")
    def _check_sides(self) -> "Preprocessing":
        if self.bias_field == "mirror" and not self.straighten:
            raise ValueError('bias_field "mirror" compares the sides of a straightened head: straighten = true')
        return self


class Sampling(Section):
    """What is drawn how often, and how large it is: slices for two sizes, patches for three.

    Without a `size`, or with an empty one, the plan takes the largest that fits into memory and is no larger than the
    median training case.

    The odds of slices are the published difficulty-aware rule: a slice with lesion counts `factor` times; when its
    lesion area lies below the given percentile of all lesion areas, `bonus` times more. With `refresh_every`, those
    odds follow the network's loss on each slice, and are drawn up anew after so many epochs; 0 leaves them. With
    `empty_share`, that share of an epoch's slices is without lesion, whatever the data have. A slice comes together
    with its `neighbours` on either side as further channels.

    Of patches, each case gives `patches_per_case` in an epoch, and `lesion_share` of them hold lesion: a voxel of it
    ("voxel", so that large lesions come more often) or a voxel of one of its lesions ("instance", all equally often).
    """

    size: Annotated[tuple[Side, ...], AfterValidator(_check_axes)] = ()
    lesion_share: Fraction = 0.5
    patches_per_case: PositiveInt = 8
    factor: PositiveInt = 5
    percentile: Percentile = 30.0
    bonus: NonNegativeInt = 4
    refresh_every: NonNegativeInt = 0
    empty_share: float | None = Field(default=None, ge=0, lt=1)
    neighbours: Annotated[NonNegativeInt, Field(le=MOST_NEIGHBOURS)] = 0
    lesion_choice: Literal["voxel", "instance"] = "voxel"


class Training(Section):
    """How long and how fast to learn; `epochs` are passes through the playlist of samples.

    A batch goes through the network in `accumulate` parts whose gradients are added up. With `averaging` above 0, the
    weights that are validated and kept as best are a running average: that share of the earlier average at each step.
    `modality_dropout` is the share of modalities that a training sample lacks; at least one always remains. The last
    three trade memory and time: `channels_last` lays images out channel by channel within each voxel, `compile` lets
    PyTorch compile the network where it can, `recompute` forgets what is inside blocks and computes it again.
    """

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    batch: PositiveInt = 8
    learning_rate: float = Field(default=1e-4, gt=0)
    final_learning_rate: float = Field(default=1e-7, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warm_up: FractionBelowOne = 0.1
    schedule: Literal["every_step", "every_epoch"] = "every_step"
    clip_norm: float = Field(default=1.0, gt=0)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    seed: Seed = 0
    accumulate: PositiveInt = 1
    averaging: FractionBelowOne = 0.0
    modality_dropout: FractionBelowOne = 0.0
    channels_last: bool = False
    compile: bool = False
    recompute: bool = False


class Validation(Section):
    """How often to look at validation cases, at which fixed threshold, and when to give up.

    `share` of the training patients is held out where the layout gives no validation split; `every` and `patience`
    count epochs and validations.
    """

    share: float = Field(default=0.2, gt=0, lt=1)
    every: PositiveInt = 1
    patience: PositiveInt = 20
    threshold: float = Field(default=0.5, gt=0, lt=1)


class Inference(Section):
    """How windows slide over a scan."""

    overlap: FractionBelowOne = 0.5
    flips: bool = False
    batch: PositiveInt = 4


class Classification(Section):
    """What a classifier tells apart, for recipes with the task "classify".

    `categories` names them in the order of the network's outputs; none takes those of the data, the ones without
    finding first. Of two, the last is the one to be found. With `balance`, the weights of a loss that is given none are
    such that all categories count alike, however many cases each has. `chosen_by` says which number of the validation
    cases chooses the best weights: the area under the curve, the mean share found of each category, or the geometric
    mean of the probability that each case's own category was given.
    """

    categories: Annotated[tuple[FileName, ...], AfterValidator(check_distinct)] = ()
    balance: bool = True
    chosen_by: Literal["auc", "balanced_accuracy", "probability"] = "auc"


class Recipe(Section):
    """A whole training decision, read from TOML; nothing is inherited and no key is ignored.

    `classes` says what a network's outputs are: "regions" judges each region of the data against the rest, so that
    regions may overlap; "values" makes every stored label value and the background one of several exclusive classes.
    """

    name: Title
    description: str = ""
    task: Literal["segment", "classify"] = "segment"
    classes: Literal["regions", "values"] = "regions"
    modalities: Modalities
    preprocessing: Preprocessing = Preprocessing()
    network: Choice
    loss: Choice
    sampling: Sampling = Sampling()
    augmentation: Choice
    training: Training
    validation: Validation = Validation()
    classification: Classification = Classification()
    inference: Inference = Inference()

    @property
    def channels(self) -> int:
        """Channels of the network's input: the modalities of a slice or patch, and of its neighbours."""
        return len(self.modalities) * (1 + 2 * self.sampling.neighbours)


def read_recipe(name_or_file: str, *, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe that comes with lesionlab, or any TOML file.

    Args:
        name_or_file: "synapse_net_wmh", "published/synapse_net_wmh", or a path that ends with .toml.
        changes: "key.subkey=value" overrides; the value is read as TOML, or as a plain word.

    Raises:
        RecipeError: No such recipe, not TOML, a misspelt key (with the nearest right one), or an impossible value.
    """
    content, where = read_content(name_or_file, changes=changes)
    return parse_recipe(content, where=where)


def read_content(name_or_file: str, *, changes: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return what a recipe's file says, changed as asked, and the file's name; as in `read_recipe`.

    Raises:
        RecipeError: No such recipe, not TOML, or a change that is none.
    """
    path = Path(name_or_file) if name_or_file.endswith(".toml") else RECIPE_FOLDER / f"{name_or_file}.toml"
    content = _read_toml(path, name_or_file)
    for change in changes:
        _apply_change(content, change)
    return content, path.name


def recipe_names(*, for_pretraining: bool = False) -> tuple[str, ...]:
    """Return the names of the recipes that come with lesionlab: for training, or those for pre-training."""
    files = sorted(RECIPE_FOLDER.rglob("*.toml"))
    names = (file.relative_to(RECIPE_FOLDER).with_suffix("").as_posix() for file in files)
    return tuple(name for name in names if name.startswith("pretrain_") == for_pretraining)


def parse_recipe(content: Mapping[str, Any], *, where: str) -> Recipe:
    """Check a recipe's content.

    Raises:
        RecipeError: A key is unknown or missing, a value impossible, or not exactly one of steps and epochs given.
    """
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise recipe_error(error, model=Recipe, where=where) from error
    if (recipe.training.epochs is None) == (recipe.training.steps is None):
        raise RecipeError(
            "exactly one of training.epochs and training.steps",
            found=f"epochs = {recipe.training.epochs}, steps = {recipe.training.steps}",
            where=where,
            next_step="drop one of the two",
        )
    return recipe


def _read_toml(path: Path, name: str) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError as error:
        known = [*recipe_names(), *recipe_names(for_pretraining=True)]
        advice = nearest_name(name, known) + " Or give a path that ends with .toml"
        raise RecipeError("a recipe", found="none of this name", where=name, next_step=advice) from error
    except (ValueError, OSError) as error:
        raise RecipeError("a TOML file", found=str(error), where=path, next_step="correct that line") from error


def _apply_change(content: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise RecipeError("key.subkey=value", found=repr(change), where="--change", next_step="add the value after =")
    *sections, last = key.strip().split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise RecipeError("a section", found=f"{section!r}, a value", where=change, next_step="shorten the key")
    content[last] = _read_value(text.strip())
    content.pop(_ALTERNATIVES.get(last, ""), None)


def _read_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def is_whole_number(key: str) -> bool | None:
    """Return whether a key of recipes takes whole numbers only; None for a key that recipes do not have themselves."""
    annotation = dict(_keys(Recipe, ())).get(tuple(key.split(".")))
    if annotation is None:
        return None
    return takes_whole_numbers(annotation)


def takes_whole_numbers(annotation: Any) -> bool:
    """Return whether a type is that of whole numbers, or of them or nothing."""
    kinds = set(_plain_types(annotation))
    return int in kinds and float not in kinds


def _plain_types(annotation: Any) -> Iterator[Any]:
    """Yield what unions and annotated types are made of."""
    yield annotation
    for argument in get_args(annotation):
        yield from _plain_types(argument)


def recipe_error(error: ValidationError, *, model: type[BaseModel], where: str) -> RecipeError:
    """Return the user's error for content that does not fit the schema `model`, with the nearest right key."""
    problem = first_problem(error)
    key = ".".join(problem.key)
    if problem.is_unknown:
        advice = _right_key(problem.key, model=model)
        return RecipeError("a key that recipes have", found=repr(key), where=where, next_step=advice)
    advice = f"give {key} in the file, or --change {key}=VALUE" if key else "correct it in the file, or by --change"
    wanted = f"{key}: {problem.wanted}" if key else problem.wanted
    return RecipeError(wanted, found=problem.found, where=where, next_step=advice)


def _right_key(key: tuple[str, ...], *, model: type[BaseModel]) -> str:
    """Return the advice for an unknown key: the nearest of its section, else that name in another section."""
    known = dict(_keys(model, ()))
    siblings = [path[-1] for path in known if path[:-1] == key[:-1]]
    elsewhere = [".".join(path) for path in known if path[-1] == key[-1]]
    if difflib.get_close_matches(key[-1], siblings, n=1) or not elsewhere:
        if known.get(key[:-1]) is Choice and not difflib.get_close_matches(key[-1], siblings, n=1):
            return f"options stand one level deeper: {'.'.join((*key[:-1], 'options', key[-1]))}"
        return nearest_name(key[-1], siblings)
    return f"did you mean {' or '.join(elsewhere)}?"


def _keys(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every key of a schema below its sections, and its type."""
    for name, field in model.model_fields.items():
        yield (*above, name), field.annotation
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, (*above, name))
