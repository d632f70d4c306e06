"""Cases by category: which there are, who trains and who validates, and what a rare category weighs."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError, RecipeError
from lesionlab.core.loss import loss
from lesionlab.core.plan import Fingerprint, Plan
from lesionlab.core.recipe import Recipe
from lesionlab.core.registry import nearest_name
from lesionlab.engine.planning import complete_for
from lesionlab.engine.store import StoredCase

WITHOUT_FINDING = ("healthy", "control", "controls", "normal", "negative", "no", "none", "false", "0")
"""Names, in lower case, of what stands first where nobody says the order; of two categories the last is to be found."""


def categories_of(cases: Sequence[Case], recipe: Recipe, *, where: str) -> tuple[str, ...]:
    """Return the categories in the order of a classifier's outputs.

    The recipe's, if it names any; else those of the cases, the ones without finding first, numbers by size, and the
    others by alphabet.

    Args:
        cases: Those to train and validate with.
        recipe: May name the categories.
        where: Named in messages.

    Raises:
        LayoutError: A case has no category, or one that the recipe does not name; there are fewer than two categories;
            two of them differ by spaces or capital letters only.
    """
    lacking = [case.id for case in cases if not case.category]
    if lacking or not cases:
        raise LayoutError(
            "a category for every case of training and validation",
            found=f"none for {len(lacking)} of {len(cases)}: {', '.join(lacking[:8])}" if cases else "no case",
            where=where,
            next_step="fill in the column category (layout table), or give these cases the split test",
        )
    found = sorted({case.category or "" for case in cases}, key=_place)
    _check_names(found, where=where)
    named = recipe.classification.categories
    unknown = [name for name in found if named and name not in named]
    if unknown:
        raise LayoutError(
            f"categories among {', '.join(named)}, as the recipe says",
            found=f"also {', '.join(map(repr, unknown[:8]))}",
            where=where,
            next_step=nearest_name(unknown[0], list(named)),
        )
    return named or tuple(found)


def divide_by_category(
    cases: Sequence[Case], categories: Sequence[str], recipe: Recipe, *, where: str
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return the cases for training and for validation.

    The layout's own validation split is used when it has one. Else a share of the patients of each category, drawn with
    the recipe's seed, is held out; visits of one patient stay together.

    Args:
        cases: Those of training and validation, each with a category.
        categories: All of them.
        recipe: Says share and seed.
        where: Named in messages.

    Raises:
        LayoutError: A category lacks a patient for training or, where validation is drawn, one for validation;
            validation has one category only.
    """
    validation = [case for case in cases if case.split == "validation"]
    if not validation:
        _check_patients(cases, categories, where=where)
        validation = _draw_validation(cases, recipe)
    chosen = {case.id for case in validation}
    training = [case for case in cases if case.id not in chosen]
    untrained = [name for name in categories if name not in {case.category for case in training}]
    if untrained or len({case.category for case in validation}) < 2:
        found = f"no training case of {', '.join(untrained)}" if untrained else "one category in validation"
        raise LayoutError(
            "patients of every category for training, and others of at least two categories for validation",
            found=found,
            where=where,
            next_step="correct the splits or the categories; keep all visits of a patient in one split",
        )
    return tuple(training), tuple(validation)


def by_patients(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return the patients of each category, in alphabetical order; a patient counts with the first case's category."""
    of_patient: dict[str, str] = {}
    for case in cases:
        of_patient.setdefault(case.group, case.category or "")
    patients: dict[str, list[str]] = {}
    for group in sorted(of_patient):
        patients.setdefault(of_patient[group], []).append(group)
    return dict(sorted(patients.items()))


def resolve_categories(
    recipe: Recipe,
    categories: tuple[str, ...],
    *,
    layout: str,
    training: Sequence[StoredCase],
    validation: Sequence[StoredCase],
    started_from: tuple[str, ...] = (),
) -> Plan:
    """Fill every default of a classifier's recipe for the data at hand; an epoch shows every case once.

    Raises:
        NameUnknownError, OptionError: The recipe names a network, loss, augmentation or option that does not exist.
        RecipeError: Its network or loss is not for whole images.
    """
    steps_per_epoch = math.ceil(len(training) / recipe.training.batch)
    total_steps = recipe.training.steps or (recipe.training.epochs or 1) * steps_per_epoch
    counted = Counter(case.category or "" for case in training)
    return Plan(
        recipe=complete_for(_weighted(recipe, categories, counted), outputs=len(categories)),
        regions={},
        ignored=(),
        layout=layout,
        categories=categories,
        category_cases=tuple(counted[name] for name in categories),
        training_cases=tuple(case.id for case in training),
        validation_cases=tuple(case.id for case in validation),
        fingerprint=_measure(training),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        validate_every=min(total_steps, recipe.validation.every * steps_per_epoch),
        started_from=started_from,
    )


def _weighted(recipe: Recipe, categories: Sequence[str], counted: Counter[str]) -> Recipe:
    """Return the recipe with the weights of the loss filled in, where it asks for balance and gives none."""
    weights = recipe.loss.options.get("weights", ())
    if weights and len(weights) != len(categories):
        raise RecipeError(
            f"{len(categories)} weights, one each for {', '.join(categories)}",
            found=f"{len(weights)}",
            where=f"recipe {recipe.name}, key loss.options.weights",
            next_step="give as many, or none to have all categories count alike",
        )
    takes_weights = "weights" in loss.schema(recipe.loss.name).model_fields
    if weights or not takes_weights or not recipe.classification.balance:
        return recipe
    cases = sum(counted.values())
    balanced = [round(cases / (len(categories) * counted[name]), 6) for name in categories]
    chosen = recipe.loss.model_copy(update={"options": {**recipe.loss.options, "weights": balanced}})
    return recipe.model_copy(update={"loss": chosen})


def _measure(cases: Sequence[StoredCase]) -> Fingerprint:
    """Measure the images alone: a classifier looks at no mask."""
    shapes = np.array([case.geometry.box.shape for case in cases])
    shape = np.median(shapes, axis=0).tolist()
    spacing = np.median([case.geometry.working.spacing_mm for case in cases], axis=0).tolist()
    return Fingerprint(
        cases=len(cases),
        median_shape=(shape[0], shape[1], shape[2]),
        median_spacing_mm=(spacing[0], spacing[1], spacing[2]),
        slices=int(shapes[:, 2].sum()),
        lesion_slices=0,
        median_lesion_volume_ml=0.0,
    )


def _draw_validation(cases: Sequence[Case], recipe: Recipe) -> list[Case]:
    drawn: set[str] = set()
    for number, patients in enumerate(by_patients(cases).values()):
        count = min(len(patients) - 1, max(1, round(recipe.validation.share * len(patients))))
        order = np.random.default_rng([recipe.training.seed, 2, number]).permutation(patients)
        drawn.update(order[:count].tolist())
    return [case for case in cases if case.group in drawn]


def _check_patients(cases: Sequence[Case], categories: Sequence[str], *, where: str) -> None:
    patients = by_patients(cases)
    few = [f"{name} ({len(patients.get(name, []))})" for name in categories if len(patients.get(name, [])) < 2]
    if few:
        more = f" and {len(few) - 8} more" if len(few) > 8 else ""
        raise LayoutError(
            "at least two patients of every category, one of them for validation",
            found=f"fewer of {', '.join(few[:8])}{more}",
            where=where,
            next_step="add cases, or check that the column category holds few names and no measurement",
        )


def _check_names(found: Sequence[str], *, where: str) -> None:
    alike = Counter(" ".join(name.split()).casefold() for name in found)
    twins = [name for name in found if alike[" ".join(name.split()).casefold()] > 1]
    if len(found) < 2 or twins:
        raise LayoutError(
            "names of categories that are really different" if twins else "at least two categories",
            found=", ".join(map(repr, twins or found)),
            where=where,
            next_step="spell each category one way" if twins else "add cases of another category",
        )


def _place(name: str) -> tuple[bool, float, str]:
    try:
        number = float(name)
    except ValueError:
        number = math.inf
    return (name.lower() not in WITHOUT_FINDING, number, name)
