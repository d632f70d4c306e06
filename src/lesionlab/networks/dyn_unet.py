"""MONAI's DynUNet: the U-Net that nnU-Net fits to a patch, with a residual encoder and deep supervision."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.errors import OptionError
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import PositiveInt, Side

Axes = tuple[int, int, int]
SMALLEST_SIDE = 4
"""No side of the coarsest features of a patch has fewer voxels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """How a patch is halved on its way down.

    Attributes:
        strides: Input voxels per output voxel of each level's first convolution, along each axis, finest first.
        kernels: Sides of each level's kernels.
    """

    strides: tuple[Axes, ...]
    kernels: tuple[Axes, ...]


@network("dyn_unet")
class DynUNet(nn.Module):
    """A 3-D U-Net whose depth, strides and kernels follow from the patch and the spacing.

    An axis is halved while its voxels are not much coarser than the others' and enough of them remain; kernels are
    flat along an axis that is too coarse to be halved. The encoder is residual, the decoder plain.

    Differs: auxiliary logits are given in evaluation too; any size fits (the image is padded with its own edge, the
    logits are cropped); modalities may be absent.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a voxel gets.
        patch: Sides of the training patches in voxels, at least 15 of them along some axis of fine spacing.
        spacing_mm: Distance between neighbouring voxels along each axis.
        width: Channels of the finest level; each level has twice as many as the one above, up to `widest`.
        widest: The most channels that a level has.

    Raises:
        OptionError: The patch is too small to be halved twice.

    Source: Isensee et al., nnU-Net, doi:10.1038/s41592-020-01008-z, in the form of `monai.networks.nets.DynUNet`.
    Arithmetic: 405.1 GFLOP.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        patch: tuple[Side, Side, Side] = (128, 128, 128),
        spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (1.0, 1.0, 1.0),
        width: PositiveInt = 32,
        widest: PositiveInt = 320,
    ) -> None:
        from monai.networks.nets.dynunet import DynUNet as MonaiDynUNet  # here, since importing MONAI takes seconds

        super().__init__()
        self.modalities, self.topology = modalities, topology_for(patch, spacing_mm)
        strides, kernels = self.topology.strides, self.topology.kernels
        built = MonaiDynUNet(
            3,
            modalities,
            regions,
            kernel_size=kernels,
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=[min(width * 2**level, widest) for level in range(len(strides))],
            deep_supervision=True,
            deep_supr_num=max(1, len(strides) - 3),
            res_block=True,
        )
        # Its parts, not itself: it holds each under two names, and gives auxiliary logits in training only.
        self.encoder = nn.ModuleList([built.input_block, *built.downsamples, built.bottleneck])
        self.decoder = built.upsamples
        self.heads = nn.ModuleList([built.output_block, *built.deep_supervision_heads])

    def forward(
        self, image: Float[Tensor, "batch modality x y z"], present: Bool[Tensor, "batch modality"] | None = None
    ) -> Output:
        """Return logits at the image's size, and auxiliary ones of the coarser levels but the last two.

        Args:
            image: At least one side longer than the product of the strides along it.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        coarseness = [(int(x), int(y), int(z)) for x, y, z in np.cumprod(self.topology.strides, axis=0)]
        features = fit_image(image, present, modalities=self.modalities, strides=coarseness[-1])
        skips: list[Tensor] = []
        nodes: list[Tensor] = []
        for level in self.encoder:
            features = level(features)
            skips.append(features)
        for up, skip in zip(self.decoder, skips[-2::-1], strict=True):
            features = up(features, skip)
            nodes.insert(0, features)
        logits, *auxiliary = (
            cut_back(head(node), image.shape[2:], strides=strides)
            for head, node, strides in zip(self.heads, nodes, coarseness, strict=False)
        )
        return Output(logits=logits, auxiliary=tuple(auxiliary))


def topology_for(patch: Axes, spacing_mm: tuple[float, float, float]) -> Topology:
    """Return how a patch of these sides and this spacing is halved.

    Raises:
        OptionError: The patch is too small to be halved twice, or the spacing is no spacing.
    """
    sides, spacing = np.array(patch, dtype=float), np.array(spacing_mm, dtype=float)
    strides, kernels = [(1, 1, 1)], [_kernel(spacing)]
    while (spacing > 0).all() and (halved := _halved(sides, spacing)).any():
        stride = np.where(halved, 2, 1)
        sides, spacing = np.ceil(sides / stride), spacing * stride
        strides.append((int(stride[0]), int(stride[1]), int(stride[2])))
        kernels.append(_kernel(spacing))
    if len(strides) > 2:
        return Topology(strides=tuple(strides), kernels=tuple(kernels))
    raise OptionError(
        f"a patch of at least {4 * SMALLEST_SIDE - 1} voxels along an axis of fine spacing, and positive spacings",
        found=f"{patch} voxels of {spacing_mm} mm",
        where="options 'patch' and 'spacing_mm'",
        next_step="enlarge the patch or resample to a finer spacing",
    )


def _halved(sides: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Say which axes are long enough to be halved and at most twice as coarse as the finest of those."""
    is_long = sides >= 2 * SMALLEST_SIDE
    finest = spacing[is_long].min(initial=np.inf)
    return np.asarray(is_long & (spacing <= 2 * finest))


def _kernel(spacing: np.ndarray) -> Axes:
    """Return sides of 3, and of 1 along axes more than twice as coarse as the finest."""
    x, y, z = np.where(spacing <= 2 * spacing.min(), 3, 1).tolist()
    return (x, y, z)
