"""The asymmetry of a scan on its own grid."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lesionlab.core.case import Case
from lesionlab.core.grid import Box, Grid
from lesionlab.engine.case_files import read_scan
from lesionlab.engine.finite import check_finite
from lesionlab.transforms.asymmetry import asymmetry_map
from lesionlab.transforms.geometry import Geometry, to_working
from lesionlab.transforms.midplane import Midplane, find_midplane, straight_grid
from lesionlab.transforms.normalise import find_foreground

_SCORED_PERCENTILE = 99.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asymmetry:
    """Where and how much the two sides of a head differ.

    Attributes:
        upright: The scan with the plane between the hemispheres in the middle.
        upright_map: On the same grid; see `lesionlab.transforms.asymmetry.asymmetry_map`.
        spacing_mm: Of that grid.
        on_scan: The map on the scan's own grid.
        score: What one in five hundred voxels of the head exceeds, whatever the sign; the mirrored scan has the same.
        plane: As found.
        scan: The scan's own grid.
        space_code: NIfTI code of the scan's space.
    """

    upright: Float32[np.ndarray, "x y z"]
    upright_map: Float32[np.ndarray, "x y z"]
    spacing_mm: tuple[float, float, float]
    on_scan: Float32[np.ndarray, "i j k"]
    score: float
    plane: Midplane
    scan: Grid
    space_code: int


def measure_asymmetry(case: Case, modality: str) -> Asymmetry:
    """Straighten one scan of a case and compare its sides.

    Raises:
        ImageError: The file is damaged, or shows no plane between two like sides.
        PredictionError: The map holds what is no number.
    """
    image = read_scan(case, modality)
    plane = find_midplane(image.array, image.grid)
    plane.check(where=case.images[modality])
    straight = straight_grid(image.grid, plane)
    upright = to_working(image.array, image.grid, working=straight, order=1)
    head = find_foreground(upright, rule="above_background")
    found = asymmetry_map(upright, head, spacing_mm=straight.spacing_mm)
    check_finite(found, what="differences between the two sides", where=f"case {case.id}")
    geometry = Geometry(scan=image.grid, working=straight, box=Box(start=(0, 0, 0), stop=straight.shape))
    return Asymmetry(
        upright=upright,
        upright_map=found,
        spacing_mm=straight.spacing_mm,
        on_scan=geometry.to_scan(found[None])[0],
        score=float(np.percentile(np.abs(found[head]), _SCORED_PERCENTILE)) if head.any() else 0.0,
        plane=plane,
        scan=image.grid,
        space_code=image.space_code,
    )
