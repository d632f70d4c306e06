"""Swin UNETR gives what MONAI's gives for the same weights."""

from typing import Any

import pytest
import torch
from monai.networks.nets.swin_unetr import SwinUNETR as Peer
from torch import Tensor

from lesionlab.engine.published_weights import import_weights
from lesionlab.networks.swin_unetr import SwinUNETR


def peer_weights(**options: Any) -> tuple[Peer, dict[str, Tensor]]:
    torch.manual_seed(0)
    peer = Peer(in_channels=2, out_channels=3, feature_size=12, **options).eval()
    return peer, peer.state_dict()


def test_parameters_are_as_many_as_monais() -> None:
    with torch.device("meta"):
        module = SwinUNETR(modalities=1, regions=3)
    assert sum(part.numel() for part in module.parameters()) == 62_186_757


@pytest.mark.parametrize("use_v2", [False, True])
@pytest.mark.parametrize(("downsample", "merge"), [("merging", "fixed"), ("mergingv2", "v2")])
def test_outputs_equal_monais(downsample: str, merge: str, use_v2: bool) -> None:
    peer, weights = peer_weights(downsample=downsample, use_v2=use_v2)
    module = import_weights(weights, network="swin_unetr", merge=merge)
    image = torch.randn(1, 2, 32, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(module(image).logits, peer(image), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_gradients_equal_monais_on_shifted_and_padded_windows() -> None:
    peer, weights = peer_weights()
    module = import_weights(weights, network="swin_unetr")
    image = torch.randn(1, 2, 64, 64, 64)
    found, wanted = module(image).logits, peer(image)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    for logits in (found, wanted):
        logits.square().mean().backward()
    tables = [stage[0].blocks[1].attn.relative_position_bias_table for stage in _stages(peer)]
    for stage, table in zip(module.encoder.stages, tables, strict=True):
        ours = stage.blocks[1].attention.relative_bias.table.grad
        torch.testing.assert_close(ours, table.grad, atol=1e-5 * float(table.grad.abs().max()) + 1e-8, rtol=1e-3)


def _stages(peer: Peer) -> list[torch.nn.ModuleList]:
    return [peer.swinViT.layers1, peer.swinViT.layers2, peer.swinViT.layers3, peer.swinViT.layers4]


@pytest.mark.parametrize("size", [(33, 20, 17), (32, 32, 33), (40, 64, 32)])
def test_any_size_beyond_one_stride(size: tuple[int, int, int]) -> None:
    module = SwinUNETR(modalities=1, regions=1, width=3, heads=(1, 1, 2, 2), window=3).eval()
    with torch.inference_mode():
        assert module(torch.randn(1, 1, *size)).logits.shape == (1, 1, *size)
