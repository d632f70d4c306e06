"""Published weights give the published outputs, and no file gets its code run."""

import importlib.util
import logging
import os
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lesionlab.core.errors import CheckpointError, NameUnknownError, OptionError
from lesionlab.engine.published_weights import coverage_of, import_weights
from lesionlab.networks.synapse_net_published import read_published

FIXTURES = ["2mod_full", "2mod_tiny_a", "2mod_tiny_b", "4mod_full", "4mod_tiny"]


@pytest.fixture(scope="module")
def recipe(parity: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_recipe", parity / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def weights(recipe: ModuleType, parity: Path) -> dict[str, Tensor]:
    return weights_of(recipe, parity, "2mod_tiny_a")


def weights_of(recipe: ModuleType, parity: Path, fixture: str) -> dict[str, Tensor]:
    meta, _ = recipe.load_fixture(parity / f"synapse_{fixture}.npz")
    return {name: torch.from_numpy(array) for name, array in recipe.recipe_state_dict(meta).items()}


@pytest.mark.parametrize("fixture", FIXTURES)
def test_outputs_are_the_published_ones(recipe: ModuleType, parity: Path, fixture: str) -> None:
    meta, published = recipe.load_fixture(parity / f"synapse_{fixture}.npz")
    module = import_weights(weights_of(recipe, parity, fixture), network="synapse_net", heads=meta["config"]["heads"])
    with torch.inference_mode():
        output = module(torch.from_numpy(recipe.recipe_input(meta)["x"]))
    heads = {"main": output.logits, "lesion": output.lesion, "aux1": output.auxiliary[0], "aux2": output.auxiliary[1]}
    assert set(heads) == {name for name in published if "__" not in name}
    for name, head in heads.items():
        errors = recipe.compare(published, name, head.numpy())
        assert errors["max_abs"] < meta["tolerance"]["atol"], name
        assert errors["stats_rel"] < meta["tolerance"]["rtol"], name


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.pth", "last.ckpt", "best.pth.tar"])
def test_every_kind_of_file_is_read(weights: dict[str, Tensor], tmp_path: Path, name: str) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(weights, tmp_path / name)
    module = import_weights(tmp_path / name, network="synapse_net", heads=4)
    assert torch.equal(module.decoder.x31.conv2.weight, weights["decoder.x3_1.conv2.weight"])
    assert not module.training


@pytest.mark.parametrize("prefix", ["module.", "model.", "net.", "_model.", "network.", "model.module.", "net.net."])
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "network_weights"])
def test_wrapped_weights_are_found(weights: dict[str, Tensor], tmp_path: Path, key: str, prefix: str) -> None:
    wrapped = {"epoch": 3, key: {f"{prefix}{name}": tensor for name, tensor in weights.items()}}
    torch.save(wrapped, tmp_path / "last.pth")
    module = import_weights(tmp_path / "last.pth", network="synapse_net", heads=4)
    assert torch.equal(module.heads[0].bias, weights["head_main.bias"])


@pytest.mark.parametrize(
    "number", [np.float64(0.3), np.float32(1), np.float16(1), np.int64(3), np.uint8(1), np.bool_(True), np.arange(3.0)]
)
def test_numbers_of_numpy_beside_the_weights_do_no_harm(
    weights: dict[str, Tensor], tmp_path: Path, number: object
) -> None:
    torch.save({"state_dict": weights, "best_score": number}, tmp_path / "last.pth")
    assert import_weights(tmp_path / "last.pth", network="synapse_net", heads=4)


def test_options_override_what_the_weights_tell(weights: dict[str, Tensor]) -> None:
    module = import_weights(weights, network="synapse_net", heads=4, mode="corrected")
    assert module.arithmetic.gate == "multiply"
    assert not module.tokens.position.any()


class Malicious:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, is_zip: bool) -> None:
    file, canary = tmp_path / "weights.pt", tmp_path / "canary"
    torch.save({"state_dict": Malicious(canary)}, file, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(CheckpointError, match=r"weights\.pt") as caught:
        import_weights(file, network="synapse_net")
    assert "weights_only" not in str(caught.value)
    assert "x1b" not in str(caught.value)
    file.write_bytes(pickle.dumps(Malicious(canary)))
    with pytest.raises(CheckpointError):
        import_weights(file, network="synapse_net")
    assert not canary.exists()
    pickle.loads(file.read_bytes())
    assert canary.exists(), "the trap itself must work"


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.bin"])
@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"\xff" * 64, None])
def test_unsound_files_are_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="weights"):
        import_weights(tmp_path / name, network="synapse_net")


def test_too_few_weights_are_refused(weights: dict[str, Tensor]) -> None:
    part = {name: tensor for name, tensor in weights.items() if not name.startswith("decoder.")}
    with pytest.raises(CheckpointError, match="90%"):
        import_weights(part, network="synapse_net", heads=4)


def test_a_few_missing_weights_are_named_in_the_log(
    weights: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    part = {name: tensor for name, tensor in weights.items() if name != "head_aux1.bias"}
    with caplog.at_level(logging.INFO):
        import_weights(part | {"surplus.running_mean": torch.zeros(1)}, network="synapse_net", heads=4)
    assert "1 missing (first: heads.1.bias), 1 unexpected (first: surplus.running_mean), 0 mismatched" in caplog.text


@pytest.mark.parametrize("surplus", ["decoder.more.weight", "gate", "head_aux3.bias"])
def test_parameters_that_the_network_has_not_are_refused(weights: dict[str, Tensor], surplus: str) -> None:
    with pytest.raises(CheckpointError, match=r"also 1 parameters that it does not have .*100\.0%"):
        import_weights(weights | {surplus: torch.zeros(1)}, network="synapse_net", heads=4)


def test_a_checkpoint_of_nnunet_is_named(weights: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / "checkpoint_final.pth"
    torch.save({"network_weights": weights, "trainer_name": "nnUNetTrainer", "init_args": {}}, file)
    with pytest.raises(CheckpointError, match=r"a checkpoint of nnU-Net .nnUNetTrainer.*cannot be imported"):
        import_weights(file, network="synapse_net")


def test_coverage_sorts_every_name(weights: dict[str, Tensor]) -> None:
    module = import_weights(weights, network="synapse_net", heads=4)
    _, ours = read_published(weights)
    assert coverage_of(module, ours).fraction == 1
    del ours["heads.1.bias"]
    ours |= {"heads.0.bias": torch.zeros(9), "surplus": torch.zeros(1)}
    coverage = coverage_of(module, ours)
    assert (coverage.missing, coverage.mismatched, coverage.unexpected) == (
        ("heads.1.bias",),
        ("heads.0.bias",),
        ("surplus",),
    )
    assert len(coverage.loaded) == len(weights) - 2


def test_names_and_options_are_checked(weights: dict[str, Tensor]) -> None:
    with pytest.raises(NameUnknownError):
        import_weights(weights, network="synapse_nett")
    with pytest.raises(OptionError):
        import_weights(weights, network="synapse_net", head=4)
