"""Options of a network that do not go together, and samples that are too small, are refused without any numbers."""

import logging

import pytest
import torch

import lesionlab.losses
import lesionlab.networks
import lesionlab.pretext
import lesionlab.transforms  # noqa: F401 - these four register what a recipe may name
from lesionlab.core.errors import RecipeError
from lesionlab.core.network import network
from lesionlab.core.pretraining import read_pretraining_recipe
from lesionlab.core.recipe import Recipe, read_recipe, recipe_names
from lesionlab.engine.network_fit import check_encoder_fits, check_network_fits
from lesionlab.engine.planning import complete_for

SAID = "lesionlab.engine.network_fit"


def completed(name: str, *changes: str) -> Recipe:
    return complete_for(read_recipe(name, changes=changes), outputs=2)


FIRST_OF_NETWORK = {read_recipe(name).network.name: name for name in reversed(recipe_names())}
RECIPES = [
    pytest.param(name, marks=() if name in FIRST_OF_NETWORK.values() else pytest.mark.slow) for name in recipe_names()
]


def test_the_one_network_without_a_recipe_is_tried_and_fits(caplog: pytest.LogCaptureFixture):
    assert set(network) - set(FIRST_OF_NETWORK) == {"swin_classifier"}
    with caplog.at_level(logging.DEBUG, logger=SAID):
        check_network_fits(completed("saca_swin_classify", "network.name=swin_classifier"), outputs=2)
    assert caplog.text == ""


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_tried_and_fits(name: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, logger=SAID):
        check_network_fits(completed(name), outputs=2)
    assert caplog.text == "", "no network is let off"


@pytest.mark.parametrize("name", recipe_names(for_pretraining=True))
def test_every_recipe_for_pretraining_is_tried_and_fits(name: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, logger=SAID):
        check_encoder_fits(read_pretraining_recipe(name))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("saca_swin_classify", ["sampling.size=[32,32,32]"], "more than 32x32x32 voxels; found 2 on 32x32x32"),
        ("saca_swin_classify", ["network.options.width=10"], "saca_swin_classifier that fit together"),
        ("saca_swin_classify", ["network.options.symmetry_heads=7"], "saca_swin_classifier that fit together"),
        ("saca_swin_brats", ["sampling.size=[16,16,16]"], "found 8 on 16x16x16"),
        ("swin_unetr_brats", ["network.options.heads=[5,5,5,5]"], "swin_unetr that fit together"),
        ("synapse_net_wmh", ["sampling.size=[8,8]"], "at least 16x16 pixels; found 2 on 8x8"),
        ("synapse_net_wmh", ["network.options.heads=7"], "found 7 heads for 256 and 256 channels"),
        ("dyn_unet_isles", ["sampling.size=[8,8,8]"], "found 2 on 8x8x8"),
        ("mednext_isles", ["sampling.size=[8,8,8]"], "found 2 on 8x8x8"),
        ("hetero_med_seg_isic", ["network.options.width=30"], "an even width"),
        ("unet_brain_mets", ["sampling.size=[4,4,4]"], "on 4x4x4"),
    ],
)
def test_what_does_not_fit_is_named(name: str, changes: list[str], said: str):
    with pytest.raises(Exception, match=said) as caught:
        check_network_fits(completed(name, *changes), outputs=2)
    assert caught.type.__module__ == "lesionlab.core.errors", "a user's error"


def test_an_encoder_that_does_not_fit_is_named():
    with pytest.raises(RecipeError, match="saca_swin that fit together and samples of 96x96x96"):
        check_encoder_fits(read_pretraining_recipe("pretrain_t1", changes=("network.options.width=10",)))


def test_nothing_random_is_drawn():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    check_network_fits(completed("synapse_net_wmh"), outputs=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_needs_numbers_is_let_off(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    class Counting(torch.nn.Module):
        spatial_dims = 2

        def forward(self, image: torch.Tensor) -> int:
            return int(image.sum().item())

    monkeypatch.setattr(type(network), "build", lambda *_, **__: Counting())
    with caplog.at_level(logging.DEBUG, logger=SAID):
        check_network_fits(completed("synapse_net_wmh"), outputs=2)
    assert "cannot be tried without numbers" in caplog.text
