"""Every lesion alone, with the others masked out."""

import pytest
import torch
from torch import Tensor

from lesionlab.core.network import Output
from lesionlab.losses.blob import Blob, number_lesions
from lesionlab.losses.dice_cross_entropy import DiceCrossEntropy

SPACES = [(16, 20), (8, 10, 12)]


def scene(space: tuple[int, ...], *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return logits, and a reference of two images: one with a large and a small lesion, one with a single voxel."""
    generator = torch.Generator().manual_seed(seed)
    reference = torch.zeros(2, 1, *space)
    reference[(0, 0, *[slice(1, 5)] * len(space))] = 1
    reference[(0, 0, *[slice(6, 8)] * len(space))] = 1
    reference[(1, 0, *[3] * len(space))] = 1
    return 2 * torch.randn(2, 1, *space, generator=generator), reference


def one_at_a_time(logits: Tensor, reference: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of an ordinary loss over lesions, with all others made to be ignored: what the paper says."""
    numbers = number_lesions((reference > 0.5) & counted)
    losses = []
    for image in range(len(logits)):
        for number in range(1, int(numbers[image].max()) + 1):
            place = slice(image, image + 1)
            is_other = (numbers[place] > 0) & (numbers[place] != number)
            kept = counted[place] & ~is_other
            losses.append(DiceCrossEntropy()(Output(logits=logits[place]), reference[place], counted=kept))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("space", SPACES)
def test_it_is_an_ordinary_loss_lesion_by_lesion(space: tuple[int, ...]):
    logits, reference = scene(space)
    counted = torch.ones(2, 1, *space, dtype=torch.bool)
    counted[:, :, 4] = False
    alone = Blob(global_weight=0.0)(Output(logits=logits), reference, counted=counted)
    torch.testing.assert_close(alone, one_at_a_time(logits, reference, counted))
    both = Blob()(Output(logits=logits), reference, counted=counted)
    whole = DiceCrossEntropy()(Output(logits=logits), reference, counted=counted)
    torch.testing.assert_close(both, 2 * whole + alone)


def test_exclusive_classes_are_judged_lesion_by_lesion_too():
    logits, reference = scene(SPACES[0])
    as_classes = torch.cat([torch.zeros_like(logits), logits], dim=1)
    found, wanted = (Blob(global_weight=0.0)(Output(logits=said), reference) for said in (as_classes, logits))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("space", SPACES)
def test_a_missed_lesion_costs_as_much_as_a_larger_one(space: tuple[int, ...]):
    _, reference = scene(space)
    right = 20 * (2 * reference - 1)
    missed = {}
    for name, corner in (("large", slice(1, 5)), ("small", slice(6, 8))):
        said = right.clone()
        said[(0, 0, *[corner] * len(space))] = -20
        overlap_only = {"global_weight": 0.0, "cross_entropy_weight": 0.0}
        missed[name] = float(Blob(**overlap_only)(Output(logits=said), reference))
    assert missed["large"] == pytest.approx(1 / 3, abs=1e-3)
    assert missed["small"] == pytest.approx(1 / 3, abs=1e-3)


def test_without_a_lesion_only_the_whole_counts():
    logits, reference = scene(SPACES[0])
    found = Blob()(Output(logits=logits), torch.zeros_like(reference))
    torch.testing.assert_close(found, 2 * DiceCrossEntropy()(Output(logits=logits), torch.zeros_like(reference)))


def test_lesions_are_connected_by_their_corners_and_counted_in_each_image_and_region():
    lesion = torch.zeros(2, 2, 6, 6, dtype=torch.bool)
    lesion[0, 0, 1, 1] = lesion[0, 0, 2, 2] = lesion[0, 0, 5, 5] = True
    lesion[1, 1, 0, 0] = True
    numbers = number_lesions(lesion)
    assert [int(one.max()) for one in numbers.flatten(0, 1)] == [2, 0, 0, 1]
    assert numbers[0, 0, 1, 1] == numbers[0, 0, 2, 2] != numbers[0, 0, 5, 5]
