"""Training samples that lack modalities, so that one checkpoint works for any subset of them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from lesionlab.core.recipe import Recipe


def draw_presence(positions: Sequence[int], recipe: Recipe) -> Bool[Tensor, "batch channel"] | None:
    """Return which input channels of each sample the network is shown; None where no modality is ever left out.

    Each modality is left out with the odds `training.modality_dropout`; where that would leave none, one that is
    drawn at random stays. All channels of a modality, such as those of neighbouring slices, come and go together.

    Args:
        positions: Of the samples in the endless training; the draw is a function of the seed and of these alone.
        recipe: The plan's.
    """
    odds, modalities = recipe.training.modality_dropout, len(recipe.modalities)
    if odds == 0:
        return None
    rows = []
    for position in positions:
        generator = np.random.default_rng([recipe.training.seed, 3, position])
        is_shown = generator.random(modalities) >= odds
        is_shown[generator.integers(modalities)] |= not is_shown.any()
        rows.append(is_shown)
    return channels_of(np.stack(rows), recipe)


def channels_of(is_shown: Bool[np.ndarray, "batch modality"], recipe: Recipe) -> Bool[Tensor, "batch channel"]:
    """Return for each input channel whether its modality is shown."""
    return torch.from_numpy(np.tile(is_shown, recipe.channels // len(recipe.modalities)))
