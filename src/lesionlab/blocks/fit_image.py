"""Bring an image of any size to a network that halves it several times, and its logits back."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.core.errors import ImageError


def fit_image(
    image: Float[Tensor, "batch modality *space"],
    present: Bool[Tensor, "batch modality"] | None,
    *,
    modalities: int,
    strides: tuple[int, ...],
) -> Float[Tensor, "batch modality *fitted"]:
    """Return the image with absent modalities zeroed and every side padded, by repeating its edge, to whole strides.

    Args:
        image: Any size with at least one side longer than its stride.
        present: False for a modality that was not measured; what `image` holds there is not looked at. None: all are.
        modalities: How many modalities the network was built for.
        strides: Voxels of the image along each axis per voxel of the network's coarsest features.

    Raises:
        ImageError: The image has another number of modalities, or is no larger than one stride along every axis
            (normalising a single voxel means nothing).
    """
    space = image.shape[2:]
    if image.shape[1] != modalities or all(side <= stride for side, stride in zip(space, strides, strict=True)):
        least = "x".join(map(str, strides))
        raise ImageError(
            f"{modalities} modalities on more than {least} voxels",
            found=f"{image.shape[1]} on {'x'.join(map(str, space))}",
            where="the input of the network",
            next_step="give the modalities that the network was built for, and larger patches",
        )
    if present is not None:
        image = torch.where(present.reshape(*present.shape, *[1] * len(space)), image, 0.0)
    padding = [
        amount for side, stride in zip(space[::-1], strides[::-1], strict=True) for amount in (0, -side % stride)
    ]
    return F.pad(image, padding, mode="replicate")


def cut_back(
    features: Float[Tensor, "batch channel *fitted"], space: tuple[int, ...], *, strides: tuple[int, ...]
) -> Float[Tensor, "batch channel *cut"]:
    """Return the part of the features that lies on the image before it was padded.

    Args:
        features: What the network made of the padded image, `strides` times coarser than it.
        space: Sides of the image before padding, in voxels.
        strides: Voxels of the image along each axis per voxel of `features`.
    """
    for axis, (side, stride) in enumerate(zip(space, strides, strict=True), start=2):
        features = features.narrow(axis, 0, -(-side // stride))
    return features
