"""How the published weights of SYNAPSE-Net are named, and which network they belong to."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lesionlab.core.errors import CheckpointError

_STREAMS = {"A": 0, "B": 1, "t1c": 0, "t1n": 1, "t2f": 2, "t2w": 3}
_STREAM = f"({'|'.join(_STREAMS)})"

RENAMED = (
    (rf"^enc_?{_STREAM}\.s(\d)\.net\.", lambda m: f"encoders.{_STREAMS[m[1]]}.stages.{int(m[2]) - 1}."),
    (rf"^pre_swin_?{_STREAM}\.", lambda m: f"context.{_STREAMS[m[1]]}."),
    (r"\.block1\.", ".plain."),
    (r"\.block2\.", ".shifted."),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.attn\.qkv\.", ".attention.qkv."),
    (r"^pool_conv\.", "tokens.project."),
    (r"^bottleneck\.crossA\.", "tokens.exchange.first."),
    (r"^bottleneck\.crossB\.", "tokens.exchange.second."),
    (r"^bottleneck\.normA\.", "tokens.exchange.norm_first."),
    (r"^bottleneck\.normB\.", "tokens.exchange.norm_second."),
    (r"^token_to_feat\.", "tokens.merge."),
    (r"^center_res\.", "center."),
    (r"^lesion_gate_f(\d)\.gate_conv\.", r"decoder.gate\1.gate."),
    (r"^_fuse_f(\d)\.", lambda m: f"fusions.{int(m[1]) - 1}."),
    (r"^(fusions\.\d)\.0\.", r"\1.mix."),
    (r"^(fusions\.\d)\.1\.", r"\1.norm."),
    (r"^(fusions\.\d)\.2\.", r"\1.attention."),
    (r"^decoder\.up_c(\d)\.", r"decoder.up\1."),
    (r"^decoder\.x(\d)_(\d)\.", r"decoder.x\1\2."),
    (r"^head_main\.", "heads.0."),
    (r"^head_aux(\d)\.", r"heads.\1."),
    (r"\.bn\.", ".norm."),
    (r"\.bn2\.", ".norm2."),
    (r"\.short\.", ".shortcut."),
)
"""Pattern in a published name, and what stands there in ours; applied in this order."""


def read_published(weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the options of the network that the weights fit, and the weights under our names.

    The number of heads leaves no trace in published weights; it stays at the network's default.

    Raises:
        CheckpointError: A weight that decides on an option is absent.

    Source: names and shapes of mubid-01/SYNAPSE-Net, commit e05116a.
    """
    ours = {_our_name(name): weight for name, weight in weights.items()}
    shapes = {name: tuple(weight.shape) for name, weight in ours.items()}
    try:
        return _options(shapes), ours
    except KeyError as error:
        raise CheckpointError(
            "the weights of SYNAPSE-Net", found=f"none named {error}", where="the weights", next_step="check the file"
        ) from error


def _our_name(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _options(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    hidden, deepest = shapes["context.0.0.plain.mlp.0.weight"]
    return {
        "mode": "reference",
        "modalities": _count(shapes, r"encoders\.(\d+)\."),
        "regions": shapes["heads.0.weight"][0],
        "widths": tuple(shapes[f"encoders.0.stages.{level}.0.conv.weight"][0] for level in range(5)),
        "token_channels": shapes["tokens.project.weight"][0],
        "swin_layers": _count(shapes, r"context\.0\.(\d+)\."),
        "mlp_ratio": hidden / deepest,
    }


def _count(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> int:
    return len({found[1] for name in shapes if (found := re.match(pattern, name))})
