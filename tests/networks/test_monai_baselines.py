"""MONAI's networks behind ours: the published sizes, and MONAI's own outputs."""

import pytest
import torch
from torch import nn

from lesionlab.core.errors import ImageError, OptionError
from lesionlab.networks.attention_unet import AttentionUNet
from lesionlab.networks.dyn_unet import DynUNet, topology_for
from lesionlab.networks.mednext import MedNeXt, MedNeXt2d
from lesionlab.networks.res_unet import ResUNet
from lesionlab.networks.unet import UNet


def count(module: nn.Module) -> int:
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize(("maker", "wanted"), [(UNet, 1_979_177), (AttentionUNet, 5_909_545), (ResUNet, 4_806_398)])
def test_parameters_are_as_many_as_published(maker: type[nn.Module], wanted: int) -> None:
    with torch.device("meta"):
        assert count(maker(modalities=2, regions=1)) == wanted


@pytest.mark.parametrize("maker", [UNet, AttentionUNet, ResUNet])
def test_whole_strides_give_monais_own_outputs(maker: type[nn.Module]) -> None:
    module, image = maker(modalities=2, regions=3, widths=(4, 4, 4, 4, 4)).eval(), torch.randn(1, 2, 32, 16, 16)
    with torch.inference_mode():
        assert torch.equal(module(image).logits, module.body(image))


@pytest.mark.parametrize("maker", [UNet, AttentionUNet, ResUNet, MedNeXt])
def test_wrong_images_are_refused(maker: type[nn.Module]) -> None:
    with pytest.raises(ImageError, match="2 modalities on more than 16x16x16 voxels"), torch.device("meta"):
        maker(modalities=2, regions=1)(torch.zeros(1, 2, 16, 16, 16))


def test_isotropic_patches_are_halved_down_to_four_voxels() -> None:
    topology = topology_for((128, 128, 128), (1.0, 1.0, 1.0))
    assert topology.strides == ((1, 1, 1), *[(2, 2, 2)] * 5)
    assert topology.kernels == ((3, 3, 3),) * 6


def test_thick_slices_are_halved_later_and_seen_flat_until_then() -> None:
    topology = topology_for((256, 256, 20), (0.5, 0.5, 4.0))
    assert topology.strides == ((1, 1, 1), *[(2, 2, 1)] * 2, *[(2, 2, 2)] * 2, *[(2, 2, 1)] * 2)
    assert topology.kernels == ((3, 3, 1),) * 2 + ((3, 3, 3),) * 5


@pytest.mark.parametrize(("patch", "spacing_mm"), [((14, 14, 14), (1.0, 1.0, 1.0)), ((64, 64, 64), (0.0, 1.0, 1.0))])
def test_patches_that_cannot_be_halved_twice_are_refused(
    patch: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    with pytest.raises(OptionError, match="patch"):
        topology_for(patch, spacing_mm)


def test_dyn_unet_says_what_monais_does() -> None:
    from monai.networks.nets.dynunet import DynUNet as MonaiDynUNet

    module = DynUNet(modalities=2, regions=3, patch=(32, 32, 16), width=4, widest=8).eval()
    strides, kernels = module.topology.strides, module.topology.kernels
    monai = MonaiDynUNet(
        3, 2, 3, kernels, strides, strides[1:], filters=(4, 8, 8, 8), deep_supervision=True, res_block=True
    ).eval()
    theirs = (monai.input_block, *monai.downsamples, monai.bottleneck, *monai.upsamples, monai.output_block)
    ours = (*module.encoder, *module.decoder, *module.heads)
    for part, source in zip((*theirs, *monai.deep_supervision_heads), ours, strict=True):
        part.load_state_dict(source.state_dict())
    image = torch.randn(1, 2, 32, 32, 16)
    with torch.inference_mode():
        output = module(image)
        torch.testing.assert_close(monai(image), output.logits)
    torch.testing.assert_close(monai.heads[0], output.auxiliary[0])


def test_dyn_unet_supervises_all_but_its_two_coarsest_nodes() -> None:
    with torch.device("meta"):
        module = DynUNet(modalities=2, regions=3, width=8, widest=16)
        output = module(torch.zeros(1, 2, 64, 60, 33))
    assert output.logits.shape == (1, 3, 64, 60, 33)
    assert [tuple(head.shape[2:]) for head in output.auxiliary] == [(32, 30, 17), (16, 15, 9), (8, 8, 5)]


@pytest.mark.parametrize("size", ["S", "B", "M", "L"])
def test_mednext_is_monais_of_the_same_name(size: str) -> None:
    from monai.networks.nets.mednext import create_mednext

    with torch.device("meta"):
        ours = MedNeXt(modalities=2, regions=3, size=size).body.state_dict()
        monai = create_mednext(size, in_channels=2, out_channels=3, deep_supervision=True).state_dict()
    assert {name: part.shape for name, part in ours.items()} == {name: part.shape for name, part in monai.items()}


@pytest.mark.parametrize("kind", [MedNeXt, MedNeXt2d])
def test_mednext_says_what_monais_does(kind: type[MedNeXt]) -> None:
    module, image = kind(modalities=2, regions=3, width=4), torch.randn(1, 2, *(32, 16, 16)[: kind.spatial_dims])
    with torch.inference_mode():
        output, monai = module(image), module.body.train()(image)
    for ours, theirs in zip((output.logits, *output.auxiliary), monai, strict=True):
        torch.testing.assert_close(ours, theirs)
