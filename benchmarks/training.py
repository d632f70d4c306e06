"""Samples per second of a 2-D training: our loop and a plain loop of PyTorch and MONAI, with the same network."""

import json
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.losses import DiceCELoss
from monai.transforms import Compose, RandFlipd, RandGaussianNoised, RandScaleIntensityd, RandSpatialCropd
from peers import RESULTS, machine

import lesionlab

SIZE, BATCH, STEPS, ROUNDS = (96, 96), 4, 15, 5
"""Five short rounds in turns, so that a machine that is busy for a while slows both."""

NETWORK = {"widths": [8, 12, 16, 24, 32], "token_channels": 32, "heads": 4, "token_grid": 6}
RECIPE = """
name = "benchmark"
modalities = ["flair", "t1"]
[network]
name = "synapse_net"
options = {{ widths = {widths}, token_channels = {token_channels}, heads = {heads}, token_grid = {token_grid} }}
[loss]
name = "dice_cross_entropy"
options = {{ auxiliary_weights = [] }}
[sampling]
size = [{size[0]}, {size[1]}]
factor = 1
bonus = 0
[augmentation]
name = "flips_and_intensity"
[training]
steps = {steps}
batch = {batch}
precision = "float32"
[validation]
every = 1000
[inference]
overlap = 0.0
"""


def main() -> None:
    """Write results/train_slices.json."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volumes = [_make_case(folder / "data", seed) for seed in range(4)]
        recipe = folder / "benchmark.toml"
        recipe.write_text(RECIPE.format(**NETWORK, size=SIZE, steps=STEPS, batch=BATCH), encoding="utf-8")
        ours, waits, peers = [], [], []
        for number in range(ROUNDS):
            speed, wait = _ours(recipe, folder, number)
            ours.append(speed)
            waits.append(wait)
            peers.append(_peer(volumes))
    result = {
        "what": "train slices",
        "peer": "a plain loop of PyTorch with MONAI's CacheDataset, transforms and DiceCELoss",
        "samples_per_second": {"ours": round(float(np.median(ours)), 2), "peer": round(float(np.median(peers)), 2)},
        "times_faster": round(float(np.median(np.array(ours) / np.array(peers))), 2),
        "data_wait_share": round(float(np.median(waits)), 3),
        "rounds": ROUNDS,
        **machine(),
    }
    file = RESULTS / "train_slices.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1), file)


def _make_case(folder: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Write one made case as wmh2017 has it; return its normalised image and its mask."""
    generator = np.random.default_rng(seed)
    image = generator.normal(300, 40, (2, 160, 176, 16)).astype(np.float32)
    mask = np.zeros(image.shape[1:], np.uint8)
    for x, y in generator.integers(20, 130, (6, 2)):
        mask[x : x + 9, y : y + 7, 3:12] = 1
    image[0, mask > 0] += 300
    case = folder / "training" / "Utrecht" / str(seed)
    (case / "pre").mkdir(parents=True)
    for file, array in (("pre/FLAIR.nii.gz", image[0]), ("pre/T1.nii.gz", image[1]), ("wmh.nii.gz", mask)):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), case / file)
    return (image - image.mean()) / image.std(), mask


def _ours(recipe: Path, folder: Path, number: int) -> tuple[float, float]:
    """Return samples per second and the share of the time spent waiting for samples."""
    out = folder / f"run{number}"
    lesionlab.train(str(recipe), f"wmh2017:{folder / 'data'}", out, store=folder / "store")
    line = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return BATCH * line["steps_per_second"], line["data_wait_share"]


def _peer(volumes: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return samples per second of a plain loop."""
    slices = [
        {"image": torch.from_numpy(image[..., z].copy()), "label": torch.from_numpy(mask[None, ..., z].copy()).float()}
        for image, mask in volumes
        for z in range(mask.shape[-1])
    ]
    both = ["image", "label"]
    transforms = Compose(
        [
            RandSpatialCropd(both, SIZE, random_size=False),
            RandFlipd(both, prob=0.5, spatial_axis=0),
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandScaleIntensityd("image", 0.2, prob=0.5),
            RandGaussianNoised("image", prob=0.5, std=0.1),
        ]
    )
    loader = DataLoader(CacheDataset(slices, transforms, progress=False), batch_size=BATCH, shuffle=True)
    network = lesionlab.build_network("synapse_net", modalities=2, regions=1, **NETWORK).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    loss = DiceCELoss(sigmoid=True, batch=True)
    started, steps = time.monotonic(), 0
    while steps < STEPS:
        for batch in loader:
            optimiser.zero_grad()
            value = loss(network(batch["image"].as_tensor()).logits, batch["label"].as_tensor())
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            steps += 1
            if steps == STEPS:
                break
    return STEPS * BATCH / (time.monotonic() - started)


if __name__ == "__main__":
    main()
