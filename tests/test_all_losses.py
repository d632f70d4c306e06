"""What every registered loss must do; one that is added later is tested without a change here."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import lesionlab.losses  # noqa: F401 - registers the losses
from lesionlab.core.errors import OptionError
from lesionlab.core.loss import loss
from lesionlab.core.network import Output

SPACES = [(16, 24), (8, 12, 16)]
every_loss = pytest.mark.parametrize("name", list(loss))


def coarse(values: Tensor) -> Tensor:
    return (F.max_pool2d if values.dim() == 4 else F.max_pool3d)(values, 4)


def random_case(seed: int, space: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return logits and an exclusive reference of two regions, which both sigmoid and softmax losses can judge."""
    generator = torch.Generator().manual_seed(seed)
    lesion = (torch.rand(2, 1, *space, generator=generator) < 0.1).float()
    return 3 * torch.randn(2, 2, *space, generator=generator), torch.cat([1 - lesion, lesion], dim=1)


def said(logits: Tensor) -> Output:
    """Return an output whose heads all say the same, one of them on a coarser grid."""
    return Output(logits=logits, auxiliary=(logits, coarse(logits)), lesion=coarse(logits[:, 1:]))


def references(reference: Tensor) -> Iterator[Tensor]:
    yield from (reference, torch.zeros_like(reference), torch.ones_like(reference))


@every_loss
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), space=st.sampled_from(SPACES), scale=st.sampled_from([0.0, 1.0, 1e4]))
def test_loss_is_a_finite_number_with_a_finite_gradient(
    name: str, seed: int, space: tuple[int, ...], scale: float
) -> None:
    logits, sound = random_case(seed, space)
    for reference in references(sound):
        for counted in (None, logits[:, :1] > 0, torch.zeros(2, 1, *space, dtype=torch.bool)):
            heads = (scale * logits).requires_grad_()
            value = loss.build(name)(said(heads), reference, counted=counted)
            assert value.shape == ()
            assert torch.isfinite(value)
            if value.requires_grad:
                value.backward()
                assert torch.isfinite(heads.grad).all()


@every_loss
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), space=st.sampled_from(SPACES))
def test_better_logits_cost_less(name: str, seed: int, space: tuple[int, ...]) -> None:
    noise, reference = random_case(seed, space)
    right = 2 * reference - 1
    worst, poor, good = (float(loss.build(name)(said(logits), reference)) for logits in (noise, right, 4 * right))
    assert good < poor
    assert good < worst


@every_loss
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), space=st.sampled_from(SPACES))
def test_ignored_voxels_have_no_influence(name: str, seed: int, space: tuple[int, ...]) -> None:
    logits, reference = random_case(seed, space)
    counted = torch.ones(2, 1, *space, dtype=torch.bool)
    counted[:, :, :8] = False
    heads = logits.clone().requires_grad_()
    value = loss.build(name)(said(heads), reference, counted=counted)
    value.backward()
    assert heads.grad[:, :, 8:].any() or len(space) == 3
    assert not heads.grad[:, :, :8].any()
    other_logits, other_reference = random_case(seed + 1, space)
    changed = loss.build(name)(
        said(torch.where(counted, logits, other_logits)),
        torch.where(counted, reference, other_reference),
        counted=counted,
    )
    torch.testing.assert_close(changed, value)


@every_loss
def test_all_counted_is_the_same_as_saying_nothing(name: str) -> None:
    logits, reference = random_case(0, SPACES[0])
    counted = torch.ones(2, 1, *SPACES[0], dtype=torch.bool)
    judge = loss.build(name)
    torch.testing.assert_close(judge(said(logits), reference, counted=counted), judge(said(logits), reference))


@every_loss
def test_half_precision_logits_are_judged_in_single_precision(name: str) -> None:
    logits, reference = random_case(0, SPACES[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss.build(name)(said(logits.bfloat16()), reference)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss.build(name)(said(logits.bfloat16().float()), reference))


@every_loss
def test_a_network_without_further_heads_can_be_judged(name: str) -> None:
    logits, reference = random_case(0, SPACES[0])
    judge = loss.build(name)
    assert isinstance(judge, nn.Module)
    assert torch.isfinite(judge(Output(logits=logits), reference))


@every_loss
def test_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(OptionError):
        loss.build(name, no_such_option=1)
