"""Cutting before interpolating gives what interpolating before cutting gives."""

import numpy as np
import pytest
from tiny_training import AFFINE, SHAPE, phantom

from lesionlab.core.grid import Grid
from lesionlab.engine.cutting import Cut, cut_head
from lesionlab.engine.images import Image
from lesionlab.transforms.geometry import to_working
from lesionlab.transforms.normalise import foreground_level

OWN = Grid.of(SHAPE, AFFINE)


def turned(degrees: float) -> Grid:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Grid.of((50, 50, 16), np.array([[c, -s, 0, -20], [s, c, 0, -22], [0, 0, 1, -7], [0, 0, 0, 1.0]]))


WORKING = {
    "own": OWN,
    "finer": OWN.respaced((0.7, 0.8, 1.0)),
    "coarser": OWN.respaced((2.0, 2.0, 3.0)),
    "aslant": turned(20),
}


def cut_on(working: Grid, *, is_even: bool = False, label: bool = True) -> Cut:
    flair, t1, mask = phantom(0)
    scans = {name: Image(array=array, grid=OWN, space_code=1) for name, array in (("flair", flair), ("t1", t1))}
    levels = {name: foreground_level(scan.array, rule="above_background") for name, scan in scans.items()}
    stored = Image(array=mask.astype(np.int16), grid=OWN, space_code=1) if label else None
    return cut_head(scans, levels, brain=None, label=stored, working=working, is_even=is_even)


@pytest.mark.parametrize("name", WORKING)
def test_images_and_labels_are_those_of_the_whole_grid(name: str):
    working = WORKING[name]
    cut = cut_on(working)
    flair, t1, mask = phantom(0)
    for modality, array in (("flair", flair), ("t1", t1)):
        whole = to_working(array, OWN, working=working, order=1)
        np.testing.assert_allclose(cut.images[modality], whole[cut.box.slices], atol=1e-3)
    whole = to_working(mask.astype(np.int16), OWN, working=working, order=0)
    np.testing.assert_array_equal(cut.label, whole[cut.box.slices])
    assert cut.label.sum() == whole.sum() > 0


@pytest.mark.parametrize("name", WORKING)
def test_the_box_is_no_larger_than_the_head(name: str):
    cut = cut_on(WORKING[name])
    either = cut.heads["flair"] | cut.heads["t1"] | (cut.label > 0)
    for axis in range(3):
        shown = either.any(axis=tuple({0, 1, 2} - {axis}))
        assert shown[0]
        assert shown[-1]


@pytest.mark.parametrize("name", WORKING)
def test_an_even_box_has_as_much_on_either_side(name: str):
    box = cut_on(WORKING[name], is_even=True).box
    assert box.start[0] == WORKING[name].shape[0] - box.stop[0]


def test_nothing_to_see_keeps_everything():
    empty = Image(array=np.zeros(SHAPE, np.float32), grid=OWN, space_code=1)
    for working in WORKING.values():
        cut = cut_head({"flair": empty}, {"flair": 0.0}, brain=None, label=None, working=working, is_even=False)
        assert cut.box.shape == working.shape
        assert cut.label is None
