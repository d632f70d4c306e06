"""Whether probabilities mean what they say: of the voxels called 70 % lesion, 70 % should be lesion.

Most voxels of a scan are far from any lesion and rightly called 0 %. They hide every fault, so calibration is measured
inside a mask: the brain, or the surroundings of lesions (`around`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt

from lesionlab.core.metric import Mask, Spacing

BINS = 15

Probabilities = Float[np.ndarray, "*space"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of one map of probabilities inside a mask; NaN where the mask is empty.

    Attributes:
        ece: Expected calibration error in [0, 1]: mean difference of said and true frequency over bins of about equally
            many voxels, weighted by voxels; voxels of one probability are never divided.
        brier: Mean squared difference of probability and truth, in [0, 1]; 0 is best.
        negative_log_likelihood: Mean of minus the log of the probability of the truth; 0 is best.
        said: Mean probability of each bin.
        true: Fraction of lesion in each bin.
    """

    ece: float
    brier: float
    negative_log_likelihood: float
    said: tuple[float, ...]
    true: tuple[float, ...]


def calibrate(
    probabilities: Probabilities, reference: Bool[np.ndarray, "*space"], *, inside: Bool[np.ndarray, "*space"]
) -> Calibration:
    """Measure how well probabilities agree with a reference.

    Args:
        probabilities: Of lesion, from 0 to 1.
        reference: The mask taken as true.
        inside: Which voxels count.

    Source: Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602 (with bins of equal counts); Brier 1950.
    """
    said = probabilities[inside].astype(np.float64)
    true = reference[inside].astype(np.float64)
    if not said.size:
        return Calibration(ece=np.nan, brier=np.nan, negative_log_likelihood=np.nan, said=(), true=())
    parts = _bins(said)
    means = [(float(said[part].mean()), float(true[part].mean())) for part in parts]
    gaps = [abs(first - second) * part.size for (first, second), part in zip(means, parts, strict=True)]
    of_truth = np.clip(np.where(true > 0, said, 1 - said), 1e-12, 1.0)
    return Calibration(
        ece=float(sum(gaps) / said.size),
        brier=float(np.mean((said - true) ** 2)),
        negative_log_likelihood=float(-np.log(of_truth).mean()),
        said=tuple(first for first, _ in means),
        true=tuple(second for _, second in means),
    )


def _bins(said: Float[np.ndarray, " voxel"]) -> list[Int[np.ndarray, " member"]]:
    """Return the voxels of each bin, by rising probability; a bin ends where the probability changes.

    Ties that would be divided by a bin's end belong to the bin in which they begin.
    """
    order = np.argsort(said, kind="stable")
    ordered = said[order]
    ends = np.cumsum([part.size for part in np.array_split(ordered, BINS)])[:-1]
    ends = np.searchsorted(ordered, ordered[np.maximum(ends - 1, 0)], side="right")
    return [part for part in np.split(order, np.unique(ends)) if part.size]


def around(reference: Mask, *, spacing_mm: Spacing, margin_mm: float) -> Mask:
    """Return the voxels of a mask and those within a distance of it; everything where the mask is empty."""
    if not reference.any():
        return np.ones_like(reference)
    near: Mask = distance_transform_edt(~reference, sampling=spacing_mm) <= margin_mm
    return near
