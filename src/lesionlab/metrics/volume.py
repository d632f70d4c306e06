"""How much lesion there is; from voxel counts, so no spacing can make two equal masks differ."""

import math
from dataclasses import dataclass
from typing import ClassVar

from lesionlab.core.metric import MaskPair, metric


@metric("predicted_volume_ml")
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedVolume:
    """Volume of the prediction in millilitres; 0 for an empty mask."""

    unit: ClassVar[str] = "ml"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the volume in ml."""
        return pair.predicted_voxels * pair.voxel_ml


@metric("reference_volume_ml")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceVolume:
    """Volume of the reference in millilitres; 0 for an empty mask."""

    unit: ClassVar[str] = "ml"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the volume in ml."""
        return pair.reference_voxels * pair.voxel_ml


@metric("volume_difference_ml")
@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDifference:
    """Predicted minus reference volume in millilitres: positive when too much is outlined; best is 0."""

    unit: ClassVar[str] = "ml"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the signed difference in ml."""
        return (pair.predicted_voxels - pair.reference_voxels) * pair.voxel_ml


@metric("absolute_volume_difference_ml")
@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteVolumeDifference:
    """Size of the difference of the two volumes in millilitres; 0 when both masks are empty."""

    unit: ClassVar[str] = "ml"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the absolute difference in ml."""
        return abs(pair.predicted_voxels - pair.reference_voxels) * pair.voxel_ml


@metric("avd_percent")
@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteVolumeDifferencePercent:
    """Size of the difference of the two volumes as a percentage of the reference's; an empty prediction gives 100.

    Args:
        both_empty: What two empty masks give.
        reference_empty: What an empty reference gives when something was predicted.
    """

    unit: ClassVar[str] = "%"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    both_empty: float = math.nan
    reference_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the difference in percent, by the declared policy where the reference is empty."""
        if pair.reference_voxels == 0:
            return self.reference_empty if pair.predicted_voxels else self.both_empty
        return abs(pair.reference_voxels - pair.predicted_voxels) / pair.reference_voxels * 100


@metric("relative_volume_difference")
@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeVolumeDifference:
    """Predicted minus reference volume over the reference's: positive when too much is outlined; best is 0.

    An empty prediction gives -1.

    Args:
        reference_empty: What an empty reference gives, whatever was predicted.
    """

    unit: ClassVar[str] = "1"
    is_higher_better: ClassVar[bool | None] = None
    undefined_when: ClassVar[str] = ""

    reference_empty: float = math.nan

    def __call__(self, pair: MaskPair) -> float:
        """Return the signed fraction."""
        if not pair.reference_voxels:
            return self.reference_empty
        return (pair.predicted_voxels - pair.reference_voxels) / pair.reference_voxels


@metric("absolute_volume_difference_voxels")
@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteVolumeDifferenceVoxels:
    """Size of the difference of the two volumes in voxels, blind to spacing; 0 when both masks are empty."""

    unit: ClassVar[str] = "voxel"
    is_higher_better: ClassVar[bool | None] = False
    undefined_when: ClassVar[str] = ""

    def __call__(self, pair: MaskPair) -> float:
        """Return the absolute difference."""
        return float(abs(pair.predicted_voxels - pair.reference_voxels))
