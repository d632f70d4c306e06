"""Settings of a checkpoint that are given anew for one prediction."""

from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lesionlab.core.errors import OptionError
from lesionlab.core.postprocessing import GIVEN
from lesionlab.core.recipe import Inference
from lesionlab.engine.checkpoint import Checkpoint

Settings = TypeVar("Settings", bound=BaseModel)

_OPTIONS = {"smallest_lesion_mm3": "--smallest-lesion"}
"""Options whose name is not that of the setting."""


def change_inference(checkpoint: Checkpoint, *, overlap: float | None, flips: bool | None) -> Inference:
    """Return how windows slide: as the plan says, but for what is given.

    Raises:
        OptionError: A value is out of its range, or means nothing to a classifier.
    """
    if overlap is not None and checkpoint.plan.categories:
        raise _useless("--overlap", "a network that slides windows over a scan", "it sees the whole scan at once")
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
    categories = checkpoint.plan.categories
    if categories and smallest_lesion_mm3 is not None:
        raise _useless("--smallest-lesion", "a network that segments lesions", "it finds no lesion")
    if len(categories) > 2:
        raise _useless("--threshold", "a classifier of two categories", "the likeliest of several categories counts")
    given = {"threshold": threshold, "smallest_lesion_mm3": smallest_lesion_mm3, "chosen_by": GIVEN}
    return replace(checkpoint, postprocessing=_changed(checkpoint.postprocessing, given))


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


def _useless(option: str, wanted: str, reason: str) -> OptionError:
    return OptionError(wanted, found=f"a classifier: {reason}", where=option, next_step="leave it out")
