"""Tell healthy brains from others by how like their two sides are."""

import math
from typing import ClassVar, Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.token_pooling import pool_tokens
from lesionlab.core.numbers import PositiveInt
from lesionlab.core.pretext import View, pretext

Mode: TypeAlias = Literal["calibrated", "cosine_nce", "siamese", "cosine", "euclidean"]

_SET_TEMPERATURE = 0.07
_FIRST_SCALE, _FIRST_OFFSET = 5.0, 0.5


@pretext("symmetry")
class Symmetry(nn.Module):
    """Vectors of an image and of its mirror image are to be alike in the healthy and unlike in patients.

    ==============  ==================================================================================================
    `mode`          loss, where s is the likeness (cosine) and h is 1 for the healthy
    ==============  ==================================================================================================
    calibrated      cross-entropy of h by the logit (s - offset) * scale; both are learned with the network
    cosine_nce      as published: cross-entropy of h by s itself, which never falls below 0.313
    siamese         as published: the mean of (1 - h) s + h (1 - s)
    cosine          as published: the healthy are to be more alike than the rest of their batch
    euclidean       the squared distance for the healthy, that of 2 minus the distance for patients nearer than 2;
                    published code mixes every distance with every label, and its caller gives it the opposite of h
    ==============  ==================================================================================================

    Args:
        modalities: Not used; every objective is told.
        channels: Of the deepest features.
        mode: Which loss.
        features: Length of a vector.
        pool: What is compared: "twins" compares each token with its mirror twin and takes the mean likeness, so that a
            small one-sided lesion shows; "token1" compares one corner of the volume, as published.
        sees: What is compared with the mirror image, of which nothing is cut out: the "whole" image, or the "cut" one,
            as published, which makes the two sides of the healthy unlike and gives them parts of patients.

    Source: Ma et al., MICCAI 2024, arXiv 2407.08948; bitMyron/sa-swin, commit 5c0bc10.
    Differs: the published temperatures are meant to be learned but no optimiser knows them.
    """

    needs_categories: ClassVar[bool] = True

    def __init__(
        self,
        *,
        modalities: PositiveInt,  # noqa: ARG002 - see above
        channels: PositiveInt,
        mode: Mode = "calibrated",
        features: PositiveInt = 512,
        pool: Literal["twins", "token1"] = "twins",
        sees: Literal["whole", "cut"] = "whole",
    ) -> None:
        super().__init__()
        self.mode: Mode = mode
        self.pool = pool
        self.needs_uncut = sees == "whole"
        self.head = nn.Linear(channels, features)
        is_learned = mode == "calibrated"
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE))) if is_learned else None
        self.offset = nn.Parameter(torch.tensor(_FIRST_OFFSET)) if is_learned else None

    def forward(self, views: tuple[View, View], is_healthy: Bool[Tensor, "batch"] | None) -> Float[Tensor, ""]:
        """Return the sum over both views."""
        assert is_healthy is not None, "the symmetry objective is left out where nobody said who is healthy"
        first, second = (self._loss(view, is_healthy.float()) for view in views)
        return first + second

    def embed(self, features: Float[Tensor, "batch channel i j k"]) -> Float[Tensor, "batch token feature"]:
        """Return the vectors that are compared: one per token, or one."""
        if self.pool == "token1":
            tokens = pool_tokens(features, "token1")[:, None]
        else:
            tokens = rearrange(features, "batch channel i j k -> batch (i j k) channel")
        vectors: Tensor = self.head(tokens)
        return vectors

    def _loss(self, view: View, healthy: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
        compared = view.uncut if self.needs_uncut else view.own
        assert compared is not None, "the network encodes what an objective needs"
        own, mirrored = self.embed(compared).float(), self.embed(view.mirrored).float()
        if self.mode == "euclidean":
            return euclidean_loss(F.pairwise_distance(own, mirrored).mean(dim=1), healthy)
        similarity = likeness(own, mirrored)
        if self.log_scale is not None and self.offset is not None:
            return F.binary_cross_entropy_with_logits((similarity - self.offset) * self.log_scale.exp(), healthy)
        return similarity_loss(similarity, healthy, mode=self.mode)


def likeness(
    own: Float[Tensor, "batch token feature"], mirrored: Float[Tensor, "batch token feature"]
) -> Float[Tensor, "batch"]:
    """Return the mean cosine of mirror twins, -1 to 1; exchanging the sides does not change it."""
    return F.cosine_similarity(own, mirrored, dim=2).mean(dim=1)


def similarity_loss(
    similarity: Float[Tensor, "batch"], healthy: Float[Tensor, "batch"], *, mode: Mode
) -> Float[Tensor, ""]:
    """Return one of the published losses of cosines; see `Symmetry`."""
    if mode == "cosine_nce":
        return F.binary_cross_entropy_with_logits(similarity, healthy)
    if mode == "siamese":
        return ((1 - healthy) * similarity + healthy * (1 - similarity)).mean()
    scaled = similarity / _SET_TEMPERATURE
    return torch.logsumexp(scaled, dim=0) - torch.log((healthy * scaled.exp()).sum() + 1e-6)


def euclidean_loss(
    distance: Float[Tensor, "batch"], healthy: Float[Tensor, "batch"], *, margin: float = 2.0
) -> Float[Tensor, ""]:
    """Return the contrastive loss that draws the healthy together and pushes patients to at least `margin`."""
    return (healthy * distance**2 + (1 - healthy) * F.relu(margin - distance) ** 2).mean()
