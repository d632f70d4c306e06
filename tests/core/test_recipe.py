"""Recipes are whole, no key is ignored, and every refusal says what to write instead."""

from pathlib import Path

import pytest
from tiny_training import RECIPE, write_recipe

from lesionlab.core.errors import RecipeError
from lesionlab.core.recipe import Recipe, parse_recipe, read_recipe, recipe_names, tomllib


@pytest.fixture
def file(tmp_path: Path) -> str:
    return write_recipe(tmp_path / "tiny.toml")


def test_what_is_written_is_read(file: str):
    recipe = read_recipe(file)
    assert recipe.modalities == ("flair", "t1")
    assert recipe.network.options["widths"] == [4, 4, 8, 8, 8]
    assert (recipe.training.steps, recipe.training.epochs, recipe.training.batch) == (6, None, 4)
    assert recipe.validation.patience == 20


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_comes_along_is_whole(name: str):
    recipe = read_recipe(name)
    assert recipe.description
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_recipe_cannot_be_changed_afterwards(file: str):
    with pytest.raises(ValueError, match="frozen"):
        read_recipe(file).training.batch = 3


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("training.batch=2", 2),
        ("training.batch = 2", 2),
        ("training.precision=bfloat16", "bfloat16"),
        ('training.precision="bfloat16"', "bfloat16"),
        ("sampling.size=[16, 48]", (16, 48)),
        ("network.options.heads=4", 4),
        ("inference.flips=true", True),
    ],
)
def test_a_change_is_made(file: str, change: str, found: object):
    recipe = read_recipe(file, changes=[change])
    section, *keys = change.split("=")[0].strip().split(".")
    value = getattr(recipe, section)
    for key in keys:
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    assert value == found
    assert type(value) is type(found)


def test_epochs_take_the_place_of_steps(file: str):
    training = read_recipe(file, changes=["training.epochs=3"]).training
    assert (training.steps, training.epochs) == (None, 3)
    training = read_recipe(file, changes=["training.epochs=3", "training.steps=9"]).training
    assert (training.steps, training.epochs) == (9, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("training.bach=2", r"'training.bach'.*did you mean 'batch'"),
        ("steps=200", r"did you mean training\.steps"),
        ("tranning.batch=2", "did you mean 'training'"),
        ("network.optoins=2", "did you mean 'options'"),
        ("training.batch=0", r"training.batch: .*greater than or equal to 1; found 0"),
        ("training.batch=two", r'found "two"'),
        ("training=5", "training: .*; found 5"),
        ("name.first=5", "found 'name', a value"),
        ("=5", "key.subkey=value"),
        ("training.batch", "key.subkey=value"),
        ("preprocessing.percentiles=[2, 198]", "less than or equal to 100"),
        ("preprocessing.spacing_mm=[1, 0, 1]", "greater than 0"),
        ("sampling.size=[32]", "sampling.size"),
        ("sampling.size=[32, -1]", "sampling.size"),
        ("inference.overlap=1.0", "less than 1"),
        ("modalities=[]", "at least 1 item"),
    ],
)
def test_a_wrong_change_is_refused(file: str, change: str, said: str):
    with pytest.raises(RecipeError, match=said) as caught:
        read_recipe(file, changes=[change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lengths", [{}, {"steps": 3, "epochs": 2}])
def test_one_length_of_training(lengths: dict[str, int]):
    content = tomllib.loads(RECIPE)
    content["training"] = lengths
    with pytest.raises(RecipeError, match="exactly one of"):
        parse_recipe(content, where="here")


def test_a_file_that_is_no_recipe(tmp_path: Path):
    with pytest.raises(RecipeError, match="did you mean 'synapse_net_wmh'"):
        read_recipe("synapse_wmh")
    with pytest.raises(RecipeError, match="found none of this name"):
        read_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "line.toml").write_text("name = \n")
    (tmp_path / "folder.toml").mkdir()
    for name in ("bytes", "line", "folder"):
        with pytest.raises(RecipeError, match=f"{name}.toml"):
            read_recipe(str(tmp_path / f"{name}.toml"))
