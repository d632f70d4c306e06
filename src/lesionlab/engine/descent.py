"""One optimisation step: a batch in parts through network and loss, and down the gradient if that is finite."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from lesionlab.core.errors import OptionError
from lesionlab.core.network import Output
from lesionlab.core.shared_batch import shared_batch
from lesionlab.engine.memory import is_out_of_memory
from lesionlab.engine.sample import Sample

logger = logging.getLogger(__name__)

Present = Bool[Tensor, "batch channel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """What one step gave.

    Attributes:
        loss: Mean over the batch, all processes together.
        is_finite: Whether weights were changed; a loss or gradient that is not finite changes none.
        losses: Of each sample of this process, if they were asked for.
    """

    loss: float
    is_finite: bool
    losses: tuple[float, ...]


class Descent:
    """Takes steps; a batch that does not fit into memory goes through in ever smaller parts.

    Args:
        fabric: The device, launched.
        network: Set up by it.
        optimiser: Set up by it.
        loss: On the same device.
        clip_norm: Longest gradient.
        parts: In how many parts a batch goes through the network; their gradients are added up.
        is_itemised: Whether each sample's own loss is wanted.
    """

    def __init__(
        self,
        fabric: Fabric,
        *,
        network: _FabricModule,
        optimiser: _FabricOptimizer,
        loss: nn.Module,
        clip_norm: float,
        parts: int,
        is_itemised: bool,
    ) -> None:
        self._fabric = fabric
        self._network = network
        self._optimiser = optimiser
        self._loss = loss
        self._clip_norm = clip_norm
        self.parts = parts
        self._is_itemised = is_itemised

    def step(self, batch: Sample, *, present: Present | None, seed: int) -> Stepped:
        """Do one step; one that is not finite, or that is broken off, changes no weight and no buffer.

        Args:
            batch: On the device.
            present: Which channels the network is shown; None for all.
            seed: Of dropout and the like in this step.

        Raises:
            OptionError: Not even a single sample fits into memory.
            StopWantedError: As `lesionlab.engine.stopping.Stop` says.
        """
        while True:
            try:
                return self._try(batch, present=present, seed=seed)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._divide_further(len(batch.image), error)

    def _try(self, batch: Sample, *, present: Present | None, seed: int) -> Stepped:
        torch.manual_seed(seed)
        losses: list[float] = []
        value, is_finite = take_step(
            self._fabric,
            self._network,
            self._optimiser,
            backward=lambda: self._backward(batch, present=present, losses=losses),
            clip_norm=self._clip_norm,
        )
        return Stepped(loss=value, is_finite=is_finite, losses=tuple(losses))

    def _backward(self, batch: Sample, *, present: Present | None, losses: list[float]) -> Tensor:
        """Add up the gradients of all parts; return the mean loss, and note each sample's if they are wanted."""
        total = torch.zeros((), device=self._fabric.device)
        parts = list(_parts(batch, present, count=self.parts))
        for number, (part, part_present) in enumerate(parts):
            is_last = number == len(parts) - 1
            with self._fabric.no_backward_sync(self._network, enabled=not is_last):
                output = self._network(part.image, part_present)
                with shared_batch():
                    value = self._loss(output, part.reference, counted=part.counted)
                value = value * (len(part.image) / len(batch.image))
                self._fabric.backward(value)
            total += value.detach()
            if self._is_itemised:
                losses += self._itemise(output, part)
        return total

    @torch.no_grad()
    def _itemise(self, output: Output, part: Sample) -> list[float]:
        return [
            float(self._loss(_item(output, place), part.reference[place], counted=part.counted[place]))
            for place in (slice(number, number + 1) for number in range(len(part.image)))
        ]

    def _divide_further(self, size: int, error: RuntimeError) -> None:
        if self.parts >= size or self._fabric.world_size > 1:  # others would wait for this one for ever
            raise OptionError(
                "memory for one sample at a time" if self.parts >= size else "memory for the batch of each process",
                found=str(error).splitlines()[0],
                where=f"a batch of {size} in {self.parts} parts",
                next_step="--change training.recompute=true, a smaller sampling.size, or a higher training.accumulate",
            ) from error
        self.parts = min(size, 2 * self.parts)
        self._optimiser.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning("out of memory: the batch of %d now goes through in %d parts", size, self.parts)


def take_step(
    fabric: Fabric,
    network: _FabricModule,
    optimiser: _FabricOptimizer,
    *,
    backward: Callable[[], Tensor],
    clip_norm: float,
) -> tuple[float, bool]:
    """Do one optimisation step; one that is not finite, or that is broken off, changes no weight and no buffer.

    Args:
        fabric: The device, launched.
        network: Set up by it.
        optimiser: Set up by it.
        backward: Adds up the gradients and returns the loss of this process.
        clip_norm: Longest gradient.

    Returns:
        The mean loss of all processes, and whether weights were changed.
    """
    network.train()
    optimiser.zero_grad()
    buffers = [buffer.clone() for buffer in network.buffers()]  # batch statistics, which a NaN would spoil
    is_finite = False
    try:
        value = cast("Tensor", fabric.all_reduce(backward().detach(), reduce_op="mean"))
        is_finite = bool(torch.isfinite(value)) and _follow(fabric, network, optimiser, clip_norm=clip_norm)
    finally:
        if not is_finite:
            for buffer, before in zip(network.buffers(), buffers, strict=True):
                buffer.copy_(before)
    return float(value), is_finite


def _follow(fabric: Fabric, network: _FabricModule, optimiser: _FabricOptimizer, *, clip_norm: float) -> bool:
    """Follow the gradient; where it is not finite, change no weight and return False."""
    norm = fabric.clip_gradients(network, optimiser, max_norm=clip_norm, error_if_nonfinite=False)
    is_finite = norm is not None and bool(torch.isfinite(norm))
    has_scaler = bool(fabric.strategy.precision.state_dict())
    if is_finite or has_scaler:  # a loss scaler leaves such a step out by itself, and learns from it
        optimiser.step()
    return is_finite


def _parts(batch: Sample, present: Present | None, *, count: int) -> Iterator[tuple[Sample, Present | None]]:
    count = min(count, len(batch.image))
    pieces = zip(*(tensor.tensor_split(count) for tensor in batch), strict=True)
    shown = [None] * count if present is None else present.tensor_split(count)
    for piece, part_present in zip(pieces, shown, strict=True):
        yield Sample(*piece), part_present


def _item(output: Output, place: slice) -> Output:
    return Output(
        logits=output.logits[place],
        auxiliary=tuple(logits[place] for logits in output.auxiliary),
        lesion=None if output.lesion is None else output.lesion[place],
    )
