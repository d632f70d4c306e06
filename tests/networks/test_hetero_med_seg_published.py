"""HeteroMedSeg: published names become ours, and published weights give the published outputs."""

import importlib.util
import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lesionlab.blocks.bi_level_routing import BiLevelRouting
from lesionlab.core.errors import CheckpointError
from lesionlab.engine.published_weights import coverage_of, import_weights
from lesionlab.networks.hetero_med_seg import HeteroMedSeg
from lesionlab.networks.hetero_med_seg_published import read_biformer, read_published, read_vssd


def on_meta(**options: Any) -> nn.Module:
    with torch.device("meta"):
        return HeteroMedSeg(modalities=3, regions=9, **options)


def empty(shapes: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def published(published_keys: Path) -> dict[str, Tensor]:
    entries = json.loads((published_keys / "hetero_med_seg.json").read_text())
    return empty({name: shape for name, (shape, _) in entries.items()})


@pytest.fixture(scope="module")
def ancestors(published_keys: Path) -> dict[str, dict[str, list[int]]]:
    return json.loads((published_keys / "upstream_vssd_biformer.json").read_text())


@pytest.fixture(scope="module")
def recipe(parity: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_recipe", parity / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_published_name_and_shape_has_its_place(
    published: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    assert len(published) == 467
    options, renamed = read_published(published)
    assert options["bottleneck_depth"] == 0
    assert "bottleneck was never trained" in caplog.text
    with torch.device("meta"):
        ours = HeteroMedSeg(**options | {"bottleneck_depth": 2}).state_dict()
    assert {name: tensor.shape for name, tensor in renamed.items()} == {
        name: tensor.shape for name, tensor in ours.items()
    }


def test_a_profilers_counters_are_dropped(published: dict[str, Tensor], caplog: pytest.LogCaptureFixture) -> None:
    trained = {name: weight for name, weight in published.items() if "stages.3." not in name}
    owners = {name.rpartition(".")[0] for name in trained}
    counters = {f"{owner}.{kind}": torch.zeros(1) for owner in owners for kind in ("total_ops", "total_params")}
    assert read_published(trained | counters)[1].keys() == read_published(trained)[1].keys()
    assert not caplog.records


def test_other_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="HeteroMedSeg"):
        read_published({"conv.weight": torch.zeros(1)})


def test_vssd_starts_the_encoder(ancestors: dict[str, Any]) -> None:
    weights = read_vssd(empty(ancestors["vssd_base"]))
    coverage = coverage_of(on_meta(bottleneck_depth=2), weights)
    assert len(coverage.loaded) == 126
    assert sum(weights[name].numel() for name in coverage.loaded) == pytest.approx(2.62e6, rel=2e-3)
    wide = coverage_of(on_meta(encoder_mlp_ratio=4.0), weights)
    assert not wide.mismatched
    assert not [name for name in wide.missing if name.startswith("stages.")]


def test_smaller_vssd_starts_a_narrower_encoder(ancestors: dict[str, Any]) -> None:
    narrow = on_meta(width=64, encoder_depths=(2, 4, 8), encoder_mlp_ratio=4.0, skip_heads=(16, 8, 8))
    coverage = coverage_of(narrow, read_vssd(empty(ancestors["vssd_tiny"])))
    assert not coverage.mismatched
    assert not [name for name in coverage.missing if name.startswith("stages.")]


def test_biformer_starts_the_decoder_and_the_downsamplers(ancestors: dict[str, Any]) -> None:
    coverage = coverage_of(on_meta(), read_biformer(empty(ancestors["biformer_base"])))
    assert not coverage.mismatched
    assert len([name for name in coverage.loaded if ".blocks." in name]) == 192
    starts = ("downsamplers.", "levels.0.blocks.", "levels.1.blocks.", "levels.2.blocks.")
    assert not [name for name in coverage.missing if name.startswith(starts)]


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["causal_224", "causal_256", "noncausal_224", "noncausal_256"])
def test_outputs_are_the_published_ones(
    recipe: ModuleType, parity: Path, fixture: str, caplog: pytest.LogCaptureFixture
) -> None:
    meta, published = recipe.load_fixture(parity / f"hetero_{fixture}.npz")
    weights = {name: torch.from_numpy(array) for name, array in recipe.recipe_state_dict(meta).items()}
    image = torch.from_numpy(recipe.recipe_input(meta)["x"])
    with caplog.at_level(logging.INFO):
        module = import_weights(
            weights, network="hetero_med_seg", ssd=meta["config"]["ssd_mode"], modalities=image.shape[1]
        )
    assert "(100.0%), 0 missing, 0 unexpected, 0 mismatched" in caplog.text
    chosen = record_chosen_windows(module)
    with torch.inference_mode():
        logits = module(image).logits
    errors = recipe.compare(published, "logits", logits.numpy())
    assert errors["max_abs"] < meta["tolerance"]["atol"]
    assert errors["stats_rel"] < meta["tolerance"]["rtol"]
    routes = {name: np.sort(array) for name, array in published.items() if name.startswith("route_")}
    assert chosen.keys() == routes.keys()
    for name, route in routes.items():
        np.testing.assert_array_equal(chosen[name], route)


def record_chosen_windows(module: nn.Module) -> dict[str, Any]:
    """Fill the returned dictionary, when the network runs, with sorted routes under their published names."""
    chosen: dict[str, Any] = {}
    for level, decoder in enumerate(module.levels, start=1):
        for index, block in enumerate(decoder.blocks):

            def hook(
                attention: BiLevelRouting, inputs: tuple[Tensor], name: str = f"route_layers_up.{level}.blocks.{index}"
            ) -> None:
                chosen[name] = np.sort(attention.chosen_windows(inputs[0]).numpy())

            block.attention.register_forward_pre_hook(hook)
    return chosen
