"""Swin classifier: one class for a whole volume, without a look at its mirror image."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from lesionlab.blocks.fit_image import fit_image
from lesionlab.blocks.swin_encoder import STRIDE, Merge, Patch, SwinEncoder
from lesionlab.blocks.token_pooling import Pool, TokenPooling
from lesionlab.core.network import Output, network
from lesionlab.core.numbers import FractionBelowOne, PositiveInt
from lesionlab.networks.swin_published import read_published


@network("swin_classifier")
class SwinClassifier(nn.Module):
    """The encoder of `swin_unetr`, then one linear layer for a whole volume: the control for `saca_swin_classifier`.

    Differs: the published control embeds patches of 4x4x4 voxels, which no encoder of the other networks fits; here
    they are 2x2x2 by default, as everywhere else. It reads the class off one corner of the volume, here all tokens
    count alike by default.

    Args:
        modalities: How many modalities the image has.
        regions: How many classes a volume can belong to.
        width: Channels of the finest level of features.
        depths: Swin blocks of the four stages.
        heads: Attention heads of the four stages; they divide `width` times 1, 2, 4 and 8.
        window: Side of an attention window, in tokens.
        mlp_ratio: How many times more channels a Swin perceptron's hidden layer has.
        drop_path: Odds that a branch of the last Swin block is left out in training; earlier blocks have less.
        merge: In which order eight tokens become one; see `SwinUNETR`.
        windows: "correct", or "monai" for weights that were trained there; see `SwinUNETR`.
        pool: What stands for the volume: see `lesionlab.blocks.token_pooling.TokenPooling`.
        patch: Side of an embedded patch in voxels; 4 for published weights.

    Source: Ma et al., MICCAI 2024, arXiv:2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    Arithmetic: 27.1 GFLOP.
    """

    spatial_dims: ClassVar[Literal[2, 3]] = 3
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
        pool: Pool = "mean",
        patch: Patch = 2,
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
            patch=patch,
        )
        self.strides = (STRIDE // 2 * patch,) * 3
        self.pooling = TokenPooling(16 * width, pool=pool)
        self.head = nn.Linear(16 * width, regions)

    @staticmethod
    def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the options that published weights fit, and the weights under this network's names."""
        options, ours = read_published(weights, patches=(2, 4))
        pool = "token0" if "head.weight" in ours else "mean"
        return options | {"pool": pool, "patch": ours["encoder.embed.weight"].shape[-1]}, ours

    def forward(
        self,
        image: Float[Tensor, "batch modality x y z"],
        present: Bool[Tensor, "batch modality"] | None = None,
    ) -> Output:
        """Return one logit per class.

        Args:
            image: Larger than 32 voxels along at least one axis, or than 64 with patches of 4x4x4.
            present: False for a modality that was not measured; it counts as zeros. None: all are.

        Raises:
            ImageError: The image is too small, or has another number of modalities.
        """
        fitted = fit_image(image, present, modalities=self.modalities, strides=self.strides)
        tokens = rearrange(self.encoder(fitted)[-1], "batch channel x y z -> batch (x y z) channel")
        return Output(logits=self.head(self.pooling(tokens)))
