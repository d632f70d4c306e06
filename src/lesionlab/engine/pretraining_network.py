"""An encoder, its look at the mirror image, and the heads of its pre-training objectives."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lesionlab.blocks.swin_encoder import SwinEncoder
from lesionlab.blocks.symmetry_attention import SymmetryAttention
from lesionlab.core.errors import OptionError
from lesionlab.core.network import network
from lesionlab.core.pretext import View, pretext
from lesionlab.core.pretraining import PretrainingRecipe
from lesionlab.engine.views import Changed

Features = tuple[
    Float[Tensor, "batch channel i j k"], Float[Tensor, "batch channel i j k"], Float[Tensor, "batch channel i j k"]
]


class PretrainingNetwork(nn.Module):
    """What is pre-trained; its encoder and symmetry attention have the names that the finished network gives them.

    Args:
        encoder: Sees image and mirror image alike.
        symmetry: Lets the image's deepest tokens look at those of the mirror image.
        objectives: By registered name.
    """

    def __init__(self, encoder: SwinEncoder, symmetry: SymmetryAttention, *, objectives: dict[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.symmetry = symmetry
        self.objectives = nn.ModuleDict(objectives)

    def forward(
        self, first: Changed, second: Changed, is_healthy: Bool[Tensor, "batch"] | None
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the loss of every objective for two views of one batch."""
        batch = len(first.image)
        own, mirrored, seen = self.look(torch.cat([first.image, second.image]))
        needs_uncut = any(getattr(objective, "needs_uncut", False) for objective in self.objectives.values())
        uncut = self.encoder(torch.cat([first.whole, second.whole]))[-1] if needs_uncut else None
        views = tuple(
            View(view.whole, view.turns, own[part], mirrored[part], seen[part], None if uncut is None else uncut[part])
            for view, part in ((first, slice(0, batch)), (second, slice(batch, None)))
        )
        return {name: objective(views, is_healthy) for name, objective in self.objectives.items()}

    def look(self, pair: Float[Tensor, "batch paired_modality x y z"]) -> Features:
        """Return the deepest features of image, mirror image, and image after it looked at its mirror image.

        Args:
            pair: The images' modalities, then those of their mirror images; sides are multiples of 32.
        """
        sides = rearrange(pair, "batch (side modality) x y z -> (side batch) modality x y z", side=2)
        own, mirrored = self.encoder(sides)[-1].chunk(2)
        tokens, mirrored_tokens = (rearrange(part, "batch c i j k -> batch i j k c") for part in (own, mirrored))
        seen = rearrange(self.symmetry(tokens, mirrored_tokens), "batch i j k c -> batch c i j k")
        return own, mirrored, seen


def build_pretraining_network(recipe: PretrainingRecipe) -> PretrainingNetwork:
    """Build encoder, symmetry attention and heads with fresh weights.

    Raises:
        NameUnknownError: No network or objective has the name.
        OptionError: An option does not exist, or the network has no encoder that sees the mirror image.
    """
    modalities = len(recipe.modalities)
    built = network.build(recipe.network.name, modalities=modalities, regions=1, **recipe.network.options)
    encoder, symmetry = getattr(built, "encoder", None), getattr(built, "symmetry", None)
    if not isinstance(encoder, SwinEncoder) or not isinstance(symmetry, SymmetryAttention):
        raise OptionError(
            "a network with an encoder that sees the mirror image",
            found=recipe.network.name,
            where="network.name",
            next_step="choose saca_swin or saca_swin_classifier",
        )
    channels = symmetry.norm.normalized_shape[0]
    objectives = {
        name: pretext.build(name, modalities=modalities, channels=channels, **objective.options)
        for name, objective in recipe.objectives.items()
    }
    return PretrainingNetwork(encoder, symmetry, objectives=objectives)
