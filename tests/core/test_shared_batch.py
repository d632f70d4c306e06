"""What several processes compute of one batch is what one process computes of it."""

import socket
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import lesionlab.losses  # noqa: F401 - registers the losses
from lesionlab.core.loss import loss
from lesionlab.core.network import Output
from lesionlab.core.shared_batch import batch_mean, batch_sum, shared_batch

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in loss),
    ("dice", {"over": "item", "absent": "skip"}),
    ("dice", {"absent": "skip", "squared": True}),
    ("dice", {"absent": "count", "background": True}),
    ("synapse_net_binary", {"mode": "reference"}),
    ("synapse_net_multiclass", {"mode": "reference"}),
]


class Heads(nn.Module):
    """A network with every kind of head and without batch statistics."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(2, outputs, 3, padding=1)
        self.presence = nn.Conv2d(2, 1, 4, stride=4)

    def forward(self, image: Tensor) -> Output:
        logits = self.body(image)
        return Output(logits=logits, auxiliary=(F.avg_pool2d(logits, 2),), lesion=self.presence(image))


def unequal_batch(targets: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return images, reference and counted voxels of four samples that have little in common, one without lesion."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(4, 2, 16, 16, generator=generator)
    reference = torch.zeros(4, 1, 16, 16)
    reference[0, :, 2:12, 2:12] = reference[1, :, 3:5, 3:5] = reference[2, :, 8:10, 7] = 1
    counted = torch.ones(4, 1, 16, 16, dtype=torch.bool)
    counted[0, :, :9] = counted[2, :, :, 11:] = False
    if targets == "categories":
        reference = torch.cat([1 - reference, reference], dim=1)
    return image, reference, counted


def gradient(network: nn.Module, name: str, options: dict[str, Any], part: slice) -> tuple[Tensor, Tensor]:
    targets = sorted(loss.get(name).takes)[0]
    image, reference, counted = unequal_batch(targets)
    network.zero_grad()
    value = loss.build(name, **options)(network(image[part]), reference[part], counted=counted[part])
    value.backward()
    given = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
    return value.detach(), torch.cat(given)


def compare_with_one_process(rank: int, port: int) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    for name, options in OPTIONS:
        torch.manual_seed(0)
        network = Heads(1 if loss.get(name).takes & {"regions"} else 2)
        whole, alone = gradient(network, name, options, slice(None))
        shared = DistributedDataParallel(network, find_unused_parameters=True)
        with shared_batch():
            value, together = gradient(shared, name, options, slice(rank, None, 2))
        torch.distributed.all_reduce(value)
        torch.testing.assert_close(value / 2, whole, rtol=0, atol=1e-6, msg=lambda text: f"{name} {options}: {text}")  # noqa: B023
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-6, msg=lambda text: f"{name} {options}: {text}")  # noqa: B023
        assert alone.abs().max() > 1e-3
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_for_every_loss_with_ignored_voxels():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(compare_with_one_process, args=(port,), nprocs=2)


def test_a_process_alone_adds_up_nothing():
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    with shared_batch():
        assert batch_sum(values) is values
        torch.testing.assert_close(batch_mean(values.sum(), torch.tensor(2)), values.mean())
        assert batch_mean(torch.zeros(()), torch.tensor(0)) == 0
