"""How the published weights of SG-Net are named, and which network they belong to."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lesionlab.core.errors import CheckpointError

RENAMED = (
    (r"^enc(\d)\.", lambda m: f"encoder.{int(m[1]) - 1}."),
    (r"^dec(\d)\.", lambda m: f"decoder.{3 - int(m[1])}."),
    (r"^up(\d)\.", lambda m: f"ups.{3 - int(m[1])}."),
    (r"^final\.", "head."),
    (r"^(encoder\.\d|bottleneck|decoder\.\d)\.0\.", r"\1.conv."),
    (r"^(encoder\.\d|bottleneck|decoder\.\d)\.1\.", r"\1.norm."),
)
"""Pattern in a published name, and what stands there in ours; applied in this order."""


def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the options of the network that the weights fit, and the weights under our names.

    Raises:
        CheckpointError: A weight that decides on an option is absent.

    Source: names and shapes of Rowzatul-2001/SGNet, commit 97d5b6e.
    """
    ours = {_our_name(name): weight for name, weight in weights.items()}
    try:
        return _options(ours), ours
    except KeyError as error:
        raise CheckpointError(
            "the weights of SG-Net", found=f"none named {error}", where="the weights", next_step="check the file"
        ) from error


def _our_name(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _options(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    levels = ("encoder.0", "encoder.1", "encoder.2", "bottleneck")
    return {
        "gate": "none",
        "modalities": weights["encoder.0.conv.weight"].shape[1],
        "regions": weights["head.weight"].shape[0],
        "widths": tuple(weights[f"{level}.conv.weight"].shape[0] for level in levels),
    }
