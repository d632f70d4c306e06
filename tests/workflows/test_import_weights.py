"""Published weights become a checkpoint that predicts what the published network would."""

import importlib.util
from pathlib import Path

import pytest
import torch
from tiny_training import RECIPE, write_recipe

from lesionlab.core.errors import CheckpointError, RecipeError
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.published_weights import import_weights
from lesionlab.workflows.import_weights import import_checkpoint
from lesionlab.workflows.predict import predict


@pytest.fixture(scope="module")
def published(parity: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights as a training script would leave it, of a small network with four heads."""
    spec = importlib.util.spec_from_file_location("recipe", parity / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    meta, _ = recipe.load_fixture(parity / "synapse_2mod_tiny_a.npz")
    weights = {f"module.{name}": torch.from_numpy(value) for name, value in recipe.recipe_state_dict(meta).items()}
    file = tmp_path_factory.mktemp("published") / "best_model.pth"
    torch.save({"state_dict": weights}, file)
    return file


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    return write_recipe(tmp_path / "four_heads.toml", RECIPE.replace("heads = 2, token_grid = 2", "heads = 4"))


def test_the_checkpoint_holds_the_published_network(published: Path, recipe: str, cohort: Path, tmp_path: Path):
    imported = import_checkpoint(
        published, tmp_path / "wmh", network="synapse_net", recipe=recipe, layout_name="wmh2017"
    )
    assert imported.coverage.fraction == 1
    loaded = open_checkpoint(imported.folder)
    assert loaded.plan.recipe.network.options["mode"] == "reference"
    image = torch.randn(1, 2, 128, 128)
    with torch.inference_mode():
        expected = import_weights(published, network="synapse_net", heads=4)(image).logits
        torch.testing.assert_close(loaded.load_network()(image).logits, expected, rtol=0, atol=0)
    predicted = predict(imported.folder, f"wmh2017:{cohort}", tmp_path / "masks", split="test")
    assert not predicted.failures
    assert predicted.files[0].exists()


def test_weights_for_other_modalities_than_the_recipe_are_refused(published: Path, tmp_path: Path):
    one = write_recipe(tmp_path / "one.toml", RECIPE.replace('["flair", "t1"]', '["flair"]'))
    with pytest.raises(CheckpointError, match="weights for 1 modalities"):
        import_checkpoint(published, tmp_path / "out", network="synapse_net", recipe=one, layout_name="wmh2017")
    assert not (tmp_path / "out").exists()


def test_a_recipe_for_another_network_is_refused(published: Path, tmp_path: Path):
    other = write_recipe(
        tmp_path / "other.toml", RECIPE.replace('"synapse_net"\noptions = { w', '"sg_net"\noptions = { w')
    )
    with pytest.raises(RecipeError, match="a recipe for synapse_net"):
        import_checkpoint(published, tmp_path / "out", network="synapse_net", recipe=other, layout_name="wmh2017")
