"""A recipe with an impossible number is refused in one plain line when it is read or planned, and never later."""

import copy
import math
import tomllib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lesionlab.losses
import lesionlab.networks
import lesionlab.pretext
import lesionlab.transforms  # noqa: F401 - these register what a recipe names
from lesionlab.core.augmentation import augmentation
from lesionlab.core.errors import LesionlabError, OptionError, RecipeError
from lesionlab.core.labels import Labels
from lesionlab.core.pretraining import PretrainingRecipe
from lesionlab.core.recipe import RECIPE_FOLDER, parse_recipe, read_recipe, recipe_error, recipe_names
from lesionlab.engine.planning import complete
from lesionlab.workflows.search import Range, read_study

NUMBERS = (-1, 0, 0.5, 1, 2, 2**70, -0.1, 1e300, math.nan, math.inf, "many", True, None, [], [1, 2, 3, 4, 5, 6, 7])
RANGES = ([2, 1], [0, 0], [-1, 1], [0.0, 1.0], [1], [math.nan, 1.0], [1.0, math.inf], "wide")
TWO_VALUES = Labels(regions={"main": frozenset({1}), "sub": frozenset({2})})


def numeric_keys(content: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys of numbers, and of lists of numbers."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from numeric_keys(value, (*above, name))
        elif isinstance(value, int | float | list | tuple) and not isinstance(value, bool):
            yield (*above, name)


def changed(content: dict[str, Any], key: tuple[str, ...], value: object) -> dict[str, Any]:
    new = copy.deepcopy(content)
    section = new
    for part in key[:-1]:
        section = section[part]
    section[key[-1]] = value
    return new


def whole(name: str) -> dict[str, Any]:
    """Return a recipe with all defaults filled in, its options too."""
    completed = complete(read_recipe(name), TWO_VALUES)
    content = completed.model_dump(exclude_none=True)
    content["training"].setdefault("steps", 10)
    content["training"].pop("epochs", None)
    return content


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipe_names() if read_recipe(name).task == "segment"][::9])
def test_every_number_of_a_recipe(name: str) -> None:
    content = whole(name)
    for key in numeric_keys(content):
        for value in (*NUMBERS, *RANGES):
            message = ""
            try:
                complete(parse_recipe(changed(content, key, value), where="test"), TWO_VALUES)
            except (RecipeError, OptionError) as error:
                message = str(error)
            assert "\n" not in message


@pytest.mark.parametrize("key", ["seed", "steps", "batch", "learning_rate"])
def test_a_number_that_is_none_is_refused(key: str) -> None:
    content = whole("synapse_net_wmh")
    for value in (-1, math.nan, math.inf, "many"):
        with pytest.raises(RecipeError, match=rf"training\.{key}"):
            parse_recipe(changed(content, ("training", key), value), where="test")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("preprocessing", "percentiles"), [98.0, 2.0]),
        (("preprocessing", "percentiles"), [50.0, 50.0]),
        (("preprocessing", "window"), [80.0, 0.0]),
        (("modalities",), []),
        (("modalities",), ["t1", "t1"]),
        (("classification", "categories"), ["a", "b", "a"]),
    ],
)
def test_reversed_and_repeated(key: tuple[str, ...], value: object) -> None:
    with pytest.raises(RecipeError, match=key[-1]):
        parse_recipe(changed(whole("synapse_net_wmh"), key, value), where="test")


@pytest.mark.parametrize("name", list(augmentation))
def test_an_augmentation_that_was_built_works(name: str) -> None:
    image = np.random.default_rng(0).normal(size=(2, 24, 20)).astype(np.float32)
    label = (image[0] > 1).astype(np.uint8)
    defaults = augmentation.check(name, {})
    often = dict.fromkeys(("flip", "affine", "elastic", "blur", "noise", "gamma", "intensity", "holes"), 1.0)
    often = {key: value for key, value in often.items() if key in defaults}
    for key in numeric_keys(defaults):
        for value in (*NUMBERS, *RANGES):
            try:
                built = augmentation.build(name, **(often | {key[0]: value}))
            except OptionError:
                continue
            if isinstance(value, int | float) and abs(value) > 2:
                continue  # a long deformation or a large block is none that is impossible
            for seed in range(3):
                found, _ = built(image, label, generator=np.random.default_rng(seed))
                assert np.isfinite(found).all(), f"{key[0]} = {value}"


def test_every_number_of_a_recipe_for_pretraining() -> None:
    content = tomllib.loads((RECIPE_FOLDER / "pretrain_t1.toml").read_text(encoding="utf-8"))
    content = PretrainingRecipe.model_validate(content).model_dump(exclude_none=True)
    for key in numeric_keys(content):
        for value in (*NUMBERS, *RANGES):
            try:
                PretrainingRecipe.model_validate(changed(content, key, value))
            except ValueError as error:
                recipe_error(error, model=PretrainingRecipe, where="test")  # type: ignore[arg-type]
    for key in (("schedule", "seed"), ("cut_out", "edges"), ("modalities",)):
        value = {"seed": -1, "edges": [0.3, 0.1], "modalities": ["t1", "t1"]}[key[-1]]
        with pytest.raises(ValueError, match=key[-1]):
            PretrainingRecipe.model_validate(changed(content, key, value))


@pytest.mark.parametrize(
    "line",
    [
        "{ low = 2.0, high = 1.0 }",
        "{ low = 0.0, high = 1.0, log = true }",
        "{ low = 1.0 }",
        "{}",
        "{ low = nan, high = 1.0 }",
        "{ values = [1], low = 0, high = 1 }",
    ],
)
def test_a_range_of_a_search_that_is_none(line: str, tmp_path: Any) -> None:
    (tmp_path / "study.toml").write_text(f'recipe = "x"\n[ranges]\n"training.batch" = {line}\n')
    with pytest.raises(LesionlabError, match=r"ranges\.training\.batch"):
        read_study(tmp_path / "study.toml")


class Trial:
    """Notes which kind of number a study is asked for."""

    def suggest_int(self, *_: object, **__: object) -> str:
        return "whole"

    def suggest_float(self, *_: object, **__: object) -> str:
        return "any"


@pytest.mark.parametrize(
    ("key", "low", "high", "kind"),
    [
        ("sampling.lesion_share", 0, 1, "any"),
        ("sampling.lesion_share", 0.0, 1.0, "any"),
        ("sampling.factor", 1, 8, "whole"),
        ("sampling.factor", 1.0, 8.0, "whole"),
        ("training.epochs", 1, 8, "whole"),
        ("sampling.empty_share", 0, 1, "any"),
        ("network.options.heads", 1, 8, "whole"),
        ("network.options.ratio", 1.0, 8.0, "any"),
    ],
)
def test_only_whole_numbers_are_searched_as_such(key: str, low: float, high: float, kind: str) -> None:
    assert Range(low=low, high=high).suggest(Trial(), key) == kind  # type: ignore[arg-type]
