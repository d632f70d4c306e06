"""How much a network computes, found without computing it."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

SIZES = {2: (208, 208), 3: (96, 96, 96)}
"""For networks of so many axes: the slice or block that their docstrings' figures are for, of two modalities."""


def forward_gigaflops(module: torch.nn.Module, space: tuple[int, ...]) -> float:
    """Return the arithmetic of one forward pass over an image of two modalities.

    A multiplication with an addition counts as two; what convolutions, matrix products and attention do is counted,
    what is done once per voxel is not.

    Args:
        module: A network for two modalities, built on the device "meta"; its tensors become fake ones.
        space: Sides of the image.
    """
    channels = 4 if getattr(module, "sees_mirror", False) else 2
    counter = FlopCounterMode(display=False)
    with FakeTensorMode(allow_non_fake_inputs=True), counter, torch.no_grad():
        module.to_empty(device="cpu").eval()(torch.empty(1, channels, *space))
    return float(counter.get_total_flops()) / 1e9
