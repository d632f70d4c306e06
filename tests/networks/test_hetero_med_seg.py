"""HeteroMedSeg: counts, sizes, options."""

from typing import Any

import pytest
import torch

from lesionlab.core.errors import ImageError, OptionError
from lesionlab.networks.hetero_med_seg import HeteroMedSeg

TINY: dict[str, Any] = {"width": 16, "head_channels": 8, "state_size": 8, "skip_heads": (8, 8, 8)}


def tiny(*, modalities: int = 2, **options: Any) -> HeteroMedSeg:
    torch.manual_seed(0)
    return HeteroMedSeg(modalities=modalities, regions=1, **(TINY | options)).eval()


def parameters_of(**options: Any) -> int:
    with torch.device("meta"):
        module = HeteroMedSeg(**options)
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize("ssd", ["noncausal", "causal"])
@pytest.mark.parametrize(
    ("regions", "bottleneck_depth", "count"),
    [(9, 0, 23_438_334), (1, 0, 23_437_566), (9, 2, 37_910_158), (1, 2, 37_909_390)],
)
def test_parameters_are_as_many_as_published(ssd: Any, regions: int, bottleneck_depth: int, count: int) -> None:
    assert parameters_of(modalities=1, regions=regions, ssd=ssd, bottleneck_depth=bottleneck_depth) == count


@pytest.mark.parametrize("size", [(33, 20), (64, 97), (10, 130)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = tiny()(torch.randn(1, 2, *size)).logits
    assert logits.shape == (1, 1, *size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("shape", [(1, 2, 32, 32), (1, 3, 64, 64)])
def test_wrong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="2 modalities on more than 32x32"):
        tiny()(torch.zeros(shape))


def test_a_lone_modality_counts_three_times() -> None:
    image = torch.randn(1, 1, 48, 64)
    lone, three = tiny(modalities=1), tiny(modalities=3)
    with torch.inference_mode():
        assert torch.equal(lone(image).logits, three(image.repeat(1, 3, 1, 1)).logits)


@pytest.mark.parametrize("options", [{"ssd": "bidirectional"}, {"bottleneck_depth": 1}, {"entry_norm": True}])
def test_every_option_changes_the_output_and_trains(options: dict[str, Any]) -> None:
    image = torch.randn(2, 2, 48, 64)
    module = tiny(**options)
    logits = module(image).logits
    assert not torch.allclose(logits, tiny()(image).logits)
    logits.square().sum().backward()
    assert all(part.grad is not None and part.grad.any() for part in module.parameters())


@pytest.mark.parametrize("window_pixels", [16, 64])
def test_windows_may_have_another_size(window_pixels: int) -> None:
    with torch.inference_mode():
        assert tiny(window_pixels=window_pixels)(torch.randn(1, 2, 70, 40)).logits.shape == (1, 1, 70, 40)


@pytest.mark.parametrize("options", [{"width": 20}, {"skip_heads": (8, 8, 5)}, {"window_pixels": 24}])
def test_options_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="found"):
        tiny(**options)


def test_odds_of_leaving_branches_out_are_the_published_ones() -> None:
    with torch.device("meta"):
        module = HeteroMedSeg(modalities=3, regions=9)
    encoder = [block.drop_path.odds for stage in module.stages for block in stage]
    assert encoder == pytest.approx([0.2 * index / 7 for index in range(6)])
    decoder = [[block.drop_path.odds for block in level.blocks] for level in module.levels]
    assert decoder == [pytest.approx([0.2 * index / 7 for index in range(8)]), [0, 0.2], [0, 0.2]]
