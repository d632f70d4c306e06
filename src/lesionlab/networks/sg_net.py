"""SG-Net: a small 3-D U-Net whose skip connections pass through spatial gates."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.conv_norm_relu import ConvNormRelu
from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.blocks.spatial_group_gate import SpatialGroupGate
from lesionlab.core.errors import OptionError
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import PositiveInt
from lesionlab.networks.sg_net_published import read_published

STRIDE = 8
"""Voxels of the input per voxel of the coarsest features."""


@network("sg_net")
class SGNet(nn.Module):
    """SG-Net for any number of modalities: four levels of one convolution each, early fusion, gated skips.

    The paper describes a hard spatial gate; the code that its figures come from holds none.

    ==========  =======================  ==========================================  ==============================
    option      published as code        default                                     why
    ==========  =======================  ==========================================  ==============================
    `gate`      none: a plain U-Net      hard: each skip connection's groups of      what the paper says it does; a
                                         channels are kept or zeroed, per voxel      design of our own, 48 numbers
    ==========  =======================  ==========================================  ==============================

    Differs: sides need not be multiples of 8 (the image is padded with its own edge, the logits are cropped);
    modalities may be absent.

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a voxel gets.
        gate: "hard" (exactly 0 or 1), "soft" (between them) or "none" (as published).
        widths: Channels of the four levels, finest first.
        groups: Groups of channels that share a gate; divides the first three widths.

    Raises:
        OptionError: `groups` does not divide a width.

    Source: arXiv:2511.22606; Rowzatul-2001/SGNet, commit 97d5b6e.
    Arithmetic: 51.3 GFLOP.
    Published: brain metastases, 19 patients, Dice 0.558.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
    stride: ClassVar[int] = STRIDE

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        gate: Literal["none", "soft", "hard"] = "hard",
        widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (16, 32, 64, 128),
        groups: PositiveInt = 8,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4 = widths
        self.modalities = modalities
        self.encoder = nn.ModuleList(
            ConvNormRelu(before, width, spatial_dims=3) for before, width in ((modalities, c1), (c1, c2), (c2, c3))
        )
        self.bottleneck = ConvNormRelu(c3, c4, spatial_dims=3)
        steps = ((c4, c3), (c3, c2), (c2, c1))
        self.ups = nn.ModuleList(nn.ConvTranspose3d(deep, width, 2, stride=2) for deep, width in steps)
        self.decoder = nn.ModuleList(ConvNormRelu(2 * width, width, spatial_dims=3) for _, width in steps)
        self.gates = nn.ModuleList()
        if gate != "none":
            _check_groups(groups, widths)
            self.gates.extend(SpatialGroupGate(groups, hardness=gate) for _ in steps)
        self.head = nn.Conv3d(c1, regions, 1)

    @staticmethod
    def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that published weights fit, and the weights under this network's names."""
        return read_published(weights)

    def forward(
        self, image: Float[Tensor, "batch modality x y z"], present: Bool[Tensor, "batch modality"] | None = None
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: At least one side of more than 8 voxels.
            present: False for a modality that was not measured, which then counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        features, skips = self._encoded(image, present)
        if self.gates:
            skips = [gate(skip)[0] for gate, skip in zip(self.gates, skips, strict=True)]
        for up, merge, skip in zip(self.ups, self.decoder, skips, strict=True):
            features = merge(torch.cat([up(features), skip], dim=1))
        return Output(logits=cut_back(self.head(features), image.shape[2:], strides=(1, 1, 1)))

    def gate_maps(
        self, image: Float[Tensor, "batch modality x y z"], present: Bool[Tensor, "batch modality"] | None = None
    ) -> tuple[Float[Tensor, "batch group _ _ _"], ...]:
        """Return the gates of each skip connection on the padded image, coarsest first; none without gates.

        The mean of a hard gate's map is the share of its gates that are open.
        """
        if not self.gates:
            return ()
        _, skips = self._encoded(image, present)
        return tuple(gate(skip)[1] for gate, skip in zip(self.gates, skips, strict=True))

    def diagnose(self, image: Float[Tensor, "batch modality x y z"]) -> dict[str, float]:
        """Return the share of gates that are open, over all skip connections; nothing without gates."""
        maps = self.gate_maps(image)
        return {"open_gates": float(torch.cat([gates.flatten() for gates in maps]).mean())} if maps else {}

    def _encoded(self, image: Tensor, present: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Return the deepest features and the skip connections, coarsest first."""
        features = fit_image(image, present, modalities=self.modalities, strides=(STRIDE,) * 3)
        skips = []
        for level in self.encoder:
            skips.append(level(features))
            features = F.max_pool3d(skips[-1], 2)
        return self.bottleneck(features), skips[::-1]


def _check_groups(groups: int, widths: tuple[int, int, int, int]) -> None:
    if groups > 0 and not any(width % groups for width in widths[:3]):
        return
    raise OptionError(
        "a number of groups that divides the first three widths",
        found=f"{groups} groups for widths {widths}",
        where="option 'groups'",
        next_step="change groups or widths",
    )
