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


def test_undeclared_values_may_be_declared_in_a_file():
    with pytest.raises(LabelError, match=r"also \[2, 4\]; in mask; next: .*regions in the lesionlab\.toml"):
        LESION.check(np.array([0, 2, 4]), where="mask")


@pytest.mark.parametrize("label", [[0, 3], [-1, 1], [300, 0, 5]])
def test_undeclared_values_are_refused_and_listed(label: list[int]):
    with pytest.raises(LabelError) as caught:
        WMH.check(np.array(label), where=Path("wmh.nii.gz"))
    assert str(sorted(set(label) - {0, 1})) in caught.value.found
    assert caught.value.where == "wmh.nii.gz"


@st.composite
def declared(draw: st.DrawFn) -> Labels:
    """Labels of any kind: nested, overlapping, exclusive, with values above 255, some ignored."""
    values = draw(st.lists(st.integers(1, 600), min_size=1, max_size=6, unique=True))
    some = st.sets(st.sampled_from(values), min_size=1).map(frozenset)
    regions = draw(st.dictionaries(st.sampled_from("abcdefgh"), some, min_size=1, max_size=5))
    free = sorted(set(values) - frozenset().union(*regions.values()))
    return Labels(regions=regions, ignored=frozenset(draw(st.sets(st.sampled_from(free))) if free else ()))


@given(declared(), st.data())
def test_a_mask_reads_back_as_the_regions_that_its_values_express(labels: Labels, data: st.DataObject):
    region_values = sorted(labels.values - labels.ignored)
    label = data.draw(arrays.arrays(np.int16, (3, 2, 4), elements=st.sampled_from(region_values)))
    masks = labels.regions_of(label)
    stored = labels.label_map(masks)
    np.testing.assert_array_equal(labels.regions_of(stored.values), masks)
    assert stored.inexact_voxels == 0


@given(declared(), st.data())
def test_no_value_expresses_any_masks_better(labels: Labels, data: st.DataObject):
    masks = data.draw(arrays.arrays(bool, (len(labels.regions), 2, 3)))
    stored = labels.label_map(masks)
    read = labels.regions_of(stored.values)
    assert stored.inexact_voxels == np.count_nonzero((read != masks).any(axis=0))
    assert stored.values.dtype == (np.uint8 if stored.values.max() <= 255 else np.int16)
    assert not np.isin(stored.values, list(labels.ignored)).any()
    possible = [labels.regions_of(np.array([value]))[:, 0] for value in sorted(labels.values - labels.ignored - {0})]
    for place in np.ndindex(2, 3):
        inside, own = masks[(slice(None), *place)], read[(slice(None), *place)]
        if not inside.any():
            assert stored.values[place] == 0
            continue
        covering = [other for other in possible if (other >= inside).all()]
        if covering:
            assert (own >= inside).all()
            assert own.sum() == min(other.sum() for other in covering)
        else:
            assert (own != inside).sum() == min((other != inside).sum() for other in possible)


def test_more_regions_than_bits_of_a_number():
    labels = Labels(regions={f"r{number}": frozenset({number, 1000}) for number in range(1, 101)})
    label = np.array([[1, 100], [37, 1000]], np.int16)
    np.testing.assert_array_equal(labels.label_map(labels.regions_of(label)).values, label)


@given(declared(), st.data())
def test_renumbered_masks_keep_their_regions(labels: Labels, data: st.DataObject):
    """Other values for the same combinations of regions, in another order."""
    label = data.draw(arrays.arrays(np.int16, (3, 5), elements=st.sampled_from(sorted(labels.values))))
    shift = data.draw(st.integers(1, 500))
    other = Labels(
        regions={name: frozenset(value + shift for value in labels.regions[name]) for name in reversed(labels.names)},
        ignored=frozenset(value + shift for value in labels.ignored),
    )
    renumbered = labels.renumbered(label, to=other)
    for name, mask, expected in zip(
        labels.names, labels.regions_of(label), other.regions_of(renumbered)[::-1], strict=True
    ):
        np.testing.assert_array_equal(mask, expected, err_msg=name)
    np.testing.assert_array_equal(labels.ignored_of(label), other.ignored_of(renumbered))


@given(declared(), st.data(), st.sampled_from([np.int16, np.uint16, np.int64, np.float32, np.float64]))
def test_stored_values_come_back_from_any_type(labels: Labels, data: st.DataObject, dtype: type):
    label = data.draw(arrays.arrays(np.int16, (4, 3), elements=st.sampled_from(sorted(labels.values))))
    noise = 0 if np.issubdtype(dtype, np.integer) else 4e-4
    np.testing.assert_array_equal(labels.stored_values((label + noise).astype(dtype)), label)


@pytest.mark.parametrize("value", [1, 4, 300])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32])
def test_a_mask_of_one_region_may_be_bool_white_or_probabilities(value: int, dtype: type):
    labels = Labels(regions={"lesion": frozenset({value})}, ignored=frozenset({9}))
    lesion = np.random.default_rng(0).random((5, 4)) > 0.5
    form = {bool: lesion, np.uint8: lesion * np.uint8(255), np.int16: lesion * np.int16(value)}
    mask = form.get(dtype, np.where(lesion, 0.5, 0.49).astype(np.float32))
    np.testing.assert_array_equal(labels.stored_values(mask), lesion * value)


@pytest.mark.parametrize(
    ("labels", "array"),
    [
        (LESION, [0, 2]),
        (LESION, [1, 255]),
        (LESION, [-1, 0]),
        (LESION, [0, 40000]),
        (LESION, [0.3, 1.7]),
        (LESION, [0.0, np.nan]),
        (LESION, [0.0, np.inf]),
        (BRATS, [0, 255]),
        (BRATS, [0.2, 0.8]),
        (Labels(regions={"tumour": frozenset({2})}), [0, 1]),
        (Labels(regions={"lesion": frozenset({1})}, lesion_above=0.5), [0.0, np.nan]),
    ],
)
def test_what_nobody_declared_is_refused(labels: Labels, array: list[float]):
    with pytest.raises(LabelError) as caught:
        labels.stored_values(np.array(array), where="mask.nii.gz")
    assert caught.value.where == "mask.nii.gz"


@pytest.mark.parametrize("array", [[0.2, 0.8], [0, 255]])
def test_files_of_volumes_hold_stored_values_and_nothing_else(array: list[float]):
    with pytest.raises(LabelError):
        LESION.stored_values(np.array(array), source="volume")


def test_a_picture_is_white_where_there_is_lesion():
    assert LESION.stored_values(np.array([0, 255]), source="picture").tolist() == [0, 1]
    with pytest.raises(LabelError):
        LESION.stored_values(np.array([0.2, 0.8]), source="picture")


def test_a_limit_for_the_files_of_a_dataset_is_none_for_predictions():
    """ATLAS 1: every number above 0.5 of a file is lesion; a prediction holds 1 for the main lesion, 2 for others."""
    labels = Labels(regions={"main": frozenset({1}), "sub": frozenset({2})}, lesion_above=0.5)
    assert labels.predicted_values(np.array([0, 1, 2])).tolist() == [0, 1, 2]
    with pytest.raises(LabelError, match="3"):
        labels.predicted_values(np.array([0, 3]))


@pytest.mark.parametrize(
    ("limit", "array", "lesion"),
    [
        (127.0, [0, 127, 128, 255], [0, 0, 1, 1]),
        (127.0, [0, 1, 1, 0], [0, 1, 1, 0]),
        (127.0, [0.0, 0.4, 0.6, 1.0], [0, 0, 1, 1]),
        (0.5, [0.0, 0.4, 0.9999, 253.0], [0, 0, 1, 1]),
    ],
)
def test_a_limit_reads_any_number(limit: float, array: list[float], lesion: list[int]):
    labels = Labels(regions={"lesion": frozenset({1})}, lesion_above=limit)
    assert labels.stored_values(np.array(array)).tolist() == lesion


@pytest.mark.parametrize(
    ("regions", "ignored", "problem"),
    [
        ({"lesion": {0}}, set(), "the value 0"),
        ({"lesion": {1, -1}}, set(), "the value -1"),
        ({"lesion": {40_000}}, set(), "the value 40000"),
        ({"lesion": {1}}, {0}, "the value 0"),
        ({"lesion": set()}, set(), "no value of lesion"),
        ({"lesion": {1, 2}}, {2}, "2 in a region and ignored"),
    ],
)
def test_a_declaration_that_no_mask_can_follow_is_refused(
    regions: dict[str, set[int]], ignored: set[int], problem: str
):
    with pytest.raises(LabelError, match=problem):
        Labels(regions={name: frozenset(values) for name, values in regions.items()}, ignored=frozenset(ignored))
