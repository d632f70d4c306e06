import math

import numpy as np
import pytest

from lesionlab.core.metric import Mask, MaskPair
from lesionlab.metrics import surface
from lesionlab.metrics.hausdorff import Hausdorff95Pooled, Hausdorff95PooledVoxels, Hausdorff95Wmh


def voxel(*index: int) -> Mask:
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[index] = True
    return mask


def pair_of(predicted: Mask, reference: Mask) -> MaskPair:
    return MaskPair(predicted=predicted, reference=reference, spacing_mm=(1.0, 2.0, 3.0))


def test_one_voxel_each_lies_as_far_apart_as_spacing_says() -> None:
    pair = pair_of(voxel(0, 0, 0), voxel(2, 2, 1))
    assert Hausdorff95Wmh()(pair) == pytest.approx(math.sqrt(4 + 16 + 9))
    assert Hausdorff95Pooled()(pair) == pytest.approx(math.sqrt(4 + 16 + 9))
    assert Hausdorff95PooledVoxels()(pair) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("policy", "value"),
    [("undefined", math.nan), ("zero", 0.0), ("infinite", math.inf), ("diagonal", math.sqrt(16 + 100 + 324))],
)
def test_an_empty_mask_gives_what_the_policy_says(policy: surface.EmptyDistance, value: float) -> None:
    empty = np.zeros((5, 6, 7), dtype=bool)
    one, both = pair_of(empty, voxel(0, 0, 0)), pair_of(empty, empty)
    assert Hausdorff95Pooled(one_empty=policy)(one) == pytest.approx(value, nan_ok=True)
    assert Hausdorff95Pooled(both_empty=policy)(both) == pytest.approx(value, nan_ok=True)
    assert math.isnan(Hausdorff95Pooled(one_empty=policy)(both))
    assert math.isnan(Hausdorff95Wmh()(one))


def test_a_plane_that_fills_the_slice_has_a_pooled_surface_only() -> None:
    lower, upper = np.zeros((4, 4, 4), dtype=bool), np.zeros((4, 4, 4), dtype=bool)
    lower[:, :, 0], upper[:, :, 2] = True, True
    assert math.isnan(Hausdorff95Wmh()(pair_of(lower, upper)))
    assert Hausdorff95Pooled()(pair_of(lower, upper)) == pytest.approx(6.0)


def test_both_ways_to_measure_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    predicted, reference = random.random((2, 12, 13, 14)) < 0.1
    by_tree = Hausdorff95Wmh()(pair_of(predicted, reference))
    monkeypatch.setattr(surface, "VOXELS_PER_LOOK_UP", 1_000_000)
    assert Hausdorff95Wmh()(pair_of(predicted, reference)) == pytest.approx(by_tree, abs=1e-9)
