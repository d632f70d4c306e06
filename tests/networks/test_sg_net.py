"""SG-Net: counts, published outputs, and gates that are open or shut."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lesionlab.core.errors import CheckpointError, ImageError, OptionError
from lesionlab.engine.published_weights import import_weights
from lesionlab.networks.sg_net import SGNet
from lesionlab.networks.sg_net_published import read_published

TINY: dict[str, Any] = {"widths": (8, 8, 16, 16)}


def tiny(*, gate: str = "hard") -> SGNet:
    torch.manual_seed(0)
    return SGNet(modalities=2, regions=1, gate=gate, **TINY)


@pytest.mark.parametrize(("gate", "count"), [("none", 668_673), ("soft", 668_721), ("hard", 668_721)])
def test_parameters_are_as_many_as_published(gate: str, count: int) -> None:
    with torch.device("meta"):
        module = SGNet(modalities=2, regions=1, gate=gate)
    assert sum(part.numel() for part in module.parameters()) == count


def test_outputs_are_the_published_ones(parity: Path) -> None:
    spec = importlib.util.spec_from_file_location("parity_recipe", parity / "recipe.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    meta, published = recipe.load_fixture(parity / "sgnet.npz")
    weights = {name: torch.from_numpy(array) for name, array in recipe.recipe_state_dict(meta).items()}
    module = import_weights(weights, network="sg_net")
    with torch.inference_mode():
        logits = module(torch.from_numpy(recipe.recipe_input(meta)["x"])).logits
    errors = recipe.compare(published, "logits", logits.numpy())
    assert errors["max_abs"] < meta["tolerance"]["atol"]
    assert errors["stats_rel"] < meta["tolerance"]["rtol"]


def test_every_published_name_and_shape_has_its_place(published_keys: Path) -> None:
    published = json.loads((published_keys / "sg_net.json").read_text())["state_dict"]
    weights = {name: torch.empty(entry["shape"], device="meta") for name, entry in published.items()}
    options, renamed = read_published(weights)
    with torch.device("meta"):
        ours = SGNet(**options).state_dict()
    assert {name: part.shape for name, part in renamed.items()} == {name: part.shape for name, part in ours.items()}


def test_other_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="SG-Net"):
        read_published({"conv.weight": torch.zeros(1)})


@pytest.mark.parametrize("is_training", [True, False])
def test_hard_gates_are_open_or_shut(is_training: bool) -> None:
    module, image = tiny().train(is_training), torch.randn(2, 2, 16, 24, 16)
    maps = module.gate_maps(image)
    assert [tuple(gate.shape) for gate in maps] == [(2, 8, 4, 6, 4), (2, 8, 8, 12, 8), (2, 8, 16, 24, 16)]
    assert all(gate.mean() > 0.5 for gate in maps), "most gates start open"
    for gate in module.gates:
        torch.nn.init.zeros_(gate.shift)
    assert [set(gate.unique().tolist()) for gate in module.gate_maps(image)] == [{0.0, 1.0}] * 3


def test_soft_gates_lie_between_and_none_are_none() -> None:
    image = torch.randn(1, 2, 16, 16, 16)
    maps = tiny(gate="soft").eval().gate_maps(image)
    assert all(0 < gate.min() < gate.max() < 1 for gate in maps)
    assert tiny(gate="none").gate_maps(image) == ()


def test_gates_change_the_result() -> None:
    image = torch.randn(1, 2, 16, 16, 16)
    plain, gated = tiny(gate="none").eval(), tiny().eval()
    gated.load_state_dict(plain.state_dict(), strict=False)
    with torch.inference_mode():
        assert not torch.allclose(plain(image).logits, gated(image).logits)
        for gate in gated.gates:
            gate.shift.fill_(100.0)
        torch.testing.assert_close(plain(image).logits, gated(image).logits)


@pytest.mark.parametrize("size", [(9, 1, 3), (16, 16, 16), (17, 30, 23)])
def test_any_size_above_eight_voxels(size: tuple[int, int, int]) -> None:
    with torch.inference_mode():
        assert tiny().eval()(torch.randn(1, 2, *size)).logits.shape == (1, 1, *size)


@pytest.mark.parametrize("shape", [(1, 2, 8, 8, 8), (1, 3, 16, 16, 16)])
def test_wrong_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="2 modalities on more than 8x8x8 voxels"):
        tiny()(torch.zeros(shape))


@pytest.mark.parametrize("groups", [0, 3])
def test_groups_must_divide_the_widths(groups: int) -> None:
    with pytest.raises(OptionError, match="groups"):
        SGNet(modalities=1, regions=1, groups=groups)


@pytest.mark.parametrize("gate", ["none", "soft", "hard"])
def test_the_share_of_open_gates_is_told(gate: str) -> None:
    module = SGNet(modalities=2, regions=1, gate=gate, widths=(8, 8, 8, 8)).eval()
    with torch.inference_mode():
        told = module.diagnose(torch.randn(1, 2, 16, 16, 16))
    if gate == "none":
        assert told == {}
    else:
        assert 0 <= told["open_gates"] <= 1
