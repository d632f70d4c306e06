"""How large patches or slices can be, where a recipe leaves that to the plan."""

import logging
import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric

from lesionlab.core.loss import loss
from lesionlab.core.network import Network, network
from lesionlab.core.recipe import Choice, Recipe
from lesionlab.engine.acceleration import lay_out
from lesionlab.engine.memory import USABLE, activation_bytes
from lesionlab.engine.ranks import largest as largest_of_all
from lesionlab.engine.sample import Sample
from lesionlab.engine.store import StoredCase

logger = logging.getLogger(__name__)

STRIDE = 32
"""Voxels of the image per voxel of the coarsest features, for networks that name no `stride`."""

_GIB = 2.0**30


def with_size(recipe: Recipe, cases: Sequence[StoredCase], *, outputs: int, fabric: Fabric, free_bytes: int) -> Recipe:
    """Return the recipe with the largest size of patches or slices that fits into memory, and say what that takes.

    It starts from the median case in whole strides of the network, or all of an axis that is shorter than two, and
    halves the longest axis until a batch, in the parts that the recipe asks for, fits. No axis gets shorter than two
    strides; what then still does not fit goes through in more parts. A network with an option `patch` is built for
    that size. Several processes agree on one.

    Args:
        recipe: With all options completed; its size, if it has one, is not looked at.
        cases: To learn from.
        outputs: Channels of logits.
        fabric: The device, launched.
        free_bytes: Memory at hand.
    """
    kind = cast("type[Network]", network.get(recipe.network.name))
    stride = int(getattr(kind, "stride", STRIDE))
    shapes = np.array([case.geometry.box.shape for case in cases])
    sides = np.median(shapes, axis=0)[: kind.spatial_dims].astype(int).tolist()
    largest = tuple(_in_strides(side, stride) for side in sides)
    probe = sized(recipe, tuple(min(side, 2 * stride) for side in largest))
    per_voxel = _bytes_per_sample(probe, outputs=outputs, fabric=fabric) / math.prod(probe.sampling.size)
    batch = math.ceil(recipe.training.batch / (fabric.world_size * recipe.training.accumulate))
    free_bytes = -int(largest_of_all(fabric, -float(free_bytes)))  # of the process that has least
    room = int(USABLE * free_bytes / (batch * per_voxel))
    size: tuple[int, ...] = fabric.broadcast(fitting_size(largest, voxels=room, stride=stride))
    estimate = batch * per_voxel * math.prod(size) / _GIB
    text = "size: %s voxels, about %.2f GiB for %d samples at a time, %.1f GiB free"
    logger.info(text, " x ".join(map(str, size)), estimate, batch, free_bytes / _GIB)
    return sized(recipe, size)


def fitting_size(largest: Sequence[int], *, voxels: int, stride: int) -> tuple[int, ...]:
    """Return a size of at most so many voxels: the largest one with its longest axes halved, in whole strides.

    Axes of two strides or less are not halved, so the result may have more voxels.
    """
    size = list(largest)
    while math.prod(size) > voxels and max(size) > 2 * stride:
        longest = size.index(max(size))
        size[longest] = max(2 * stride, size[longest] // 2 // stride * stride)
    return tuple(size)


def sized(recipe: Recipe, size: tuple[int, ...]) -> Recipe:
    """Return the recipe with a size of samples; a network that is built for a patch is built for this one."""
    sampling = recipe.sampling.model_copy(update={"size": size})
    options = recipe.network.options
    if isinstance(options.get("patch"), tuple):
        options = options | {"patch": size}
    return recipe.model_copy(
        update={"sampling": sampling, "network": Choice(name=recipe.network.name, options=options)}
    )


def _in_strides(side: int, stride: int) -> int:
    """Return the most whole strides in a side; one that is shorter than two strides stays as it is."""
    return side if side < 2 * stride else side // stride * stride


def _bytes_per_sample(recipe: Recipe, *, outputs: int, fabric: Fabric) -> int:
    """Return what one sample of the recipe's size takes: measured on a small one, since a large one may not fit."""
    built = network.build(recipe.network.name, modalities=recipe.channels, regions=outputs, **recipe.network.options)
    trained = lay_out(built, recipe.training).to(fabric.device).train()
    judge = loss.build(recipe.loss.name, **recipe.loss.options).to(fabric.device)
    channels = recipe.channels * (2 if getattr(built, "sees_mirror", False) else 1)
    targets = outputs - (recipe.classes == "values")
    size, device = recipe.sampling.size, fabric.device
    sample = Sample(
        torch.zeros(1, channels, *size, device=device),
        torch.zeros(1, targets, *size, device=device),
        torch.ones(1, 1, *size, dtype=torch.bool, device=device),
    )
    with fabric.autocast():
        return activation_bytes(trained, judge, sample=sample)
