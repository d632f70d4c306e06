"""The running average of weights."""

import pytest
import torch
from torch import nn

from lesionlab.engine.averaging import WeightAverage


def network(value: float) -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)
    return module


def test_it_moves_by_its_decay_and_sooner_at_the_beginning():
    average = WeightAverage(network(0.0), decay=0.5)
    average.update(network(1.0), step=0)
    assert float(average.tensors()["0.weight"][0, 0]) == pytest.approx(0.9)
    average.update(network(1.0), step=100)
    assert float(average.tensors()["0.weight"][0, 0]) == pytest.approx(0.95)


def test_counters_are_copied_and_the_network_is_left_alone():
    trained = network(1.0)
    average = WeightAverage(trained, decay=0.9)
    trained(torch.randn(4, 2))
    average.update(trained, step=0)
    assert int(average.tensors()["1.num_batches_tracked"]) == 1
    assert float(next(trained.parameters()).detach().mean()) == 1.0
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert not average.network.training


def test_it_is_gone_on_with():
    first, second = (WeightAverage(network(value), decay=0.9) for value in (1.0, 2.0))
    second.load(first.tensors())
    assert all(torch.equal(value, second.tensors()[name]) for name, value in first.tensors().items())
