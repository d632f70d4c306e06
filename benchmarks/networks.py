"""Every network at one size: parameters, arithmetic, time and memory of a training step; MONAI's class beside ours.

Each network has a process of its own with one thread, so that the peak of memory is its own. A peer has the same sizes,
not the same weights. Networks for slices see 2 x 208 x 208, those for volumes 64 x 64 x 64, of two modalities.
"""

import json
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import torch
from peers import RESULTS, machine, memory_mb
from torch import nn

import lesionlab.networks  # noqa: F401 - registers them
from lesionlab.core.network import network
from lesionlab.engine.arithmetic import forward_gigaflops

SPACES = {2: (208, 208), 3: (64, 64, 64)}
ROUNDS = 3


def main() -> None:
    """Print one line per network and write results/networks.json, which is whole after each of them."""
    found: dict[str, Any] = {}
    RESULTS.mkdir(exist_ok=True)
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name in network:
            found[name] = {"ours": pool.apply(measure, (name, False))}
            if name in PEERS:
                found[name]["monai"] = pool.apply(measure, (name, True))
            print(name, found[name], flush=True)
            text = json.dumps({"networks": found, "rounds": ROUNDS, **machine()}, indent=1)
            (RESULTS / "networks.json").write_text(text + "\n", encoding="utf-8")


def measure(name: str, is_peer: bool) -> dict[str, float]:
    """Return what one training step costs: forward, backward, in single precision."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = PEERS[name]() if is_peer else network.build(name, modalities=2, regions=1)
    facts: dict[str, float] = {"parameters": sum(part.numel() for part in module.parameters())}
    axes = network.get(name).spatial_dims
    channels = 4 if getattr(network.get(name), "sees_mirror", False) and not is_peer else 2
    image = torch.randn(1, channels, *SPACES[axes])
    before_mb = memory_mb("VmRSS")
    seconds = [_step(module, image) for _ in range(1 + ROUNDS)][1:]
    facts["step_s"] = round(statistics.median(seconds), 3)
    facts["step_mb"] = round(memory_mb("VmHWM") - before_mb)
    if not is_peer:
        with torch.device("meta"):
            hollow = network.build(name, modalities=2, regions=1)
        facts["forward_gigaflops"] = round(forward_gigaflops(hollow, SPACES[axes]), 2)
    return facts


def _step(module: nn.Module, image: torch.Tensor) -> float:
    started = time.perf_counter()
    module.zero_grad()
    said = module(image)
    logits = said.logits if hasattr(said, "logits") else said[0] if isinstance(said, list) else said
    logits.square().mean().backward()
    return time.perf_counter() - started


def _swin_unetr() -> nn.Module:
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(in_channels=2, out_channels=1, feature_size=48)


def _unet(residual_units: int) -> nn.Module:
    from monai.networks.nets import UNet

    return UNet(
        spatial_dims=3,
        in_channels=2,
        out_channels=1,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=residual_units,
    )


PEERS: dict[str, Callable[[], nn.Module]] = {
    "saca_swin": _swin_unetr,
    "swin_unetr": _swin_unetr,
    "unet": lambda: _unet(0),
    "res_unet": lambda: _unet(2),
}

if __name__ == "__main__":
    main()
