"""Features of an image whose deepest level has seen the mirror image."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.blocks.fit_image import fit_image
from lesionlab.blocks.swin_encoder import STRIDE, SwinEncoder
from lesionlab.blocks.symmetry_attention import SymmetryAttention


def fit_pair(
    image: Float[Tensor, "batch paired_modality x y z"],
    present: Bool[Tensor, "batch modality"] | None,
    *,
    modalities: int,
) -> Float[Tensor, "batch paired_modality _ _ _"]:
    """Return image and mirror image padded alike to whole strides, with absent modalities zeroed in both.

    Args:
        image: The image's modalities, then those of its mirror image.
        present: False for a modality that was not measured. None: all are.
        modalities: How many the image has, without its mirror image.

    Raises:
        ImageError: The image is no larger than 32 voxels along every axis, or has another number of modalities.
    """
    both = None if present is None else torch.cat([present, present], dim=1)
    return fit_image(image, both, modalities=2 * modalities, strides=(STRIDE,) * 3)


def mirrored_levels(
    image: Float[Tensor, "batch paired_modality x y z"], *, encoder: SwinEncoder, symmetry: SymmetryAttention
) -> list[Float[Tensor, "batch _ _ _ _"]]:
    """Return the five levels of the image's features; only the deepest knows the mirror image.

    Args:
        image: The image's modalities, then those of its mirror image.
        encoder: Of both images alike.
        symmetry: How the deepest level looks at its mirror image.
    """
    pair = rearrange(image, "batch (side modality) x y z -> (side batch) modality x y z", side=2)
    *levels, deepest = encoder(pair)
    tokens, mirrored = rearrange(deepest, "(side batch) channel x y z -> side batch x y z channel", side=2)
    seen = rearrange(symmetry(tokens, mirrored), "batch x y z channel -> batch channel x y z")
    return [*(level[: len(image)] for level in levels), seen]
