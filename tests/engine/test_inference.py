"""Probabilities of whole scans: padding, flips, batches, memory."""

import logging
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lesionlab.core.errors import PredictionError
from lesionlab.core.network import Output
from lesionlab.core.recipe import Inference
from lesionlab.engine.inference import predict_probabilities
from lesionlab.engine.readout import Readout

WINDOW = (32, 24)


class Small(nn.Module):
    """Two convolutions: what a window shows near its border depends on where the border is."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(2, 6, 5, padding=2), nn.Tanh(), nn.Conv2d(6, 1, 5, padding=2))

    def forward(self, image: Tensor) -> Output:
        return Output(logits=3 * self.layers(image))


@pytest.fixture
def small() -> Small:
    return Small().eval()


def image_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(20, 40, 3), (40, 11, 3), (9, 9, 3)])
def test_a_slice_smaller_than_the_window_is_padded_with_air(small: Small, shape: tuple[int, int, int]):
    image = image_of(*shape)
    margins = [(0, 0), *((max(0, w - s) // 2, -(-max(0, w - s) // 2)) for s, w in zip(shape, WINDOW, strict=False))]
    padded = np.stack(
        [
            np.pad(part, [*margins[1:], (0, 0)], constant_values=value)
            for part, value in zip(image, (-1, -2), strict=True)
        ]
    )
    settings = Inference(overlap=0.5)
    found = predict_probabilities(small, image, window=WINDOW, background=(-1.0, -2.0), settings=settings)
    whole = predict_probabilities(small, padded, window=WINDOW, background=(9.0, 9.0), settings=settings)
    x, y = (slice(before, before + size) for (before, _), size in zip(margins[1:], shape, strict=False))
    assert found.shape == (1, *shape)
    np.testing.assert_allclose(found, whole[:, x, y], atol=2e-7)  # PyTorch's exponential depends on the memory's layout


@pytest.mark.parametrize("flips", [False, True])
def test_slices_per_batch_do_not_matter(small: Small, flips: bool):
    image = image_of(40, 30, 7)
    found = [
        predict_probabilities(
            small, image, window=WINDOW, background=(0.0, 0.0), settings=Inference(batch=batch, flips=flips)
        )
        for batch in (1, 3, 16)
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)


def test_flips_average_the_four_views(small: Small):
    image = image_of(40, 30, 2)

    def predicted(part: np.ndarray, *, flips: bool) -> np.ndarray:
        settings = Inference(flips=flips)
        return predict_probabilities(small, part, window=WINDOW, background=(0.0, 0.0), settings=settings)

    views = [np.flip(predicted(np.flip(image, axes), flips=False), axes) for axes in ((), (1,), (2,), (1, 2))]
    found = predicted(image, flips=True)
    np.testing.assert_allclose(found, np.mean(views, axis=0), atol=1e-6)
    np.testing.assert_allclose(np.flip(predicted(np.flip(image, 1), flips=True), 1), found, atol=1e-6)


class Difference(nn.Module):
    """Answers with how much brighter a place is than the same place of the mirror image."""

    sees_mirror = True

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))  # tells the device
        self.windows: list[tuple[int, ...]] = []

    def forward(self, pair: Tensor) -> Output:
        self.windows.append(tuple(pair.shape[2:]))
        return Output(logits=pair[:, :1] - pair[:, 1:])


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.7])
@pytest.mark.parametrize("shape", [(50, 41, 33), (33, 24, 20), (47, 20, 40)])
def test_every_window_is_compared_with_its_own_place_of_the_mirror_image(shape: tuple[int, ...], overlap: float):
    """Windows smaller than the volume, at odd places: the answer is that of the whole, and flips with the volume."""
    volume = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    network, window = Difference().eval(), (32, 24, 24)
    settings = Inference(overlap=overlap)
    found, flipped = (
        predict_probabilities(network, np.ascontiguousarray(one), window=window, background=(0.0,), settings=settings)
        for one in (volume, volume[:, ::-1])
    )
    assert set(network.windows) == {window}
    assert len(network.windows) > 2
    np.testing.assert_allclose(found, 1 / (1 + np.exp(volume[:, ::-1] - volume)), atol=1e-6)
    np.testing.assert_allclose(flipped, found[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(flipped, 1 - found, atol=1e-6)
    assert np.abs(flipped - found).max() > 0.5, "exchanged sides make another answer"


def test_memory_follows_the_result_not_the_windows(small: Small):
    """Twice the slices: only the result and its joining grow, by far less than the windows would need."""
    image = np.broadcast_to(image_of(64, 64, 1), (2, 64, 64, 20))
    peaks = []
    for slices in (10, 20):
        tracemalloc.start()
        predict_probabilities(
            small, image[..., :slices], window=WINDOW, background=(0.0, 0.0), settings=Inference(batch=2)
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    result_bytes = 64 * 64 * 10 * 4
    assert peaks[1] - peaks[0] < 3.5 * result_bytes


class HeldTensors(TorchDispatchMode):
    """Adds up, after every operation, what all tensors together hold."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[weakref.ref[Tensor]] = []
        self.peak_bytes = 0
        self.addresses: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.tensors += [weakref.ref(leaf) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.tensors = [reference for reference in self.tensors if reference() is not None]
        alive = [tensor.untyped_storage() for reference in self.tensors if (tensor := reference()) is not None]
        storages = {storage.data_ptr(): storage.nbytes() for storage in alive}
        self.peak_bytes = max(self.peak_bytes, sum(storages.values()))
        self.addresses |= storages.keys()
        return result


class Many(nn.Module):
    """As many outputs as asked for."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, outputs))

    def forward(self, image: Tensor) -> Output:
        return Output(logits=image[:, :1] * self.weight.reshape(1, -1, *[1] * (image.dim() - 2)))


@pytest.mark.parametrize(
    ("axis", "flips", "members"),
    [(0, False, None), (1, True, None), (2, False, range(1, 9)), (0, True, range(1, 9))],
)
def test_a_volume_takes_its_result_and_the_sums_of_one_slab(axis: int, flips: bool, members: range | None):
    """Live tensors and arrays, in units of one array of outputs x voxels; the axis of many windows may be any."""
    outputs, shape = 9, [16, 16, 16]
    shape[axis] = 160
    readout = Readout(members=None if members is None else tuple((place,) for place in members))
    image = image_of(*shape)[:1]
    with HeldTensors() as held:
        settings = Inference(flips=flips, overlap=0.0)
        regions = predict_probabilities(
            Many(outputs), image, window=(16, 16, 16), background=(0.0,), settings=settings, readout=readout
        )
    copy_bytes = 0 if regions.ctypes.data in held.addresses else regions.nbytes  # NumPy's own memory is not a tensor's
    assert held.peak_bytes - image.nbytes + copy_bytes < 1.3 * outputs * image.nbytes


class Forgetful(nn.Module):
    """Runs out of memory: with more slices than fit, or at certain calls."""

    def __init__(self, inner: nn.Module, *, fitting: int = 1000, failing: range = range(0), error: Exception) -> None:
        super().__init__()
        self.inner, self.fitting, self.failing, self.error = inner, fitting, failing, error
        self.calls = 0

    def forward(self, image: Tensor) -> Output:
        self.calls += 1
        if len(image) > self.fitting or self.calls in self.failing:
            raise self.error
        output: Output = self.inner(image)
        return output


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 12 bytes"),
    MemoryError("Unable to allocate 1.00 GiB for an array"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("flips", [False, True])
def test_less_goes_through_at_once_until_it_fits(
    small: Small, flips: bool, error: Exception, caplog: pytest.LogCaptureFixture
):
    image, settings = image_of(40, 30, 11), Inference(batch=8, flips=flips)
    options = {"window": WINDOW, "background": (0.0, 0.0), "settings": settings}
    expected = predict_probabilities(small, image, **options)
    for fitting, warnings in ((8, 0), (3, 2), (1, 3)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            network = Forgetful(small, fitting=fitting, error=error).eval()
            np.testing.assert_allclose(predict_probabilities(network, image, **options), expected, atol=1e-5)
        assert len(caplog.records) == warnings, "once for every halving, not for every batch"


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("window", [WINDOW, (16, 16, 16)])
def test_memory_that_runs_out_once_costs_no_accuracy(small: Small, window: tuple[int, ...], call: int):
    image, network = image_of(40, 30, 20), small if len(window) == 2 else Many(3)
    options = {"window": window, "background": (0.0, 0.0), "settings": Inference(batch=4)}
    expected = predict_probabilities(network, image, **options)
    failing = Forgetful(network, failing=range(call, call + 1), error=OUT_OF_MEMORY[0]).eval()
    np.testing.assert_allclose(predict_probabilities(failing, image, **options), expected, atol=1e-5)


@pytest.mark.parametrize("window", [WINDOW, (16, 16, 16)])
def test_what_never_fits_is_refused_with_numbers(window: tuple[int, ...]):
    network = Forgetful(Many(2), fitting=0, error=OUT_OF_MEMORY[0]).eval()
    with pytest.raises(PredictionError, match=r"another 2\.00 GiB of memory; found [\d.]+ GiB free; in 40 x 30 x 20"):
        predict_probabilities(
            network, image_of(40, 30, 20), window=window, background=(0.0, 0.0), settings=Inference(batch=8)
        )


def test_no_other_error_is_taken_for_want_of_memory(small: Small):
    network = Forgetful(small, failing=range(1, 2), error=RuntimeError("shapes do not fit")).eval()
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        predict_probabilities(
            network, image_of(40, 30, 3), window=WINDOW, background=(0.0, 0.0), settings=Inference(batch=8)
        )
    assert network.calls == 1
