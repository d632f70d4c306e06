"""Scans: fast and literal agree, in value and gradient; who sees whom."""

from collections.abc import Callable
from typing import Any

import hetero_literal as literal
import pytest
import torch
from torch import Tensor

from lesionlab.blocks.state_space import StateSpace, StateSpaceBlock
from lesionlab.blocks.state_space_scan import bidirectional_scan, causal_scan, noncausal_scan

SCANS = [(causal_scan, literal.causal_scan), (noncausal_scan, literal.noncausal_scan)]
NAMES = ("values", "keys", "queries", "step", "decay")


def parts(length: int, *, states: int = 8, heads: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(2, length, size, generator=generator) for size in (heads * 4, states, states)]
    step = 0.3 * torch.rand(2, length, heads, generator=generator)
    decay = torch.exp(torch.randn(heads, generator=generator))
    found = dict(zip(NAMES, [draw[0].unflatten(2, (heads, 4)), *draw[1:], step, decay], strict=True))
    return {name: part.requires_grad_() for name, part in found.items()}


def run(scan: Callable[..., Tensor], given: dict[str, Any]) -> Tensor:
    return scan(given["values"], **{name: given[name] for name in NAMES[1:]})


# One chunk; chunks that are filled, cut short, and many.
@pytest.mark.parametrize("length", [1, 49, 256, 300])
@pytest.mark.parametrize(("fast", "slow"), SCANS)
def test_fast_scans_are_the_literal_ones(fast: Any, slow: Any, length: int) -> None:
    given = parts(length)
    found, wanted = run(fast, given), run(slow, given)
    scale = wanted.abs().max().item()
    torch.testing.assert_close(found, wanted, atol=1e-5 * scale, rtol=1e-5)
    weight = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((result * weight).sum(), list(given.values())) for result in (found, wanted)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * theirs.abs().max().item(), rtol=1e-4)


def test_nothing_overflows_where_much_is_forgotten() -> None:
    given = parts(300) | {"step": torch.full((2, 300, 3), 100.0), "decay": torch.full((3,), 16.0)}
    read = run(causal_scan, given)
    own = (given["keys"] * given["queries"]).sum(-1)[..., None, None] * 100 * given["values"]
    torch.testing.assert_close(read, own, atol=1e-3, rtol=1e-5)
    read.sum().backward()
    assert all(torch.isfinite(given[name].grad).all() for name in ("values", "keys", "queries"))


def seen_by(order: Any, token: int, *, heads: int = 4) -> list[int]:
    """Return the places of a 2x5 grid that change what a token reads, convolution aside."""
    torch.manual_seed(0)
    given = parts(10, heads=heads, states=8)
    scan = {"causal": causal_scan, "noncausal": noncausal_scan, "bidirectional": bidirectional_scan}[order]
    found = run(scan, given)[:, token].sum()
    gradient = torch.autograd.grad(found, given["values"])[0]
    return gradient.abs().sum((0, 2, 3)).nonzero().flatten().tolist()


def test_who_sees_whom() -> None:
    assert seen_by("causal", 3) == [0, 1, 2, 3]
    assert seen_by("noncausal", 3) == list(range(10))
    assert seen_by("bidirectional", 3) == list(range(10))


@pytest.mark.parametrize("heads", [2, 3])
def test_the_second_half_of_the_heads_scans_backward(heads: int) -> None:
    given = parts(12, heads=heads)
    given |= {name: torch.cat([given[name]] * 2, dim=2) for name in ("keys", "queries")}
    found = run(bidirectional_scan, given)
    half = {name: given[name][..., :8] for name in ("keys", "queries")}
    ahead = run(literal.causal_scan, given | half)
    mirrored = {name: part if name == "decay" else part.flip(1) for name, part in (given | half).items()}
    back = run(literal.causal_scan, mirrored).flip(1)
    forward = heads - heads // 2
    torch.testing.assert_close(found, torch.cat([ahead[:, :, :forward], back[:, :, forward:]], dim=2))


@pytest.mark.parametrize("order", ["noncausal", "causal", "bidirectional"])
def test_a_half_precision_region_leaves_the_state_in_float32(order: Any) -> None:
    torch.manual_seed(0)
    module = StateSpace(32, heads=2, state_size=8, order=order)
    torch.nn.init.constant_(module.step_bias, 9.0)  # sums that bfloat16 could not hold
    tokens = torch.randn(1, 20, 20, 32)
    with torch.inference_mode():
        exact = module(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            fast = module(tokens)
    assert (fast - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_first_steps_and_decays_lie_in_their_ranges() -> None:
    module = StateSpace(512, heads=512, state_size=1, order="causal")
    step = torch.nn.functional.softplus(module.step_bias)
    assert 0.9e-3 < step.min() < 2e-3
    assert 0.05 < step.max() < 0.101
    decay = module.log_decay.exp()
    assert 1 <= decay.min() < 2
    assert 15 < decay.max() <= 16


def test_noncausal_and_causal_blocks_take_the_same_weights() -> None:
    shape = {"heads": 2, "state_size": 8, "mlp_ratio": 3.0, "drop_path": 0.0}
    one, other = (StateSpaceBlock(16, order=order, **shape) for order in ("noncausal", "causal"))
    other.load_state_dict(one.state_dict())
    tokens = torch.randn(1, 4, 5, 16)
    assert not torch.allclose(one(tokens), other(tokens))
