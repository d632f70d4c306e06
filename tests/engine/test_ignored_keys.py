"""Every key of a recipe, for every task and network: it has an effect, or it is refused."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from tiny_training import RECIPE, phantom, save, write_case

import lesionlab.losses
import lesionlab.networks
import lesionlab.pretext
import lesionlab.transforms  # noqa: F401 - these register what recipes name
from lesionlab.core.case import Case
from lesionlab.core.errors import OptionError
from lesionlab.core.labels import LESION
from lesionlab.core.pretraining import PretrainingRecipe, read_pretraining_recipe
from lesionlab.core.recipe import RECIPE_FOLDER, Choice, Recipe, Section, parse_recipe, read_recipe, recipe_names
from lesionlab.engine.ignored_keys import PRETRAINING_KEYS, TRAINING_KEYS, ignored_keys, refuse_ignored_keys
from lesionlab.engine.planning import complete, resolve
from lesionlab.engine.store import StoredCase, store_cases
from lesionlab.engine.training_samples import make_sampler

OF_SLICES = {f"sampling.{key}" for key in ("factor", "percentile", "bonus", "empty_share", "neighbours")}
OF_PATCHES = {f"sampling.{key}" for key in ("lesion_share", "patches_per_case", "lesion_choice")}
OF_SEGMENTATION = {"classes", "validation.threshold", "inference.overlap"} | OF_SLICES | OF_PATCHES
OF_CLASSIFICATION = {f"classification.{key}" for key in ("categories", "balance", "chosen_by")}
OF_SEVERAL_MODALITIES = {"preprocessing.resample_modalities", "training.modality_dropout"}
OF_INTENSITIES = {"preprocessing.foreground", "preprocessing.bias_field", "preprocessing.percentiles"}

SITUATIONS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "slices": (("synapse_net_wmh",), OF_PATCHES | OF_CLASSIFICATION),
    "patches": (("dyn_unet_wmh",), OF_SLICES | OF_CLASSIFICATION),
    "classification": (("saca_swin_classify",), OF_SEGMENTATION | OF_SEVERAL_MODALITIES),
    "classification with weights": (
        ("saca_swin_classify", "loss.options.weights=[1.0, 2.0]"),
        OF_SEGMENTATION | OF_SEVERAL_MODALITIES | {"classification.balance"},
    ),
    "pictures": (("hetero_med_seg_isic",), OF_PATCHES | OF_CLASSIFICATION | OF_INTENSITIES | {"sampling.percentile"}),
    "Hounsfield units": (
        ("hetero_med_seg_synapse",),
        OF_PATCHES
        | OF_CLASSIFICATION
        | OF_SEVERAL_MODALITIES
        | {"preprocessing.bias_field", "preprocessing.percentiles", "sampling.percentile"},
    ),
    "patches anywhere": (
        ("dyn_unet_lgg",),
        OF_SLICES | OF_CLASSIFICATION | {"sampling.lesion_choice"},
    ),
    "pre-training": (("pretrain_t1",), {"preprocessing.resample_modalities"}),
    "pre-training without symmetry": (
        ("pretrain_t1", "objectives={inpainting = {}}", "cut_out.share=0.0"),
        {"preprocessing.resample_modalities", "healthy", "cut_out.edges"},
    ),
}
"""Name -> recipe and changes, and the keys that do nothing there."""

OTHERS: dict[str, Any] = {
    "classes": "values",
    "preprocessing.foreground": "above_minimum",
    "preprocessing.bias_field": "n4",
    "preprocessing.percentiles": (5.0, 90.0),
    "preprocessing.resample_modalities": True,
    "sampling.lesion_share": 0.9,
    "sampling.patches_per_case": 7,
    "sampling.lesion_choice": "instance",
    "sampling.factor": 4,
    "sampling.percentile": 60.0,
    "sampling.bonus": 7,
    "sampling.empty_share": 0.1,
    "sampling.neighbours": 1,
    "training.modality_dropout": 0.3,
    "validation.threshold": 0.3,
    "classification.categories": ("healthy", "stroke"),
    "classification.balance": False,
    "classification.chosen_by": "probability",
    "inference.overlap": 0.1,
    "inference.batch": 3,
    "healthy": ("well",),
    "cut_out.edges": (0.1, 0.2),
}
"""Key that is not always read -> a value that is not its default."""


def read(name: str, *changes: str) -> Recipe | PretrainingRecipe:
    if name.startswith("pretrain_"):
        return read_pretraining_recipe(name, changes=changes)
    return read_recipe(name, changes=changes)


def changed(recipe: Any, key: str, value: object) -> Any:
    """Return the recipe with one key changed, whether or not that is allowed."""
    section, _, name = key.rpartition(".")
    if not section:
        return recipe.model_copy(update={name: value})
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update={name: value})})


def keys_of(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield every key of a schema; what is chosen by name has its options checked by its signature."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section) and kind is not Choice:
            yield from keys_of(kind, f"{above}{name}.")
        else:
            yield above + name


@pytest.mark.parametrize(("model", "table"), [(Recipe, TRAINING_KEYS), (PretrainingRecipe, PRETRAINING_KEYS)])
def test_every_key_says_when_it_is_read(model: type[BaseModel], table: dict[str, object]):
    assert set(table) == set(keys_of(model))
    assert {key for key, conditions in table.items() if conditions} <= set(OTHERS)


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_is_refused_where_it_does_nothing_and_only_there(name: str):
    words, idle = SITUATIONS[name]
    recipe = read(*words)
    table = PRETRAINING_KEYS if isinstance(recipe, PretrainingRecipe) else TRAINING_KEYS
    refuse_ignored_keys(recipe)
    assert {key for key, _ in ignored_keys(recipe, table)} == idle
    for key in idle:
        with pytest.raises(OptionError) as refused:
            refuse_ignored_keys(changed(recipe, key, OTHERS[key]))
        assert key in str(refused.value)
        assert recipe.name in str(refused.value)
    for key in OTHERS.keys() & table.keys() - idle:
        refuse_ignored_keys(changed(recipe, key, OTHERS[key]))


def test_the_advice_says_how_to_change_a_key_back():
    recipe = read_recipe("synapse_net_wmh", changes=["sampling.lesion_share=0.25"])
    with pytest.raises(OptionError) as refused:
        complete(recipe, LESION)
    assert refused.value.found == "sampling.lesion_share = 0.25"
    assert refused.value.next_step == "leave sampling.lesion_share out or at 0.5, or use it only with 3-D networks"


@pytest.mark.parametrize("name", [*recipe_names(), *recipe_names(for_pretraining=True)])
def test_no_recipe_of_ours_has_such_a_key(name: str):
    assert (RECIPE_FOLDER / f"{name}.toml").is_file()
    refuse_ignored_keys(read(name))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredCase, ...]:
    folder = tmp_path_factory.mktemp("cases")
    cases = []
    for number in range(2):
        place, mask = write_case(folder / str(number), seed=number), phantom(number)[2]
        mask[15, 15, 0] = mask[15, 15:18, 4] = 1  # slices with less lesion than all others, as the bonus is for
        save(place / "wmh.nii.gz", mask)
        images = {"flair": place / "pre" / "FLAIR.nii.gz", "t1": place / "pre" / "T1.nii.gz"}
        cases.append(Case(id=str(number), images=images, label=place / "wmh.nii.gz", group=str(number)))
    recipe = recipe_of("slices")
    return store_cases(
        cases, folder / "store", modalities=("flair", "t1"), settings=recipe.preprocessing, labels=LESION
    )


def recipe_of(kind: str) -> Recipe:
    content = tomllib.loads(RECIPE) | {"augmentation": {"name": "flips_and_intensity"}, "inference": {}}
    if kind == "patches":
        content |= {"network": {"name": "dyn_unet"}, "loss": {"name": "dice"}, "sampling": {"size": [16, 16, 4]}}
    return parse_recipe(content, where="test")


@pytest.mark.parametrize("kind", ["slices", "patches"])
@pytest.mark.parametrize("key", sorted(OF_SLICES | OF_PATCHES))
def test_what_is_said_of_sampling_is_true(stored: tuple[StoredCase, ...], kind: str, key: str):
    """Only keys that are not refused change what is drawn."""
    recipe = recipe_of(kind)
    plan = resolve(recipe, LESION, layout="table", training=stored, validation=stored)
    drawn = []
    for settings in (plan.recipe.sampling, changed(recipe, key, OTHERS[key]).sampling):
        tried = plan.recipe.model_copy(update={"sampling": settings})
        sampler = make_sampler(plan.model_copy(update={"recipe": tried}), stored)
        drawn.append((len(sampler.playlist), [sampler[n].image.numpy().tobytes() for n in range(30)]))
    assert (drawn[0] == drawn[1]) == (key in {name for name, _ in ignored_keys(recipe, TRAINING_KEYS)})
