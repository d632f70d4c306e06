"""What every registered network must do; one that is added later is tested without a change here."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lesionlab.networks  # noqa: F401 - registers the networks
from lesionlab.core.errors import OptionError
from lesionlab.core.network import Output, network, recomputed_blocks
from lesionlab.core.recipe import Training
from lesionlab.engine.acceleration import lay_out
from lesionlab.engine.arithmetic import SIZES, forward_gigaflops
from lesionlab.engine.memory import activation_bytes
from lesionlab.engine.sample import Sample

# Options that make a network small enough to test; a network that is missing here is tested at its full size.
TINY: dict[str, dict[str, Any]] = {
    "atlas_resunet": {"shrink": 2},
    "atlas_segnet": {"widths": (8, 16, 16, 32, 32)},
    "atlas_unet": {"widths": (8, 16, 16, 32, 32)},
    "attention_unet": {"widths": (4, 4, 8, 8, 8)},
    "dyn_unet": {"patch": (32, 32, 32), "width": 4, "widest": 8},
    "hetero_med_seg": {"width": 16, "head_channels": 8, "state_size": 8, "skip_heads": (8, 8, 8)},
    "mednext": {"width": 4},
    "mednext_2d": {"width": 4},
    "res_unet": {"widths": (4, 4, 8, 8, 8)},
    "saca_swin": {"width": 3, "heads": (1, 1, 2, 2), "window": 3},
    "saca_swin_classifier": {"width": 3, "heads": (1, 1, 2, 2), "window": 3},
    "sg_net": {"widths": (8, 16, 16, 16)},
    "swin_classifier": {"width": 3, "heads": (1, 1, 2, 2), "window": 3},
    "swin_unetr": {"width": 3, "heads": (1, 1, 2, 2), "window": 3},
    "synapse_net": {"widths": (32, 32, 32, 32, 32), "token_channels": 16, "heads": 4, "token_grid": 3},
    "unet": {"widths": (4, 8, 8, 8, 8)},
}
SPACE = {2: (48, 64), 3: (32, 32, 48)}
ODD_SPACE = {2: (37, 50), 3: (33, 35, 37)}
MODALITIES, REGIONS = 3, 2
CLASSIFIERS = {"saca_swin_classifier", "swin_classifier"}
"""Networks that say one thing of a whole image."""


def built(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return network.build(name, modalities=MODALITIES, regions=REGIONS, **TINY.get(name, {}), **options)


def image_for(module: nn.Module, *, batch: int = 2, sizes: dict[int, tuple[int, ...]] = SPACE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    channels = 2 * MODALITIES if getattr(module, "sees_mirror", False) else MODALITIES
    return torch.randn(batch, channels, *sizes[module.spatial_dims], generator=generator)


def logits_shape(name: str, image: Tensor) -> tuple[int, ...]:
    return (len(image), REGIONS, *(() if name in CLASSIFIERS else image.shape[2:]))


def tensors_of(output: Output) -> list[Tensor]:
    return [tensor for tensor in (output.logits, *output.auxiliary, output.lesion) if tensor is not None]


@pytest.fixture(params=list(network))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def module(name: str) -> nn.Module:
    return built(name).eval()


def test_output_has_one_type_in_training_and_evaluation(module: nn.Module, name: str) -> None:
    image = image_for(module)
    for mode in (True, False):
        output = module.train(mode)(image)
        assert isinstance(output, Output)
        assert output.logits.shape == logits_shape(name, image)
        assert all(torch.isfinite(tensor).all() for tensor in tensors_of(output))


def test_gradient_reaches_every_parameter(module: nn.Module) -> None:
    output = module.train()(image_for(module, batch=4))
    generator = torch.Generator().manual_seed(2)
    sum((tensor * torch.randn(tensor.shape, generator=generator)).sum() for tensor in tensors_of(output)).backward()
    silent = [name for name, part in module.named_parameters() if part.grad is None or not part.grad.any()]
    # That of a bias before a norm is 0 but for rounding; a layer that nothing reaches is found by its weights.
    assert not [name for name in silent if not name.endswith(".bias")]


def test_batch_items_do_not_mix(module: nn.Module) -> None:
    image = image_for(module)
    with torch.inference_mode():
        together, alone = module(image), module(image[1:])
    torch.testing.assert_close(together.logits[1:], alone.logits, atol=1e-4, rtol=1e-4)


def test_evaluation_is_deterministic(module: nn.Module) -> None:
    image = image_for(module)
    with torch.inference_mode():
        for first, second in zip(tensors_of(module(image)), tensors_of(module(image)), strict=True):
            assert torch.equal(first, second)


def test_weights_survive_a_round_trip(module: nn.Module, name: str) -> None:
    image = image_for(module)
    copy = built(name).eval()
    with torch.no_grad():
        for part in copy.parameters():
            part.zero_()
    copy.load_state_dict(module.state_dict())
    with torch.inference_mode():
        assert torch.equal(copy(image).logits, module(image).logits)


def test_bfloat16_autocast_is_finite_and_near(module: nn.Module) -> None:
    image = image_for(module)
    with torch.inference_mode():
        exact = module(image).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            fast = module(image)
    assert all(torch.isfinite(tensor).all() for tensor in tensors_of(fast))
    assert (fast.logits.float() - exact).abs().mean() < 0.1 * exact.abs().mean()


def test_bfloat16_autocast_trains(module: nn.Module) -> None:
    """As it is trained, in memory that held numbers which are not finite: nothing is read before it is written."""
    trained = lay_out(module, Training()).train()
    fill_free_memory_with_nan()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = trained(image_for(module))
    fill_free_memory_with_nan()
    output.logits.float().square().mean().backward()
    assert [name for name, part in module.named_parameters() if not is_finite(part.grad)] == []


def is_finite(gradient: Tensor | None) -> bool:
    return gradient is None or bool(gradient.isfinite().all())


def fill_free_memory_with_nan() -> None:
    blocks = [torch.full((2**power,), torch.nan, dtype=torch.bfloat16) for power in range(6, 21) for _ in range(8)]
    del blocks


def test_odd_sizes_keep_their_shape(module: nn.Module, name: str) -> None:
    image = image_for(module, batch=1, sizes=ODD_SPACE)
    with torch.inference_mode():
        assert module(image).logits.shape == logits_shape(name, image)


def test_all_present_is_the_same_as_saying_nothing(module: nn.Module) -> None:
    image = image_for(module)
    with torch.inference_mode():
        said = module(image, torch.ones(2, MODALITIES, dtype=torch.bool))
        for first, second in zip(tensors_of(said), tensors_of(module(image)), strict=True):
            assert torch.equal(first, second)


def test_what_is_absent_has_no_influence(module: nn.Module) -> None:
    absent = ([], [0], [2], [0, 1], [0, 1, 2])
    image = image_for(module, batch=len(absent))
    present = torch.ones(len(absent), MODALITIES, dtype=torch.bool)
    other = image.clone()
    for number, modalities in enumerate(absent):
        present[number, modalities] = False
        other[number, modalities] = torch.nan
    with torch.inference_mode():
        first, second, whole = module(image, present), module(other, present), module(image)
    assert torch.equal(first.logits, second.logits)
    assert torch.isfinite(first.logits).all()
    assert [torch.allclose(*both) for both in zip(first.logits[1:], whole.logits[1:], strict=True)] == [False] * 4
    torch.testing.assert_close(first.logits[0], whole.logits[0], atol=1e-4, rtol=1e-4)


class Squares(nn.Module):
    """The mean square of everything that a network gives."""

    def forward(self, output: Output, _: Tensor, *, counted: Tensor) -> Tensor:
        assert counted.all()
        return sum((tensor.square().mean() for tensor in tensors_of(output)), torch.zeros(()))


def sample_for(module: nn.Module, *, batch: int) -> Sample:
    image = image_for(module, batch=batch)
    return Sample(image, image[:, :REGIONS], torch.ones_like(image[:, :1], dtype=torch.bool))


def test_recomputing_changes_nothing_but_memory(module: nn.Module) -> None:
    """Loss, gradients and every buffer: batch norms count each batch once."""
    recomputing, seen, losses = (
        lay_out(copy.deepcopy(module), Training(recompute=True)),
        sample_for(module, batch=2),
        [],
    )
    for variant in (module.train(), recomputing.train()):
        torch.manual_seed(0)
        losses.append(Squares()(variant(seen.image), seen.reference, counted=seen.counted))
        losses[-1].backward()
    assert torch.equal(*losses)
    for (name, weight), other in zip(module.named_parameters(), recomputing.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}")
    for (name, buffer), other in zip(module.named_buffers(), recomputing.buffers(), strict=True):
        assert torch.equal(buffer, other), name


@pytest.mark.slow
def test_recomputing_saves_memory(module: nn.Module) -> None:
    """At the peak of a forward and a backward pass, where the largest block is there in full."""
    recomputing = lay_out(copy.deepcopy(module), Training(recompute=True))
    seen = sample_for(module, batch=1)
    before, after = (activation_bytes(one.train(), Squares(), sample=seen) for one in (module, recomputing))
    assert after < 0.9 * before


def test_no_recomputed_block_lies_within_another(module: nn.Module) -> None:
    parts = [id(part) for block in recomputed_blocks(module) for part in block.modules()]
    assert len(parts) == len(set(parts))


def test_unknown_option_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(OptionError, match="did you mean 'regions'"):
        network.build(name, modalities=1, region=1)


@pytest.mark.slow
def test_exported_program_says_the_same(module: nn.Module) -> None:
    image = image_for(module, batch=1)
    program = torch.export.export(module, (image,)).module()
    with torch.inference_mode():
        for first, second in zip(tensors_of(program(image)), tensors_of(module(image)), strict=True):
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_its_docstring_tells_its_arithmetic(name: str) -> None:
    with torch.device("meta"):
        hollow = network.build(name, modalities=2, regions=1)
    found = forward_gigaflops(hollow, SIZES[hollow.spatial_dims])
    assert f"Arithmetic: {found:.1f} GFLOP." in (network.get(name).__doc__ or "")
