"""Window attention and a training step of Swin UNETR, ours and MONAI's, with the same weights."""

import multiprocessing
import resource
from collections.abc import Callable

import torch
from monai.networks.nets.swin_unetr import SwinUNETR, WindowAttention, compute_mask, window_partition, window_reverse
from peers import compare
from torch import Tensor, nn

from lesionlab.blocks.window_attention import WindowAttention as OurWindowAttention
from lesionlab.blocks.windows import cut_windows
from lesionlab.engine.published_weights import import_weights

CHANNELS, HEADS, GRID, WINDOW = 48, 3, (49, 49, 49), (7, 7, 7)
"""The first stage for an image of 98 voxels along each axis: 343 windows, shifted."""

Step = Callable[[], Tensor]


def attention_steps() -> dict[str, Step]:
    """Return forward and backward of shifted-window attention; both give the output."""
    torch.manual_seed(0)
    peer = WindowAttention(CHANNELS, num_heads=HEADS, window_size=WINDOW, qkv_bias=True)
    ours = OurWindowAttention(CHANNELS, heads=HEADS, window=WINDOW, position="learned")
    names = {"proj.": "out.", "relative_position_bias_table": "relative_bias.table"}
    for name, part in peer.named_parameters():
        for theirs, mine in names.items():
            name = name.replace(theirs, mine)
        ours.get_parameter(name).data.copy_(part.data)
    tokens = torch.randn(1, *GRID, CHANNELS, requires_grad=True)

    def our_step() -> Tensor:
        return ours(tokens, cut_windows(GRID, window=7, is_shifted=True, rule="monai", device=tokens.device))

    def peer_step() -> Tensor:
        mask = compute_mask(list(GRID), WINDOW, (3, 3, 3), tokens.device)
        rolled = torch.roll(tokens, (-3, -3, -3), dims=(1, 2, 3))
        found = peer(window_partition(rolled, WINDOW), mask).view(-1, *WINDOW, CHANNELS)
        return torch.roll(window_reverse(found, WINDOW, [1, *GRID]), (3, 3, 3), dims=(1, 2, 3))

    return {"ours": _trained(our_step, ours), "peer": _trained(peer_step, peer)}


def training_steps() -> dict[str, Step]:
    """Return forward and backward of the whole network on one patch of 96 voxels along each axis."""
    torch.manual_seed(0)
    peer = SwinUNETR(in_channels=1, out_channels=1, feature_size=24)
    ours = import_weights(peer.state_dict(), network="swin_unetr").train()
    image = torch.randn(1, 1, 96, 96, 96)
    return {
        "ours": _trained(lambda: ours(image).logits, ours),
        "peer": _trained(lambda: peer(image), peer),
    }


def _trained(forward: Step, module: nn.Module) -> Step:
    def step() -> Tensor:
        module.zero_grad()
        output = forward()
        # The gradient of half the sum of squares, which needs no memory of its own.
        output.backward(output.detach())
        return output.detach()

    return step


def peak_mib(which: str) -> float:
    """Return what one forward and backward of the attention adds to a fresh process's peak memory."""
    step = attention_steps()[which]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    """Write results/window_attention_forward_and_backward.json and results/swin_unetr_training_step.json."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        peaks = dict(zip(("ours", "peer"), fresh.map(peak_mib, ("ours", "peer"), chunksize=1), strict=True))
    print(f"peak memory of the attention, MiB: {peaks}")
    for what, steps, rounds in (
        ("window attention forward and backward", attention_steps(), 7),
        ("swin_unetr training step", training_steps(), 3),
    ):
        difference = (steps["ours"]() - steps["peer"]()).abs().max()
        assert difference < 1e-4, difference
        compare(what, steps["ours"], peer=steps["peer"], peer_name="MONAI's", rounds=rounds)


if __name__ == "__main__":
    main()
