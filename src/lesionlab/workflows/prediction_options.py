"""Settings of a checkpoint that are given anew for one prediction."""

from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lesionlab.core.errors import OptionError
from lesionlab.core.ignored_option import ignored_option
from lesionlab.core.postprocessing import GIVEN
from lesionlab.core.recipe import Inference
from lesionlab.engine.checkpoint import Checkpoint

Settings = TypeVar("Settings", bound=BaseModel)

_SEGMENTS = "only of a network that segments"
_OPTIONS = {"smallest_lesion_mm3": "--smallest-lesion"}
"""Options whose name is not that of the setting."""


def change_inference(checkpoint: Checkpoint, *, overlap: float | None, flips: bool | None) -> Inference:
    """Return how windows slide: as the plan says, but for what is given.

    Raises:
        OptionError: A value is out of its range, or means nothing to a classifier.
    """
    if overlap is not None:
        _refuse_of_classifier(checkpoint, "--overlap", overlap, because="only of a network that slides windows")
    return _changed(checkpoint.plan.recipe.inference, {"overlap": overlap, "flips": flips})


def change_postprocessing(
    checkpoint: Checkpoint, *, threshold: float | None, smallest_lesion_mm3: float | None
) -> Checkpoint:
    """Return the checkpoint with threshold and smallest lesion as it has them, but for what is given.

    Raises:
        OptionError: A value is out of its range, or means nothing to a classifier.
    """
    if threshold is None and smallest_lesion_mm3 is None:
        return checkpoint
    if smallest_lesion_mm3 is not None:
        _refuse_of_classifier(checkpoint, "--smallest-lesion", smallest_lesion_mm3, because=_SEGMENTS)
    if len(checkpoint.plan.categories) > 2:
        because = "only of a classifier of two categories, for of several the likeliest counts"
        raise ignored_option("--threshold", value=threshold, because=because, where=checkpoint.folder)
    given = {"threshold": threshold, "smallest_lesion_mm3": smallest_lesion_mm3, "chosen_by": GIVEN}
    return replace(checkpoint, postprocessing=_changed(checkpoint.postprocessing, given))


def check_probability_maps(checkpoint: Checkpoint, *, save_probabilities: bool) -> None:
    """Refuse to save probability maps of a classifier, whose table has every probability as it is.

    Raises:
        OptionError: They are asked for, and there are none.
    """
    if save_probabilities:
        _refuse_of_classifier(checkpoint, "--save-probabilities", True, because=_SEGMENTS)


def _changed(settings: Settings, changes: dict[str, float | bool | str | None]) -> Settings:
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return type(settings).model_validate({**settings.model_dump(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        option = _OPTIONS.get(name, "--" + name)
        raise OptionError(
            f"a possible {option}", found=f"{first['input']}: {first['msg']}", where=option, next_step="change it"
        ) from error


def _refuse_of_classifier(checkpoint: Checkpoint, option: str, value: object, *, because: str) -> None:
    if checkpoint.plan.categories:
        raise ignored_option(option, value=value, because=because, where=checkpoint.folder)
