"""The networks of the ATLAS notebooks: counts, sizes and variants."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lesionlab.core.errors import ImageError
from lesionlab.networks.atlas_resunet import AtlasResUNet
from lesionlab.networks.atlas_segnet import AtlasSegNet
from lesionlab.networks.atlas_unet import AtlasUNet

MAKERS: dict[str, type[nn.Module]] = {"UNet": AtlasUNet, "SegNet": AtlasSegNet, "ResUNet": AtlasResUNet}
TINY: list[tuple[type[nn.Module], dict[str, Any]]] = [
    (AtlasUNet, {"widths": (4, 4, 4, 4, 4)}),
    (AtlasUNet, {"widths": (4, 4, 4, 4, 4), "norm": "batch"}),
    (AtlasSegNet, {"widths": (4, 8, 8, 8, 8)}),
    (AtlasSegNet, {"widths": (4, 8, 8, 8, 8), "variant": "paper"}),
    (AtlasResUNet, {"shrink": 8}),
    (AtlasResUNet, {"shrink": 8, "variant": "paper"}),
]


def parameters_of(maker: type[nn.Module], **options: Any) -> int:
    with torch.device("meta"):
        module = maker(regions=3, **options)
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize(
    ("maker", "count"), [(AtlasUNet, 7_759_587), (AtlasSegNet, 10_184_067), (AtlasResUNet, 3_255_107)]
)
def test_parameters_are_as_many_as_in_the_notebooks(maker: type[nn.Module], count: int) -> None:
    assert parameters_of(maker, modalities=1) == count


@pytest.mark.parametrize("name", list(MAKERS))
def test_statistics_are_as_many_as_in_the_notebooks(parity: Path, name: str) -> None:
    counts = json.loads((parity / "atlas_counts.json").read_text())[name]
    with torch.device("meta"):
        module = MAKERS[name](modalities=1, regions=3)
    statistics = sum(buffer.numel() for name, buffer in module.named_buffers() if "running" in name)
    assert statistics == counts["total"] - counts["trainable"]


def test_the_papers_networks_have_their_known_sizes() -> None:
    assert parameters_of(AtlasUNet, modalities=1, widths=(64, 128, 256, 512, 1024)) == 31_030_723
    # VGG16's 13 convolutions; their mirror image, but for the first; two numbers per norm's channel; the head.
    encoder, decoder, head = 14_714_688 + 2 * 4224, 14_714_688 - 4224 - 27 * 64 + 3 * 3712, 3 * (64 * 9 + 1)
    assert parameters_of(AtlasSegNet, modalities=3, variant="paper") == encoder + decoder + head
    # 7.8 million in the 3x3 convolutions, as the paper says; the rest lies in shortcuts, biases and norms.
    with torch.device("meta"):
        module = AtlasResUNet(modalities=3, regions=1, variant="paper")
    large = sum(part.numel() for part in module.parameters() if part.shape[2:] == (3, 3))
    assert large == 7_780_032


@pytest.mark.parametrize(("maker", "options"), TINY)
@pytest.mark.parametrize("size", [(33, 5), (64, 32), (35, 49)])
def test_any_size(maker: type[nn.Module], options: dict[str, Any], size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = maker(modalities=2, regions=3, **options).eval()(torch.randn(1, 2, *size)).logits
    assert logits.shape == (1, 3, *size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("maker", "options"), TINY)
def test_gradient_reaches_every_parameter(maker: type[nn.Module], options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = maker(modalities=2, regions=3, **options)
    logits = module(torch.randn(4, 2, 64, 64)).logits
    (logits * torch.randn(logits.shape)).sum().backward()
    assert [name for name, part in module.named_parameters() if part.grad is None or not part.grad.any()] == []


@pytest.mark.parametrize(("maker", "options"), TINY)
def test_bfloat16_autocast_trains(maker: type[nn.Module], options: dict[str, Any]) -> None:
    module = maker(modalities=2, regions=3, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = module(torch.randn(2, 2, 64, 64)).logits
    logits.float().square().mean().backward()
    assert all(part.grad.isfinite().all() for part in module.parameters())


@pytest.mark.parametrize(("maker", "options"), TINY)
def test_wrong_images_are_refused(maker: type[nn.Module], options: dict[str, Any]) -> None:
    module = maker(modalities=2, regions=3, **options)
    for shape in ((1, 2, 8, 8), (1, 3, 64, 64)):
        with pytest.raises(ImageError, match="2 modalities on more than"):
            module(torch.zeros(shape))


def test_unpooling_puts_values_back_where_they_were_the_largest() -> None:
    module = AtlasSegNet(modalities=1, regions=1, variant="paper", widths=(4, 8, 8, 8, 8))
    image = torch.tensor([[1.0, 2, 0, 0], [3, 0, 0, 5]])[None, None]
    pooled, places = nn.functional.max_pool2d(image, 2, return_indices=True)
    assert module._enlarged(pooled, places).tolist() == [[[[0, 0, 0, 0], [3, 0, 0, 5]]]]


@pytest.mark.slow
@pytest.mark.parametrize("maker", [AtlasSegNet, AtlasResUNet])
def test_the_papers_variants_export(maker: type[nn.Module]) -> None:
    options = {"widths": (4, 8, 8, 8, 8)} if maker is AtlasSegNet else {"shrink": 8}
    module, image = maker(modalities=2, regions=3, variant="paper", **options).eval(), torch.randn(1, 2, 37, 50)
    program = torch.export.export(module, (image,)).module()
    with torch.inference_mode():
        torch.testing.assert_close(program(image).logits, module(image).logits, atol=1e-5, rtol=1e-5)
