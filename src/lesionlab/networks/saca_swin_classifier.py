"""Symmetry-aware Swin classifier: one class for a whole volume that looks at its own mirror image."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from lesionlab.blocks.mirrored_levels import fit_pair, mirrored_levels
from lesionlab.blocks.swin_encoder import Merge, SwinEncoder
from lesionlab.blocks.symmetry_attention import SymmetryAttention
from lesionlab.blocks.token_pooling import Pool, TokenPooling
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import FractionBelowOne, PositiveInt
from lesionlab.networks.swin_published import read_published


@network("saca_swin_classifier")
class SacaSwinClassifier(nn.Module):
    """The encoder and the look at the mirror image of `saca_swin`, then one linear layer for a whole volume.

    Differs: the published code reads the class off one corner of the volume (`pool` "token0"), adds 1 to half of the
    self-attention's logits, and so runs only where twice the batch equals the number of tokens. Here all tokens
    count alike by default, and nothing is added.

    Args:
        modalities: How many modalities the image has, without its mirror image.
        regions: How many classes a volume can belong to.
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
        pool: What stands for the volume: the "mean" of all tokens, an "attention" that learns which of them matter, or
            "token0", the first, as published.

    Source: Ma et al., MICCAI 2024, arXiv:2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    Arithmetic: 54.7 GFLOP.
    Published: CQ500 haemorrhage, area under the curve 0.958.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
    sees_mirror: ClassVar[bool] = True
    is_classifier: ClassVar[bool] = True
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
        pool: Pool = "mean",
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
        self.pooling = TokenPooling(16 * width, pool=pool)
        self.head = nn.Linear(16 * width, regions)

    @staticmethod
    def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that published weights fit, and the weights under this network's names."""
        options, ours = read_published(weights)
        return options | {"pool": "token0"}, ours

    def forward(
        self,
        image: Float[Tensor, "batch paired_modality x y z"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return one logit per class.

        Args:
            image: The image's modalities, then those of its mirror image on the same grid; larger than 32 voxels along
                at least one axis.
            present: False for a modality that was not measured; it counts as zeros in both images. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        fitted = fit_pair(image, present, modalities=self.modalities)
        deepest = mirrored_levels(fitted, encoder=self.encoder, symmetry=self.symmetry)[-1]
        tokens = rearrange(deepest, "batch channel x y z -> batch (x y z) channel")
        return Output(logits=self.head(self.pooling(tokens)))
