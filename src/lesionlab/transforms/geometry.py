"""The road of voxels from a scan's own grid to the network's, and exactly back."""

from dataclasses import dataclass

import nibabel
import numpy as np
from jaxtyping import Float32, Shaped
from scipy.ndimage import affine_transform

from lesionlab.core.grid import TOLERANCE_MM, Box, Grid
from lesionlab.transforms.along_axes import interpolate_along_axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How one case was brought to the grid that a network sees.

    Attributes:
        scan: The grid of the files.
        working: Axes nearest to RAS+, at the plan's spacing.
        box: The part of the working grid that is kept.
    """

    scan: Grid
    working: Grid
    box: Box

    def to_scan(self, kept: Float32[np.ndarray, "region i j k"]) -> Float32[np.ndarray, "region x y z"]:
        """Bring maps of the kept part to the scan's own grid; 0 outside it.

        Values are moved, not changed, where the working grid only permutes and flips the scan's axes; else they
        are interpolated linearly.
        """
        on_scan = np.zeros((kept.shape[0], *self.scan.shape), dtype=np.float32)
        for region, values in enumerate(kept):
            full = np.zeros(self.working.shape, dtype=np.float32)
            full[self.box.slices] = values
            on_scan[region] = self._working_to_scan(full)
        return on_scan

    def _working_to_scan(self, full: Float32[np.ndarray, "i j k"]) -> Float32[np.ndarray, "x y z"]:
        canonical = self.scan.canonical()
        if canonical.distance_mm(self.working) > TOLERANCE_MM:
            full = resample(full, self.working, target=canonical, order=1)
        return reorient(full, source=canonical, target=self.scan)


def to_working(
    array: Shaped[np.ndarray, "x y z"], grid: Grid, *, working: Grid, order: int, box: Box | None = None
) -> Shaped[np.ndarray, "i j k"]:
    """Permute and flip axes nearest to RAS+, then interpolate at the voxels of `working` if it is another grid.

    With a box, only its voxels of `working` are looked up.
    """
    canonical = grid.canonical()
    array = reorient(array, source=grid, target=canonical)
    if canonical.distance_mm(working) > TOLERANCE_MM:
        return resample(array, canonical, target=working if box is None else working.cropped(box), order=order)
    return array if box is None else array[box.slices]


def reorient(array: Shaped[np.ndarray, "x y z"], *, source: Grid, target: Grid) -> Shaped[np.ndarray, "i j k"]:
    """Permute and flip axes so that those of `source` run as those of `target`; no value is changed."""
    transform = nibabel.orientations.ornt_transform(source.to_canonical(), target.to_canonical())
    turned: Shaped[np.ndarray, "i j k"] = nibabel.orientations.apply_orientation(array, transform)
    return turned


def resample(
    array: Shaped[np.ndarray, "x y z"], source: Grid, *, target: Grid, order: int
) -> Shaped[np.ndarray, "i j k"]:
    """Interpolate `array` at the voxels of `target`: nearest (order 0) or linear (order 1).

    The border value continues one voxel outwards and the array's minimum lies beyond, so that a background that is
    not zero stays background.
    """
    step = np.linalg.inv(source.matrix) @ target.matrix
    matrix, offset, beyond = step[:3, :3], step[:3, 3], float(array.min())
    if np.allclose(matrix, np.diag(np.diag(matrix)), atol=1e-9):
        places = [matrix[axis, axis] * np.arange(target.shape[axis]) + offset[axis] for axis in range(3)]
        return interpolate_along_axes(array, places, order=order, beyond=beyond)
    padded = np.pad(array, 1, mode="edge")  # which moves every voxel by one
    resampled: Shaped[np.ndarray, "i j k"] = affine_transform(
        padded, matrix, offset + 1, target.shape, order=order, mode="constant", cval=beyond
    )
    return resampled
