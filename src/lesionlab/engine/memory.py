"""How much memory a batch takes, and how much there is."""

import logging
import math
import resource
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from lesionlab.engine.sample import Sample

logger = logging.getLogger(__name__)

USABLE = 0.8
"""Share of the free memory that a batch may take; the rest is for gradients, workspace and everybody else."""

_GIB = 2.0**30


def choose_parts(
    network: torch.nn.Module, loss: torch.nn.Module, *, sample: Sample, batch: int, device: torch.device, at_least: int
) -> int:
    """Return in how many parts a batch should go through the network, and say what that takes.

    Args:
        network: In training mode; its buffers stay as they are.
        loss: On its output.
        sample: One, on the device, with a batch axis.
        batch: How many samples a step of this process has.
        device: Whose memory counts.
        at_least: Parts, as the recipe says.
    """
    needed, free = activation_bytes(network, loss, sample=sample), free_bytes(device)
    fitting = max(1, int(USABLE * free / max(1, needed)))
    parts = min(batch, max(at_least, math.ceil(batch / fitting)))
    estimate = needed * math.ceil(batch / parts) / _GIB
    text = "memory: about %.2f GiB for %d of %d samples at a time (%.1f MiB each), %.1f GiB free"
    logger.info(text, estimate, math.ceil(batch / parts), batch, needed / 2**20, free / _GIB)
    return parts


def activation_bytes(network: torch.nn.Module, loss: torch.nn.Module, *, sample: Sample) -> int:
    """Return how many bytes a forward pass keeps for the backward pass, weights not counted."""
    known = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    found: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    buffers = [buffer.clone() for buffer in network.buffers()]
    with saved_tensors_hooks(count, lambda tensor: tensor):
        value = loss(network(sample.image), sample.reference, counted=sample.counted)
    del value
    for buffer, before in zip(network.buffers(), buffers, strict=True):
        buffer.copy_(before)
    return sum(found.values())


def free_bytes(device: torch.device) -> int:
    """Return how much memory can still be had on a GPU, or for a CPU in this machine or container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    lines = _read("/proc/meminfo").splitlines()
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdigit() and used.isdigit():
        available.append(int(limit) - int(used))
    return max(0, min(available, default=sys.maxsize))


def used_gib(device: torch.device) -> float:
    """Return the most memory that this process ever had on a GPU, or in the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _GIB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
