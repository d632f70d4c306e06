"""Sliding window: blended as MONAI blends, and in slabs exactly what a sum over all windows gives."""

from itertools import product

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from lesionlab.core.network import Output
from lesionlab.core.recipe import Inference
from lesionlab.engine.inference import predict_probabilities
from lesionlab.engine.readout import Readout
from lesionlab.engine.sliding_window import slide, starts

AIR = (-1.0, -2.0)
READOUTS = {
    "one region": (1, Readout()),
    "regions": (3, Readout()),
    "classes": (4, Readout(members=((1,), (2,), (3,)))),
    "composed regions": (3, Readout(members=((1,), (2,), (1, 2), (2, 1)))),
}
CASES = [
    ((37, 17, 12), (16, 10, 12), 0.5),  # slabs along x
    ((13, 25, 15), (12, 9, 13), 0.6),  # along y
    ((20, 11, 33), (20, 16, 10), 0.3),  # along z, padded along y
    ((9, 7, 10), (16, 12, 13), 0.5),  # smaller than the window
    ((16, 12, 10), (16, 12, 10), 0.5),  # one window
    ((47, 23), (16, 10), 0.5),
    ((15, 40), (16, 9), 0.7),
]


class Convolution(nn.Module):
    """One convolution: what a window gives near its border depends on where the border is."""

    def __init__(self, axes: int, *, channels: int = 2, outputs: int = 1, sees_mirror: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sees_mirror = sees_mirror
        self.layer = (nn.Conv2d if axes == 2 else nn.Conv3d)(channels, outputs, 5, padding=2)

    def forward(self, image: Tensor) -> Output:
        return Output(logits=5 * self.layer(image))


def image_of(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def joined(network: nn.Module, image: Tensor, *, outputs: int = 1, **options: object) -> Tensor:
    """Return all slabs in one array."""
    logits = torch.full((len(image), outputs, *image.shape[2:]), torch.nan)
    for place, slab in slide(network, image, **options):  # type: ignore[arg-type]
        assert logits[place].isnan().all(), "each place comes once"
        logits[place] = slab
    return logits


def sum_of_windows(
    network: nn.Module, image: Tensor, *, window: tuple[int, ...], overlap: float, flipped: tuple[int, ...] = ()
) -> Tensor:
    """Return blended logits by sums over the whole padded image, in the order in which slabs visit the windows."""
    shape = tuple(image.shape[2:])
    margins = [
        (max(0, wide - size) // 2, -(-max(0, wide - size) // 2)) for size, wide in zip(shape, window, strict=True)
    ]
    widths = [margin for pair in reversed(margins) for margin in pair]
    air = AIR * (image.shape[1] // len(AIR))
    padded = torch.stack(
        [nn.functional.pad(image[:, channel], widths, value=value) for channel, value in enumerate(air)], dim=1
    ).flip(flipped)
    axis = int(np.argmin([min(wide, size) / size for size, wide in zip(shape, window, strict=True)]))
    grid = [starts(size, wide, overlap=overlap) for size, wide in zip(padded.shape[2:], window, strict=True)]
    profiles = [torch.exp(-0.5 * ((torch.arange(wide) - (wide - 1) / 2) / (wide * 0.125)) ** 2) for wide in window]
    weights = torch.ones(())
    for profile in profiles:
        weights = weights[..., None] * profile
    weights = weights.clamp_min(1e-3)
    total, norm = torch.zeros(()), torch.zeros(padded.shape[2:])
    for corner in sorted(product(*grid), key=lambda corner: corner[axis]):
        place = (..., *(slice(first, first + wide) for first, wide in zip(corner, window, strict=True)))
        logits = network(padded[place]).logits
        total = total if total.ndim else torch.zeros(*logits.shape[:2], *padded.shape[2:])
        total[place] += logits * weights
        norm[place] += weights
    inside = (..., *(slice(before, before + size) for (before, _), size in zip(margins, shape, strict=True)))
    return (total / norm).flip(flipped)[inside]


@torch.inference_mode()
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.7])
@pytest.mark.parametrize("shape", [(32, 24), (50, 61), (33, 24), (100, 70)])
def test_agrees_with_monai(shape: tuple[int, int], overlap: float):
    image, window, network = image_of(1, 2, *shape), (32, 24), Convolution(2)
    expected = sliding_window_inference(
        image, window, sw_batch_size=3, predictor=lambda part: network(part).logits, overlap=overlap, mode="gaussian"
    )
    blended = joined(network, image, window=window, background=AIR, overlap=overlap)
    torch.testing.assert_close(blended, expected, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("is_flipped", [False, True])
@pytest.mark.parametrize(("shape", "window", "overlap"), CASES)
def test_slabs_are_bit_by_bit_the_sum_of_all_windows(
    shape: tuple[int, ...], window: tuple[int, ...], overlap: float, is_flipped: bool
):
    image, network = image_of(1, 2, *shape), Convolution(len(shape), outputs=3)
    for flipped in [(2,), (3,), tuple(range(2, image.ndim))] if is_flipped else [()]:
        expected = sum_of_windows(network, image, window=window, overlap=overlap, flipped=flipped)
        options = {"window": window, "background": AIR, "overlap": overlap, "flipped": flipped}
        torch.testing.assert_close(joined(network, image, outputs=3, **options), expected, atol=0, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("sees_mirror", [False, True])
@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(("shape", "window", "overlap"), CASES[:3])
def test_probabilities_are_those_of_the_sum_of_all_windows(
    shape: tuple[int, ...], window: tuple[int, ...], overlap: float, readout: str, flips: bool, sees_mirror: bool
):
    """To the last bits of an exponential, which PyTorch rounds by where in memory a value lies."""
    outputs, reading = READOUTS[readout]
    image = image_of(2, *shape)
    network = Convolution(3, channels=4 if sees_mirror else 2, outputs=outputs, sees_mirror=sees_mirror)
    shown = (torch.cat([image, image.flip(1)]) if sees_mirror else image)[None]
    flipped = list(product([0, 1], repeat=3)) if flips else [(0, 0, 0)]
    mean = torch.zeros(())
    for axes in flipped:
        mirrored = tuple(2 + axis for axis, is_flipped in enumerate(axes) if is_flipped)
        logits = sum_of_windows(network, shown, window=window, overlap=overlap, flipped=mirrored)
        mean = mean + reading.probabilities(logits) / len(flipped)
    probabilities = predict_probabilities(
        network,
        image.numpy(),
        window=window,
        background=AIR,
        settings=Inference(overlap=overlap, flips=flips),
        readout=reading,
    )
    expected = torch.stack([region[0] for region in reading.each_region(mean)])
    np.testing.assert_allclose(probabilities, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "window", "overlap", "expected"),
    [(10, 10, 0.5, [0]), (11, 10, 0.5, [0, 1]), (20, 10, 0.0, [0, 10]), (25, 10, 0.5, [0, 5, 10, 15])],
)
def test_where_windows_begin(size: int, window: int, overlap: float, expected: list[int]):
    assert list(starts(size, window, overlap=overlap)) == expected
