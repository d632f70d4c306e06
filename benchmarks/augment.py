"""Geometry of an augmentation: our one resampling beside MONAI's chain of affine, elastic deformation and flips.

Both turn, magnify, deform and flip the same block of two modalities and its mask every time. MONAI's dictionary
transforms resample twice, once for the affine map and once for the deformation, which they also smooth on every voxel.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from monai.data import set_track_meta
from monai.transforms import Compose, Rand2DElasticd, Rand3DElasticd, RandAffined, RandFlipd
from peers import compare

from lesionlab.transforms.spatial_and_intensity import SpatialAndIntensity

DEGREES, MAGNIFICATION, VOXELS, SPACING = 20.0, 0.2, 3.0, 24
BOTH, MODES = ("image", "label"), ("bilinear", "nearest")


def ours(image: np.ndarray, label: np.ndarray) -> Callable[[], object]:
    """Return our augmentation with every geometry certain and no intensity."""
    parts = dict.fromkeys(("blur", "noise", "gamma", "intensity"), 0.0)
    augment = SpatialAndIntensity(
        flip=1.0,
        affine=1.0,
        rotation_degrees=DEGREES,
        tilt_degrees=DEGREES,
        scale_range=(1 - MAGNIFICATION, 1 + MAGNIFICATION),
        elastic=1.0,
        elastic_voxels=VOXELS,
        elastic_spacing=SPACING,
        **parts,
    )
    generator = np.random.default_rng(0)
    return lambda: augment(image, label, generator=generator)


def with_monai(image: np.ndarray, label: np.ndarray) -> Callable[[], object]:
    """Return MONAI's chain, on plain tensors, which is its faster way."""
    set_track_meta(False)
    axes = label.ndim
    shared = {"prob": 1.0, "mode": MODES, "padding_mode": "border"}
    if axes == 3:
        elastic = Rand3DElasticd(BOTH, sigma_range=(8.0, 8.0), magnitude_range=(100.0, 200.0), **shared)
    else:
        elastic = Rand2DElasticd(BOTH, spacing=(SPACING, SPACING), magnitude_range=(VOXELS, VOXELS), **shared)
    radians = [float(np.deg2rad(DEGREES))] * (3 if axes == 3 else 1)
    chain = Compose(
        [
            RandAffined(BOTH, rotate_range=radians, scale_range=[MAGNIFICATION] * axes, **shared),
            elastic,
            *(RandFlipd(BOTH, prob=1.0, spatial_axis=axis) for axis in range(axes)),
        ]
    )
    sample = {"image": torch.from_numpy(image), "label": torch.from_numpy(label[None].astype(np.float32))}
    return lambda: chain(dict(sample))


def main() -> None:
    """Write results/augment_*.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = np.random.default_rng(0)
    for what, shape in (("augment a patch of 128", (128, 128, 128)), ("augment a slice of 256", (256, 256))):
        image = generator.standard_normal((2, *shape), dtype=np.float32)
        label = (generator.random(shape) < 0.05).astype(np.uint8)
        run, peer = ours(image, label), with_monai(image, label)
        compare(what, run, peer=peer, peer_name="MONAI's chain of affine, elastic and flips", rounds=arguments.rounds)


if __name__ == "__main__":
    main()
