"""How straight a head lies, and how alike its two sides are."""

from collections.abc import Iterator

import numpy as np

from lesionlab.transforms.midplane import LOWEST_CORRELATION, find_midplane
from lesionlab.workflows.check.finding import Finding
from lesionlab.workflows.check.scan import Scan


def judge_midplane(scan: Scan) -> Iterator[Finding]:
    """Note where the plane between the hemispheres lies in the first image; warn of a head without two like sides."""
    for modality, image in list(scan.images.items())[:1]:
        plane = find_midplane(image.array, image.grid)
        canonical = image.grid.canonical()
        first_axis = canonical.matrix[:3, 0] / canonical.spacing_mm[0]
        degrees = np.degrees(np.arccos(min(1.0, abs(float(first_axis @ np.array(plane.normal))))))
        away_mm = abs(plane.distance_mm(canonical.corners_mm.mean(axis=0)))
        like = f"a mirror correlation of {plane.correlation:.2f}, {plane.correlation_before:.2f} before straightening"
        yield scan.finding(
            "midplane",
            scan.case.images[modality],
            severity="note" if plane.is_sure else "warning",
            wanted=f"two like sides: a mirror correlation of {LOWEST_CORRELATION} or more",
            found=f"{like}; the plane is tilted by {degrees:.1f} degrees and {away_mm:.1f} mm from the middle",
            next_step="nothing; preprocessing.straighten puts it upright"
            if plane.is_sure
            else "look at the scan: is it a head, and does its header name the axes right?",
        )
