"""A training begins with other weights as far as they fit, and says so in its plan."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_training import RECIPE, write_recipe

from lesionlab.core.errors import CheckpointError, OptionError, RecipeError
from lesionlab.core.network import network
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.start_weights import start_from
from lesionlab.workflows.train import Trained, train

SMALL = {"widths": (4, 4, 8, 8, 8)}


def small(*, modalities: int = 2, regions: int = 1) -> torch.nn.Module:
    return network.build("unet", modalities=modalities, regions=regions, **SMALL)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_file(small().state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_own_weights_are_taken_whole(weights: Path):
    module = small()
    start_from(module, [f"own:{weights}"])
    torch.manual_seed(0)
    for name, value in small().state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name


def test_other_modalities_and_regions_are_inflated(weights: Path):
    two, three = small(), small(modalities=3, regions=2)
    start_from(two, [f"own:{weights}"])
    start_from(three, [f"own:{weights}"])
    one = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        expected = two.eval()(one.expand(-1, 2, -1, -1, -1)).logits
        inflated = three.eval()(one.expand(-1, 3, -1, -1, -1)).logits
    torch.testing.assert_close(inflated, expected.expand_as(inflated), atol=1e-4, rtol=1e-4)


def test_a_kind_that_the_network_does_not_know_is_refused(weights: Path):
    with pytest.raises(OptionError, match="did you mean 'own'"):
        start_from(small(), [f"onw:{weights}"])


def test_weights_of_something_else_are_refused(tmp_path: Path):
    save_file({"elsewhere": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="0 loaded"):
        start_from(small(), [f"own:{tmp_path / 'other.safetensors'}"])


def test_training_starts_from_them_and_goes_on_only_with_them(
    trained: Trained, cohort: Path, shared_store: Path, tmp_path: Path
):
    recipe = write_recipe(tmp_path / "still.toml", RECIPE.replace("3e-3", "1e-12").replace("steps = 6", "steps = 1"))
    weights = f"own:{trained.folder / 'best' / 'weights.safetensors'}"
    data, out = f"wmh2017:{cohort}", tmp_path / "run"
    train(recipe, data, out, store=shared_store, start_from=[weights])
    before, after = (open_checkpoint(folder).load_network() for folder in (trained.folder, out / "last"))
    for (name, first), second in zip(before.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-4, msg=name)
    assert open_checkpoint(out).plan.started_from[0].startswith("own:")
    with pytest.raises(RecipeError, match="started_from"):
        train(recipe, data, out, store=shared_store)
