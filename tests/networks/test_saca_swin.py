"""SACA: what it sees of the mirror image, and how many parameters it has."""

from typing import Any

import numpy as np
import pytest
import torch

from lesionlab.core.errors import ImageError
from lesionlab.core.recipe import Inference
from lesionlab.engine.inference import predict_probabilities
from lesionlab.networks.saca_swin import SacaSwin
from lesionlab.networks.saca_swin_classifier import SacaSwinClassifier

TINY: dict[str, Any] = {"width": 3, "heads": (1, 1, 2, 2), "window": 3}


def tiny(**options: Any) -> SacaSwin:
    torch.manual_seed(0)
    return SacaSwin(modalities=1, regions=1, **(TINY | options)).eval()


def parameters_of(network: type[torch.nn.Module], **options: Any) -> int:
    with torch.device("meta"):
        module = network(**options)
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize(
    ("modalities", "width", "count"),
    [(1, 48, 71_638_533), (4, 48, 71_643_717), (1, 12, 4_671_549), (4, 12, 4_672_845)],
)
def test_parameters_are_as_many_as_published(modalities: int, width: int, count: int) -> None:
    assert parameters_of(SacaSwin, modalities=modalities, regions=3, width=width) == count


@pytest.mark.parametrize("pool", ["token0", "mean"])
@pytest.mark.parametrize(("width", "count"), [(48, 17_515_316), (12, 1_288_856)])
def test_the_classifier_has_as_many_as_published(pool: str, width: int, count: int) -> None:
    assert parameters_of(SacaSwinClassifier, modalities=1, regions=2, width=width, pool=pool) == count


def test_only_the_deepest_level_knows_the_mirror_image() -> None:
    module, image = tiny(), torch.randn(1, 2, 32, 32, 64)
    levels: list[list[torch.Tensor]] = []
    module.decoder.register_forward_pre_hook(lambda _, given: levels.append(given[1]))
    with torch.inference_mode():
        first = module(image).logits
        second = module(torch.cat([image[:, :1], torch.randn(1, 1, 32, 32, 64)], dim=1)).logits
    assert not torch.allclose(first, second)
    for one, other in zip(levels[0][:4], levels[1][:4], strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(levels[0][4], levels[1][4])


def test_exchanged_halves_give_what_the_exchanged_images_give() -> None:
    module, image = tiny(), torch.randn(1, 2, 32, 32, 64)
    with torch.inference_mode():
        levels = module.encoder(image[:, 1:]), module.encoder(image[:, :1])
        tokens, mirrored = (level[4].movedim(1, -1) for level in levels)
        seen = module.symmetry(tokens, mirrored).movedim(-1, 1)
        wanted = module.decoder(image[:, 1:], [*levels[0][:4], seen])
        torch.testing.assert_close(module(image.flip(1)).logits, wanted, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(module(image).logits, wanted, atol=1e-2)


def test_sliding_windows_stay_paired_with_their_mirror_image() -> None:
    """Every window of an asymmetric phantom comes with the same window of the flipped whole."""
    module = tiny()
    phantom = np.random.default_rng(0).standard_normal((1, 70, 34, 64)).astype(np.float32)
    pairs: list[torch.Tensor] = []
    module.register_forward_pre_hook(lambda _, given: pairs.append(given[0]))
    window = (48, 34, 64)
    predict_probabilities(module, phantom, window=window, background=(0.0,), settings=Inference(overlap=0.5, batch=1))
    mirror = phantom[:, ::-1]
    found = [(pair[0, 0].numpy(), pair[0, 1].numpy()) for pair in pairs]
    places = [x for x in range(70 - 48 + 1) if any(np.array_equal(one, phantom[0, x : x + 48]) for one, _ in found)]
    assert len(places) == len(found) > 1
    for x, (_, other) in zip(places, found, strict=True):
        np.testing.assert_array_equal(other, mirror[0, x : x + 48])


@pytest.mark.parametrize("options", [{"self_attention": False}, {"position": "learned"}, {"twin_bias": True}])
def test_options_change_the_parameters(options: dict[str, Any]) -> None:
    assert set(tiny(**options).state_dict()) != set(tiny().state_dict())


@pytest.mark.parametrize("pool", ["token0", "mean", "attention"])
def test_the_classifier_says_one_thing_of_a_volume(pool: str) -> None:
    torch.manual_seed(0)
    module = SacaSwinClassifier(modalities=1, regions=4, pool=pool, **TINY).eval()
    with torch.inference_mode():
        assert module(torch.randn(2, 2, 32, 32, 40)).logits.shape == (2, 4)


@pytest.mark.parametrize("shape", [(1, 2, 32, 32, 32), (1, 1, 32, 32, 64), (1, 3, 32, 32, 64)])
def test_wrong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="2 modalities on more than 32x32x32"):
        tiny()(torch.zeros(shape))
