"""Normalised surface distances: which part of two surfaces lies within a tolerance of the other."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import distance_transform_edt

from lesionlab.core.metric import MaskPair, metric
from lesionlab.metrics.surface import Distances, surface_distances, surfaces


@metric("nsd")
@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceDice:
    """Fraction of the surface voxels of both masks together that lie within the tolerance of the other; in [0, 1].

    One empty mask gives 0.

    Args:
        tolerance_mm: Distance in mm up to which an outline is as good as the reference's, from how experts differ.
        both_empty: What two empty masks give.

    Source: Metrics Reloaded, doi:10.1038/s41592-023-02151-z; MONAI.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    tolerance_mm: float = 1.0
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction; `both_empty` when there is no surface at all."""
        if not (pair.predicted_voxels or pair.reference_voxels):
            return self.both_empty
        distances = pair.once(surface_distances)
        if not distances.is_defined:
            return 0.0
        within = _within(distances.from_predicted, self.tolerance_mm) + _within(
            distances.from_reference, self.tolerance_mm
        )
        return within / (distances.from_predicted.size + distances.from_reference.size)


@metric("nsd_of_fractions")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSurfaceDice:
    """Mean of two fractions: of the predicted surface within the tolerance, and of the reference's; in [0, 1].

    Both directions weigh the same however much surface they have. One empty mask gives 0.

    Args:
        tolerance_mm: As in `SurfaceDice`.
        both_empty: What two empty masks give.

    Source: BraTS 2024 evaluation, github.com/rachitsaluja/BraTS-2024-Metrics at f1131e3.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    tolerance_mm: float = 1.0
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the fraction; `both_empty` when there is no surface at all."""
        if not (pair.predicted_voxels or pair.reference_voxels):
            return self.both_empty
        distances = pair.once(surface_distances)
        if not distances.is_defined:
            return 0.0
        first = _within(distances.from_predicted, self.tolerance_mm) / distances.from_predicted.size
        second = _within(distances.from_reference, self.tolerance_mm) / distances.from_reference.size
        return (first + second) / 2


@metric("boundary_iou")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryIou:
    """Intersection over union of the two rims: voxels of a mask closer to its surface than a distance; in [0, 1].

    Args:
        rim_voxels: Distance in voxels, not in mm, below which a voxel belongs to the rim.
        both_empty: What two empty masks give.

    Source: Cheng et al. 2021, doi:10.1109/CVPR46437.2021.01508, as in Metrics Reloaded.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = True
    undefined_when: ClassVar[str] = ""

    rim_voxels: float = 2.0
    both_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the index; `both_empty` when there is no rim at all."""
        masks, rims = pair.cropped, []
        for mask, surface in zip(masks, surfaces(pair), strict=True):
            rims.append(mask & self._is_near(surface) if surface.any() else mask)
        either = np.count_nonzero(rims[0] | rims[1])
        return int(np.count_nonzero(rims[0] & rims[1])) / int(either) if either else self.both_empty

    def _is_near(self, surface: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
        near: Bool[np.ndarray, "x y z"] = distance_transform_edt(~surface) < self.rim_voxels
        return near


def _within(distances: Distances, tolerance_mm: float) -> int:
    # Coordinates times spacing are rounded: 12 x 0.6 mm and 11 x 0.6 mm lie a little more than 0.6 mm apart.
    return int(np.count_nonzero(distances <= tolerance_mm + 1e-9))
