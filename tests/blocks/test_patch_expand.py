"""Expansion: pieces lie where pixel shuffling puts them."""

import hetero_literal as literal
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange

from lesionlab.blocks.depthwise import DepthwiseConv
from lesionlab.blocks.patch_expand import PatchExpand


@pytest.mark.parametrize("factor", [2, 4])
def test_expansion_is_the_literal_one(factor: int) -> None:
    torch.manual_seed(0)
    module = PatchExpand(12, channels_out=6, factor=factor)
    tokens = torch.randn(2, 3, 5, 12)
    found = module(tokens)
    assert found.shape == (2, 3 * factor, 5 * factor, 6)
    torch.testing.assert_close(found, literal.patch_expand(module, tokens), atol=1e-5, rtol=1e-5)


def test_pieces_lie_as_after_a_pixel_shuffle() -> None:
    module = PatchExpand(12, channels_out=6, factor=2)
    pieces = torch.randn(1, 3, 5, 4, 6)
    shuffled = F.pixel_shuffle(rearrange(pieces, "b y x piece c -> b (c piece) y x"), 2)
    assert torch.equal(module.lay_out(pieces), rearrange(shuffled, "b c y x -> b y x c"))


def test_depthwise_convolution_is_the_one_of_channels_first() -> None:
    torch.manual_seed(0)
    module = DepthwiseConv(6, kernel_size=5)
    tokens = torch.randn(2, 7, 9, 6)
    found = module(tokens)
    assert found.is_contiguous()
    torch.testing.assert_close(found, literal.depthwise(module, tokens), atol=1e-5, rtol=1e-5)
