"""Published weights of sa-swin and of MONAI's Swin UNETR: names, options, outputs."""

import importlib.util
import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lesionlab.blocks.symmetry_attention import SymmetryAttention
from lesionlab.core.errors import CheckpointError
from lesionlab.core.network import network
from lesionlab.engine.published_weights import import_weights
from lesionlab.networks.swin_published import read_published
from lesionlab.pretext.symmetry import Symmetry, likeness

NETWORKS = {
    "segmenter_SwinSACAUNETR_in1_out3": "saca_swin",
    "segmenter_SwinSACAUNETR_in4_out3": "saca_swin",
    "classifier_SACAClassifierHead": "saca_swin_classifier",
    "classifier_SSLClassifier_patch4": "swin_classifier",
    "segmenter_SwinUNETR_in1_out3": "swin_unetr",
}


@pytest.fixture(scope="module")
def recipe(parity: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_recipe", parity / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tensors(arrays: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def check(recipe: ModuleType, meta: dict[str, Any], published: dict[str, Any], name: str, found: Tensor) -> None:
    errors = recipe.compare(published, name, found.detach().numpy())
    assert errors["max_abs"] < meta["tolerance"]["atol"], name
    assert errors["stats_rel"] < meta["tolerance"]["rtol"], name


def outputs_of(published: dict[str, Any]) -> set[str]:
    return {name for name in published if "__" not in name}


def keys_of(published_keys: Path, name: str) -> dict[str, Tensor]:
    shapes = json.loads((published_keys / "saca_swin.json").read_text())[name]
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


@pytest.mark.parametrize("width", ["fs48", "fs12"])
@pytest.mark.parametrize("published", NETWORKS)
def test_every_published_name_and_shape_has_its_place(published_keys: Path, published: str, width: str) -> None:
    name = NETWORKS[published]
    options, renamed = network.get(name).read_published(keys_of(published_keys, f"{width}/{published}"))
    with torch.device("meta"):
        ours = network.build(name, **options).state_dict()
    assert {key: part.shape for key, part in renamed.items()} == {key: part.shape for key, part in ours.items()}


def test_the_symmetry_block_gives_the_published_output(recipe: ModuleType, parity: Path) -> None:
    meta, published = recipe.load_fixture(parity / "saswin_saca_block.npz")
    block = SymmetryAttention(
        192, heads=12, has_self_attention=True, position="none", has_twin_bias=False, dropout=0.1
    ).eval()
    network_of = nn.ModuleDict({"symmetry": block})
    encoder = {
        f"swinViT.{name}": torch.zeros(shape)
        for name, shape in [
            ("patch_embed.proj.weight", (12, 1, 2, 2, 2)),
            ("layers1.0.blocks.0.mlp.linear1.weight", (48, 12)),
        ]
        + [(f"layers{stage}.0.blocks.0.attn.relative_position_bias_table", (2197, 3)) for stage in range(1, 5)]
    }
    weights = {f"symmetryAwareTX.{name}": part for name, part in tensors(recipe.recipe_state_dict(meta)).items()}
    _, renamed = read_published(weights | encoder)
    network_of.load_state_dict({name: part for name, part in renamed.items() if name.startswith("symmetry.")})
    given = tensors(recipe.recipe_input(meta))
    check(recipe, meta, published, "y", block(given["query"], given["mirror"]))


@pytest.mark.slow
@pytest.mark.parametrize(("fixture", "name"), [("segmenter", "saca_swin"), ("classifier", "saca_swin_classifier")])
def test_outputs_are_the_published_ones(recipe: ModuleType, parity: Path, fixture: str, name: str) -> None:
    meta, published = recipe.load_fixture(parity / f"saswin_{fixture}.npz")
    module = import_weights(tensors(recipe.recipe_state_dict(meta)), network=name)
    given = tensors(recipe.recipe_input(meta))
    with torch.inference_mode():
        levels, mirrored = module.encoder(given["x"]), module.encoder(given["x_mirror"])
        logits = module(torch.cat([given["x"], given["x_mirror"]], dim=1)).logits
        seen = module.symmetry(levels[4].movedim(1, -1), mirrored[4].movedim(1, -1)).flatten(1, 3)
    taps = {f"tap_hidden{index}": level for index, level in enumerate(levels)} | {"tap_mirror_hidden4": mirrored[4]}
    whole = {"tokens": seen, "bottleneck": levels[4], "bottleneck_mirror": mirrored[4]}
    found = {"logits": logits, **(whole if fixture == "classifier" else taps)}
    assert set(found) == outputs_of(published)
    for output, value in found.items():
        check(recipe, meta, published, output, value)


@pytest.mark.slow
def test_vectors_of_the_embedding_net_are_the_published_ones(recipe: ModuleType, parity: Path) -> None:
    """The encoder of patches of 4x4x4 voxels, and the head on one corner of the volume."""
    meta, published = recipe.load_fixture(parity / "saswin_embedding.npz")
    weights = tensors(recipe.recipe_state_dict(meta))
    module = import_weights(weights, network="swin_classifier", regions=2)
    head = Symmetry(modalities=1, channels=192, mode="cosine_nce", pool="token1")
    head.load_state_dict(
        {f"head.{part}": weights[f"contrastive_head.{part}"] for part in ("weight", "bias")}, strict=True
    )
    given = tensors(recipe.recipe_input(meta))
    with torch.inference_mode():
        own, mirrored = (head.embed(module.encoder(given[name])[-1]) for name in ("x", "x_mirror"))
    found = {"embedding": own[:, 0], "embedding_mirror": mirrored[:, 0], "cosine": likeness(own, mirrored)}
    assert set(found) == outputs_of(published)
    for output, value in found.items():
        check(recipe, meta, published, output, value)


def test_an_encoder_of_larger_patches_fits_no_other_network(recipe: ModuleType, parity: Path) -> None:
    meta, _ = recipe.load_fixture(parity / "saswin_embedding.npz")
    weights = {name: torch.zeros(shape) for name, shape in meta["keys"]}
    with pytest.raises(CheckpointError, match="patches of 2 voxels a side; found one of 4"):
        import_weights(weights, network="saca_swin", regions=2)


def small_weights() -> dict[str, Tensor]:
    """Return weights of a small network under the published names of an encoder, as self-supervised training saves."""
    torch.manual_seed(0)
    module = network.build("swin_unetr", modalities=1, regions=1, width=3, heads=(1, 1, 2, 2), window=3)
    names = [("encoder.embed.", "patch_embed.proj."), (".merge.", ".downsample."), (".attention.out.", ".attn.proj.")]
    names += [(".attention.qkv.", ".attn.qkv."), (".mlp.0.", ".mlp.fc1."), (".mlp.2.", ".mlp.fc2.")]
    names += [(".attention.relative_bias.table", ".attn.relative_position_bias_table")]
    names += [(f"encoder.stages.{stage}.", f"layers{stage + 1}.0.") for stage in range(4)]
    weights = {}
    for key, part in module.encoder.state_dict(prefix="encoder.").items():
        for ours, theirs in names:
            key = key.replace(ours, theirs)
        weights[key] = part
    return weights


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.swinViT.", "module.backbone.swinViT."])
def test_an_encoder_alone_starts_a_network(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    weights = {f"{prefix}{name}": part for name, part in small_weights().items()}
    with caplog.at_level(logging.WARNING):
        module = import_weights({"state_dict": weights, "epoch": 3}, network="swin_unetr", regions=2)
    assert torch.equal(module.encoder.embed.weight, weights[f"{prefix}patch_embed.proj.weight"])
    assert module.encoder.stages[0].merge.octants[4] == (1, 0, 1), "merged as in the first releases"
    assert "only the encoder of swin_unetr" in caplog.text


def test_an_encoder_alone_cannot_predict() -> None:
    with pytest.raises(CheckpointError, match=r"an encoder alone.*--start-from published"):
        import_weights(small_weights(), network="swin_unetr")


def test_part_of_an_encoder_is_refused() -> None:
    part = {name: weight for name, weight in small_weights().items() if ".blocks.1." not in name}
    with pytest.raises(CheckpointError, match="90%"):
        import_weights(part, network="swin_unetr", regions=2, depths=(2, 2, 2, 2))


def test_other_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="Swin UNETR"):
        read_published({"conv.weight": torch.zeros(1)})
