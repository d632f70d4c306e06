"""How the published weights of HeteroMedSeg and of the networks that can start it are named."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lesionlab.core.errors import CheckpointError

_PREFIX = "bra_unet."
_PROFILED = ("total_ops", "total_params")
"""Counters that a profiler left in weights saved after it ran."""

_log = logging.getLogger(__name__)

STATE_SPACE = (
    (r"\.cpe([12])\.", r".position\1."),
    (r"\.attn\.in_proj\.", ".state_space.expand."),
    (r"\.attn\.conv2d\.", ".state_space.conv."),
    (r"\.attn\.A_log$", ".state_space.log_decay"),
    (r"\.attn\.dt_bias$", ".state_space.step_bias"),
    (r"\.attn\.D$", ".state_space.own"),
    (r"\.attn\.norm\.", ".state_space.norm."),
    (r"\.attn\.out_proj\.", ".state_space.merge."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.2."),
)
ROUTED = (
    (r"\.pos_embed\.", ".position."),
    (r"\.attn\.lepe\.", ".attention.position."),
    (r"\.attn\.qkv\.qkv\.", ".attention.qkv."),
    (r"\.attn\.wo\.", ".attention.merge."),
    (r"\.mlp\.3\.", ".mlp.2."),
)
RENAMED = (
    *STATE_SPACE,
    *ROUTED,
    (r"^downsample_layers\.", "downsamplers."),
    (r"^sccsa(\d)\.", lambda m: f"levels.{3 - int(m[1])}.skip."),
    (r"\.local_dwc\.", ".profiles.0."),
    (r"\.global_dwc_([sml])\.", lambda m: f".profiles.{' sml'.index(m[1])}."),
    (r"\.norm_h\.", ".norm_y."),
    (r"\.norm_w\.", ".norm_x."),
    (r"\.q\.weight$", ".query"),
    (r"\.k\.weight$", ".key"),
    (r"\.v\.weight$", ".value"),
    (r"^concat_back_dim\.(\d)\.", lambda m: f"levels.{int(m[1]) - 1}.merge."),
    (r"^layers_up\.0\.", "levels.0.expand."),
    (r"^layers_up\.(\d)\.upsample\.", r"levels.\1.expand."),
    (r"^layers_up\.(\d)\.blocks\.", lambda m: f"levels.{int(m[1]) - 1}.blocks."),
    (r"^norm_up\.", "norm."),
    (r"^up4\.", "expand."),
    (r"^output\.", "head."),
)
"""Pattern in a published name, and what stands there in ours; applied in this order."""

_FLAT = re.compile(r"^head\.weight$|\.skip\.(query|key|value)$")
"""Published as 1x1 convolutions."""


def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the options of the network that the weights fit, and the weights under our names.

    Counters of a profiler are left out. A bottleneck is kept, for ``bottleneck_depth=2``, with a warning: published
    code never ran it, so that its weights are as they were drawn.

    Raises:
        CheckpointError: A weight that decides on an option is absent.

    Source: names and shapes of Yuyan-Bin/Synergistic-Network, commit 1a70e62.
    """
    ours = {}
    for name, weight in weights.items():
        if not name.endswith(_PROFILED):
            renamed = _renamed(name.removeprefix(_PREFIX), RENAMED)
            ours[renamed] = _flat(weight) if _FLAT.search(renamed) else weight
    if any(name.startswith("stages.3.") for name in ours):
        _log.warning("the published bottleneck was never trained; bottleneck_depth=2 would run it on random weights")
    shapes = {name: tuple(weight.shape) for name, weight in ours.items()}
    try:
        return _options(shapes), ours
    except KeyError as error:
        raise CheckpointError(
            "the weights of HeteroMedSeg", found=f"none named {error}", where="the weights", next_step="check the file"
        ) from error


def read_vssd(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what weights of VSSD (ImageNet) hold for the encoder, under our names.

    VSSD-B fits a network of ``ssd="noncausal"``; with ``encoder_mlp_ratio=4`` the first blocks of three levels fill the
    encoder's blocks whole.

    Source: names of YuHengsss/VSSD.
    """
    blocks = {name: weight for name, weight in weights.items() if re.match(r"layers\.\d\.blocks\.", name)}
    renamed = ((r"^layers\.(\d)\.blocks\.", r"stages.\1."), *STATE_SPACE)
    return {_renamed(name, renamed): weight for name, weight in blocks.items()}


def read_biformer(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what weights of BiFormer (ImageNet) hold for the convolutions between levels and the decoder, renamed.

    Differs: published training put nothing into the decoder, but the norms of BiFormer's blocks into the encoder's
    state-space blocks, which have nothing else in common.

    Source: names of rayleizhu/BiFormer.
    """
    wanted = {
        name: weight for name, weight in weights.items() if re.match(r"downsample_layers\.|stages\.[012]\.", name)
    }
    levels = ((r"^stages\.(\d)\.", lambda m: f"levels.{2 - int(m[1])}.blocks."),)
    renamed = (*levels, *ROUTED, (r"^downsample_layers\.", "downsamplers."))
    return {_renamed(name, renamed): weight for name, weight in wanted.items()}


def _renamed(name: str, patterns: Sequence[tuple[str, Any]]) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def _flat(weight: Tensor) -> Tensor:
    """Drop the axes of a 1x1 kernel, and that of the lone input channel of a depthwise one."""
    rows = weight.flatten(1)
    return rows.squeeze(1) if rows.shape[1] == 1 else rows


def _options(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    width = shapes["norm.weight"][0]
    inner = shapes["stages.0.0.state_space.norm.weight"][0]
    hidden = shapes["stages.0.0.mlp.0.weight"][0]
    return {
        "modalities": shapes["downsamplers.0.0.weight"][1],
        "regions": shapes["head.weight"][0],
        "bottleneck_depth": 0,
        "ssd": "causal",
        "entry_norm": True,
        "width": width,
        "head_channels": width // shapes["stages.0.0.state_space.own"][0],
        "state_size": (shapes["stages.0.0.state_space.conv.weight"][0] - inner) // 2,
        "encoder_depths": tuple(_count(shapes, rf"stages\.{level}\.(\d+)\.") for level in range(3)),
        "encoder_mlp_ratio": hidden / width,
        "decoder_depths": tuple(_count(shapes, rf"levels\.{level}\.blocks\.(\d+)\.") for level in range(3)),
    }


def _count(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> int:
    return len({found[1] for name in shapes if (found := re.match(pattern, name))})
