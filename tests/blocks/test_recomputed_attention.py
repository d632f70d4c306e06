"""Attention that recomputes on the way back equals attention that remembers, gradients included."""

import pytest
import torch
from torch import Tensor

from lesionlab.blocks import recomputed_attention
from lesionlab.blocks.window_attention import WindowAttention
from lesionlab.blocks.windows import WindowRule, Windows, cut_windows


def attention(*, rank: int) -> WindowAttention:
    torch.manual_seed(0)
    block = WindowAttention(8, heads=2, window=(3,) * rank, position="learned")
    assert block.relative_bias is not None
    torch.nn.init.normal_(block.relative_bias.table)
    return block


def windows_of(grid: tuple[int, ...], *, is_shifted: bool, rule: WindowRule) -> Windows:
    return cut_windows(grid, window=3, is_shifted=is_shifted, rule=rule, device=torch.device("cpu"))


def gradients(block: WindowAttention, tokens: Tensor, windows: Windows) -> list[Tensor]:
    tokens = tokens.clone().requires_grad_()
    weight = torch.linspace(-1, 1, tokens.numel()).reshape(tokens.shape)
    found = block(tokens, windows)
    return [found, *torch.autograd.grad((found * weight).sum(), [tokens, *block.parameters()])]


def remembered(
    block: WindowAttention, tokens: Tensor, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> list[Tensor]:
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        return gradients(block, tokens, windows)


@pytest.mark.parametrize("rule", ["reference", "monai", "correct"])
@pytest.mark.parametrize("is_shifted", [False, True])
@pytest.mark.parametrize("grid", [(6, 9), (7, 2), (6, 6, 6), (4, 5, 7)])
def test_output_and_gradients_are_those_of_the_definition(
    grid: tuple[int, ...], is_shifted: bool, rule: WindowRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, windows = attention(rank=len(grid)).double(), windows_of(grid, is_shifted=is_shifted, rule=rule)
    tokens = torch.randn(2, *grid, 8, dtype=torch.float64)
    wanted = remembered(block, tokens, windows, monkeypatch)
    torch.testing.assert_close(gradients(block, tokens, windows), wanted, atol=1e-10, rtol=1e-7)


@pytest.mark.parametrize(("name", "size"), [("_TOKENS", 20), ("_LOGITS", 100)])
def test_windows_may_pass_in_several_parts(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    block, windows = attention(rank=2), windows_of((12, 10), is_shifted=True, rule="correct")
    tokens = torch.randn(1, 12, 10, 8)
    wanted = gradients(block, tokens, windows)
    monkeypatch.setattr(recomputed_attention, name, size)
    torch.testing.assert_close(gradients(block, tokens, windows), wanted, atol=1e-5, rtol=1e-4)


def test_bfloat16_is_near_the_exact_result() -> None:
    block, windows = attention(rank=2), windows_of((6, 6), is_shifted=True, rule="correct")
    tokens = torch.randn(2, 6, 6, 8)
    wanted = gradients(block, tokens, windows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(block, tokens, windows)
    assert found[0].dtype == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in found[1:])
    for first, second in zip(found, wanted, strict=True):
        assert (first.float() - second).abs().mean() < 0.05 * second.abs().mean()


def test_what_is_blocked_has_neither_weight_nor_gradient() -> None:
    block, windows = attention(rank=2), windows_of((5, 5), is_shifted=False, rule="correct")
    tokens = torch.randn(1, 5, 5, 8, requires_grad=True)
    block(tokens, windows)[0, :3, :3].sum().backward()
    assert tokens.grad is not None
    assert tokens.grad[0, :3, :3].any()
    assert not tokens.grad[0, 3:].any()
    assert not tokens.grad[0, :, 3:].any()
