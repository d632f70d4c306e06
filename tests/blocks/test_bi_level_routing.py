"""Routed attention: fast and literal agree; windows look at those that resemble them."""

import hetero_literal as literal
import pytest
import torch

from lesionlab.blocks.bi_level_routing import BiLevelBlock, BiLevelRouting


def routing(*, window: int, routes: int) -> BiLevelRouting:
    torch.manual_seed(0)
    return BiLevelRouting(32, heads=4, window=window, routes=routes)


@pytest.mark.parametrize(("window", "routes"), [(2, 8), (4, 3), (4, 100)])
def test_fast_routing_is_the_literal_one(window: int, routes: int) -> None:
    module = routing(window=window, routes=routes)
    tokens = torch.randn(2, 8, 12, 32, requires_grad=True)
    found, wanted = module(tokens), literal.bi_level_routing(module, tokens)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    weight = torch.randn(wanted.shape)
    inputs = [tokens, *module.parameters()]
    gradients = [torch.autograd.grad((result * weight).sum(), inputs) for result in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_window_looks_at_those_that_resemble_it() -> None:
    module = routing(window=2, routes=2)
    tokens = torch.zeros(1, 4, 8, 32)
    for window, channel in enumerate([0, 1, 2, 0, 3, 1, 2, 3]):  # in row-major order, alike in pairs
        y, x = 2 * (window // 4), 2 * (window % 4)
        tokens[0, y : y + 2, x : x + 2, channel] = 5
    with torch.no_grad():
        module.qkv.weight.copy_(torch.eye(32).repeat(3, 1))
        module.qkv.bias.zero_()
    pairs = [{0, 3}, {1, 5}, {2, 6}, {0, 3}, {4, 7}, {1, 5}, {2, 6}, {4, 7}]
    assert [set(chosen) for chosen in module.chosen_windows(tokens)[0].tolist()] == pairs


def test_entry_norm_replaces_the_residual_stream() -> None:
    torch.manual_seed(0)
    shape = {"heads": 4, "window": 2, "routes": 2, "mlp_ratio": 3.0, "drop_path": 0.0}
    published, plain = (BiLevelBlock(32, has_entry_norm=has, **shape) for has in (True, False))
    plain.load_state_dict(published.state_dict())
    tokens = torch.randn(1, 4, 4, 32)
    torch.testing.assert_close(published(tokens), plain(plain.norm1(tokens)))
    torch.testing.assert_close(published(100 * tokens), published(tokens), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain(100 * tokens), plain(tokens), atol=1.0)
