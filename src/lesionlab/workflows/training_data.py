"""Which cases a training learns from and which it is validated on, whatever its task."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lesionlab.core.case import Case
from lesionlab.core.errors import LayoutError
from lesionlab.core.labels import Labels
from lesionlab.core.layout import Layout
from lesionlab.core.learned_cases import keys_of
from lesionlab.core.plan import Plan, outputs
from lesionlab.core.recipe import Recipe
from lesionlab.core.split_rule import learning_cases, name_cases, test_cases
from lesionlab.engine.categories import categories_of, divide_by_category, resolve_categories
from lesionlab.engine.few_shot import take_fraction
from lesionlab.engine.network_fit import check_network_fits
from lesionlab.engine.planning import complete, complete_for, divide_cases, resolve
from lesionlab.engine.store import StoredCase, store_cases
from lesionlab.workflows.modality_use import match_modalities

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a training works on, nothing prepared yet.

    Attributes:
        recipe: With all options completed.
        labels: What masks mean; no region for a classifier, which looks at none.
        categories: What a classifier tells apart; empty for segmentation.
        training: To learn from.
        validation: To choose the best weights by.
        test: What nothing may be learned from, sealed cases among them.
    """

    recipe: Recipe
    labels: Labels
    categories: tuple[str, ...]
    training: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]

    def store(self, folder: Path) -> dict[str, tuple[StoredCase, ...]]:
        """Prepare what is not yet in the store, and open the cases for "training" and for "validation".

        Raises:
            LesionlabError: A case cannot be prepared, or the store not be written.
        """
        stored = store_cases(
            (*self.training, *self.validation),
            folder,
            modalities=self.recipe.modalities,
            settings=self.recipe.preprocessing,
            labels=self.labels,
        )
        return {"training": stored[: len(self.training)], "validation": stored[len(self.training) :]}

    @property
    def outputs(self) -> int:
        """Channels of the network's logits."""
        return len(self.categories) or outputs(self.recipe, self.labels)

    def plan(
        self,
        *,
        layout: str,
        training: Sequence[StoredCase],
        validation: Sequence[StoredCase],
        started_from: tuple[str, ...],
    ) -> Plan:
        """Return the plan for these cases once they are in the store.

        Raises:
            LesionlabError: The recipe names something that does not exist or does not fit.
        """
        parts = {"training": training, "validation": validation}
        if self.categories:
            plan = resolve_categories(self.recipe, self.categories, layout=layout, **parts, started_from=started_from)
        else:
            plan = resolve(self.recipe, self.labels, layout=layout, **parts, started_from=started_from)
        images = {"training_images": keys_of(self.training), "validation_images": keys_of(self.validation)}
        return plan.model_copy(update=images)


def choose_cases(recipe: Recipe, layout: Layout, *, where: str, fraction: float = 1.0) -> TrainingData:
    """Divide the cases of a dataset, and take a share of the training patients only.

    Args:
        recipe: As read.
        layout: Of the dataset.
        where: The dataset as its user named it.
        fraction: Share of the training patients, of every category alike; validation keeps all of its own.

    Raises:
        LesionlabError: Recipe and data do not fit, or there are too few cases.
    """
    layout = match_modalities(layout, recipe.modalities)
    _check_modalities(recipe, layout)
    choose = _choose_by_category if recipe.task == "classify" else _choose_with_masks
    chosen = choose(recipe, layout, where=where, fraction=fraction)
    check_network_fits(chosen.recipe, outputs=chosen.outputs)
    return chosen


def _choose_with_masks(recipe: Recipe, layout: Layout, *, where: str, fraction: float) -> TrainingData:
    wanted = complete(recipe, layout.labels)
    cases = _with_masks(layout, where=where)
    training, validation = divide_cases(cases, wanted, where=where)
    return TrainingData(
        recipe=wanted,
        labels=layout.labels,
        categories=(),
        training=take_fraction(training, fraction, seed=recipe.training.seed),
        validation=validation,
        test=test_cases(cases),
    )


def _choose_by_category(recipe: Recipe, layout: Layout, *, where: str, fraction: float) -> TrainingData:
    everything = tuple(layout.cases())
    cases = learning_cases(everything, where=where)
    categories = categories_of(cases, recipe, where=where)
    training, validation = divide_by_category(cases, categories, recipe, where=where)
    return TrainingData(
        recipe=complete_for(recipe, outputs=len(categories)),
        labels=Labels(regions={}),
        categories=categories,
        training=_without_masks(take_fraction(training, fraction, seed=recipe.training.seed)),
        validation=_without_masks(validation),
        test=test_cases(everything),
    )


def _without_masks(cases: Sequence[Case]) -> tuple[Case, ...]:
    return tuple(replace(case, label=None, further_labels=()) for case in cases)


def _with_masks(layout: Layout, *, where: str) -> Sequence[Case]:
    cases = tuple(layout.cases())
    without = [case.id for case in learning_cases(cases, where=where) if case.label is None]
    if without:
        logger.warning("%d cases have no mask and are not used: %s", len(without), name_cases(without))
    return cases


def _check_modalities(recipe: Recipe, layout: Layout) -> None:
    missing = set(recipe.modalities) - set(layout.modalities)
    if missing:
        raise LayoutError(
            f"the modalities {', '.join(recipe.modalities)} of recipe {recipe.name}",
            found=f"{', '.join(layout.modalities)}",
            where=layout.folder,
            next_step="choose a recipe for these modalities (lesionlab list recipes)",
        )
