"""Which categories there are, who trains and who validates, and what is refused."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from category_cohort import RECIPE

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401 - these three register what the recipe names
from lesionlab.core.case import Case, Split
from lesionlab.core.errors import LayoutError, OptionError, RecipeError
from lesionlab.core.labels import LESION
from lesionlab.core.recipe import Recipe, parse_recipe, tomllib
from lesionlab.engine.categories import categories_of, divide_by_category
from lesionlab.engine.few_shot import take_fraction
from lesionlab.engine.planning import complete, complete_for


def recipe(**classification: object) -> Recipe:
    return parse_recipe({**tomllib.loads(RECIPE), "classification": classification}, where="test")


def case(number: int, category: str | None, *, group: str = "", split: Split | None = None) -> Case:
    return Case(
        id=f"c{number}",
        images={"t1": Path(f"{number}.nii")},
        label=None,
        group=group or f"p{number}",
        category=category,
        split=split,
    )


def cohort(*categories: str | None) -> list[Case]:
    return [case(number, category) for number, category in enumerate(categories)]


def names(cases: Sequence[Case]) -> set[str]:
    return {one.id for one in cases}


@pytest.mark.parametrize(
    ("found", "order"),
    [
        (("glioma", "healthy"), ("healthy", "glioma")),
        (("10", "9", "2"), ("2", "9", "10")),
        (("stroke", "Control"), ("Control", "stroke")),
        (("b", "a"), ("a", "b")),
        (("1", "0"), ("0", "1")),
    ],
)
def test_what_has_no_finding_comes_first(found: tuple[str, ...], order: tuple[str, ...]):
    assert categories_of(cohort(*found, *found), recipe(), where="data") == order


def test_a_recipe_may_name_the_order():
    assert categories_of(cohort("a", "b"), recipe(categories=["b", "a"]), where="data") == ("b", "a")


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        (cohort("a", None, "b", None), "none for 2 of 4: c1, c3"),
        (cohort("a", "a"), "found 'a'"),
        (cohort("stroke", "Stroke", "healthy"), "spell each category one way"),
        ([], "no case"),
    ],
)
def test_bad_categories_are_refused(cases: list[Case], said: str):
    with pytest.raises(LayoutError, match=said):
        categories_of(cases, recipe(), where="data")


def test_an_unknown_category_is_refused_with_the_nearest():
    with pytest.raises(LayoutError, match="did you mean 'glioma'"):
        categories_of(cohort("gliom", "healthy"), recipe(categories=["healthy", "glioma"]), where="data")


def test_a_measurement_is_no_category():
    ages = cohort(*(f"{60 + number}.5" for number in range(12)))
    found = categories_of(ages, recipe(), where="data")
    with pytest.raises(LayoutError, match="no measurement"):
        divide_by_category(ages, found, recipe(), where="data")


def test_every_category_trains_and_validates():
    cases = cohort(*(["a"] * 10 + ["b"] * 4))
    training, validation = divide_by_category(cases, ("a", "b"), recipe(), where="data")
    assert names(training) | names(validation) == names(cases)
    assert not names(training) & names(validation)
    assert sorted(one.category for one in validation) == ["a"] * 4 + ["b"] * 2


def test_visits_stay_together():
    cases = [case(number, "ab"[number % 2], group=f"p{number % 6}") for number in range(24)]
    training, validation = divide_by_category(cases, ("a", "b"), recipe(), where="data")
    assert not {one.group for one in training} & {one.group for one in validation}


def test_a_given_validation_split_is_kept():
    cases = [case(number, "ab"[number % 2], split="validation" if number > 5 else "training") for number in range(8)]
    assert names(divide_by_category(cases, ("a", "b"), recipe(), where="data")[1]) == {"c6", "c7"}


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (7, {"category": "a"}, "one category in validation"),
        (7, {"category": "c"}, "no training case of c"),
    ],
)
def test_bad_splits_are_refused(number: int, change: dict[str, str], said: str):
    cases = [case(number, "ab"[number % 2], split="validation" if number > 5 else "training") for number in range(8)]
    cases[number] = dataclasses.replace(cases[number], **change)
    found = tuple(sorted({one.category or "" for one in cases}))
    with pytest.raises(LayoutError, match=said):
        divide_by_category(cases, found, recipe(), where="data")


def test_lists_of_growing_shares_hold_each_other():
    cases = cohort(*(["a"] * 40 + ["b"] * 10))
    lists = [take_fraction(cases, share, seed=0) for share in (0.1, 0.3, 0.5, 0.8, 1.0)]
    assert [len(one) for one in lists] == [5, 15, 25, 40, 50]
    assert [sum(one.category == "b" for one in few) for few in lists] == [1, 3, 5, 8, 10]
    for smaller, larger in pairwise(lists):
        assert names(smaller) < names(larger)
    assert lists[0] == take_fraction(cases, 0.1, seed=0)
    assert lists[1] != take_fraction(cases, 0.3, seed=1)
    assert lists[-1] == tuple(cases)


def test_a_patient_comes_with_all_visits():
    cases = [case(number, "a", group=f"p{number // 4}") for number in range(40)]
    few = take_fraction(cases, 0.2, seed=0)
    assert len(few) == 8
    assert len({one.group for one in few}) == 2


@pytest.mark.parametrize("share", [0.0, 1.1, -1.0])
def test_an_impossible_share_is_refused(share: float):
    with pytest.raises(OptionError, match="above 0 and at most 1"):
        take_fraction(cohort("a", "b"), share, seed=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": {"name": "swin_unetr"}}, "swin_classifier"),
        ({"loss": {"name": "dice"}}, "class_cross_entropy"),
    ],
)
def test_a_classifier_needs_its_network_and_loss(changes: dict[str, object], said: str):
    with pytest.raises(RecipeError, match=said):
        complete_for(parse_recipe({**tomllib.loads(RECIPE), **changes}, where="test"), outputs=2)


def test_a_classifier_outlines_nothing():
    with pytest.raises(RecipeError, match="task"):
        complete(recipe().model_copy(update={"task": "segment"}), LESION)
