"""SCSA: closed form and literal definition agree on every size."""

import hetero_literal as literal
import pytest
import torch
from torch import nn

from lesionlab.blocks.scsa import Scsa


@pytest.mark.parametrize("grid", [(14, 14), (16, 30), (1, 2), (3, 20)])
def test_closed_form_is_the_literal_definition(grid: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = Scsa(24, heads=3)
    for part in module.parameters():
        nn.init.normal_(part)
    tokens = torch.randn(2, *grid, 24, requires_grad=True)
    found, wanted = module(tokens), literal.scsa(module, tokens)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    weight = torch.randn(wanted.shape)
    inputs = [tokens, *module.parameters()]
    gradients = [torch.autograd.grad((result * weight).sum(), inputs) for result in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_tokens_are_only_made_smaller() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(1, 9, 9, 16)
    gate = Scsa(16, heads=2)(tokens) / tokens
    assert gate.min() > 0
    assert gate.max() < 1
