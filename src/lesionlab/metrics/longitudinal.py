"""What became of each lesion between two visits on one grid."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lesionlab.core.metric import Mask, MaskPair, Spacing
from lesionlab.metrics.components import Lesions, find_lesions

Change: TypeAlias = Literal["new", "enlarging", "stable", "shrinking", "resolved"]
CHANGES: tuple[Change, ...] = get_args(Change)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLimits:
    """From when on a change counts; both limits must be passed.

    Masks of one lesion differ from scan to scan though nothing happened, the more so the smaller the lesion is. The
    defaults are a choice, not a standard: fix them before the masks are seen, from scans repeated within days if there
    are any.

    Attributes:
        percent: Least change of volume, of the earlier volume.
        mm3: Least change of volume; new and resolved lesions below this volume are stable.
    """

    percent: float = 25.0
    mm3: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedLesion:
    """One lesion, or several that grew together or fell apart, over two visits.

    Attributes:
        change: What became of it.
        earlier_mm3: Volume at the earlier visit; 0 for a new lesion.
        later_mm3: Volume at the later visit; 0 for a resolved one.
        earlier_pieces: Components at the earlier visit.
        later_pieces: Components at the later visit.
    """

    change: Change
    earlier_mm3: float
    later_mm3: float
    earlier_pieces: int
    later_pieces: int


def follow_lesions(
    earlier: Mask, later: Mask, *, spacing_mm: Spacing, limits: ChangeLimits
) -> tuple[FollowedLesion, ...]:
    """Match the lesions of two visits and say what became of each; two empty masks give nothing.

    Lesions (components of 26 neighbours) that share a voxel belong together, so that lesions that merge or split are
    followed as one. The visits must have been registered: a shift of the head looks like change.

    Args:
        earlier: Of the earlier visit.
        later: Of the later visit, on the same grid.
        spacing_mm: Along each array axis.
        limits: From when on a change counts.
    """
    pair = MaskPair(predicted=earlier, reference=later, spacing_mm=spacing_mm)
    lesions = find_lesions(pair)
    track, n_tracks = _join(lesions)
    voxel_mm3 = pair.voxel_ml * 1000
    sizes = lesions.predicted_voxels, lesions.reference_voxels
    belongs = track[: lesions.n_predicted], track[lesions.n_predicted :]
    volumes = [
        np.bincount(own, weights=size * voxel_mm3, minlength=n_tracks) for own, size in zip(belongs, sizes, strict=True)
    ]
    pieces = [np.bincount(own, minlength=n_tracks) for own in belongs]
    return tuple(
        FollowedLesion(
            change=_judge(float(volumes[0][index]), float(volumes[1][index]), limits),
            earlier_mm3=float(volumes[0][index]),
            later_mm3=float(volumes[1][index]),
            earlier_pieces=int(pieces[0][index]),
            later_pieces=int(pieces[1][index]),
        )
        for index in range(n_tracks)
    )


def _join(lesions: Lesions) -> tuple[Int[np.ndarray, " lesion"], int]:
    """Return for each lesion, earlier ones first, the number of its group, and how many groups there are."""
    n = lesions.n_predicted + lesions.n_reference
    if n == 0:
        return np.zeros(0, dtype=np.int64), 0
    predicted, reference = lesions.shared()
    rows = predicted.astype(np.int64) - 1
    columns = reference.astype(np.int64) - 1 + lesions.n_predicted
    graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(n, n))
    n_tracks, track = connected_components(graph, directed=False)
    return track.astype(np.int64), int(n_tracks)


def _judge(earlier_mm3: float, later_mm3: float, limits: ChangeLimits) -> Change:
    difference_mm3 = later_mm3 - earlier_mm3
    if (
        difference_mm3 == 0
        or abs(difference_mm3) < limits.mm3
        or abs(difference_mm3) < limits.percent / 100 * earlier_mm3
    ):
        return "stable"
    if earlier_mm3 == 0:
        return "new"
    if later_mm3 == 0:
        return "resolved"
    return "enlarging" if difference_mm3 > 0 else "shrinking"
