"""Labels turn stored values into regions, and refuse values that nobody declared."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lesionlab.core.errors import LabelError
from lesionlab.core.labels import LESION, Labels

BRATS = Labels(regions={"WT": frozenset({1, 2, 4}), "TC": frozenset({1, 4}), "ET": frozenset({4})})
WMH = Labels(regions={"lesion": frozenset({1})}, ignored=frozenset({2}))

maps = arrays.arrays(np.int16, (3, 4, 2), elements=st.sampled_from([0, 1, 2, 4]))


def test_names_keep_their_order():
    assert BRATS.names == ("WT", "TC", "ET")
    assert BRATS.values == {0, 1, 2, 4}
    assert WMH.values == {0, 1, 2}


@given(maps)
def test_overlapping_regions_contain_each_other(label: np.ndarray):
    whole, core, enhancing = BRATS.regions_of(label)
    assert (whole >= core).all()
    assert (core >= enhancing).all()
    np.testing.assert_array_equal(whole, label > 0)


@given(maps)
def test_an_ignored_voxel_is_in_no_region(label: np.ndarray):
    ignored = WMH.ignored_of(label)
    np.testing.assert_array_equal(ignored, label == 2)
    assert not (WMH.regions_of(label) & ignored).any()


def test_nothing_is_ignored_unless_declared():
    assert not LESION.ignored_of(np.array([0, 1, 2])).any()


def test_an_empty_mask_gives_empty_regions():
    assert BRATS.regions_of(np.zeros((2, 2, 2), np.uint8)).shape == (3, 2, 2, 2)
    assert not BRATS.regions_of(np.zeros((2, 2, 2), np.uint8)).any()


def test_declared_values_pass():
    WMH.check(np.array([0, 1, 2]), where=Path("wmh.nii.gz"))


@pytest.mark.parametrize("label", [[0, 3], [-1, 1], [300, 0, 5]])
def test_undeclared_values_are_refused_and_listed(label: list[int]):
    with pytest.raises(LabelError) as caught:
        WMH.check(np.array(label), where=Path("wmh.nii.gz"))
    assert str(sorted(set(label) - {0, 1})) in caught.value.found
    assert caught.value.where == "wmh.nii.gz"
