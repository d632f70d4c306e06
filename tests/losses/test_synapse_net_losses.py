"""The published values, and what departs from them on purpose."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from lesionlab.core.loss import loss
from lesionlab.core.network import Output
from lesionlab.losses.boundary import lesion_distance
from lesionlab.losses.counted import coarsened


@pytest.fixture(scope="module")
def published(parity: Path) -> dict[str, Any]:
    return torch.load(parity / "synapse_numeric.pt", weights_only=True)["losses"]


def output_of(case: dict[str, Any]) -> Output:
    return Output(logits=case["logits"], auxiliary=tuple(case["aux"]), lesion=case["lesion_logits"])


def one_hot(label: Tensor) -> Tensor:
    return F.one_hot(label, 4).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("focal", {}, "focal"),
        ("tversky", {}, "tversky_a0.3_b0.7"),
        ("focal_tversky", {}, "focal_tversky"),
        ("boundary", {"unit": "voxels"}, "boundary"),
        ("synapse_net_binary", {"mode": "reference"}, "total_wmh"),
        ("synapse_net_binary", {"mode": "reference", "boundary_weight": 1.2}, "total_isles"),
    ],
)
def test_binary_values_are_the_published_ones(
    published: dict[str, Any], name: str, options: dict[str, Any], key: str
) -> None:
    value = loss.build(name, **options)(output_of(published), published["target"])
    torch.testing.assert_close(value, published[key])


def test_multiclass_values_are_the_published_ones(published: dict[str, Any]) -> None:
    brats = published["brats"]
    dice, total = (
        loss.build("dice", squared=True, background=True, absent="count", auxiliary_weights=()),
        loss.build("synapse_net_multiclass", mode="reference"),
    )
    output, reference = output_of(brats), one_hot(brats["target"])
    absent = one_hot(brats["target_class3_absent"])
    torch.testing.assert_close(dice(output, reference[:, 1:]), brats["dice"])
    torch.testing.assert_close(dice(output, absent[:, 1:]), brats["dice_class3_absent"])
    torch.testing.assert_close(total(output, reference), brats["total"])
    torch.testing.assert_close(total(output, reference[:, 1:]), brats["total"])


def test_lesion_target_is_the_published_one(published: dict[str, Any]) -> None:
    target, _ = coarsened(published["target"], None, size=torch.Size((6, 5)), by="nearest")
    assert torch.equal(target, published["lesion_target"])


def test_an_empty_slice_costs_no_boundary_unlike_the_published_bug(published: dict[str, Any]) -> None:
    # The record "boundary_with_empty_ORIGINAL_BUG" measures distances to a point outside the image; ours are 0.
    boundary = loss.build("boundary", unit="voxels")
    output, reference = output_of(published), published["target_with_empty"]
    value = boundary(output, reference)
    assert value < published["boundary_with_empty_ORIGINAL_BUG"]
    without = [0, 2]
    others = boundary(Output(logits=output.logits[without]), reference[without])
    torch.testing.assert_close(value, others * 2 / 3)


def test_distances_are_euclidean_and_signed_on_demand() -> None:
    lesion = torch.zeros(1, 1, 5, 6, dtype=torch.bool)
    lesion[..., 1:4, 1:4] = True
    outside, both = (lesion_distance(lesion, sides=sides)[0, 0] for sides in ("outside", "both"))
    assert outside[4, 5] == pytest.approx(5**0.5)
    assert outside[2, 2] == 0
    assert both[2, 2] == -2
    assert both[0, 1] == 1
    assert not lesion_distance(torch.ones_like(lesion), sides="both").any()


def test_max_pooling_keeps_a_lesion_that_nearest_loses() -> None:
    reference = torch.zeros(1, 1, 32, 32)
    reference[..., 5, 7] = 1
    counted = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    size = torch.Size((2, 2))
    assert not coarsened(reference, counted, size=size, by="nearest")[0].any()
    assert coarsened(reference, counted, size=size, by="max")[0].sum() == 1
    counted[..., 5, 7] = False
    target, seen = coarsened(reference, counted, size=size, by="max")
    assert not target.any()
    assert seen.all()


def test_a_class_rightly_absent_costs_nothing_once_corrected() -> None:
    reference = one_hot(torch.zeros(1, 8, 8, dtype=torch.int64))
    output = Output(logits=20 * (2 * reference - 1))
    skipped, counted = (loss.build("dice", background=True, absent=absent) for absent in ("skip", "count"))
    assert skipped(output, reference[:, 1:]) < 1e-3
    assert counted(output, reference[:, 1:]) == pytest.approx(0.75, abs=1e-3)


def test_small_lesions_reach_the_lesion_head_only_when_corrected() -> None:
    reference = torch.zeros(1, 1, 32, 32)
    reference[..., 5, 7] = 1
    changes = {}
    for mode in ("reference", "corrected"):
        lesion = torch.zeros(1, 1, 2, 2, requires_grad=True)
        output = Output(logits=torch.zeros(1, 1, 32, 32), lesion=lesion)
        loss.build("synapse_net_binary", mode=mode)(output, reference).backward()
        changes[mode] = lesion.grad[0, 0, 0, 0]
    assert changes["reference"] > 0 > changes["corrected"]
