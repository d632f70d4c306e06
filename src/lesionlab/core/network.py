"""What every network takes and gives."""

import typing
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lesionlab.core.registry import Registry


class Output(typing.NamedTuple):
    """What a network says about a batch, in training and in evaluation alike.

    A named tuple, not a dataclass: mixed precision, data parallelism and export all know how to look inside it.

    Attributes:
        logits: One channel per region, on the input's grid.
        auxiliary: Logits of deeper heads, finest first; each may be coarser than the input.
        lesion: Logits of a coarse map of lesion presence, or None for a network that has no such head.
    """

    logits: Float[Tensor, "batch region *space"]
    auxiliary: tuple[Float[Tensor, "batch region *_"], ...] = ()
    lesion: Float[Tensor, "batch 1 *coarse"] | None = None


class Network(typing.Protocol):
    """A `torch.nn.Module` from images to `Output`.

    A constructor takes ``modalities`` (how many), ``regions`` (how many) and options of its own, all by keyword. A
    class with ``sees_mirror = True`` gets twice as many channels: the image's, then those of its left-right mirror
    image. A class with ``is_classifier = True`` gives one logit per class for the whole image, and none per voxel.
    ``stride`` says how many voxels of the image, along an axis, one of the coarsest features stands for; 32 where a
    class does not say.
    """

    spatial_dims: ClassVar[Literal[2, 3]]

    def __call__(
        self, image: Float[Tensor, "batch modality *space"], present: Bool[Tensor, "batch modality"] | None = None
    ) -> Output:
        """Return what the network says; `present` tells which modalities were measured (None: all)."""
        ...


@typing.runtime_checkable
class Diagnosed(typing.Protocol):
    """A network that can say in numbers what goes on inside it; training records them with every validation."""

    def diagnose(self, image: Float[Tensor, "batch modality *space"]) -> dict[str, float]:
        """Return numbers by name for one batch, in evaluation mode."""
        ...


@typing.runtime_checkable
class Divided(typing.Protocol):
    """A network, or part of one, that names the blocks whose inside activation checkpointing forgets and recomputes.

    One without this method is divided into its children and those of each `torch.nn.ModuleList`; a child that names its
    own blocks is divided further. Blocks lie beside each other, never within one another, and are called as modules.
    """

    def recomputed_blocks(self) -> Iterable[torch.nn.Module]:
        """Return the blocks."""
        ...


def recomputed_blocks(network: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Yield the blocks of a network that activation checkpointing recomputes one at a time."""
    if isinstance(network, Divided):
        yield from network.recomputed_blocks()
        return
    for child in network.children():
        if isinstance(child, torch.nn.ModuleList | Divided):
            yield from recomputed_blocks(child)
        elif next(child.parameters(), None) is not None:
            yield child


def outermost(network: torch.nn.Module, *kinds: type[torch.nn.Module]) -> Iterator[torch.nn.Module]:
    """Yield the modules of these kinds that lie within no other of them."""
    for child in network.children():
        if isinstance(child, kinds):
            yield child
        else:
            yield from outermost(child, *kinds)


network: Registry[torch.nn.Module] = Registry("network")
