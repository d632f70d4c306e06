"""Swin UNETR: a Swin transformer as encoder, a convolutional decoder."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back, fit_image
from lesionlab.blocks.swin_encoder import STRIDE, Merge, SwinEncoder
from lesionlab.blocks.unetr_decoder import UnetrDecoder
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import FractionBelowOne, PositiveInt
from lesionlab.networks.swin_published import read_published


@network("swin_unetr")
class SwinUNETR(nn.Module):
    """Swin UNETR for any number of modalities and any image of more than 32x32x32 voxels.

    It is what SACA (`saca_swin`) adds the mirror image to, and so the control for it.

    =========  ==========================================  =========================  ===============================
    option     as published                                corrected                  why
    =========  ==========================================  =========================  ===============================
    `merge`    legacy (old MONAI): two of eight neighbours fixed: each one once       a quarter of the tokens was lost
               twice, two never
    `windows`  monai: padding is attended to; in a window  correct: padding is        where the grid is no multiple of
               smaller than 7 tokens the bias belongs to   hidden, the bias belongs   the window, tokens looked at
               other offsets                               to the offset              nothing, or at wrong places
    =========  ==========================================  =========================  ===============================

    Differs: sides need not be multiples of 32 (the image is padded with its own edge, the logits are cropped).

    Args:
        modalities: How many modalities the image has.
        regions: How many logits a voxel gets.
        width: Channels of the finest level of features.
        depths: Swin blocks of the four stages.
        heads: Attention heads of the four stages; they divide `width` times 1, 2, 4 and 8.
        window: Side of an attention window, in tokens.
        mlp_ratio: How many times more channels a Swin perceptron's hidden layer has.
        drop_path: Odds that a branch of the last Swin block is left out in training; earlier blocks have less.
        merge: In which order eight tokens become one: "fixed" as MONAI's "merging" today, "v2" as its "mergingv2",
            "legacy" as in its first releases.
        windows: "correct", or "monai" for weights that were trained there.
        residual_blocks: Whether a residual block of convolutions stands before each stage, as in MONAI's `use_v2`.

    Source: Hatamizadeh et al., arXiv:2201.01266; MONAI 1.6.
    Arithmetic: 615.5 GFLOP.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
    encoder_prefix: ClassVar[str] = "encoder."

    def __init__(
        self,
        *,
        modalities: PositiveInt,
        regions: PositiveInt,
        width: PositiveInt = 48,
        depths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2, 2),
        heads: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 6, 12, 24),
        window: PositiveInt = 7,
        mlp_ratio: PositiveFloat = 4.0,
        drop_path: FractionBelowOne = 0.0,
        merge: Merge = "fixed",
        windows: Literal["monai", "correct"] = "correct",
        residual_blocks: bool = False,
    ) -> None:
        super().__init__()
        self.modalities = modalities
        self.encoder = SwinEncoder(
            modalities,
            width=width,
            depths=depths,
            heads=heads,
            window=window,
            mlp_ratio=mlp_ratio,
            drop_path=drop_path,
            merge=merge,
            windows=windows,
            has_residual_blocks=residual_blocks,
        )
        self.decoder = UnetrDecoder(modalities, width=width, regions=regions)

    @staticmethod
    def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that published weights fit, and the weights under this network's names."""
        return read_published(weights)

    def forward(
        self,
        image: Float[Tensor, "batch modality x y z"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: Larger than 32 voxels along at least one axis.
            present: False for a modality that was not measured; it counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        strides = (STRIDE,) * 3
        fitted = fit_image(image, present, modalities=self.modalities, strides=strides)
        logits = self.decoder(fitted, self.encoder(fitted))
        return Output(logits=cut_back(logits, tuple(image.shape[2:]), strides=(1, 1, 1)))
