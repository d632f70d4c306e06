"""Symmetry-aware Swin UNETR: at its deepest level, the image looks at its own mirror image."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from lesionlab.blocks.fit_image import cut_back
from lesionlab.blocks.mirrored_levels import fit_pair, mirrored_levels
from lesionlab.blocks.swin_encoder import Merge, SwinEncoder
from lesionlab.blocks.symmetry_attention import SymmetryAttention
from lesionlab.blocks.unetr_decoder import UnetrDecoder
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import FractionBelowOne, PositiveInt
from lesionlab.networks.swin_published import read_published


@network("saca_swin")
class SacaSwin(nn.Module):
    """Swin UNETR whose deepest tokens look at those of the left-right mirror image (SACA).

    One encoder sees both images; the skip connections and all finer levels know only the image itself.

    Differs: the published trainer never gives the mirror image, here it is the second half of the input's channels;
    `merge` and `windows` as in `SwinUNETR`; sides need not be multiples of 32.

    Args:
        modalities: How many modalities the image has, without its mirror image.
        regions: How many logits a voxel gets.
        width: Channels of the finest level of features.
        depths: Swin blocks of the four stages.
        heads: Attention heads of the four stages; they divide `width` times 1, 2, 4 and 8.
        window: Side of an attention window, in tokens.
        mlp_ratio: How many times more channels a Swin perceptron's hidden layer has.
        drop_path: Odds that a branch of the last Swin block is left out in training; earlier blocks have less.
        merge: In which order eight tokens become one: "fixed" as MONAI's "merging" today, "v2" as its "mergingv2",
            "legacy" as in its first releases and in published weights.
        windows: "correct", or "monai" for weights that were trained with MONAI's; see `SwinUNETR`.
        symmetry_heads: Heads with which the image looks at its mirror image; they divide 16 times `width`.
        self_attention: Whether the image's tokens look at each other first, as in the published code, or not, as in the
            paper's formula.
        position: "learned" tells both attentions where tokens lie; "none" as published.
        twin_bias: Whether each head learns how much more a token looks at its mirror twin than at others.
        dropout: Odds of dropout in the attention to the mirror image in training.

    Source: Ma et al., MICCAI 2024, arXiv:2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    Arithmetic: 643.1 GFLOP.
    Published: none that could be verified.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
    sees_mirror: ClassVar[bool] = True
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
        symmetry_heads: PositiveInt = 12,
        self_attention: bool = True,
        position: Literal["none", "learned"] = "none",
        twin_bias: bool = False,
        dropout: FractionBelowOne = 0.1,
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
        )
        self.symmetry = SymmetryAttention(
            16 * width,
            heads=symmetry_heads,
            has_self_attention=self_attention,
            position=position,
            has_twin_bias=twin_bias,
            dropout=dropout,
        )
        self.decoder = UnetrDecoder(modalities, width=width, regions=regions)

    @staticmethod
    def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that published weights fit, and the weights under this network's names."""
        return read_published(weights)

    def forward(
        self,
        image: Float[Tensor, "batch paired_modality x y z"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return logits at the image's size.

        Args:
            image: The image's modalities, then those of its mirror image on the same grid; larger than 32 voxels along
                at least one axis.
            present: False for a modality that was not measured; it counts as zeros in both images. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        fitted = fit_pair(image, present, modalities=self.modalities)
        levels = mirrored_levels(fitted, encoder=self.encoder, symmetry=self.symmetry)
        logits = self.decoder(fitted[:, : self.modalities], levels)
        return Output(logits=cut_back(logits, tuple(image.shape[2:]), strides=(1, 1, 1)))
