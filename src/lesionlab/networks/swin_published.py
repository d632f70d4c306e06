"""How weights of MONAI's Swin UNETR, of its self-supervised encoder and of sa-swin are named, and what they fit."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lesionlab.core.errors import CheckpointError

RENAMED = (
    (r"^swinViT\.", ""),
    (r"^patch_embed\.proj\.", "encoder.embed."),
    (r"^layers(\d)c\.0\.layer\.", lambda m: f"encoder.residuals.{int(m[1]) - 1}."),
    (r"^layers(\d)\.0\.", lambda m: f"encoder.stages.{int(m[1]) - 1}."),
    (r"\.downsample\.", ".merge."),
    (r"\.attn\.relative_position_bias_table$", ".attention.relative_bias.table"),
    (r"\.attn\.qkv\.", ".attention.qkv."),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.mlp\.(linear|fc)1\.", ".mlp.0."),
    (r"\.mlp\.(linear|fc)2\.", ".mlp.2."),
    (r"^encoder1\.layer\.", "decoder.full."),
    (r"^encoder([234])\.layer\.", lambda m: f"decoder.skips.{int(m[1]) - 2}."),
    (r"^encoder10\.layer\.", "decoder.deepest."),
    (r"^decoder(\d)\.transp_conv\.conv\.", lambda m: f"decoder.ups.{5 - int(m[1])}.up."),
    (r"^decoder(\d)\.conv_block\.", lambda m: f"decoder.ups.{5 - int(m[1])}.join."),
    (r"^(decoder\..*)\.conv3\.conv\.", r"\1.shortcut."),
    (r"^(decoder\..*|encoder\.residuals\.\d)\.(conv\d)\.conv\.", r"\1.\2."),
    (r"^out\.conv\.conv\.", "decoder.head."),
    (r"^symmetryAwareTX\.", "symmetry."),
    (r"^symmetry\.(cross)attention\.", r"symmetry.\1_attention."),
    (r"^symmetry\.attention\.", "symmetry.self_attention."),
    (r"^(symmetry\.\w+_attention)\.self\.", r"\1."),
    (r"^(symmetry\.\w+_attention)\.output\.dense\.", r"\1.out."),
    (r"^(symmetry\.\w+_attention)\.output\.LayerNorm\.", r"\1.norm."),
    (r"^symmetry\.intermediate\.dense\.", "symmetry.mlp.0."),
    (r"^symmetry\.output\.dense\.", "symmetry.mlp.2."),
    (r"^symmetry\.output\.LayerNorm\.", "symmetry.norm."),
    (r"^classification_head\.", "head."),
)
"""Pattern in a published name, and what stands there in ours; applied in this order."""

_OF_SA_SWIN = ("symmetryAwareTX.", "classification_head.", "aaw_head.")
"""How names begin that only weights of sa-swin have."""

_OF_PRETRAINING = ("rotation_head.", "contrastive_head.", "aaw_head.", "contrast_loss.", "conv.")
"""How names begin of what self-supervised training predicts with, and no other network: heads, decoder and loss."""


def read_published(
    weights: Mapping[str, Tensor], *, patches: tuple[int, ...] = (2,)
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the options of the network that the weights fit, and the weights under our names.

    How neighbours were merged leaves no trace in weights: "legacy" is assumed for those of sa-swin and for encoders in
    the naming of the first releases, "fixed" for all others. Weights without a head tell nothing about regions. Heads
    of self-supervised training are left out.

    Args:
        weights: By their published names.
        patches: Sides in voxels of the embedded patches that the network can have.

    Raises:
        CheckpointError: A weight that decides on an option is absent, or patches have another size.

    Source: names and shapes of MONAI 1.6 and of bitMyron/sa-swin, commit 5c0bc10.
    """
    is_legacy = any(name.startswith(_OF_SA_SWIN) or ".mlp.fc1." in name for name in weights)
    kept = {
        name: weight
        for name, weight in weights.items()
        if not name.endswith("relative_position_index") and not name.startswith(_OF_PRETRAINING)
    }
    ours = {_our_name(name): weight for name, weight in kept.items()}
    try:
        options = _options({name: tuple(weight.shape) for name, weight in ours.items()})
    except KeyError as error:
        raise CheckpointError(
            "the weights of a Swin UNETR, or of its encoder",
            found=f"none named {error}",
            where="the weights",
            next_step="check the file",
        ) from error
    patch = ours["encoder.embed.weight"].shape[-1]
    _check_patch(patch, patches)
    is_legacy = is_legacy or patch == 4  # only sa-swin embeds so
    return options | {"merge": "legacy" if is_legacy else "fixed", "windows": "monai"}, ours


def _check_patch(found: int, possible: tuple[int, ...]) -> None:
    if found not in possible:
        raise CheckpointError(
            f"an encoder of patches of {' or '.join(map(str, possible))} voxels a side",
            found=f"one of {found}",
            where="the weights",
            next_step="import them as swin_classifier, which can have patches of 4 voxels",
        )


def _our_name(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _options(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    width, modalities = shapes["encoder.embed.weight"][:2]
    tables = [shapes[f"encoder.stages.{stage}.blocks.0.attention.relative_bias.table"] for stage in range(4)]
    head = shapes.get("decoder.head.weight", shapes.get("head.weight"))
    options = {
        "modalities": modalities,
        "width": width,
        "depths": tuple(_blocks(shapes, stage) for stage in range(4)),
        "heads": tuple(count for _, count in tables),
        "window": (round(tables[0][0] ** (1 / 3)) + 1) // 2,
        "mlp_ratio": shapes["encoder.stages.0.blocks.0.mlp.0.weight"][0] / width,
    }
    if any(name.startswith("encoder.residuals.") for name in shapes):
        options["residual_blocks"] = True
    return options if head is None else options | {"regions": head[0]}


def _blocks(shapes: Mapping[str, tuple[int, ...]], stage: int) -> int:
    pattern = rf"encoder\.stages\.{stage}\.blocks\.(\d+)\."
    return len({found[1] for name in shapes if (found := re.match(pattern, name))})
