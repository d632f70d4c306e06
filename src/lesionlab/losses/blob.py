"""Let every lesion count alike, however small it is."""

from typing import ClassVar

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int64
from pydantic import NonNegativeFloat
from torch import Tensor

from lesionlab.core.components import number_components
from lesionlab.core.loss import Targets, loss
from lesionlab.core.shared_batch import batch_mean
from lesionlab.losses.cross_entropy import cross_entropy_loss, voxel_entropy
from lesionlab.losses.deep_supervision import DeeplySupervised
from lesionlab.losses.dice import dice_loss
from lesionlab.losses.exclusive import only_counted, probabilities_and_classes

_SMOOTHING = 1e-5


@loss("blob")
class Blob(DeeplySupervised):
    """Dice plus cross-entropy of the whole, and the same of each lesion alone with all other lesions masked out.

    A lesion is a connected component of a region's reference (8 neighbours in a slice, 26 in a volume). Its own loss
    is taken over its voxels and those of no lesion, so that missing a small one costs as much as missing a large one;
    the mean is over all lesions of the batch. Where there is none, that part is 0.

    Args:
        global_weight: Weight of the loss of the whole.
        lesion_weight: Weight of the mean loss of single lesions.
        dice_weight: Weight of the Dice loss in both.
        cross_entropy_weight: Weight of the cross-entropy in both.
        auxiliary_weights: Weights of auxiliary heads against 1 for the main one, finest first; on their coarser grids
            lesions that fell between the voxels are no lesions.

    Source: Kofler et al., blob loss, doi:10.1007/978-3-031-34048-2_58 (arXiv 2205.08209), with its weights 2 and 1.
    Differs: the mean is over the lesions of the batch, not of each image first, so that a lesion of a crowded image
    counts as much as one that is alone.
    """

    takes: ClassVar[frozenset[Targets]] = frozenset({"regions", "values"})

    def __init__(
        self,
        *,
        global_weight: NonNegativeFloat = 2.0,
        lesion_weight: NonNegativeFloat = 1.0,
        dice_weight: NonNegativeFloat = 1.0,
        cross_entropy_weight: NonNegativeFloat = 1.0,
        auxiliary_weights: tuple[NonNegativeFloat, ...] = (0.5, 0.25),
    ) -> None:
        super().__init__(auxiliary_weights)
        self.global_weight = global_weight
        self.lesion_weight = lesion_weight
        self.dice_weight = dice_weight
        self.cross_entropy_weight = cross_entropy_weight

    def of_head(
        self,
        logits: Float[Tensor, "batch _ *space"],
        reference: Float[Tensor, "batch region *space"],
        counted: Bool[Tensor, "batch 1 *space"] | None,
    ) -> Float[Tensor, ""]:
        """Return the weighted sum of one head."""
        predicted, classes = probabilities_and_classes(logits, reference, has_background=False)
        dice = dice_loss(predicted, classes, counted)
        whole = self.dice_weight * dice + self.cross_entropy_weight * cross_entropy_loss(logits, reference, counted)
        lesion_dice, lesion_entropy = lesion_losses(
            only_counted(predicted, counted),
            only_counted(voxel_entropy(logits, reference), counted),
            lesions=number_lesions(only_counted(classes, counted) > 0.5),
            counted=counted,
        )
        single = self.dice_weight * lesion_dice + self.cross_entropy_weight * lesion_entropy
        return self.global_weight * whole + self.lesion_weight * single


def lesion_losses(
    predicted: Float[Tensor, "batch region *space"],
    entropy: Float[Tensor, "batch _ *space"],
    *,
    lesions: Int64[Tensor, "batch region *space"],
    counted: Bool[Tensor, "batch 1 *space"] | None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the mean Dice loss and the mean cross-entropy of single lesions; 0 where there is none.

    Both follow from the sums over each lesion and over what is no lesion, so many lesions take no longer than one.

    Args:
        predicted: Probabilities, 0 where a voxel must not count.
        entropy: Of every voxel, one channel for all regions or one each; 0 where a voxel must not count.
        lesions: As from `number_lesions`.
        counted: False where a voxel must not count; None counts all.
    """
    ones = torch.ones_like(predicted) if counted is None else counted.expand_as(predicted).float()
    values = torch.stack([predicted, entropy.expand_as(predicted), ones], dim=-1)
    losses = []
    for found, numbers in zip(
        rearrange(values, "batch region ... value -> (batch region) (...) value"),
        rearrange(lesions, "batch region ... -> (batch region) (...)"),
        strict=True,
    ):
        is_lesion = numbers > 0
        outside = torch.where(is_lesion[:, None], 0.0, found).sum(dim=0)
        inside = found.new_zeros(int(numbers.max()), 3).index_add(0, numbers[is_lesion] - 1, found[is_lesion])
        together = outside + inside
        overlap = (2 * inside[:, 0] + _SMOOTHING) / (together[:, 0] + inside[:, 2] + _SMOOTHING)
        losses.append(torch.stack([1 - overlap, together[:, 1] / together[:, 2]], dim=1))
    every = torch.cat(losses)
    dice, mean_entropy = batch_mean(every.sum(dim=0), torch.tensor(len(every), device=every.device))
    return dice, mean_entropy


def number_lesions(lesion: Bool[Tensor, "batch region *space"]) -> Int64[Tensor, "batch region *space"]:
    """Return in every voxel the number of its lesion, from 1 on in each image and region; 0 outside.

    Computed on the CPU, outside autograd.
    """
    masks = lesion.detach().cpu().numpy()
    numbers = np.zeros(masks.shape, dtype=np.int64)
    for place in np.ndindex(masks.shape[:2]):
        numbers[place], _ = number_components(masks[place], neighbours=8 if masks.ndim == 4 else 26)
    return torch.from_numpy(numbers).to(lesion.device)
