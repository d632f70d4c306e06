"""A size that the recipe leaves open is the largest that fits into the memory at hand."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from tiny_training import RECIPE

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401 - these three register what the recipe names
from lesionlab.core.errors import RecipeError
from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import LESION
from lesionlab.core.loss import loss
from lesionlab.core.network import network
from lesionlab.core.recipe import Recipe, parse_recipe, tomllib
from lesionlab.engine.checkpoint import open_checkpoint
from lesionlab.engine.memory import USABLE, activation_bytes
from lesionlab.engine.patch_size import fitting_size, with_size
from lesionlab.engine.planning import complete
from lesionlab.engine.sample import Sample
from lesionlab.engine.store import StoredCase
from lesionlab.transforms.geometry import Geometry
from lesionlab.workflows.train import train

FABRIC = Fabric(accelerator="cpu", devices=1)
PLENTY = 2**50
SHAPES = [(140, 150, 100), (130, 170, 99), (120, 160, 9)]
"""Their median is 130 x 160 x 99."""


def stored(shape: tuple[int, int, int]) -> StoredCase:
    grid = Grid.of(shape, np.eye(4))
    geometry = Geometry(scan=grid, working=grid, box=Box(start=(0, 0, 0), stop=shape))
    return StoredCase(
        id="a", group="a", site="", folder=Path("none"), geometry=geometry, background=(0.0,), space_code=1
    )


def open_recipe(name: str, options: dict[str, object], **training: object) -> Recipe:
    content = tomllib.loads(RECIPE)
    del content["sampling"], content["inference"]
    content |= {"network": {"name": name, "options": options}, "loss": {"name": "cross_entropy"}}
    content["training"] |= {"batch": 2, **training}
    return complete(parse_recipe(content, where="test"), LESION)


def chosen_for(recipe: Recipe, *, free_bytes: int) -> Recipe:
    return with_size(recipe, [stored(shape) for shape in SHAPES], outputs=1, fabric=FABRIC, free_bytes=free_bytes)


UNET = ("unet", {"widths": [4, 4, 8, 8, 8]})


def test_with_plenty_of_memory_it_is_the_median_case_in_whole_strides(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        recipe = chosen_for(open_recipe(*UNET), free_bytes=PLENTY)
    assert recipe.sampling.size == (128, 160, 96)
    assert "size: 128 x 160 x 96 voxels, about " in caplog.text
    options = {"widths": [4, 4, 8, 8, 8], "token_channels": 8, "heads": 2, "token_grid": 2}
    assert chosen_for(open_recipe("synapse_net", options), free_bytes=PLENTY).sampling.size == (128, 160)


@pytest.mark.parametrize(("accumulate", "at_a_time"), [(1, 2), (2, 1)])
def test_with_little_memory_what_goes_through_at_a_time_fits(accumulate: int, at_a_time: int):
    free_bytes = 20 * 2**20
    recipe = chosen_for(open_recipe(*UNET, accumulate=accumulate), free_bytes=free_bytes)
    size = recipe.sampling.size
    assert (32, 32, 32) < size < (128, 160, 96)
    built = network.build(recipe.network.name, modalities=2, regions=1, **recipe.network.options)
    sample = Sample(torch.zeros(1, 2, *size), torch.zeros(1, 1, *size), torch.ones(1, 1, *size, dtype=torch.bool))
    found = activation_bytes(built.train(), loss.build("cross_entropy"), sample=sample)
    assert at_a_time * found <= USABLE * free_bytes
    assert 4 * at_a_time * found > USABLE * free_bytes, "one that is larger would have fitted"


def test_no_axis_gets_shorter_than_two_strides():
    assert chosen_for(open_recipe(*UNET), free_bytes=1).sampling.size == (32, 32, 32)


def test_a_network_that_is_built_for_a_patch_is_built_for_this_one():
    recipe = chosen_for(open_recipe("dyn_unet", {"width": 4, "widest": 8}), free_bytes=PLENTY)
    assert recipe.network.options["patch"] == recipe.sampling.size == (128, 160, 96)


@given(st.lists(st.integers(1, 300), min_size=2, max_size=3), st.integers(1, 10**7), st.sampled_from([8, 16, 32]))
def test_a_fitting_size_is_whole_strides_of_the_largest(sides: list[int], voxels: int, stride: int):
    largest = tuple(side if side < 2 * stride else side // stride * stride for side in sides)
    size = fitting_size(largest, voxels=voxels, stride=stride)
    assert all(found == whole or found % stride == 0 for found, whole in zip(size, largest, strict=True))
    assert all(found <= whole for found, whole in zip(size, largest, strict=True))
    assert math.prod(size) <= voxels or max(size) <= 2 * stride
    if math.prod(largest) <= voxels:
        assert size == largest


def test_a_training_goes_on_with_the_size_that_it_began_with(
    cohort: Path, tiny_recipe: str, shared_store: Path, tmp_path: Path
):
    def run(size: str, stop_after: int) -> tuple[int, ...]:
        changes = (f"sampling.size={size}", "training.steps=2")
        data = f"wmh2017:{cohort}"
        train(tiny_recipe, data, tmp_path / size, changes=changes, store=shared_store, stop_after=stop_after)
        return open_checkpoint(tmp_path / size / "last").plan.recipe.sampling.size

    found = run("[]", 1)
    assert len(found) == 2
    assert all(16 < side <= 36 for side in found)
    assert run("[]", 2) == found


def test_a_classifier_says_how_large_its_volumes_are():
    content = tomllib.loads(RECIPE) | {"task": "classify", "network": {"name": "swin_classifier"}}
    del content["sampling"], content["inference"]
    with pytest.raises(RecipeError, match="the size of volumes"):
        complete(parse_recipe(content, where="test"), LESION)
