"""MedNeXt: a U-Net of ConvNeXt blocks with deep supervision, for volumes and for slices or pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.core.network import Output, network, outermost
from lesionlab.core.numbers import PositiveInt

STRIDE = 16
"""Voxels of the input, along each axis, per voxel of the coarsest features."""

Levels = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One of the paper's sizes; the decoder mirrors the encoder.

    Attributes:
        blocks: Blocks in each level of the encoder, finest first; the bottleneck has as many as the last.
        expansion: How many times more channels a block's hidden layer has, likewise.
    """

    blocks: Levels
    expansion: Levels


SIZES = {
    "S": Size(blocks=(2, 2, 2, 2), expansion=(2, 2, 2, 2)),
    "B": Size(blocks=(2, 2, 2, 2), expansion=(2, 3, 4, 4)),
    "M": Size(blocks=(3, 4, 4, 4), expansion=(2, 3, 4, 4)),
    "L": Size(blocks=(3, 4, 8, 8), expansion=(3, 4, 8, 8)),
}


@network("mednext")
class MedNeXt(nn.Module):
    """MedNeXt in one of the paper's four sizes.

    Differs: auxiliary logits are given in evaluation too; any size fits (the image is padded with its own edge, the
    logits are cropped); modalities may be absent.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a voxel gets.
        size: The paper's name of the size.
        width: Channels of the finest level; each level has twice as many as the one above.
        kernel_size: Side of the depthwise kernels in voxels; odd.

    Source: Roy et al., doi:10.1007/978-3-031-43901-8_39, in the form of `monai.networks.nets.MedNeXt`.
    Arithmetic: 106.7 GFLOP.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
    stride: ClassVar[int] = STRIDE

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        size: Literal["S", "B", "M", "L"] = "S",
        width: PositiveInt = 32,
        kernel_size: Literal[3, 5, 7] = 3,
    ) -> None:
        from monai.networks.nets.mednext import MedNeXt as MonaiMedNeXt  # here, since importing MONAI takes seconds

        super().__init__()
        blocks, expansion = SIZES[size].blocks, SIZES[size].expansion
        self.modalities = modalities
        self.body = MonaiMedNeXt(
            spatial_dims=self.spatial_dims,
            init_filters=width,
            in_channels=modalities,
            out_channels=regions,
            encoder_expansion_ratio=expansion,
            decoder_expansion_ratio=expansion[::-1],
            bottleneck_expansion_ratio=expansion[-1],
            kernel_size=kernel_size,
            deep_supervision=True,
            use_residual_connection=True,
            blocks_down=blocks,
            blocks_bottleneck=blocks[-1],
            blocks_up=blocks[::-1],
        )

    def recomputed_blocks(self) -> Iterator[nn.Module]:
        """Yield every MedNeXt block, those that halve or double the size as well."""
        from monai.networks.blocks.mednext_block import MedNeXtBlock

        return outermost(self, MedNeXtBlock)

    def forward(
        self, image: Float[Tensor, "batch modality *space"], present: Bool[Tensor, "batch modality"] | None = None
    ) -> Output:
        """Return logits at the image's size, and auxiliary ones 2, 4, 8 and 16 times coarser.

        Args:
            image: At least one side of more than 16 voxels.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        body, axes = self.body, self.spatial_dims
        features = body.stem(fit_image(image, present, modalities=self.modalities, strides=(STRIDE,) * axes))
        skips = []
        for stage, down in zip(body.enc_stages, body.down_blocks, strict=True):
            skips.append(stage(features))
            features = down(skips[-1])
        nodes = [body.bottleneck(features)]
        for up, stage in zip(body.up_blocks, body.dec_stages, strict=True):
            nodes.append(stage(up(nodes[-1]) + skips.pop()))
        heads = (*body.out_blocks, body.out_0)
        coarse_to_fine = [
            cut_back(head(node), image.shape[2:], strides=(stride,) * axes)
            for head, node, stride in zip(heads, nodes, (16, 8, 4, 2, 1), strict=True)
        ]
        return Output(logits=coarse_to_fine[-1], auxiliary=tuple(coarse_to_fine[-2::-1]))


@network("mednext_2d")
class MedNeXt2d(MedNeXt):
    """MedNeXt of two axes, for slices and pictures; all else as `mednext`.

    Differs: the paper has volumes only.

    Source: Roy et al., doi:10.1007/978-3-031-43901-8_39, in the form of `monai.networks.nets.MedNeXt`.
    Arithmetic: 11.6 GFLOP.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 2
