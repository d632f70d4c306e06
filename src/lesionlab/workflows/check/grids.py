"""Rules about where voxels lie."""

from collections.abc import Iterator
from pathlib import Path

import nibabel
import nibabel.affines
import numpy as np

from lesionlab.core.errors import GridError
from lesionlab.core.grid import Grid
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan

TILTED_DEGREES = 20.0
"""Slices are often tilted by up to this to follow the brain; beyond it a reader may want to know."""

AMBIGUOUS_DEGREES = 30.0
"""Towards 45 degrees, which of the axes is left-right becomes a matter of rounding."""

SHEAR = 1e-3
"""Largest cosine between two axes that still counts as a right angle (0.06 degrees)."""


def judge_grids(scan: Scan) -> Iterator[Finding]:
    """Find images and masks whose voxels are not those of the first image; axes may run another way."""
    grids = {path: image.grid.canonical() for path, image in scan.files.items()}
    paths = list(grids)
    for other in paths[1:]:
        first, second = grids[paths[0]], grids[other]
        try:
            first.check_same(
                second,
                mine=paths[0],
                others=other,
                next_step="resample the second onto the first (nearest neighbour for a mask), or lesionlab check --fix",
            )
        except GridError as error:
            yield Finding.of(error, rule=_difference(first, second), case=scan.case.id)


def judge_orientation(scan: Scan) -> Iterator[Finding]:
    """Note images and masks whose axes run another way than those of the first image."""
    codes = {path: "".join(nibabel.aff2axcodes(image.grid.matrix)) for path, image in scan.files.items()}
    first = next(iter(codes.values()), "")
    for path, code in codes.items():
        if code != first:
            yield scan.finding(
                "orientation",
                path,
                severity="note",
                wanted=f"axes that run as in the first image ({first})",
                found=f"axes {code}",
                next_step="nothing for lesionlab; other programs may compare voxel by voxel",
            )


def judge_tilt(scan: Scan) -> Iterator[Finding]:
    """Find volumes that lie far from the axes of the body."""
    for path, image in _volumes(scan).items():
        degrees = float(np.degrees(nibabel.affines.obliquity(image.matrix)).max())
        if degrees > TILTED_DEGREES:
            yield scan.finding(
                "oblique",
                path,
                severity="warning" if degrees > AMBIGUOUS_DEGREES else "note",
                wanted=f"axes within {TILTED_DEGREES:g} degrees of the body's",
                found=f"{degrees:.0f} degrees",
                next_step="nothing if the scan was planned so; its axes are taken for the nearest ones of the body",
            )


def judge_shear(scan: Scan) -> Iterator[Finding]:
    """Find affines whose axes are not at right angles: a tilted gantry, or a registration baked into the header."""
    for path, image in _volumes(scan).items():
        axes = image.matrix[:3, :3] / np.array(image.spacing_mm)
        cosine = float(np.abs(axes.T @ axes - np.eye(3)).max())
        if cosine > SHEAR:
            yield scan.finding(
                "sheared",
                path,
                severity="warning",
                wanted="three axes at right angles",
                found=f"two at {np.degrees(np.arccos(min(1.0, cosine))):.1f} degrees",
                next_step="resample the scan to a straight grid; distances in mm are wrong in sheared voxels",
            )


def _difference(first: Grid, second: Grid) -> str:
    """Return the rule that tells best how two grids differ."""
    if first.shape != second.shape:
        return "shape"
    is_same_spacing = np.allclose(first.spacing_mm, second.spacing_mm, rtol=1e-3, atol=0)
    return "position" if is_same_spacing else "spacing"


def _volumes(scan: Scan) -> dict[Path, Grid]:
    return {path: image.grid for path, image in scan.files.items() if image.grid.shape[2] > 1}
