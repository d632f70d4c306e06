"""Pre-training objectives: published values, direction, and one contract for all."""

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import lesionlab.networks
import lesionlab.pretext  # noqa: F401
from lesionlab.blocks.token_pooling import pool_tokens
from lesionlab.core.pretext import View, pretext
from lesionlab.core.pretraining import PretrainingRecipe
from lesionlab.engine.pretraining_network import PretrainingNetwork, build_pretraining_network
from lesionlab.engine.views import Changed
from lesionlab.networks.swin_published import read_published
from lesionlab.pretext.contrast import Contrast, contrast_loss
from lesionlab.pretext.inpainting import Inpainting
from lesionlab.pretext.symmetry import Symmetry, euclidean_loss, likeness, similarity_loss

CHANNELS = 32


def view(seed: int, *, batch: int = 3) -> View:
    torch.manual_seed(seed)
    own, mirrored, seen, uncut = torch.randn(4, batch, CHANNELS, 2, 1, 1).unbind()
    return View(torch.randn(batch, 1, 64, 32, 32), torch.arange(batch) % 4, own, mirrored, seen, uncut)


@pytest.fixture(scope="module")
def views() -> tuple[View, View]:
    return view(0), view(1)


@pytest.mark.parametrize("name", list(pretext))
def test_every_objective_gives_a_number_to_learn_from(name: str, views: tuple[View, View]):
    torch.manual_seed(0)
    objective = pretext.build(name, modalities=1, channels=CHANNELS)
    value = objective(views, torch.tensor([True, False, True]))
    value.backward()
    assert value.shape == ()
    assert float(value.detach()) > 0
    assert all(part.grad is not None and part.grad.isfinite().all() for part in objective.parameters())


@pytest.mark.parametrize("mode", ["calibrated", "cosine_nce", "siamese", "cosine", "euclidean"])
def test_symmetry_draws_healthy_sides_together_and_those_of_patients_apart(mode: str):
    """One step down the gradient of the vectors themselves, the healthy in the first row."""
    torch.manual_seed(1)
    objective = Symmetry(modalities=1, channels=CHANNELS, mode=mode, features=CHANNELS)
    objective.head = torch.nn.Linear(CHANNELS, CHANNELS)
    torch.nn.init.eye_(objective.head.weight)
    torch.nn.init.zeros_(objective.head.bias)
    own = torch.randn(2, CHANNELS, 2, 1, 1)
    own = (own / own.norm(dim=1, keepdim=True)).requires_grad_()
    mirrored = torch.nn.functional.normalize(own.detach() + 0.1 * torch.randn_like(own), dim=1)
    empty = torch.zeros(2, 1, 64, 32, 32)
    looked = View(empty, torch.zeros(2, dtype=torch.int64), own, mirrored, own, uncut=own)
    objective((looked, looked), torch.tensor([True, False])).backward()
    with torch.no_grad():
        moved = own - 0.05 * own.grad / own.grad.norm()
        before, after = (likeness(objective.embed(part), objective.embed(mirrored)) for part in (own, moved))
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_the_temperature_is_learned(views: tuple[View, View]):
    objective = Symmetry(modalities=1, channels=CHANNELS)
    optimiser = torch.optim.SGD(objective.parameters(), lr=0.1)
    before = {name: part.detach().clone() for name, part in objective.named_parameters()}
    objective(views, torch.tensor([True, False, True])).backward()
    optimiser.step()
    assert {name for name, part in objective.named_parameters() if not torch.equal(part, before[name])} == set(before)
    assert {"log_scale", "offset"} <= set(before)


@pytest.mark.parametrize(("sees", "is_moved"), [("whole", False), ("cut", True)])
def test_what_is_cut_out_does_not_make_sides_unlike(sees: str, is_moved: bool):
    """By default; as published it does."""
    recipe = {
        "name": "small",
        "task": "pretrain",
        "modalities": ["t1"],
        "network": {"name": "saca_swin", "options": {"width": 12, "window": 2}},
        "objectives": {"symmetry": {"options": {"sees": sees}}},
        "schedule": {"steps": 1},
    }
    torch.manual_seed(0)
    module = build_pretraining_network(PretrainingRecipe.model_validate(recipe)).eval()
    whole = torch.randn(2, 1, 64, 32, 32)
    cut = whole.clone()
    cut[:, :, :20, :20] = 3
    turns, is_healthy = torch.zeros(2, dtype=torch.int64), torch.tensor([True, False])
    with torch.inference_mode():
        uncut, cut_out = (
            float(module(look, look, is_healthy)["symmetry"])
            for look in (Changed(torch.cat([image, whole.flip(2)], dim=1), whole, turns) for image in (whole, cut))
        )
    assert (abs(uncut - cut_out) > 1e-5) == is_moved


def test_exchanged_sides_are_as_alike():
    one, other = torch.randn(2, 3, 4, 8).unbind()
    torch.testing.assert_close(likeness(one, other), likeness(other, one))
    torch.testing.assert_close(likeness(one, one), torch.ones(3))


def test_published_values(parity: Path):
    """`AsymSim_siamese` compares every distance with every label, which its mean over labels undoes."""
    saved = torch.load(parity / "saca_losses.pt", weights_only=True)
    first, second, label = (saved["input"][name] for name in ("a", "b", "label"))
    similarity, distance = F.cosine_similarity(first, second), F.pairwise_distance(first, second)
    found = {
        "ntxent_T0.5": contrast_loss(first, second, temperature=0.5),
        **{
            f"{published}_{mode}": similarity_loss(similarity, label.float(), mode=mode)
            for published in ("LossAA", "AsymSim")
            for mode in ("siamese", "cosine_nce", "cosine")
        },
        "AsymSim_siamese": torch.stack(
            [euclidean_loss(distance, torch.full_like(distance, 1 - one)) for one in label.tolist()]
        ).mean(),
    }
    assert set(found) == set(saved["outputs"])
    for name, value in saved["outputs"].items():
        torch.testing.assert_close(found[name], value, msg=lambda text, name=name: f"{name}: {text}")


HEADS = {
    "aaw_head.": "objectives.symmetry.head.",
    "contrastive_head.": "objectives.contrast.head.",
    "rotation_head.": "objectives.rotation.head.",
    "conv.": "objectives.inpainting.upsampler.",
}


def heads_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what the published network predicts with, under our names; reading its encoder leaves that out."""
    return {
        ours + name.removeprefix(theirs): weight
        for name, weight in weights.items()
        for theirs, ours in HEADS.items()
        if name.startswith(theirs)
    }


def published_network(mode: str, weights: dict[str, Tensor]) -> PretrainingNetwork:
    options, renamed = read_published(weights)
    kept = {name: options[name] for name in ("width", "depths", "heads", "window", "mlp_ratio", "merge", "windows")}
    recipe: dict[str, Any] = {
        "name": "published",
        "task": "pretrain",
        "modalities": ["t1"],
        "network": {"name": "saca_swin", "options": kept},
        "objectives": {
            "rotation": {"options": {"pool": "token0"}},
            "contrast": {"options": {"pool": "token1"}},
            "inpainting": {},
            "symmetry": {"weight": 0.5, "options": {"mode": mode, "pool": "token1", "sees": "cut"}},
        },
        "schedule": {"steps": 1},
    }
    built = build_pretraining_network(PretrainingRecipe.model_validate(recipe))
    built.load_state_dict(renamed | heads_of(weights))
    return built.eval()


@pytest.mark.slow
def test_published_pretraining(parity: Path):
    """The losses of the whole published pre-training network, and the vectors of its symmetry head."""
    spec = importlib.util.spec_from_file_location("parity_recipe", parity / "recipe.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    meta, published = recipe.load_fixture(parity / "saswin_pretraining.npz")
    weights = {name: torch.from_numpy(array) for name, array in recipe.recipe_state_dict(meta).items()}
    given = {name: torch.from_numpy(array) for name, array in recipe.recipe_input(meta).items()}
    turns = torch.tensor(meta["config"]["rotation_targets"]).reshape(2, 2)
    looks = [
        Changed(torch.cat([given[f"x{n}"], given[f"x{n}_mirror"]], dim=1), given[f"rec{n}"], turns[n - 1])
        for n in (1, 2)
    ]
    healthy = torch.tensor(meta["config"]["healthy"]) == 1
    for mode in ("cosine_nce", "siamese", "cosine"):
        module = published_network(mode, weights)
        with torch.inference_mode():
            losses = module(*looks, healthy)
        # the published reconstruction is the sum over the views' means, its mean is ours
        found = [
            losses[name] * weight
            for name, weight in (("rotation", 1), ("contrast", 1), ("inpainting", 1), ("symmetry", 0.5))
        ]
        wanted = torch.from_numpy(published[f"losses_{mode}"])
        torch.testing.assert_close(torch.stack([sum(found), *found]), wanted, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        found = outputs_of(module, looks[0], number=1) | outputs_of(module, looks[1], number=2)
    kept = {name for name in published if "__" not in name and not name.startswith("losses_")}
    assert kept == set(found) - {"rec_x2"}
    for name in kept:
        errors = recipe.compare(published, name, found[name].numpy())
        assert errors["max_abs"] < meta["tolerance"]["atol"], name


def outputs_of(module: PretrainingNetwork, look: Changed, *, number: int) -> dict[str, Tensor]:
    """Return what the heads make of one view, under the fixture's names."""
    own, mirrored, seen = module.look(look.image)
    heads = module.objectives
    return {
        f"sah_x{number}": heads["symmetry"].embed(own)[:, 0],
        f"sah_x{number}_mirror": heads["symmetry"].embed(mirrored)[:, 0],
        f"rot{number}": heads["rotation"].head(pool_tokens(seen, "token0")),
        f"con{number}": heads["contrast"].head(pool_tokens(seen, "token1")),
        f"rec_x{number}": heads["inpainting"].restore(seen),
    }


def test_inpainting_restores_the_size():
    assert Inpainting(modalities=2, channels=16).restore(torch.randn(1, 16, 2, 1, 1)).shape == (1, 2, 64, 32, 32)


def test_one_volume_alone_has_no_wrong_answer():
    assert float(contrast_loss(torch.ones(1, 4), -torch.ones(1, 4), temperature=0.5)) == pytest.approx(0)
    assert math.isfinite(float(contrast_loss(torch.zeros(2, 4), torch.zeros(2, 4), temperature=0.5)))


def compare_over_ranks(rank: int, port: int) -> None:
    """Two processes with half of the batch each have the loss and gradients of one with all of it."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    objective = Contrast(modalities=1, channels=CHANNELS, features=8)
    whole = view(0, batch=4), view(1, batch=4)
    half = slice(2 * rank, 2 * rank + 2)
    value = objective(tuple(View(*(part[half] for part in one)) for one in whole))
    value.backward()
    together = objective.head.weight.grad.clone()
    torch.distributed.all_reduce(together)
    torch.distributed.destroy_process_group()
    objective.zero_grad()
    alone = objective(whole)
    alone.backward()
    torch.testing.assert_close(value, alone)
    torch.testing.assert_close(together / 2, objective.head.weight.grad)


@pytest.mark.slow
def test_contrast_is_gathered_over_ranks():
    torch.multiprocessing.spawn(compare_over_ranks, args=(29531,), nprocs=2)
