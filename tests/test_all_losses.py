"""What every registered loss must do; one that is added later is tested without a change here."""

import tomllib
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_training import RECIPE
from torch import Tensor, nn

import lesionlab.losses
import lesionlab.networks
import lesionlab.transforms  # noqa: F401 - these three register what a recipe names
from lesionlab.core.errors import OptionError, RecipeError
from lesionlab.core.loss import loss
from lesionlab.core.network import Output
from lesionlab.core.recipe import Recipe, parse_recipe
from lesionlab.engine.planning import complete_for

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


OUTPUTS = {"regions": (1, 3), "values": (2, 4), "categories": (2, 3)}
"""Channels of logits that a network can have for each kind of targets."""


def recipe_for(name: str, targets: str, **options: object) -> Recipe:
    content = tomllib.loads(RECIPE)
    if targets == "categories":
        content |= {"task": "classify", "network": {"name": "saca_swin_classifier"}}
        content["sampling"] = {"size": [64, 64, 64]}
    else:
        content["classes"] = targets
    return parse_recipe(content | {"loss": {"name": name, "options": options}}, where="test")


def toy(targets: str, outputs: int) -> tuple[Tensor, Tensor]:
    """Return logits that say nothing, and a reference of half-empty images or of one category each."""
    generator = torch.Generator().manual_seed(1)
    if targets == "categories":
        return torch.zeros(6, outputs), F.one_hot(torch.arange(6) % outputs, outputs).float()
    classes = torch.randint(0, outputs, (3, 12, 12), generator=generator)
    reference = F.one_hot(classes, outputs).movedim(-1, 1).float()
    if targets == "values":
        return torch.zeros(3, outputs, 12, 12), reference[:, 1:]
    reference[0] = 0
    reference[:, :, :6] = 0
    return torch.zeros(3, outputs, 12, 12), reference


@every_loss
@pytest.mark.parametrize("targets", list(OUTPUTS))
def test_it_learns_the_targets_that_it_takes_and_no_recipe_has_others(name: str, targets: str) -> None:
    for outputs in OUTPUTS[targets]:
        recipe = recipe_for(name, targets)
        if targets not in loss.get(name).takes:
            with pytest.raises(RecipeError, match=rf"a loss of .*; found {name}, .*; next: choose .*"):
                complete_for(recipe, outputs=outputs)
            continue
        judge = loss.build(name, **complete_for(recipe, outputs=outputs).loss.options)
        logits, reference = toy(targets, outputs)
        logits.requires_grad_()
        before = judge(Output(logits=logits), reference)
        before.backward()
        assert torch.isfinite(logits.grad).all()
        assert (logits.grad.abs().amax(dim=1) > 0).any()
        stepped = (logits - 0.1 * logits.grad / logits.grad.abs().max()).detach()
        assert judge(Output(logits=stepped), reference) < before


@every_loss
@pytest.mark.parametrize("targets", list(OUTPUTS))
def test_as_many_weights_as_outputs(name: str, targets: str) -> None:
    kind = loss.get(name)
    if targets not in kind.takes or "weights" not in loss.schema(name).model_fields:
        return
    for outputs in OUTPUTS[targets]:
        complete_for(recipe_for(name, targets, weights=[1.0] * outputs), outputs=outputs)
        for wrong in (1, outputs - 1, outputs + 1):
            if wrong not in (0, outputs):
                with pytest.raises(RecipeError, match=rf"{outputs} weights, .*; found {wrong}; "):
                    complete_for(recipe_for(name, targets, weights=[1.0] * wrong), outputs=outputs)


@pytest.mark.parametrize("name", [name for name in loss if "gamma" in loss.schema(name).model_fields])
def test_what_is_certain_and_right_has_a_finite_gradient_for_every_gamma(name: str) -> None:
    reference = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    for gamma in (0.0, 0.01, 0.5, 1.0, 2.0):
        logits = (240 * reference - 120).requires_grad_()
        loss.build(name, gamma=gamma)(Output(logits=logits), reference).backward()
        assert torch.isfinite(logits.grad).all()


@every_loss
def test_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(OptionError):
        loss.build(name, no_such_option=1)
