"""Published names become ours."""

import json
from pathlib import Path

import pytest
import torch

from lesionlab.core.errors import CheckpointError
from lesionlab.networks.synapse_net import SynapseNet
from lesionlab.networks.synapse_net_published import read_published


@pytest.mark.parametrize("file", ["synapse_2mod.json", "synapse_4mod.json"])
def test_every_published_name_and_shape_has_its_place(published_keys: Path, file: str) -> None:
    published = json.loads((published_keys / file).read_text())["state_dict"]
    weights = {name: torch.empty(entry["shape"], device="meta") for name, entry in published.items()}
    options, renamed = read_published(weights)
    with torch.device("meta"):
        ours = SynapseNet(**options).state_dict()
    assert {name: tensor.shape for name, tensor in renamed.items()} == {
        name: tensor.shape for name, tensor in ours.items()
    }


def test_other_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="SYNAPSE-Net"):
        read_published({"conv.weight": torch.zeros(1)})
