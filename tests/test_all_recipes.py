"""What every recipe that comes with lesionlab must do; one that is added later is tested without a change here."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import test_all_networks as conformance
from PIL import Image as Picture
from tiny_training import phantom, save

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401 - these three register what a recipe names
from lesionlab.core.labels import LESION
from lesionlab.core.recipe import RECIPE_FOLDER, Recipe, read_recipe, recipe_names
from lesionlab.engine.planning import complete
from lesionlab.transforms.normalise import COLOURS
from lesionlab.workflows.predict import predict
from lesionlab.workflows.train import train

SEGMENTING = [name for name in recipe_names() if read_recipe(name).task == "segment"]
PLACES = {2: [48, 48], 3: [48, 48, 48]}


@pytest.mark.parametrize("name", SEGMENTING)
def test_everything_in_it_exists_and_fits_together(name: str) -> None:
    recipe = read_recipe(name)
    completed = complete(recipe, LESION)
    assert recipe.name == name
    assert set(recipe.network.options) <= set(completed.network.options)
    assert recipe.description


@pytest.mark.parametrize("name", recipe_names())
def test_it_is_short_and_begins_by_saying_what_it_is(name: str) -> None:
    lines = (RECIPE_FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 50
    assert lines[0].startswith("# ")
    if name.startswith("published/"):
        assert any("Departures" in line for line in lines[:3]), "a published recipe names what it does otherwise"


def tiny(recipe: Recipe) -> list[str]:
    """Return changes that make a recipe's training small, and nothing else about it another."""
    size = [min(*pair) for pair in zip(recipe.sampling.size, PLACES[len(recipe.sampling.size)], strict=True)]
    options = {**conformance.TINY.get(recipe.network.name, {})}
    if "patch" in recipe.network.options:
        options["patch"] = size
    changes = [
        f"network.options.{key}={str(list(value)) if isinstance(value, tuple) else value}"
        for key, value in options.items()
    ]
    return [
        *changes, f"sampling.size={size}", "training.steps=3", "training.batch=2", "training.precision=float32",
        "validation.every=1", "inference.overlap=0.0", "preprocessing.straighten=false",
    ]  # fmt: skip


def write_dataset(folder: Path, recipe: Recipe) -> Path:
    """Write four patients with all of a recipe's modalities, as pictures or scans, in the layout `table`."""
    rows = [",".join(["id", "label", *recipe.modalities])]
    for number in range(4):
        flair, t1, mask = phantom(number)
        if recipe.classes == "values":
            mask[mask.cumsum(axis=0) > 1] *= 2
        files = [
            _write(folder / f"{number}_{kind}", part, is_picture=_is_coloured(recipe))
            for kind, part in (("mask", mask), ("a", flair), ("b", t1))
        ]
        images = [files[1 + position % 2] for position in range(len(recipe.modalities))]
        rows.append(",".join([f"p{number}", files[0].name, *(image.name for image in images)]))
    (folder / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    if recipe.classes == "values":
        (folder / "lesionlab.toml").write_text("regions = { main = [1], sub = [2] }\n", encoding="utf-8")
    return folder


def _is_coloured(recipe: Recipe) -> bool:
    return set(recipe.modalities) <= set(COLOURS)


def _write(stem: Path, voxels: np.ndarray, *, is_picture: bool) -> Path:
    if not is_picture:
        return save(stem.with_name(stem.name + ".nii.gz"), voxels)
    path = stem.with_name(stem.name + ".png")
    Picture.fromarray(np.clip(voxels[..., 2].T, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SEGMENTING)
def test_it_trains_resumes_and_predicts(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    folder = tmp_path / "data"
    folder.mkdir()
    data, out = f"table:{write_dataset(folder, recipe)}", tmp_path / "run"
    assert not train(name, data, out, changes=tiny(recipe), stop_after=2).is_finished
    assert train(name, data, out, changes=tiny(recipe)).is_finished
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert any("dice" in line.lower() for line in lines), "it was validated"
    written = predict(out, data, tmp_path / "masks")
    assert not written.failures
    masks = [nibabel.load(path) for path in written.files if path.name.endswith("_mask.nii.gz")]
    assert len(masks) == 4
    allowed = {0, 1, 2} if recipe.classes == "values" else {0, 1}
    assert all(set(np.unique(mask.dataobj)) <= allowed for mask in masks)
