"""A network that learnt to do with fewer modalities, and a case that has fewer."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from lesionlab.core.network import Output
from lesionlab.core.recipe import Recipe
from lesionlab.engine.modality_dropout import channels_of


class ShownModalities(nn.Module):
    """A network together with the word which of its modalities were measured.

    Args:
        trained: In evaluation mode.
        is_shown: One per modality.
        recipe: That it was trained with.
    """

    def __init__(self, trained: nn.Module, is_shown: Bool[np.ndarray, " modality"], recipe: Recipe) -> None:
        super().__init__()
        self.trained = trained
        self.sees_mirror = bool(getattr(trained, "sees_mirror", False))
        device = next(trained.parameters()).device
        self._present = channels_of(is_shown[None], recipe).to(device)

    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Output:
        """Return what the network says without the modalities that are not there."""
        output: Output = self.trained(image, self._present.expand(len(image), -1))
        return output


def is_shown_of(available: Sequence[str], recipe: Recipe) -> Bool[np.ndarray, " modality"]:
    """Return for each modality of a recipe whether a case has it."""
    return np.array([name in available for name in recipe.modalities])


def spread(
    values: Float32[np.ndarray, "shown x y z"], is_shown: Bool[np.ndarray, " modality"]
) -> Float32[np.ndarray, "modality x y z"]:
    """Return images of all modalities, zero where one was not measured."""
    whole = np.zeros((len(is_shown), *values.shape[1:]), np.float32)
    whole[is_shown] = values
    return whole


def spread_background(values: Sequence[float], is_shown: Bool[np.ndarray, " modality"]) -> tuple[float, ...]:
    """Return the value of air in every modality, zero where one was not measured, as `spread` has its image."""
    shown = iter(values)
    return tuple(next(shown) if is_there else 0.0 for is_there in is_shown)


def can_do_without(recipe: Recipe) -> bool:
    """Say whether a network that was trained so works on any subset of its modalities."""
    return recipe.training.modality_dropout > 0
