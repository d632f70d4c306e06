"""What makes a training faster or smaller without changing what it computes."""

import functools
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, noop_context_fn

from lesionlab.core.network import recomputed_blocks
from lesionlab.core.recipe import Training
from lesionlab.engine.exact_convolutions import keep_thin_convolutions_exact
from lesionlab.engine.sample import Sample

logger = logging.getLogger(__name__)


def lay_out(network: nn.Module, settings: Training) -> nn.Module:
    """Return the network with its kernels laid out, and its blocks set to recompute, as the settings say.

    Where bfloat16 would make gradients arbitrary, it keeps float32: see `keep_thin_convolutions_exact`.
    """
    keep_thin_convolutions_exact(network)
    if settings.channels_last:
        spatial_dims = int(network.spatial_dims)  # type: ignore[arg-type]  # registered networks have it
        network = network.to(memory_format=memory_format(spatial_dims))  # type: ignore[call-overload]  # torch's stub
    if settings.recompute:
        for block in recomputed_blocks(network):
            contexts = functools.partial(_contexts, block) if list(block.buffers()) else noop_context_fn
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)
    return network


def memory_format(spatial_dims: int) -> torch.memory_format:
    """Return torch's layout in which the channels of one voxel lie beside each other."""
    return torch.channels_last if spatial_dims == 2 else torch.channels_last_3d


def compile_or_not(network: nn.Module, forward: nn.Module, *, loss: nn.Module, sample: Sample) -> bool:
    """Compile the network in place, try it forwards and backwards once, and take it back where that fails.

    Args:
        network: Gets a compiled call; the names of its weights stay.
        forward: What a step calls, with the network inside.
        loss: On its output.
        sample: One, on the device, with a batch axis.

    Returns:
        Whether the network is compiled now.
    """
    buffers = [buffer.clone() for buffer in network.buffers()]
    try:
        network.compile()
        loss(forward(sample.image), sample.reference, counted=sample.counted).backward()
    except (
        Exception
    ) as error:  # whatever a compiler throws: it is only an attempt, and it is not passed over in silence
        network._compiled_call_impl = None  # torch has no public way back
        logger.warning("torch.compile does not work here, training goes on without: %s", str(error).splitlines()[:1])
        return False
    finally:
        network.zero_grad()
        for buffer, before in zip(network.buffers(), buffers, strict=True):
            buffer.copy_(before)
    return True


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return what surrounds a block's first pass, and its second."""
    return nullcontext(), _buffers_kept(block)


@contextmanager
def _buffers_kept(block: nn.Module) -> Iterator[None]:
    """Give a block's buffers back as they were: batch norms take in every pass, and a second one would count twice."""
    buffers = [(buffer, buffer.clone()) for buffer in block.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
