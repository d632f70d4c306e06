"""Convolutions over thin volumes: their gradients in bfloat16 are those of float32."""

import copy
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from lesionlab.engine.exact_convolutions import keep_thin_convolutions_exact

KERNELS = [
    (wide, pad, step)
    for wide, pad, step in product((2, 3, 4, 5, 7), (1, 2, 3), (1, 2))
    if pad <= wide // 2 and (wide, step) != (7, 2)  # a kernel that no network has ends the process in float32 too
]


def gradients(convolution: nn.Conv3d, image: Tensor, *, autocast: bool) -> tuple[Tensor, Tensor]:
    image = image.clone().requires_grad_()
    convolution.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        output = convolution(image)
    spoilt = [torch.full((2**power,), torch.nan, dtype=torch.bfloat16) for power in range(9, 20) for _ in range(6)]
    del spoilt  # the memory of the next allocations holds what is not a number
    output.float().square().mean().backward()
    return convolution.weight.grad.clone(), image.grad.clone()


def far(first: Tensor, second: Tensor) -> float:
    """Return the greatest difference by the greatest value; NaN where one is not finite."""
    return float((first - second).abs().max() / second.abs().max())


@pytest.mark.parametrize(("wide", "pad", "step"), KERNELS)
def test_gradients_in_bfloat16_are_near_those_in_float32(wide: int, pad: int, step: int):
    torch.manual_seed(0)
    for depth in range(1, 9):
        convolution = nn.Conv3d(32, 16, (wide, 3, 3), padding=(pad, 1, 1), stride=(step, 1, 1))
        if depth + 2 * pad < wide:
            continue
        image = torch.randn(2, 32, depth, 3, 4)
        keep_thin_convolutions_exact(convolution)
        fast, exact = (gradients(convolution, image, autocast=autocast) for autocast in (True, False))
        assert all(far(*pair) < 0.05 for pair in zip(fast, exact, strict=True)), depth


@pytest.mark.parametrize("sides", [(2, 2, 2), (4, 1, 4), (4, 4, 1), (1, 4, 4)])
def test_any_axis_may_be_thin(sides: tuple[int, int, int]):
    torch.manual_seed(0)
    convolution = nn.Conv3d(32, 16, 5, padding=2)
    keep_thin_convolutions_exact(convolution)
    image = torch.randn(2, 32, *sides)
    fast, exact = (gradients(convolution, image, autocast=autocast) for autocast in (True, False))
    assert all(far(*pair) < 0.05 for pair in zip(fast, exact, strict=True))


def test_only_thin_volumes_leave_bfloat16():
    """What is thick enough is computed as before, to the bit; both give bfloat16."""
    plain = nn.Conv3d(8, 8, 3, padding=1)
    kept = copy.deepcopy(plain)
    keep_thin_convolutions_exact(kept)
    for depth, is_same in ((6, True), (2, False)):
        image = torch.randn(1, 8, depth, 6, 6)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            first, second = plain(image), kept(image)
        assert first.dtype == second.dtype == torch.bfloat16
        assert torch.equal(first, second) or not is_same
    assert list(kept.state_dict()) == list(plain.state_dict())
    assert torch.equal(copy.deepcopy(kept)(image), plain(image))
