"""What must hold for any masks."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import lesionlab.metrics  # noqa: F401 (registers them)
from lesionlab.core.metric import Mask, MaskPair, Metric, metric
from lesionlab.metrics.overlap import Dice

WITHOUT_SLICE_AXIS = [name for name in metric if name != "hd95_wmh"]
OF_THE_VOLUME = {"accuracy", "specificity", "matthews_correlation"}
"""They count background, so a larger volume changes them."""
DIRECTED = {
    "precision",
    "recall",
    "specificity",
    "mean_distance_from_predicted",
    "lesion_recall",
    "lesion_precision",
    "lesion_f1_touched",
    "false_positive_lesions",
    "lesion_wise_dice",
    "lesion_wise_hd95",
    "lesion_wise_nsd",
    "lesion_wise_count",
    "predicted_lesions",
    "reference_lesions",
    "predicted_volume_ml",
    "reference_volume_ml",
    "volume_difference_ml",
    "relative_volume_difference",
    "avd_percent",
}

spacings = st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * 3)


@st.composite
def mask_pairs(draw: st.DrawFn) -> MaskPair:
    shape = draw(array_shapes(min_dims=3, max_dims=3, max_side=7))
    is_voxel = st.sampled_from([True, False, False, False])
    predicted = draw(arrays(bool, shape, elements=is_voxel, fill=st.just(False)))
    reference = draw(arrays(bool, shape, elements=is_voxel, fill=st.just(False)))
    return MaskPair(predicted=predicted, reference=reference, spacing_mm=draw(spacings))


def same(first: float, second: float) -> bool:
    return first == pytest.approx(second, nan_ok=True, abs=1e-9)


BUILT: dict[str, Metric] = {name: metric.build(name) for name in metric}


def unequal(first: MaskPair, second: MaskPair, *, names: Iterable[str] = BUILT) -> list[str]:
    """Return which metrics give the two pairs of masks different values."""
    return [name for name in names if not same(BUILT[name](first), BUILT[name](second))]


@settings(max_examples=50)
@given(pair=mask_pairs(), axis=st.sampled_from([0, 1, 2]))
def test_mirror_images_score_alike(pair: MaskPair, axis: int) -> None:
    mirrored = MaskPair(
        predicted=np.flip(pair.predicted, axis), reference=np.flip(pair.reference, axis), spacing_mm=pair.spacing_mm
    )
    assert not unequal(pair, mirrored)


@settings(max_examples=50)
@given(pair=mask_pairs(), order=st.permutations([0, 1, 2]))
def test_the_order_of_axes_does_not_matter(pair: MaskPair, order: list[int]) -> None:
    x, y, z = (pair.spacing_mm[axis] for axis in order)
    turned = MaskPair(
        predicted=pair.predicted.transpose(order), reference=pair.reference.transpose(order), spacing_mm=(x, y, z)
    )
    assert not unequal(pair, turned, names=WITHOUT_SLICE_AXIS)


@settings(max_examples=50)
@given(pair=mask_pairs())
def test_prediction_and_reference_may_change_places(pair: MaskPair) -> None:
    swapped = MaskPair(predicted=pair.reference, reference=pair.predicted, spacing_mm=pair.spacing_mm)
    assert not unequal(pair, swapped, names=BUILT.keys() - DIRECTED)


@settings(max_examples=50)
@given(pair=mask_pairs(), margin=st.integers(1, 3))
def test_background_around_the_volume_changes_nothing(pair: MaskPair, margin: int) -> None:
    def padded(mask: Mask) -> Mask:
        return np.pad(mask, margin)

    wider = MaskPair(predicted=padded(pair.predicted), reference=padded(pair.reference), spacing_mm=pair.spacing_mm)
    assert not unequal(pair, wider, names=set(WITHOUT_SLICE_AXIS) - OF_THE_VOLUME)


@settings(max_examples=50)
@given(pair=mask_pairs())
def test_dice_follows_its_definition(pair: MaskPair) -> None:
    both = np.count_nonzero(pair.predicted & pair.reference)
    voxels = np.count_nonzero(pair.predicted) + np.count_nonzero(pair.reference)
    assert same(Dice(both_empty=0.25)(pair), 2 * both / voxels if voxels else 0.25)


@settings(max_examples=50)
@given(pair=mask_pairs(), factor=st.sampled_from([0.5, 2.0]))
def test_distances_grow_with_spacing_and_nothing_else_does(pair: MaskPair, factor: float) -> None:
    x, y, z = (factor * spacing for spacing in pair.spacing_mm)
    larger = MaskPair(predicted=pair.predicted, reference=pair.reference, spacing_mm=(x, y, z))
    powers = {name: {"mm": 1, "ml": 3}.get(metric.get(name).unit, 0) for name in BUILT}
    grown_otherwise = [
        name
        for name, power in powers.items()
        if "nsd" not in name
        and "lesion_wise" not in name  # their tolerance and smallest lesion are in mm
        and not same(BUILT[name](larger), factor**power * BUILT[name](pair))
    ]
    assert not grown_otherwise


@settings(max_examples=50)
@given(pair=mask_pairs(), tolerance_mm=st.sampled_from([0.5, 1.0, 4.0]))
def test_surface_dice_rises_with_its_tolerance(pair: MaskPair, tolerance_mm: float) -> None:
    for name in ("nsd", "nsd_of_fractions", "nsd_surfel"):
        strict = metric.build(name, tolerance_mm=tolerance_mm, both_empty=1.0)(pair)
        assert 0 <= strict <= metric.build(name, tolerance_mm=2 * tolerance_mm, both_empty=1.0)(pair) <= 1 + 1e-12


@settings(max_examples=50)
@given(pair=mask_pairs())
def test_no_percentile_is_above_the_largest_distance(pair: MaskPair) -> None:
    largest = BUILT["hd"](pair)
    for name in ("hd95_pooled", "hd95_max"):
        assert BUILT[name](pair) <= largest + 1e-9 or np.isnan(largest)
