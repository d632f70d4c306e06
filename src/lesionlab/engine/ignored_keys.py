"""When each key of a recipe is read: a key that would do nothing is refused."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

from pydantic import BaseModel

from lesionlab.core.ignored_option import ignored_option
from lesionlab.core.loss import loss
from lesionlab.core.network import Network, network
from lesionlab.core.pretext import Pretext, pretext
from lesionlab.core.pretraining import PretrainingRecipe
from lesionlab.core.recipe import Recipe
from lesionlab.engine.preprocess import normalisation_of


@dataclass(frozen=True, slots=True)
class Condition:
    """When a key has an effect.

    Attributes:
        is_met: Of a recipe; `Recipe` or `PretrainingRecipe`, as the table that it stands in.
        text: In words that follow "has an effect": "only with 2-D networks".
    """

    is_met: Callable[[Any], bool]
    text: str


def refuse_ignored_keys(recipe: Recipe | PretrainingRecipe) -> None:
    """Refuse a recipe that changes a key which its other keys leave without effect.

    Raises:
        NameUnknownError: The recipe names a network, loss or objective that does not exist.
        OptionError: Such a key differs from its default.
    """
    conditions = PRETRAINING_KEYS if isinstance(recipe, PretrainingRecipe) else TRAINING_KEYS
    for key, condition in ignored_keys(recipe, conditions):
        *sections, name = key.split(".")
        section: BaseModel = reduce(getattr, sections, recipe)
        value, default = getattr(section, name), type(section).model_fields[name].default
        if value != default:
            raise ignored_option(
                key,
                value=f"= {json.dumps(value)}",
                because=condition.text,
                where=f"recipe {recipe.name}",
                default="" if default is None else json.dumps(default),
            )


def ignored_keys(
    recipe: Recipe | PretrainingRecipe, conditions: Mapping[str, tuple[Condition, ...]]
) -> Iterator[tuple[str, Condition]]:
    """Yield the keys that a recipe's other keys leave without effect, and the condition that is not met."""
    for key, needed in conditions.items():
        unmet = next((condition for condition in needed if not condition.is_met(recipe)), None)
        if unmet is not None:
            yield key, unmet


def _spatial_dims(recipe: Recipe) -> int:
    return cast("type[Network]", network.get(recipe.network.name)).spatial_dims


def _schemes(recipe: Recipe | PretrainingRecipe) -> set[str]:
    return {normalisation_of(modality, recipe.preprocessing) for modality in recipe.modalities}


def _uses_percentiles(recipe: Recipe | PretrainingRecipe) -> bool:
    schemes = _schemes(recipe)
    return "z_score" in schemes or ("unit_range" in schemes and recipe.preprocessing.window is None)


def _balances(recipe: Recipe) -> bool:
    return "weights" in loss.schema(recipe.loss.name).model_fields and not recipe.loss.options.get("weights")


def _needs_categories(recipe: PretrainingRecipe) -> bool:
    return any(cast("type[Pretext]", pretext.get(name)).needs_categories for name in recipe.objectives)


_SEGMENTS = Condition(lambda recipe: recipe.task == "segment", 'only with task = "segment"')
_CLASSIFIES = Condition(lambda recipe: recipe.task == "classify", 'only with task = "classify"')
_HAS_SLICES = Condition(lambda recipe: _spatial_dims(recipe) == 2, "only with 2-D networks")
_HAS_PATCHES = Condition(lambda recipe: _spatial_dims(recipe) == 3, "only with 3-D networks")
_HAS_MODALITIES = Condition(lambda recipe: len(recipe.modalities) > 1, "only with several modalities")
_HAS_BONUS = Condition(lambda recipe: recipe.sampling.bonus > 0, "only with sampling.bonus above 0")
_HAS_LESION_PATCHES = Condition(
    lambda recipe: recipe.sampling.lesion_share > 0, "only with sampling.lesion_share above 0"
)
_HAS_BALANCE = Condition(_balances, "only with a loss that takes weights and is given none")
_HAS_FOREGROUND = Condition(
    lambda recipe: _schemes(recipe) != {"picture"} or recipe.preprocessing.foreground == "brain_mask",
    "only for modalities that are no pictures",
)
_HAS_Z_SCORES = Condition(
    lambda recipe: "z_score" in _schemes(recipe), 'only for modalities with the normalisation "z_score"'
)
_HAS_PERCENTILES = Condition(
    _uses_percentiles, 'only for modalities with the normalisation "z_score", or "unit_range" without a window'
)
_HAS_HEALTHY = Condition(_needs_categories, "only with an objective that compares healthy cases with others")
_HAS_CUT_OUTS = Condition(lambda recipe: recipe.cut_out.share > 0, "only with cut_out.share above 0")

_PREPROCESSING: dict[str, tuple[Condition, ...]] = {
    "preprocessing.foreground": (_HAS_FOREGROUND,),
    "preprocessing.bias_field": (_HAS_Z_SCORES,),
    "preprocessing.normalisation": (),
    "preprocessing.percentiles": (_HAS_PERCENTILES,),
    "preprocessing.spacing_mm": (),
    "preprocessing.resample_modalities": (_HAS_MODALITIES,),
    "preprocessing.straighten": (),
    "preprocessing.window": (),
}

TRAINING_KEYS: dict[str, tuple[Condition, ...]] = {
    "name": (),
    "description": (),
    "task": (),
    "classes": (_SEGMENTS,),
    "modalities": (),
    **_PREPROCESSING,
    "network": (),
    "loss": (),
    "sampling.size": (),
    "sampling.lesion_share": (_SEGMENTS, _HAS_PATCHES),
    "sampling.patches_per_case": (_SEGMENTS, _HAS_PATCHES),
    "sampling.factor": (_SEGMENTS, _HAS_SLICES),
    "sampling.percentile": (_SEGMENTS, _HAS_SLICES, _HAS_BONUS),
    "sampling.bonus": (_SEGMENTS, _HAS_SLICES),
    "sampling.refresh_every": (),
    "sampling.empty_share": (_SEGMENTS, _HAS_SLICES),
    "sampling.neighbours": (_SEGMENTS, _HAS_SLICES),
    "sampling.lesion_choice": (_SEGMENTS, _HAS_PATCHES, _HAS_LESION_PATCHES),
    "augmentation": (),
    "training.epochs": (),
    "training.steps": (),
    "training.batch": (),
    "training.learning_rate": (),
    "training.final_learning_rate": (),
    "training.weight_decay": (),
    "training.warm_up": (),
    "training.schedule": (),
    "training.clip_norm": (),
    "training.precision": (),
    "training.seed": (),
    "training.accumulate": (),
    "training.averaging": (),
    "training.modality_dropout": (_HAS_MODALITIES,),
    "training.channels_last": (),
    "training.compile": (),
    "training.recompute": (),
    "validation.share": (),
    "validation.every": (),
    "validation.patience": (),
    "validation.threshold": (_SEGMENTS,),
    "classification.categories": (_CLASSIFIES,),
    "classification.balance": (_CLASSIFIES, _HAS_BALANCE),
    "classification.chosen_by": (_CLASSIFIES,),
    "inference.overlap": (_SEGMENTS,),
    "inference.flips": (),
    "inference.batch": (),
}
"""Key of a `Recipe` -> what must hold for it to be read. Without a condition it is read for every task and network;
`validation.share` is, wherever a dataset has no validation split of its own; `inference.batch` is a limit, which 3-D
networks and classifiers keep with one window or scan at a time."""

PRETRAINING_KEYS: dict[str, tuple[Condition, ...]] = {
    "name": (),
    "description": (),
    "task": (),
    "modalities": (),
    "healthy": (_HAS_HEALTHY,),
    **_PREPROCESSING,
    "network": (),
    "objectives": (),
    "cut_out.share": (),
    "cut_out.edges": (_HAS_CUT_OUTS,),
    "size": (),
    "schedule.steps": (),
    "schedule.batch": (),
    "schedule.learning_rate": (),
    "schedule.final_learning_rate": (),
    "schedule.weight_decay": (),
    "schedule.warm_up": (),
    "schedule.clip_norm": (),
    "schedule.precision": (),
    "schedule.seed": (),
    "schedule.validate_every": (),
    "schedule.validation_share": (),
}
"""The same of a `PretrainingRecipe`."""
