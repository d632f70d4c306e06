"""How much memory a batch takes, and how much there is."""

import logging
import math
import re
import resource
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lesionlab.core.errors import PredictionError
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
    """Return how many bytes a forward and a backward pass hold at their peak: features and their gradients.

    Weights and their gradients are not counted, since a larger batch has no more of them. What activation checkpointing
    (`recompute`) forgets counts while it is there again.
    """
    buffers = [buffer.clone() for buffer in network.buffers()]
    image = sample.image.detach().requires_grad_()
    known = (*network.parameters(), *network.buffers(), *loss.parameters(), *loss.buffers(), *sample)
    with _HeldStorages(known) as held:
        value = loss(network(image), sample.reference, counted=sample.counted)
        torch.autograd.grad(value, image, allow_unused=True)  # through all features; no gradient of a weight is kept
    for buffer, before in zip(network.buffers(), buffers, strict=True):
        buffer.copy_(before)
    return int(held.peak_bytes)


class _HeldStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up, after every operation, what all tensors that were made within hold.

    Args:
        known: Tensors that do not count.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._bytes: dict[int, int] = {}
        self._total_bytes = self.peak_bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._follow(leaf.untyped_storage())
        self.peak_bytes = max(self.peak_bytes, self._total_bytes)
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        """Count a storage until PyTorch lets go of it, whoever keeps it: a variable, or the way back."""
        if storage._cdata in self._known or storage._cdata in self._bytes:
            return
        self._bytes[storage._cdata] = storage.nbytes()
        self._total_bytes += storage.nbytes()
        weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key: int) -> None:
        self._total_bytes -= self._bytes.pop(key)


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


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether there was no memory left, on a GPU or on a CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def out_of_memory(error: BaseException, *, device: torch.device, where: str) -> PredictionError:
    """Return the refusal of a case that does not fit into memory, with what was asked for and what is free.

    Args:
        error: Of which `is_out_of_memory` holds.
        device: That the network is on; it is the CPU's memory that counts where NumPy or PyTorch's CPU had none left.
        where: What was being predicted.
    """
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        device = torch.device("cpu")
    asked = re.search(r"allocate ([\d.]+) ?(\w+)", str(error))
    amount = f"another {asked[1]} {asked[2]}" if asked else "more"
    advice = "use a GPU with more memory, or the CPU (set CUDA_VISIBLE_DEVICES to nothing)"
    return PredictionError(
        f"{amount} of memory",
        found=f"{free_bytes(device) / _GIB:.1f} GiB free",
        where=where,
        next_step=advice if device.type == "cuda" else "close other programs, or use a machine with more memory",
    )


@contextmanager
def within_memory(device: torch.device, *, where: str) -> Iterator[None]:
    """Turn running out of memory into the refusal of one case; every other error passes.

    Raises:
        PredictionError: There was no memory left.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(error, device=device, where=where) from error


def used_gib(device: torch.device) -> float:
    """Return the most memory that this process ever had on a GPU, or in the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _GIB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
