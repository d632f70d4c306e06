"""A training step of HeteroMedSeg: our formulation of its operators, and their definitions word for word.

Both have the same weights and give the same logits. Run with a thread per core; memory is measured in a process each.
"""

import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from einops import rearrange
from peers import compare
from torch import Tensor

sys.path.append(str(Path(__file__).parents[1] / "tests" / "blocks"))
import hetero_literal as literal

from lesionlab.blocks.bi_level_routing import BiLevelRouting
from lesionlab.blocks.depthwise import DepthwiseConv
from lesionlab.blocks.patch_expand import PatchExpand
from lesionlab.blocks.scsa import Scsa
from lesionlab.blocks.state_space import SCANS
from lesionlab.core.network import Output
from lesionlab.networks.hetero_med_seg import HeteroMedSeg

BATCH, SIDE, REGIONS = 4, 224, 9


def literal_forward(module: HeteroMedSeg, image: Tensor) -> Output:
    """Bring all channels to full size before the head, as published."""
    tokens = module._decoded(module._encoded(image))
    maps = rearrange(literal.patch_expand(module.expand, module.norm(tokens)), "b y x c -> b c y x")
    return Output(logits=F.conv2d(maps.contiguous(), module.head.weight[..., None, None]))


@contextmanager
def literal_operators() -> Iterator[None]:
    """Put the definitions in the place of our operators."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(SCANS, {"noncausal": literal.noncausal_scan}))
        for kind, forward in (
            (BiLevelRouting, literal.bi_level_routing),
            (DepthwiseConv, literal.depthwise),
            (PatchExpand, literal.patch_expand),
            (Scsa, literal.scsa),
            (HeteroMedSeg, literal_forward),
        ):
            stack.enter_context(patch.object(kind, "forward", forward))
        yield


class Step:
    """Forward and backward on one batch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = HeteroMedSeg(modalities=3, regions=REGIONS, drop_path=0.0)
        self.image = torch.randn(BATCH, 3, SIDE, SIDE)

    def ours(self) -> Tensor:
        """Run as we formulate it."""
        self.network.zero_grad()
        logits = self.network(self.image).logits
        logits.square().mean().backward()
        return logits.detach()

    def literal(self) -> Tensor:
        """Run as it is defined."""
        with literal_operators():
            return self.ours()


def peak_mib(kind: str) -> int:
    """Return the most memory that a process of one step ever held."""
    getattr(Step(), kind)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Print both peaks of memory and write results/hetero_med_seg_training_step.json."""
    # Memory first: a process starts with the peak of the one that it was made by.
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for kind in ("ours", "literal"):
            print(f"peak memory, {kind}: {pool.apply(peak_mib, (kind,))} MiB")
    step = Step()
    difference = (step.ours() - step.literal()).abs().max().item()
    print(f"largest difference of logits: {difference:.1e}")
    compare("hetero_med_seg training step", step.ours, peer=step.literal, peer_name="the literal formulation", rounds=3)


if __name__ == "__main__":
    main()
