"""Sums and means over a batch that several processes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

_is_shared: ContextVar[bool] = ContextVar("is_shared", default=False)


@contextmanager
def shared_batch() -> Iterator[None]:
    """Let sums and means be those of the batch of all processes, of which each holds an equal number of samples.

    Every process must enter it, and compute the same loss there. Their gradients are then to be averaged, as
    distributed data parallel does; the result is the gradient of one process with the whole batch.
    """
    before = _is_shared.set(torch.distributed.is_available() and torch.distributed.is_initialized())
    try:
        yield
    finally:
        _is_shared.reset(before)


def batch_sum(values: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """Return the sum over all processes within `shared_batch`, and elsewhere what is given."""
    if not _is_shared.get():
        return values
    total: Tensor = _SumOverProcesses.apply(values)  # type: ignore[no-untyped-call]  # torch's annotations stop here
    return total


def batch_mean(total: Float[Tensor, "*any"], count: Shaped[Tensor, ""]) -> Float[Tensor, "*any"]:
    """Return a sum divided by a count, each that of all processes within `shared_batch`; 0 where nothing was counted.

    Args:
        total: Of this process. The mean over processes of what is returned is the mean of the whole batch.
        count: Of this process.
    """
    processes = torch.distributed.get_world_size() if _is_shared.get() else 1
    return total * processes / batch_sum(count).clamp(min=1)


class _SumOverProcesses(torch.autograd.Function):
    """The sum over processes; each goes on to the same loss with it, so the gradient of one stands for those of all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004  # torch's signature
        together = values.clone()
        torch.distributed.all_reduce(together)
        return together

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004  # torch's signature
        return gradients[0] * torch.distributed.get_world_size()
