"""Attention to the mirror image: options and what they start with."""

from typing import Any

import pytest
import torch
from torch import nn

from lesionlab.blocks.symmetry_attention import SymmetryAttention

PLAIN: dict[str, Any] = {
    "heads": 2,
    "has_self_attention": True,
    "position": "none",
    "has_twin_bias": False,
    "dropout": 0.0,
}


def built(**options: Any) -> SymmetryAttention:
    torch.manual_seed(0)
    return SymmetryAttention(8, **(PLAIN | options))


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 2, 3, 2, 8), torch.randn(2, 2, 3, 2, 8)


def test_it_equals_the_definition() -> None:
    layer, (tokens, mirrored) = built(has_self_attention=False), pair()
    cross = layer.cross_attention
    flat, other = tokens.flatten(1, 3), mirrored.flatten(1, 3)
    query, key, value = (
        part.unflatten(-1, (2, 4)).transpose(1, 2) for part in (cross.query(flat), cross.key(other), cross.value(other))
    )
    gathered = ((query @ key.mT / 2).softmax(-1) @ value).transpose(1, 2).flatten(2)
    seen = cross.norm(flat + cross.out(gathered))
    wanted = layer.norm(seen + layer.mlp(seen)).reshape(tokens.shape)
    torch.testing.assert_close(layer(tokens, mirrored), wanted)


@pytest.mark.parametrize("options", [{"position": "learned"}, {"has_twin_bias": True}])
def test_biases_start_without_effect_and_have_one_once_learned(options: dict[str, Any]) -> None:
    plain, biased = built(), built(**options)
    biased.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(plain(*pair()), biased(*pair()))
    learned = [part for name, part in biased.named_parameters() if "bias" in name and name not in plain.state_dict()]
    for part in learned:
        nn.init.normal_(part)
    assert not torch.allclose(plain(*pair()), biased(*pair()))


def test_a_strong_twin_bias_shows_each_token_only_its_twin() -> None:
    layer, (tokens, mirrored) = built(has_self_attention=False, has_twin_bias=True), pair()
    nn.init.constant_(layer.cross_attention.twin_bias, 1e4)
    changed = mirrored.clone()
    changed[:, 0, 0, 0] += 1
    is_changed = (layer(tokens, mirrored) != layer(tokens, changed)).any(-1)
    assert is_changed[:, 0, 0, 0].all()
    assert is_changed.sum() == len(tokens)


def test_larger_grids_than_the_table_share_its_outermost_offsets() -> None:
    layer = built(position="learned")
    tokens = torch.randn(1, 9, 2, 2, 8)
    assert layer(tokens, tokens).shape == tokens.shape
