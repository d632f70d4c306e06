"""3-D patches: where they lie, and that the mirror image stays beside them."""

from pathlib import Path

import numpy as np
import pytest

from lesionlab.core.grid import Box, Grid
from lesionlab.core.labels import Labels
from lesionlab.core.recipe import Sampling
from lesionlab.engine.patches import PatchSampler
from lesionlab.engine.sample import cut_block
from lesionlab.engine.store import StoredCase
from lesionlab.transforms.flips_and_intensity import FlipsAndIntensity
from lesionlab.transforms.geometry import Geometry

SHAPE = (20, 24, 16)
LABELS = Labels(regions={"lesion": frozenset({1})}, ignored=frozenset({2}))
STILL = FlipsAndIntensity(flip=0.0, intensity=0.0)


@pytest.fixture
def case(tmp_path: Path) -> StoredCase:
    """A case whose voxels know their place, with one small lesion in a corner and ignored voxels beside it."""
    image = np.stack([np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE), np.zeros(SHAPE, np.float32)])
    label = np.zeros(SHAPE, np.uint8)
    label[17:19, 20:22, 3:5] = 1
    label[17:19, 18:20, 3:5] = 2
    np.save(tmp_path / "image.npy", np.asfortranarray(image))
    np.save(tmp_path / "label.npy", np.asfortranarray(label))
    grid = Grid.of(SHAPE, np.eye(4))
    return StoredCase(
        id="a",
        group="a",
        site="",
        folder=tmp_path,
        geometry=Geometry(scan=grid, working=grid, box=Box(start=(0, 0, 0), stop=SHAPE)),
        background=(-1.0, 0.0),
        space_code=1,
    )


def sampler(case: StoredCase, *, size: tuple[int, int, int] = (8, 8, 8), share: float = 1.0) -> PatchSampler:
    settings = Sampling(size=size, lesion_share=share, patches_per_case=3)
    return PatchSampler([case], LABELS, settings=settings, augmentation=STILL, seed=0)


def test_patches_hold_lesion_as_often_as_asked(case: StoredCase):
    always, anywhere = sampler(case), sampler(case, share=0.0)
    assert all(always[n].reference.any() for n in range(40))
    found = np.mean([bool(anywhere[n].reference.any()) for n in range(200)])
    assert found < 0.5
    assert len(always.playlist) == 3


def test_a_patch_is_a_function_of_its_number(case: StoredCase):
    first, again = sampler(case, share=0.5)[17], sampler(case, share=0.5)[17]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first.image != sampler(case, share=0.5)[18].image).any()


def test_ignored_voxels_are_no_lesion_and_do_not_count(case: StoredCase):
    whole = sampler(case, size=SHAPE)[0]
    assert int(whole.reference.sum()) == 8
    assert int((~whole.counted).sum()) == 8
    assert not (whole.reference.bool() & ~whole.counted).any()


def test_what_is_smaller_than_the_patch_is_padded_with_air(case: StoredCase):
    padded = sampler(case, size=(24, 24, 16))[0]
    assert padded.image.shape == (2, 24, 24, 16)
    assert (padded.image[0, :2] == -1).all()
    np.testing.assert_array_equal(padded.image[0, 2:22], case.image()[0])


def test_a_block_of_the_mirror_image_lies_beside_the_block(case: StoredCase):
    image, _ = cut_block(
        case.image(), case.label(), start=(3, 4, 5), size=(8, 8, 8), background=case.background, is_mirrored=True
    )
    assert image.shape == (4, 8, 8, 8)
    np.testing.assert_array_equal(image[:2], case.image()[:, 3:11, 4:12, 5:13])
    np.testing.assert_array_equal(image[2:], np.flip(case.image(), axis=1)[:, 3:11, 4:12, 5:13])
