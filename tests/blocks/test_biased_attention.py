"""Attention with a learned bias equals its definition, gradients included."""

import pytest
import torch
from torch import Tensor

from lesionlab.blocks.biased_attention import biased_attention


def literal(query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor) -> Tensor:
    return (query @ key.mT * query.shape[-1] ** -0.5 + bias).softmax(-1) @ value


def drawn(*, batch: int = 3, heads: int = 2, tokens: int = 9, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    torch.manual_seed(0)
    shape = (batch, heads, tokens, 4)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("shared_heads", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_are_those_of_the_definition(shared_heads: int, batch: int) -> None:
    parts = drawn(batch=batch, dtype=torch.float64)
    bias = torch.randn(shared_heads, 9, 9, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(parts[0])
    ours, wanted = biased_attention(*parts, bias=bias), literal(*parts, bias=bias)
    torch.testing.assert_close(ours, wanted)
    found = torch.autograd.grad((ours * weight).sum(), [*parts, bias])
    torch.testing.assert_close(found, torch.autograd.grad((wanted * weight).sum(), [*parts, bias]))


def test_blocked_pairs_have_neither_weight_nor_gradient() -> None:
    parts, learned = drawn(), torch.randn(2, 9, 9, requires_grad=True)
    mask = torch.zeros(9, 9)
    mask[:5, 5:] = mask[5:, :5] = -torch.inf
    ours, wanted = biased_attention(*parts, bias=learned + mask), literal(*parts, bias=learned + mask)
    torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(ours.square().sum(), [learned])
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted.square().sum(), [learned])[0], atol=1e-5, rtol=1e-4)
    assert not gradient[:, :5, 5:].any()


def test_many_items_pass_in_several_chunks() -> None:
    parts, bias = drawn(batch=5, tokens=300), torch.randn(2, 300, 300, requires_grad=True)
    found = torch.autograd.grad(biased_attention(*parts, bias=bias).square().sum(), [bias])
    wanted = torch.autograd.grad(literal(*parts, bias=bias).square().sum(), [bias])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_bfloat16_gradients_are_near_the_exact_ones() -> None:
    exact = [*drawn(), torch.randn(2, 9, 9, requires_grad=True)]
    rounded = [part.detach().bfloat16().requires_grad_() for part in exact]
    wanted = torch.autograd.grad(literal(*exact[:3], bias=exact[3]).square().sum(), exact)
    found = torch.autograd.grad(biased_attention(*rounded[:3], bias=rounded[3]).float().square().sum(), rounded)
    for first, second in zip(found, wanted, strict=True):
        assert (first.float() - second).abs().mean() < 0.03 * second.abs().mean()


def test_without_bias_it_is_plain_attention() -> None:
    parts = drawn()
    torch.testing.assert_close(biased_attention(*parts, bias=None), literal(*parts, bias=torch.zeros(9, 9)))
