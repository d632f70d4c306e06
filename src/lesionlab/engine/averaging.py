"""A running average of a network's weights, steadier than the weights of any one step."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of parameters and buffers.

    Early on less is kept than `decay` says, so that the first, random weights are soon forgotten: at step n at most
    (1 + n) / (10 + n). Whole numbers, such as a counter of batches, are copied.

    Args:
        network: Whose weights are averaged; they are where the average begins.
        decay: Share of the earlier average that is kept at each step.

    Source: Polyak and Juditsky, doi:10.1137/0330046; the warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, *, step: int) -> None:
        """Move the average towards the weights after `step`."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        current = network.state_dict()
        for name, averaged in self.network.state_dict().items():
            if averaged.is_floating_point():
                averaged.lerp_(current[name], share)
            else:
                averaged.copy_(current[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return the average by the network's own names."""
        return self.network.state_dict()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from an average that was saved."""
        self.network.load_state_dict(dict(tensors))
