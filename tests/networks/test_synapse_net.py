"""SYNAPSE-Net: sizes, modes and groups."""

from typing import Any

import pytest
import torch
from torch import nn

from lesionlab.core.errors import ImageError, OptionError
from lesionlab.networks.synapse_net import Arithmetic, SynapseNet

TINY: dict[str, Any] = {"widths": (8, 8, 8, 8, 16), "token_channels": 8, "heads": 2, "token_grid": 3}
BRATS: dict[str, Any] = {"regions": 4, "widths": (64, 96, 128, 256, 384), "swin_layers": 2, "mlp_ratio": 4.0}


def tiny(*, modalities: int = 2, **options: Any) -> SynapseNet:
    torch.manual_seed(0)
    return SynapseNet(modalities=modalities, regions=1, **(TINY | options)).eval()


def parameters_of(**options: Any) -> int:
    with torch.device("meta"):
        module = SynapseNet(mode="reference", **options)
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize(
    ("modalities", "binary", "brats"),
    [
        (1, 10_377_418, 21_496_871),
        (2, 13_652_106, 32_388_839),
        (3, 16_926_794, 43_280_807),
        (4, 20_201_482, 54_172_775),
        (5, 23_476_170, 65_064_743),
    ],
)
def test_parameters_are_as_many_as_published(modalities: int, binary: int, brats: int) -> None:
    assert parameters_of(modalities=modalities, regions=1) == binary
    assert parameters_of(modalities=modalities, **BRATS) == brats


def test_four_swin_layers_have_the_published_count() -> None:
    assert parameters_of(modalities=4, **(BRATS | {"swin_layers": 4})) == 82_564_199


@pytest.mark.parametrize("mode", ["reference", "corrected"])
@pytest.mark.parametrize("size", [(16, 16), (16, 33), (70, 31), (144, 130)])
def test_any_size_from_sixteen_pixels_on(mode: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        output = tiny(mode=mode)(torch.randn(1, 2, *size))
    assert {tuple(head.shape[2:]) for head in (output.logits, *output.auxiliary)} == {size}
    assert tuple(output.lesion.shape) == (1, 1, -(-size[0] // 16), -(-size[1] // 16))
    assert torch.isfinite(output.logits).all()


@pytest.mark.parametrize("shape", [(1, 2, 15, 64), (1, 3, 64, 64)])
def test_wrong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="2 modalities on at least 16x16 pixels"):
        tiny()(torch.zeros(shape))


def test_mode_picks_what_no_option_says() -> None:
    published = Arithmetic(swin_mask="reference", position="none", gate="amplify")
    assert tiny(mode="reference").arithmetic == published
    assert tiny().arithmetic == Arithmetic(swin_mask="correct", position="learned", gate="multiply")
    mixed = tiny(mode="reference", gate="spatial", position="learned").arithmetic
    assert mixed == Arithmetic(swin_mask="reference", position="learned", gate="spatial")


def test_learned_position_starts_without_effect_and_has_one_once_learned() -> None:
    image = torch.randn(1, 2, 64, 48)
    plain, learned = tiny(mode="reference"), tiny(mode="reference", position="learned")
    learned.load_state_dict(plain.state_dict(), strict=False)
    with torch.inference_mode():
        assert torch.equal(plain(image).logits, learned(image).logits)
        nn.init.normal_(learned.tokens.position)
        assert not torch.allclose(plain(image).logits, learned(image).logits)


@pytest.mark.parametrize(
    ("modalities", "groups"),
    [(1, ((0,), (0,))), (2, ((0,), (1,))), (3, ((0, 1), (2,))), (4, ((0, 1), (2, 3))), (5, ((0, 1, 2), (3, 4)))],
)
def test_the_first_half_of_the_modalities_faces_the_second(modalities: int, groups: Any) -> None:
    with torch.device("meta"):
        assert tiny(modalities=modalities).tokens.groups == groups


@pytest.mark.parametrize("groups", [((0,), ()), ((0,), (0,)), ((0, 1), (2,)), ((0, 0), (1,))])
def test_groups_that_do_not_fit_are_refused(groups: Any) -> None:
    with pytest.raises(OptionError, match="groups"):
        tiny(groups=groups)


def test_heads_must_divide_the_channels() -> None:
    with pytest.raises(OptionError, match="heads"):
        tiny(heads=3)


def test_a_modality_in_both_groups_gets_the_mean_of_both() -> None:
    tokens = tiny(modalities=1).tokens
    first, second = torch.randn(1, 9, 8), torch.randn(1, 9, 8)
    (mean,) = tokens._per_modality(first, second)
    torch.testing.assert_close(mean, (first + second) / 2)
