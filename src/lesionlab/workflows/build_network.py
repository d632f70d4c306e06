"""Networks for one's own code."""

from typing import Any

import torch

import lesionlab.networks  # noqa: F401  # registers them
from lesionlab.core.network import network


def build_network(name: str, *, modalities: int, regions: int, **options: Any) -> torch.nn.Module:
    """Return a registered network with fresh weights; called with an image it gives an `Output`.

    Args:
        name: As `lesionlab list networks` has it.
        modalities: Channels of the image.
        regions: Channels of the logits.
        **options: Those of the network's constructor, checked against its signature.

    Raises:
        NameUnknownError: No network has this name.
        OptionError: It has no such option, or the value does not fit.
    """
    return network.build(name, modalities=modalities, regions=regions, **options)
