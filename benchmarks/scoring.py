"""Dice and the 95 % Hausdorff distance of one case: ours and MONAI's, both in the max-of-two convention."""

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from peers import compare
from scipy.ndimage import gaussian_filter

import lesionlab

SPACING_MM = (1.0, 1.0, 3.0)


def lesions(seed: int) -> np.ndarray:
    """Return scattered blobs, about one voxel in 500, in a volume as large as a head."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((182, 218, 60)), 2)
    return noise > np.quantile(noise, 0.998)


def main() -> None:
    """Write results/score_one_case.json."""
    reference = lesions(0)
    predicted = np.roll(reference, 1, axis=0) | lesions(1) & lesions(0)

    def peer() -> None:
        pair = [torch.from_numpy(mask)[None, None] for mask in (predicted, reference)]
        compute_dice(*pair)
        compute_hausdorff_distance(*pair, percentile=95, spacing=SPACING_MM, include_background=True)

    compare(
        "score one case",
        lambda: lesionlab.score(predicted, reference, spacing_mm=SPACING_MM, protocol="wmh2017"),
        peer=peer,
        peer_name="MONAI's Dice and HD95 (ours: these, AVD, lesion recall and F1)",
    )


if __name__ == "__main__":
    main()
