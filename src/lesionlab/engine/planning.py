"""Measure the training cases and resolve a recipe against them."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from lesionlab.core.augmentation import augmentation
from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, RecipeError
from lesionlab.core.labels import Labels
from lesionlab.core.loss import Targets, loss
from lesionlab.core.network import Network, network
from lesionlab.core.plan import Fingerprint, Plan, outputs
from lesionlab.core.recipe import Choice, Recipe
from lesionlab.core.registry import Registry
from lesionlab.core.split_rule import learning_cases, name_cases
from lesionlab.engine.ignored_keys import refuse_ignored_keys
from lesionlab.engine.sampling import index_slices
from lesionlab.engine.store import StoredCase
from lesionlab.engine.training_samples import samples_per_epoch

logger = logging.getLogger(__name__)


def divide_cases(cases: Sequence[Case], recipe: Recipe, *, where: str) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return the cases for training and for validation; cases of a test split are in neither.

    The layout's own validation split is used when it has one. Else a share of the patients, drawn with the recipe's
    seed, is held out; visits of one patient stay together.

    Raises:
        LayoutError: Fewer than two patients with masks remain, or no case that the dataset wants to validate with has
            a mask.
        SplitError: A patient is in two splits.
    """
    learned = learning_cases(cases, where=where)
    usable = [case for case in learned if case.label is not None]
    declared = [case.id for case in learned if case.split == "validation"]
    validation = [case for case in usable if case.split == "validation"]
    if declared and not validation:
        raise LayoutError(
            "masks of the cases that the dataset has for validation",
            found=f"none of {len(declared)}: {name_cases(declared)}",
            where=where,
            next_step="add their masks, take them out of the dataset, or make a split (lesionlab split --folds 5)",
        )
    if not validation:
        validation = _draw_validation(usable, recipe, where=where)
    validating = {case.id for case in validation}
    training = [case for case in usable if case.id not in validating]
    if not training:
        raise LayoutError(
            "patients for training that are not in validation",
            found="none",
            where=where,
            next_step="add training cases with masks",
        )
    return tuple(training), tuple(validation)


def measure(cases: Sequence[StoredCase], labels: Labels) -> Fingerprint:
    """Measure the stored training cases."""
    slices = index_slices(cases, labels)
    volumes_ml = [
        slices.area[slices.case == position].sum() * case.geometry.working.voxel_volume_mm3 / 1000
        for position, case in enumerate(cases)
    ]
    shape = np.median([case.geometry.box.shape for case in cases], axis=0).tolist()
    spacing = np.median([case.geometry.working.spacing_mm for case in cases], axis=0).tolist()
    return Fingerprint(
        cases=len(cases),
        median_shape=(shape[0], shape[1], shape[2]),
        median_spacing_mm=(spacing[0], spacing[1], spacing[2]),
        slices=len(slices.area),
        lesion_slices=int(np.count_nonzero(slices.area)),
        median_lesion_volume_ml=float(np.median(volumes_ml)),
    )


def resolve(
    recipe: Recipe,
    labels: Labels,
    *,
    layout: str,
    training: Sequence[StoredCase],
    validation: Sequence[StoredCase],
    started_from: tuple[str, ...] = (),
) -> Plan:
    """Fill every default of a recipe for the data at hand.

    Raises:
        NameUnknownError, OptionError: The recipe names a network, loss, augmentation or option that does not exist.
    """
    for cases, use in ((training, "training"), (validation, "validation")):
        if cases and not measure(cases, labels).lesion_slices:
            advice = "check what the values of the masks mean, or whether they were lost in a conversion"
            logger.warning("no lesion in any of the %d %s cases: %s", len(cases), use, advice)
    samples = samples_per_epoch(training, labels, settings=recipe.sampling)
    steps_per_epoch = math.ceil(samples / recipe.training.batch)
    total_steps = recipe.training.steps or (recipe.training.epochs or 1) * steps_per_epoch
    return Plan(
        recipe=complete(recipe, labels),
        regions={name: tuple(sorted(values)) for name, values in labels.regions.items()},
        ignored=tuple(sorted(labels.ignored)),
        layout=layout,
        training_cases=tuple(case.id for case in training),
        validation_cases=tuple(case.id for case in validation),
        fingerprint=measure(training, labels),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        validate_every=min(total_steps, recipe.validation.every * steps_per_epoch),
        started_from=started_from,
        lesion_above=labels.lesion_above,
        colours=dict(labels.colours),
    )


def complete(recipe: Recipe, labels: Labels) -> Recipe:
    """Return the recipe with all options of its network, loss and augmentation filled in and checked."""
    return complete_for(recipe, outputs=outputs(recipe, labels))


def complete_for(recipe: Recipe, *, outputs: int) -> Recipe:
    """Return the recipe complete, for a network with so many channels of logits.

    Raises:
        NameUnknownError, OptionError: It names a network, loss, augmentation or option that does not exist, or changes
            a key that has no effect on such a recipe.
        RecipeError: Its sizes, network or loss do not belong together.
    """
    _check_axes(recipe)
    _check_task(recipe)
    _check_loss(recipe, outputs=outputs)
    refuse_ignored_keys(recipe)
    inputs = {"modalities": recipe.channels, "regions": outputs}
    changes = {
        "network": _complete(recipe.network, network, given=inputs),
        "loss": _complete(recipe.loss, loss, given={}),
        "augmentation": _complete(recipe.augmentation, augmentation, given={}),
    }
    return recipe.model_copy(update=changes)


def _check_axes(recipe: Recipe) -> None:
    axes = cast("type[Network]", network.get(recipe.network.name)).spatial_dims
    if recipe.sampling.size and len(recipe.sampling.size) != axes:
        raise RecipeError(
            f"{axes} sizes, since {recipe.network.name} is a {axes}-D network",
            found=str(list(recipe.sampling.size)),
            where=f"recipe {recipe.name}, key sampling.size",
            next_step="give one size per axis",
        )
    if recipe.task == "classify" and not recipe.sampling.size:
        raise RecipeError(
            "the size of volumes that a classifier looks at",
            found="none",
            where=f"recipe {recipe.name}, key sampling.size",
            next_step="--change sampling.size=[160,192,160], or what holds the heads",
        )


def _check_task(recipe: Recipe) -> None:
    classifiers = [name for name in network if getattr(network.get(name), "is_classifier", False)]
    network.get(recipe.network.name)  # an unknown name says so by itself
    is_classifier = recipe.network.name in classifiers
    if is_classifier != (recipe.task == "classify"):
        raise RecipeError(
            f"a network to {recipe.task} with",
            found=f"{recipe.network.name}, which is {'' if is_classifier else 'not '}for classification",
            where=f"recipe {recipe.name}, key network.name",
            next_step='choose another, or write task = "classify"'
            if is_classifier
            else f"choose {', '.join(classifiers)}",
        )


def _check_loss(recipe: Recipe, *, outputs: int) -> None:
    """Refuse a loss that judges other targets than the recipe has, and weights of another number of them."""
    targets: Targets = "categories" if recipe.task == "classify" else recipe.classes
    takes = _taken(recipe.loss.name)
    if targets not in takes:
        raise RecipeError(
            f"a loss of {_TARGETS[targets]}",
            found=f"{recipe.loss.name}, which is one of {' or '.join(_TARGETS[kind] for kind in sorted(takes))}",
            where=f"recipe {recipe.name}, key loss.name",
            next_step=f"choose {', '.join(sorted(name for name in loss if targets in _taken(name)))}",
        )
    weights = recipe.loss.options.get("weights", ())
    if isinstance(weights, Sequence) and len(weights) not in (0, outputs):
        raise RecipeError(
            f"{outputs} weights, one for each output of the network",
            found=str(len(weights)),
            where=f"recipe {recipe.name}, key loss.options.weights",
            next_step="give as many, or none: all are 1 then"
            + (", and the first is that of the background" if targets == "values" else ""),
        )


_TARGETS: dict[Targets, str] = {
    "regions": 'regions (classes = "regions")',
    "values": 'exclusive classes (classes = "values")',
    "categories": 'categories (task = "classify")',
}


def _taken(name: str) -> frozenset[Targets]:
    """Return the targets that a loss judges."""
    taken: frozenset[Targets] = getattr(loss.get(name), "takes", frozenset({"regions"}))
    return taken


def _complete(choice: Choice, registry: Registry[Any], *, given: Mapping[str, Any]) -> Choice:
    checked = registry.check(choice.name, {**choice.options, **given})
    return Choice(name=choice.name, options={name: value for name, value in checked.items() if name not in given})


def _draw_validation(cases: Sequence[Case], recipe: Recipe, *, where: str) -> list[Case]:
    groups = sorted({case.group for case in cases})
    if len(groups) < 2:
        raise LayoutError(
            "at least two patients with masks, one of them for validation",
            found=f"{len(groups)}",
            where=where,
            next_step="add cases, or check that the masks have the names that the layout wants",
        )
    count = min(len(groups) - 1, max(1, round(recipe.validation.share * len(groups))))
    drawn = np.random.default_rng([recipe.training.seed, 2]).permutation(groups)[:count]
    return [case for case in cases if case.group in set(drawn.tolist())]
